"""Walk over the lines of an open run log, forwards or backwards.

The invariant of a file: line n is version n of this run, and only the end may be torn. A torn tail is a last line
without a newline, or one that is not a line of a log at all: what a crash in the middle of a write leaves behind.
Anything else that does not fit is damage, and is reported with its offset, never skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aureus.errors import Invalid, LogDamaged
from aureus.runlog.format import LINE_BYTES_MAX, Record, parse_line

_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose log it is, and where."""

    run_id: str
    tenant_id: str
    path: Path


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two lines: the bytes and the versions that lie before it."""

    offset: int
    version: int


START = Position(0, 0)


def damaged(owner: Owner, reason: str, *, offset: int | None = None) -> LogDamaged:
    """Return the error for a log that holds what Aureus did not write."""
    where = "" if offset is None else f" at byte {offset:,}"
    return LogDamaged(
        f"the run log {owner.path} is damaged{where}: {reason}. Nothing was changed. Look at it, then move its folder "
        "away: the next append writes the log anew from the database, which holds every event.",
        path=str(owner.path),
        run_id=owner.run_id,
        offset=offset,
    )


def records(
    descriptor: int, owner: Owner, start: Position, size: int
) -> Iterator[tuple[Record, Position]]:
    """Yield the complete records between ``start`` and byte ``size``, each with the position after it.

    A torn tail ends the walk: the last position then lies before ``size``. Raises ``LogDamaged`` at a line that is
    out of order, of another run or tenant, or not a line although others follow.
    """
    end = start
    with os.fdopen(descriptor, "rb", buffering=_BLOCK_BYTES, closefd=False) as stream:
        stream.seek(start.offset)
        while end.offset < size:
            line = stream.readline(min(LINE_BYTES_MAX, size - end.offset))
            after = Position(end.offset + len(line), end.version + 1)
            try:
                record = _whole(line)
            except Invalid as error:
                # Without a newline it is the end of the file, also of one that was cut while it was read.
                is_end = not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX
                if is_end or after.offset >= size:
                    return
                raise damaged(owner, error.message, offset=end.offset) from error
            _check(record, owner, after.version, end.offset)
            yield record, after
            end = after


def records_backwards(descriptor: int, owner: Owner, size: int) -> Iterator[Record]:
    """Yield the complete records before byte ``size``, the newest first; the same rules as ``records``."""
    follower: int | None = None
    for offset, line in _lines_backwards(descriptor, owner, size):
        try:
            record = _whole(line)
        except Invalid as error:
            if offset + len(line) == size:
                continue
            raise damaged(owner, error.message, offset=offset) from error
        _check(record, owner, None if follower is None else follower - 1, offset)
        follower = record["version"]
        yield record


def _whole(line: bytes) -> Record:
    if not line.endswith(b"\n"):
        raise Invalid("the line does not end")
    return parse_line(line)


def _check(record: Record, owner: Owner, version: int | None, offset: int) -> None:
    """Refuse a record that is not the given version of this run; any version when it is None."""
    found = record.get("version")
    if found is None or record.get("eventId") is None:
        raise damaged(
            owner, "the line has no eventId and version, so another program wrote it", offset=offset
        )
    if version is not None and found != version:
        raise damaged(
            owner, f"version {found} stands where version {version} belongs", offset=offset
        )
    if record.get("runId") != owner.run_id:
        raise damaged(owner, "the line belongs to another run", offset=offset)
    if record.get("tenantId") != owner.tenant_id:
        raise damaged(owner, "the line belongs to another tenant", offset=offset)


def _lines_backwards(descriptor: int, owner: Owner, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield offset and bytes of each line that ends at or before ``size``, the last one first."""
    start, held, block = size, b"", _BLOCK_BYTES
    while start > 0:
        length = min(block, start)
        start -= length
        held = os.pread(descriptor, length, start) + held
        first = held.find(b"\n") + 1  # what stands before it may begin in an earlier block
        if first in {0, len(held)}:
            _refuse_overlong(len(held), owner, start)
            block *= 2  # a long line: doubling keeps the copying linear
            continue
        end = len(held)
        while end > first:
            begin = held.rfind(b"\n", 0, end - 1) + 1
            _refuse_overlong(end - begin, owner, start + begin)
            yield start + begin, held[begin:end]
            end = begin
        held, block = held[:first], _BLOCK_BYTES
    if held:
        yield 0, held


def _refuse_overlong(length: int, owner: Owner, offset: int) -> None:
    if length > LINE_BYTES_MAX:
        raise damaged(owner, f"a line has more than {LINE_BYTES_MAX:,} bytes", offset=offset)

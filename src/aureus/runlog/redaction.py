"""Take data and metadata of erased events out of a run log, which stays a projection of its stream.

The file is written anew beside the old one and takes its place while that is locked: whoever waits for the lock finds
that the file has no name any more, and opens the new one. A reader that is under way reads the old one to its end.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from aureus.errors import NotFound
from aureus.runlog.folders import LOG_FILE, LogFolders, OpenLog, refusals, write_all
from aureus.runlog.format import Record, format_record, redacted
from aureus.runlog.scan import START, records

_NEW_FILE = LOG_FILE + ".new"
"""What the log is written to before it takes its place; one that a crash has left is written over."""


def redact(directory: Path, tenant_id: str, run_id: str, versions: Sequence[int]) -> int:
    """Take the data of these versions out of a run's log, on the disk when it returns; return how many had any.

    Repeating it changes nothing, and neither does a run without a log. A torn end is left out, as a writer would.
    Raises as ``RunLog.append``.
    """
    wanted = frozenset(versions)
    with (
        suppress(NotFound),
        LogFolders(directory, tenant_id).for_append(run_id, create=False) as log,
    ):
        with refusals(log.owner, "read"):
            found = sum(
                _has_data(record) for record in _records(log) if record["version"] in wanted
            )
        if found:
            with refusals(log.owner, "write"):
                _replace(log, (_line(record, wanted) for record in _records(log)))
        return found
    return 0


def _records(log: OpenLog) -> Iterator[Record]:
    for record, _ in records(log.descriptor, log.owner, START, log.status().st_size):
        yield record


def _has_data(record: Record) -> bool:
    return record != redacted(record)


def _line(record: Record, wanted: frozenset[int]) -> bytes:
    return format_record(redacted(record) if record["version"] in wanted else record)


def _replace(log: OpenLog, lines: Iterable[bytes]) -> None:
    folder = log.folders[0]
    mode = log.status().st_mode & 0o777
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(_NEW_FILE, flags, mode, dir_fd=folder)
    try:
        for line in lines:
            write_all(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(_NEW_FILE, LOG_FILE, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)

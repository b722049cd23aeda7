"""Project the events of runs into their logs: one line per event, in the order of the stream, across any crash.

The database is the truth and is written first; a log is brought up to it afterwards. Every append therefore looks at
how far the log has come, takes a torn end away, skips what is there and asks the database for what is missing. So
it never matters which writer died where, how many there are, or whether a line was written before.

Calls block on the lock and on the disk: from a coroutine, call them in a thread. One ``RunLog`` may be used by any
number of threads. It keeps no file open between calls, and remembers a bounded number of runs.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from aureus.clock import Clock, SystemClock
from aureus.errors import IntegrityFailure, Invalid, NotFound
from aureus.model.events import Event
from aureus.model.runs import stream_of
from aureus.runlog.folders import LogFolders, OpenLog, refusals, write_all
from aureus.runlog.format import format_event
from aureus.runlog.scan import START, Position, damaged, records, records_backwards

ReadMissing = Callable[[int], Iterable[Event]]
"""Reads the committed events of the run after a version, in order. It is called while the log is locked."""

BATCH_BYTES = 8 * 1024 * 1024
"""Bytes handed to the system in one write; only a log that lags far behind needs more than one."""

SYNC_INTERVAL_SECONDS = 1.0
"""How old the last sync of a log may be before an append syncs it again, with policy ``interval``."""

RUNS_REMEMBERED_MAX = 4096
"""Runs whose end is remembered; the log of any other run is read again at its next append."""


class FsyncPolicy(StrEnum):
    """When lines are forced to the disk. A killed process loses none with any policy; a power failure may."""

    ALWAYS = "always"
    """Before an append returns."""

    INTERVAL = "interval"
    """When the last sync of this log is a second old, and on close."""

    NEVER = "never"
    """Whenever the operating system likes."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What was true of a log when this object last let go of it."""

    device: int
    inode: int
    end: Position
    synced: Position | None = None
    synced_at: float | None = None

    def is_of(self, status: os.stat_result) -> bool:
        """Tell whether this is still the same file, and not one made anew."""
        return (self.device, self.inode) == (status.st_dev, status.st_ino)


class RunLog:
    """The logs of one tenant's runs, for writing."""

    def __init__(
        self, directory: Path, tenant_id: str, *, fsync: FsyncPolicy, clock: Clock | None = None
    ) -> None:
        """Remember where the logs go; the directory is made by the first append."""
        self._folders = LogFolders(directory, tenant_id)
        self._tenant_id = tenant_id
        self._policy = fsync
        self._clock = clock or SystemClock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._known_lock = threading.Lock()

    def append(
        self, run_id: str, events: Sequence[Event], read_missing: ReadMissing | None = None
    ) -> int:
        """Bring the log up to these committed events and return the version that it then ends with.

        Events that are in the log are skipped, those between its end and the first new one are read through
        ``read_missing``; without events, everything that is missing is read. Repeating a call changes nothing.

        Raises ``LogDamaged`` when the log holds other lines than the database has events, ``Invalid`` when events are
        of another run, out of order, or begin after a gap that cannot be read, ``IntegrityFailure`` when the
        database itself has a gap or the disk fails, ``StorageFull``, ``ConfigInvalid`` and ``DatabaseBusy`` when
        the log cannot be written now. After an error a later append continues from what is truly there.
        """
        _refuse_disorder(run_id, events)
        with self._folders.for_append(run_id, sync=self._policy is not FsyncPolicy.NEVER) as log:
            found = self._recover(log)
            _refuse_other_history(log, found.end, events)
            missing = _in_order(run_id, events, found.end.version, read_missing)
            known = replace(found, end=self._extend(log, found.end, missing))
            known = self._settle(log, known, found.end)
            displaced = self._remember(run_id, known)
        if displaced is not None:
            self._sync(*displaced)
        return known.end.version

    def close(self) -> None:
        """Sync what policy ``interval`` left for later. Safe to repeat; raises as ``append`` when the disk fails."""
        with self._known_lock:
            remembered = list(self._known.items())
        for run_id, known in remembered:
            self._sync(run_id, known)

    def _recover(self, log: OpenLog) -> _Known:
        """Find the last complete line, and take away what a crash left behind it."""
        status = log.status()
        with self._known_lock:
            known = self._known.get(log.owner.run_id)
        if known is None or not known.is_of(status) or known.end.offset > status.st_size:
            known = _Known(status.st_dev, status.st_ino, START)
        end = known.end
        with refusals(log.owner, "read"):
            for _, after in records(log.descriptor, log.owner, known.end, status.st_size):
                end = after
        if end.offset < status.st_size:
            with refusals(log.owner, "repair"):
                os.ftruncate(log.descriptor, end.offset)
        return replace(known, end=end)

    def _extend(self, log: OpenLog, start: Position, events: Iterable[Event]) -> Position:
        """Write the lines of these events after ``start``, and return where they end."""
        end = start
        for lines, version in _batches(events, self._tenant_id):
            with refusals(log.owner, "write"):
                try:
                    write_all(log.descriptor, lines)
                except OSError:
                    self._take_back(log, start)
                    raise
            end = Position(end.offset + len(lines), version)
        return end

    def _settle(self, log: OpenLog, known: _Known, start: Position) -> _Known:
        """Sync as the policy asks; also lines of a writer that died before its own sync."""
        if self._policy is FsyncPolicy.NEVER or known.synced == known.end:
            return known
        if self._policy is FsyncPolicy.INTERVAL and known.synced_at is not None:
            age = self._clock.monotonic() - known.synced_at
            if age < SYNC_INTERVAL_SECONDS:
                return known
        return self._flush(log, known, start)

    def _flush(self, log: OpenLog, known: _Known, start: Position) -> _Known:
        """Sync the log; a sync that failed is never tried again for the same bytes.

        Linux may drop what it could not write and report success to the next sync. The lines since the last good
        sync are therefore taken back, and a later append writes them anew.
        """
        with refusals(log.owner, "sync"):
            try:
                os.fsync(log.descriptor)
            except OSError:
                self._take_back(log, known.synced or start)
                raise
        return replace(known, synced=known.end, synced_at=self._clock.monotonic())

    def _take_back(self, log: OpenLog, to: Position) -> None:
        """Cut the log back to where it was sound; where even this fails, the next append repairs a torn end."""
        with self._known_lock:
            self._known.pop(log.owner.run_id, None)
        with suppress(OSError):
            if log.status().st_size > to.offset:
                os.ftruncate(log.descriptor, to.offset)

    def _remember(self, run_id: str, known: _Known) -> tuple[str, _Known] | None:
        """Keep what is known of a log, and return what had to make room for it."""
        with self._known_lock:
            self._known[run_id] = known
            self._known.move_to_end(run_id)
            return (
                self._known.popitem(last=False) if len(self._known) > RUNS_REMEMBERED_MAX else None
            )

    def _sync(self, run_id: str, known: _Known) -> None:
        """Sync a log that policy ``interval`` left for later, unless it was removed meanwhile."""
        if self._policy is not FsyncPolicy.INTERVAL or known.synced == known.end:
            return
        with suppress(NotFound), self._folders.for_append(run_id, create=False) as log:
            if not known.is_of(log.status()):
                return
            synced = self._flush(log, known, known.end)
            with self._known_lock:
                if self._known.get(run_id) == known:
                    self._known[run_id] = synced


def _refuse_disorder(run_id: str, events: Sequence[Event]) -> None:
    stream = stream_of(run_id)
    last = 0
    for event in events:
        if event.stream != stream:
            raise Invalid(
                f"an event of stream {event.stream!r} cannot go to the log of run {run_id!r}"
            )
        if event.version <= last:
            raise Invalid(
                f"version {event.version} of run {run_id!r} comes after version {last}; pass them in order"
            )
        last = event.version


def _refuse_other_history(log: OpenLog, end: Position, events: Sequence[Event]) -> None:
    """Refuse when the log holds other events than these at their versions, as after an old backup was restored."""
    given = {event.version: event.event_id for event in events if event.version <= end.version}
    with refusals(log.owner, "read"):
        for record in records_backwards(log.descriptor, log.owner, end.offset) if given else ():
            version, logged = record["version"], record["eventId"]
            stored = given.pop(version, logged)
            if stored != logged:
                raise damaged(
                    log.owner,
                    f"version {version} is event {logged} here and {stored} in the database",
                )
            if not given:
                return


def _batches(events: Iterable[Event], tenant_id: str) -> Iterator[tuple[bytearray, int]]:
    """Yield the lines of events, as many as go into one write, with the version of the last."""
    lines = bytearray()
    version = 0
    for event in events:
        lines += format_event(event, tenant_id)
        version = event.version
        if len(lines) >= BATCH_BYTES:
            yield lines, version
            lines = bytearray()
    if lines:
        yield lines, version


def _in_order(
    run_id: str, events: Sequence[Event], last: int, read_missing: ReadMissing | None
) -> Iterator[Event]:
    """Yield every event after version ``last``, without a gap."""
    if not events and read_missing is not None:
        yield from _missing(run_id, last, None, read_missing)
    for event in events:
        if event.version <= last:
            continue
        if event.version > last + 1:
            yield from _missing(run_id, last, event.version, read_missing)
        yield event
        last = event.version


def _missing(
    run_id: str, after: int, before: int | None, read_missing: ReadMissing | None
) -> Iterator[Event]:
    """Yield the events between two versions, or to the end of the stream, from the database."""
    if read_missing is None:
        raise Invalid(
            f"the log of run {run_id!r} ends with version {after} and the events begin with version {before}; "
            "pass read_missing, which reads those between them",
            run_id=run_id,
        )
    expected = after + 1
    for event in read_missing(after):
        if event.version == before:
            break
        if event.version != expected or event.stream != stream_of(run_id):
            raise IntegrityFailure(
                f"the database gave version {event.version} of stream {event.stream!r} where version {expected} of run "
                f"{run_id!r} belongs; its log was left as it was",
                run_id=run_id,
            )
        yield event
        expected += 1
    if before is not None and expected != before:
        raise IntegrityFailure(
            f"the database has no version {expected} of run {run_id!r}, although it has version {before}; "
            "its log was left as it was",
            run_id=run_id,
        )

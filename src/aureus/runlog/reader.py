"""Read the run logs of a tenant: all records of a run, the newest few, the runs that have a log.

Readers wait for a writer that is in the middle of a line. ``read`` then goes without a lock, up to where the log ended
at that moment, so that a slow reader stops nobody. Nothing is changed: a torn tail is reported, a writer mends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from aureus.errors import Invalid
from aureus.runlog.folders import LogFolders, refusals
from aureus.runlog.format import Record
from aureus.runlog.scan import START, records, records_backwards


@dataclass(frozen=True, slots=True)
class TornTail:
    """What a crash left at the end of a log: no event is lost, the next append writes it again."""

    path: Path
    offset: int
    size_bytes: int


class RunLogReader:
    """The logs of one tenant's runs, for reading."""

    def __init__(self, directory: Path, tenant_id: str) -> None:
        """Remember where the logs are; nothing is opened or made yet."""
        self._folders = LogFolders(directory, tenant_id)

    def read(
        self, run_id: str, *, on_torn_tail: Callable[[TornTail], None] | None = None
    ) -> Iterator[Record]:
        """Yield the records of a run in the order of its stream.

        Opens the log when the first record is asked for. Raises ``NotFound`` when there is none, ``LogDamaged`` with
        the offset at the first line that does not belong there; ``on_torn_tail`` is called at most once, at the end.
        """
        with self._folders.for_reading(run_id) as log:
            size = log.status().st_size
            log.unlock()
            end = START
            with refusals(log.owner, "read"):
                for record, after in records(log.descriptor, log.owner, START, size):
                    yield record
                    end = after
            if end.offset < size and on_torn_tail is not None:
                on_torn_tail(TornTail(log.owner.path, end.offset, size - end.offset))

    def tail(self, run_id: str, count: int) -> list[Record]:
        """Return the newest records of a run, oldest first; raises as ``read``.

        Reads the log from its end, no more of it than it returns.
        """
        if count < 0:
            raise Invalid(f"{count} records cannot be read; pass 0 or more", what="count")
        with self._folders.for_reading(run_id) as log, refusals(log.owner, "read"):
            newest = records_backwards(log.descriptor, log.owner, log.status().st_size)
            return list(islice(newest, count))[::-1]

    def run_ids(self) -> list[str]:
        """Return the ids of the runs that have a log here, sorted by the names of their folders."""
        return self._folders.run_ids()

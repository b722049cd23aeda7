"""Processes that project a run into its log until they are killed, and the one that kills them.

As a command: ``python runlog_appender.py DIRECTORY KILLS WRITERS SEED``. It starts writers by fork, which is quick,
kills one of them at a random moment, starts another, and goes on so; then it prints how many it killed and how many of
these kills left a torn line. What the database would hold is a number in a file, the version of the last committed
event: every event follows from its version.
"""

from __future__ import annotations

import fcntl
import os
import random  # noqa: TID251 - the moments of the kills, from a seed
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from aureus.clock import SystemClock
from aureus.model.events import Event
from aureus.runlog import FsyncPolicy, RunLog

RUN = "r_drill"
PAYLOAD_BYTES = 150_000
"""Large enough that a kill often finds a write half done."""


def event_at(version: int) -> Event:
    """Return the event at one version of the run."""
    payload = {
        "workflowId": "drill",
        "runId": RUN,
        "data": str(version) * (PAYLOAD_BYTES // len(str(version))),
    }
    return Event(
        event_id=f"{version:032x}",
        stream=f"runs/{RUN}",
        version=version,
        entry_no=version,
        type="TASK_COMPLETED",
        payload=payload,
        metadata={},
        actor="drill",
        occurred_at=datetime(2026, 1, 1, microsecond=version, tzinfo=UTC),
        correlation_id=None,
        action=None,
        resource=None,
        outcome=None,
        leaf_hash=b"",
    )


class Database:
    """The committed events: a number in a file, raised under a lock that dies with its holder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._path.touch()

    def commit(self, count: int) -> list[Event]:
        """Add events and return them."""
        with self._path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            last = self._last(file.fileno())
            os.pwrite(file.fileno(), b"%020d" % (last + count), 0)
        return [event_at(version) for version in range(last + 1, last + count + 1)]

    def read_missing(self, after: int) -> Iterator[Event]:
        """Yield the committed events after a version."""
        with self._path.open("rb") as file:
            last = self._last(file.fileno())
        return (event_at(version) for version in range(after + 1, last + 1))

    @staticmethod
    def _last(descriptor: int) -> int:
        return int(os.pread(descriptor, 20, 0) or b"0")


def log_of(directory: Path) -> RunLog:
    """Return the run logs of the drill; a kill loses no page cache, so nothing is synced."""
    return RunLog(directory / "logs", "default", fsync=FsyncPolicy.NEVER)


def append_until_killed(directory: Path, parent: int) -> None:
    """Commit and project, again and again; nobody's child ends by itself."""
    database, log = Database(directory / "database"), log_of(directory)
    count = 0
    while os.getppid() == parent:
        count = count % 3 + 1
        log.append(RUN, database.commit(count), database.read_missing)


def start_writer(directory: Path) -> int:
    """Fork a writer and return its process id."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            append_until_killed(directory, parent)
        finally:
            os._exit(70)  # only an error leads here, and the parent finds it when it kills
    return child


def kill(writer: int) -> None:
    """Kill a writer with SIGKILL and make sure that this is what it died of."""
    os.kill(writer, signal.SIGKILL)
    _, status = os.waitpid(writer, 0)
    if not os.WIFSIGNALED(status):
        raise SystemExit(f"a writer ended by itself: {os.waitstatus_to_exitcode(status)}")


def is_torn(path: Path) -> bool:
    """Tell whether the log ends inside a line at this moment."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        return size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"


def main(directory: Path, kill_count: int, writer_count: int, seed: int) -> None:
    """Kill writers, for ten seconds at most, and print the kills and the torn lines they left."""
    moments = random.Random(seed)  # noqa: S311 - a drill, not a secret
    clock, pause = SystemClock(), threading.Event()
    end = clock.monotonic() + 10
    path = directory / "logs" / RUN / "events.log"
    writers = [start_writer(directory) for _ in range(writer_count)]
    kills = torn = 0
    while kills < kill_count and clock.monotonic() < end:
        pause.wait(moments.random() * 0.02)
        victim = moments.randrange(writer_count)
        kill(writers[victim])
        kills += 1
        torn += writer_count == 1 and path.exists() and is_torn(path)
        writers[victim] = start_writer(directory)
    for writer in writers:
        kill(writer)
    sys.stdout.write(f"{kills} {torn}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

"""Lets callers of a test gather behind a transaction, so that one flush takes them all, in a known order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Final

from aureus._database.drive import Call
from aureus._database.sqlite.loop import AsyncSqliteDatabase
from aureus._database.sqlite.threads import SqliteDatabase
from tests.sqlite.notes import CALL, Make
from tests.support.waiting import eventually


class Caller(threading.Thread):
    """A thread that makes one call and keeps what came of it."""

    def __init__(self, action: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._action = action
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        """Make the call."""
        try:
            self.result = self._action()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def ended(self) -> Caller:
        """Wait for the end of the call."""
        self.join(60)
        assert not self.is_alive(), "the call has not ended"
        return self

    def value(self) -> Any:
        """Return the result; raises the call's error."""
        self.ended()
        if self.error is not None:
            raise self.error
        return self.result


def start(action: Callable[[], Any]) -> Caller:
    """Start a call on a thread of its own."""
    caller = Caller(action)
    caller.start()
    return caller


def waiting_count(database: SqliteDatabase) -> int:
    """Return how many callers wait in the lane."""
    return len(database._writer._lane)


class Gathering:
    """Callers that arrive one after the other while nobody is served."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self.callers: list[Caller] = []

    def write(self, make: Make[Any], call: Call = CALL) -> Caller:
        """Start a write, and wait until it stands in the queue."""
        return self.arrive(lambda: self._database.write(make, call))

    def arrive(self, action: Callable[[], Any]) -> Caller:
        """Start any call that goes through the lane, and wait until it stands in the queue."""
        before = waiting_count(self._database)
        caller = start(action)
        eventually(
            lambda: waiting_count(self._database) > before or not caller.is_alive(),
            "a caller in the queue",
        )
        self.callers.append(caller)
        return caller


@contextmanager
def gathering(database: SqliteDatabase) -> Generator[Gathering]:
    """Keep the lane busy inside the block; afterwards wait until every caller has its answer."""
    may_end, has_begun = threading.Event(), threading.Event()

    def hold() -> None:
        with database.transaction(CALL):
            has_begun.set()
            assert may_end.wait(60)

    holder = start(hold)
    assert has_begun.wait(60)
    gathered = Gathering(database)
    try:
        yield gathered
    finally:
        may_end.set()
        holder.value()
        for caller in gathered.callers:
            caller.ended()


THE_HOLDERS: Final = 1
"""Commits of the transaction that kept the lane busy; SQLite counts it although it wrote nothing."""


class CommitCounter:
    """Counts the commits of a database's writer through SQLite's own hook."""

    def __init__(self, database: SqliteDatabase | AsyncSqliteDatabase) -> None:
        self.count = 0
        writer = database._connections._writer
        assert writer is not None
        writer.raw.set_commit_hook(self._committed)

    def _committed(self) -> bool:
        self.count += 1
        return False

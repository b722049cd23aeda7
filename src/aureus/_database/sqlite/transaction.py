"""An open transaction on the writer: operations and the caller's own SQL in place, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

import apsw

from aureus._database.drive import Call
from aureus._database.nesting import ended
from aureus._database.own_sql import check_own_sql
from aureus._database.sqlite.connection import Connection, require_open
from aureus._database.sqlite.engine import Engine
from aureus._database.statement import Op, Row

R = TypeVar("R")


class InWorker(Protocol):
    """Carries out a job in the thread that the writer belongs to."""

    async def __call__(self, job: Callable[[], R]) -> R:
        """Return what the job returns."""
        ...


class SqliteTransaction:
    """An open transaction; between operations the connection is the caller's own.

    It holds the only right to write to the file: others wait until it ends.
    """

    def __init__(self, connection: Connection, engine: Engine, call: Call) -> None:
        self._connection = connection
        self._engine = engine
        self._call = call
        self._is_over = False

    @property
    def connection(self) -> apsw.Connection:
        """The apsw connection, inside this transaction; do not commit or close it, and leave no cursor open."""
        self._require_open()
        return self._connection.raw

    def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction; it sees what was written so far."""
        return self._perform(make, call, is_read=True)

    def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction; a failed one leaves the rest of it intact."""
        return self._perform(make, call, is_read=False)

    def execute(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Run the caller's own SQL with SQLite's placeholders (?, :name) and return its rows as they are stored."""
        self._require_open()
        check_own_sql(text, parameters)
        self._connection.deadline = self._deadline(self._call)
        return self._connection.run(text, parameters, what="execute")

    def commit(self) -> None:
        """End the transaction and keep it. Raises ``DatabaseError`` when it is lost; nothing was stored then."""
        try:
            self._require_open()
            self._engine.seal(self._connection)
            self._connection.commit()
            if self._connection.has_sealed:
                self._engine.sources.sealed()
        except BaseException:
            if not self._connection.was_committed:
                self._connection.roll_back()
            raise
        finally:
            self._is_over = True

    def roll_back(self) -> None:
        """End the transaction and undo it."""
        self._is_over = True
        self._connection.roll_back()

    def _perform(self, make: Callable[[], Op[R]], call: Call, *, is_read: bool) -> R:
        self._require_open()
        call.refuse_whole()
        return self._engine.perform(
            self._connection, make, call, self._deadline(call), is_read=is_read
        )

    def _deadline(self, call: Call) -> float:
        return self._engine.sources.clock.monotonic() + call.timeout_seconds

    def _require_open(self) -> None:
        if self._is_over:
            raise ended()
        require_open(self._connection)


class AsyncSqliteTransaction:
    """An open transaction for an event loop; every call is one hop to the worker thread."""

    def __init__(self, inner: SqliteTransaction, owner: object, in_worker: InWorker) -> None:
        self._inner = inner
        self._owner = owner
        self._in_worker = in_worker
        self._is_over = False

    @property
    def connection(self) -> apsw.Connection:
        """The apsw connection, inside this transaction; use it while nothing else of this transaction is awaited."""
        return self._inner.connection

    async def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction; it sees what was written so far."""
        return await self._perform(lambda: self._inner.read(make, call))

    async def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction; a failed one leaves the rest of it intact."""
        return await self._perform(lambda: self._inner.write(make, call))

    async def execute(
        self, text: str, parameters: Sequence[object] | Mapping[str, object] = ()
    ) -> list[Row]:
        """Run the caller's own SQL with SQLite's placeholders (?, :name) and return its rows as they are stored."""
        return await self._perform(lambda: self._inner.execute(text, parameters))

    def end(self, *, keeps: bool) -> None:
        """End the transaction, in the worker."""
        self._is_over = True
        if keeps:
            self._inner.commit()
        else:
            self._inner.roll_back()

    def is_open_on(self, owner: object) -> bool:
        """Return whether this transaction is open on a database."""
        return self._owner is owner and not self._is_over

    async def _perform(self, job: Callable[[], R]) -> R:
        if self._is_over:
            raise ended()
        return await self._in_worker(job)

"""What every engine offers: reads, writes, transactions; once for threads, once for asyncio."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar

from aureus._database.bell import Wake, Watcher
from aureus._database.drive import Call
from aureus._database.statement import Op, Row
from aureus.model.health import PoolUse

R = TypeVar("R")


class Runner(Protocol):
    """Something that carries out operations in the caller's thread."""

    def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing; one consistent view of the data."""
        ...

    def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation: all of it, or nothing. ``make`` is called again for every attempt."""
        ...


class AsyncRunner(Protocol):
    """Something that carries out operations for an event loop."""

    async def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing; one consistent view of the data."""
        ...

    async def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation: all of it, or nothing. ``make`` is called again for every attempt."""
        ...


class Transaction(Runner, Protocol):
    """An open transaction: operations run in place, and so does the caller's own SQL."""

    @property
    def connection(self) -> Any:
        """The driver's own connection, inside this transaction."""
        ...

    def execute(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Run the caller's own SQL, with the driver's own placeholders, and return its rows."""
        ...


class AsyncTransaction(AsyncRunner, Protocol):
    """An open transaction for an event loop."""

    @property
    def connection(self) -> Any:
        """The driver's own connection, inside this transaction."""
        ...

    async def execute(
        self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[Row]:
        """Run the caller's own SQL, with the driver's own placeholders, and return its rows."""
        ...


class Database(Runner, Protocol):
    """An open database, for threads."""

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        ...

    @property
    def pool_use(self) -> PoolUse | None:
        """How busy the pool of connections is; None where there is none."""
        ...

    def transaction(self, call: Call) -> AbstractContextManager[Transaction]:
        """Open a transaction; leaving the block commits, an exception rolls back."""
        ...

    def watcher(self, ring: Wake) -> Watcher | None:
        """Return what rings when other processes may have extended a ledger; None where it cannot be told."""
        ...

    def close(self) -> None:
        """Finish what is in flight and close every connection; a second call does nothing."""
        ...


class AsyncDatabase(AsyncRunner, Protocol):
    """An open database, for one event loop."""

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        ...

    @property
    def pool_use(self) -> PoolUse | None:
        """How busy the pool of connections is; None where there is none."""
        ...

    def transaction(self, call: Call) -> AbstractAsyncContextManager[AsyncTransaction]:
        """Open a transaction; leaving the block commits, an exception rolls back."""
        ...

    def watcher(self, ring: Wake) -> Watcher | None:
        """Return what rings when other processes may have extended a ledger; None where it cannot be told."""
        ...

    async def close(self) -> None:
        """Finish what is in flight and close every connection; a second call does nothing."""
        ...

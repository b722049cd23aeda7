"""PostgreSQL for asyncio: the plan's generators carried out with awaits, on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import PoolClosed, PoolTimeout

from aureus._database.bell import Wake, Watcher
from aureus._database.catalog import Catalog
from aureus._database.drive import Call, Sources
from aureus._database.lane import Lane
from aureus._database.nesting import nested
from aureus._database.own_sql import check_own_sql
from aureus._database.postgres.adapt import register
from aureus._database.postgres.alone import alone
from aureus._database.postgres.errors import mapped_own
from aureus._database.postgres.flush import Begun, GoAlone, Waiting, flush, waiting
from aureus._database.postgres.io import (
    Acquire,
    Compute,
    Exchange,
    Io,
    NoConnection,
    Release,
    Reply,
)
from aureus._database.postgres.listening import Listening
from aureus._database.postgres.loop_pool import LoopPool, PlainConnection
from aureus._database.postgres.options import PostgresOptions
from aureus._database.postgres.pipeline import Pipelines
from aureus._database.postgres.planner import Planner
from aureus._database.postgres.plans import LET_GO, PlanAges
from aureus._database.postgres.transaction import OpenTransaction
from aureus._database.statement import Op, Row
from aureus.errors import (
    AureusError,
    DatabaseError,
    DatabaseUnavailable,
    DeadlineExceeded,
    Invalid,
)
from aureus.model.health import PoolUse

R = TypeVar("R")


class AsyncPostgresDatabase:
    """An open PostgreSQL database, for the tasks of one event loop."""

    def __init__(self, options: PostgresOptions, sources: Sources) -> None:
        self._options = options
        self.planner = Planner(Catalog("postgres", options.schema), options, sources, sources.clock)
        self._plans = PlanAges(sources.clock)
        self.pipelines = Pipelines(sources.clock, prepares=options.prepares)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: LoopPool | None = None
        self._opening = asyncio.Lock()
        self._is_closed = False
        self._writes = _LoopLane(self, is_read=False)
        self._reads = _LoopLane(self, is_read=True)

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return f"{self._options.place()} schema {self._options.schema}"

    @property
    def pool_use(self) -> PoolUse | None:
        """How busy the pool of connections is."""
        return None if self._pool is None else PoolUse.from_statistics(self._pool.get_stats())

    async def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing; one consistent view of the data."""
        return await self._carry_out(self._reads, make, call, is_read=True)

    async def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation: all of it, or nothing. Cancelling frees the caller; a flush in flight goes on."""
        self._refuse_nesting()
        await self._prepare_write(call)
        return await self._carry_out(self._writes, make, call, is_read=False)

    async def _carry_out(
        self, lane: _LoopLane, make: Callable[[], Op[R]], call: Call, *, is_read: bool
    ) -> R:
        self._check_loop()
        entry = waiting(self.planner, make, call, is_read=is_read)
        if entry is None or isinstance(entry, Begun):
            begun = cast("Begun[R] | None", entry)
            return await self.drive(alone(self.planner, make, call, is_read=is_read, begun=begun))
        if not isinstance(entry, Waiting):
            return entry
        member = cast("Waiting[R]", entry)
        outcome = await lane.run(member)
        if isinstance(outcome, GoAlone):
            try:
                return await self.drive(alone(self.planner, make, call, is_read=is_read))
            finally:
                lane.release(member)
        if isinstance(outcome, BaseException):
            raise outcome
        return cast(R, outcome)

    @asynccontextmanager
    async def transaction(self, call: Call) -> AsyncGenerator[AsyncPostgresTransaction]:
        """Open a transaction; leaving the block commits, an exception rolls back."""
        self._check_loop()
        self._refuse_nesting()
        await self._prepare_write(call)
        opened = OpenTransaction(self.planner, call)
        await self.drive(opened.begin())
        outer, transaction = _current.get(), AsyncPostgresTransaction(self, opened)
        _current.set(transaction)
        try:
            yield transaction
        except BaseException:
            await asyncio.shield(self.drive(opened.roll_back()))
            raise
        finally:
            _current.set(outer)
        await asyncio.shield(self.drive(opened.commit()))

    async def _prepare_write(self, call: Call) -> None:
        """Carry out the read that is due before a write for this tenant, if any."""
        due = self.planner.sources.due(call.tenant_id)
        if due is not None:
            await self.read(due, call)

    async def close(self) -> None:
        """Finish the flush in flight and close every connection; a second call does nothing."""
        self._refuse_nesting()
        if self._loop is not None and self._loop.is_closed():
            self._is_closed = True
            self._abandon()
            return
        self._require_loop()
        self._is_closed = True
        await self._writes.finish()
        await self._reads.finish()
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await pool.close(timeout=5.0)

    def _abandon(self) -> None:
        """Close the connections of a loop that has ended: its tasks, the pool's too, are gone with it."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for connection in pool._pool:  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - its own way out needs the loop
                connection.pgconn.finish()

    def watcher(self, ring: Wake) -> Watcher | None:
        """Return what listens for sealing; None behind a pooler, without a direct URL."""
        direct = self._options.direct()
        return None if direct is None else Listening(direct, ring)

    def _require_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise Invalid(
                f"{self._options.place()} was opened in another event loop; open one database for each loop"
            )

    def _refuse_nesting(self) -> None:
        current = _current.get()
        if current is not None and current.is_open_on(self):
            raise nested()

    def _check_loop(self) -> None:
        self._require_loop()
        if self._is_closed:
            raise DatabaseError("this database is closed; open a new one")

    async def _opened(self) -> LoopPool:
        async with self._opening:
            if self._pool is None:
                options = self._options
                pool = LoopPool(
                    options.connection_string(),
                    min_size=options.pool_min,
                    max_size=options.pool_max,
                    timeout=options.acquire_seconds,
                    max_idle=options.idle_seconds,
                    max_lifetime=options.lifetime_seconds,
                    reconnect_timeout=5.0,
                    num_workers=2,
                    kwargs={
                        "autocommit": True,
                        # What is prepared is known to the pipelines alone: the driver would drop it behind their back.
                        "prepare_threshold": None,
                    },
                    configure=_configure,
                    open=False,
                )
                await pool.open()
                self._pool = pool
        return self._pool

    # Carrying out what the plan asks for.

    async def drive(self, steps: Generator[Io, Any, R]) -> R:
        """Carry out a plan's steps one after the other and return what it returns."""
        try:
            effect = next(steps)
            while True:
                try:
                    answer = await self._answer(effect)
                except BaseException as error:  # noqa: BLE001 - the plan cleans up, then it goes on to the caller
                    if isinstance(effect, Exchange):
                        await asyncio.shield(effect.connection.close())
                    effect = steps.throw(error)
                else:
                    effect = steps.send(answer)
        except StopIteration as end:
            return cast(R, end.value)

    async def _answer(self, effect: Io) -> Any:
        if isinstance(effect, Exchange):
            return await self._exchange(effect)
        if isinstance(effect, Acquire):
            return await self._acquire(effect.timeout_seconds)
        if isinstance(effect, Release):
            return await self._release(effect.connection, is_broken=effect.is_broken)
        if isinstance(effect, Compute):
            return await asyncio.to_thread(effect.work)
        await asyncio.sleep(effect.seconds)  # noqa: TID251 - the rest between two tries
        return None

    async def _exchange(self, effect: Exchange) -> Reply:
        try:
            return await effect.connection.wait(self.pipelines.steps(effect))  # type: ignore[no-any-return]  # a connection of either kind
        except psycopg.Error as error:
            return Reply([], error)

    async def _acquire(self, seconds: float) -> PlainConnection | NoConnection:
        try:
            pool = self._pool or await self._opened()
            return await pool.getconn(timeout=max(0.001, seconds))
        except PoolClosed as error:
            raise DatabaseError("this database is closed; open a new one") from error
        except (PoolTimeout, psycopg.OperationalError) as error:
            return await self._no_connection(error)

    async def _no_connection(self, error: BaseException) -> NoConnection:
        """Find out why: the pool only says that it took too long."""
        refused = NoConnection(str(error))
        try:
            probe = await AsyncConnection.connect(
                self._options.connection_string(), connect_timeout=2
            )
        except psycopg.Error as reason:
            refused.__cause__ = reason
        else:
            await probe.close()
            refused.__cause__ = DatabaseUnavailable(
                f"{self._options.place()}: all {self._options.pool_max} connections of the pool are in use; "
                "raise its maximum, or do less at once"
            )
        return refused

    async def _release(self, connection: PlainConnection, *, is_broken: bool) -> None:
        if is_broken:
            await connection.close()
        try:
            if self._options.prepares and self._plans.is_due(connection):
                await connection.execute(LET_GO, prepare=False)
        except BaseException as error:
            await connection.close()
            if not isinstance(error, psycopg.Error):
                raise
        finally:
            if self._pool is not None:
                await self._pool.putconn(connection)
            else:
                await connection.close()


class AsyncPostgresTransaction:
    """An open transaction: operations run in place; between them the connection is the caller's own."""

    def __init__(self, database: AsyncPostgresDatabase, opened: OpenTransaction) -> None:
        self._database = database
        self._opened = opened

    @property
    def connection(self) -> PlainConnection:
        """The psycopg connection, inside this transaction; do not commit or close it."""
        self._opened.check_open()
        return cast(PlainConnection, self._opened.connection)

    def is_open_on(self, owner: object) -> bool:
        """Return whether this transaction is open on a database."""
        return self._database is owner and self._opened.connection is not None

    async def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction."""
        return await self._database.drive(self._opened.perform(make, call))

    async def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction; a failed one leaves the rest of it intact."""
        return await self._database.drive(self._opened.perform(make, call))

    async def execute(
        self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[Row]:
        """Run the caller's own SQL with psycopg's placeholders (%s, %(name)s) and return its rows."""
        self._opened.check_open()
        check_own_sql(text, parameters)
        try:
            # A savepoint, so that a statement that fails leaves the transaction intact, as on SQLite.
            async with self.connection.transaction():
                cursor = await self.connection.execute(text.encode(), parameters or None)
                self._database.pipelines.executed(self.connection, cursor.statusmessage)
                return await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise mapped_own(error) from error


_current: ContextVar[AsyncPostgresTransaction | None] = ContextVar(
    "aureus_postgres_tx", default=None
)
"""The transaction that the current task is in."""


class _LoopLane:
    """The lane of one event loop. A flush is a task of its own, so that a cancelled caller does not end it."""

    def __init__(self, database: AsyncPostgresDatabase, *, is_read: bool) -> None:
        self._database = database
        self._is_read = is_read
        self._lane: Lane[Waiting[Any]] = Lane()
        self._flushing: asyncio.Task[None] | None = None

    async def run(self, member: Waiting[R]) -> Any:
        """Bring a member through the lane and return its outcome."""
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        member.signal = answered
        if self._lane.enter(member):
            self._flushing = asyncio.create_task(self._flush_all())
        remaining = member.deadline - self._database.planner.clock.monotonic()
        try:
            async with asyncio.timeout(remaining):
                await answered
        except TimeoutError:
            was_queued = self._lane.withdraw(member)
            if not member.is_settled:
                raise DeadlineExceeded(
                    "the call waited for its turn until its deadline; nothing happened"
                    if was_queued
                    else "the call was in flight at its deadline; it may have happened"
                ) from None
        except asyncio.CancelledError:
            self._lane.withdraw(member)
            if isinstance(member.outcome, GoAlone):
                self.release(member)
            raise
        return member.outcome

    def release(self, member: Waiting[Any]) -> None:
        """Let others with the key of a member that went alone travel again."""
        if self._lane.release(member.key) is not None:
            self._flushing = asyncio.create_task(self._flush_all())

    async def finish(self) -> None:
        """Wait for the flush in flight."""
        if self._flushing is not None:
            with contextlib.suppress(asyncio.CancelledError):
                await self._flushing

    async def _flush_all(self) -> None:
        while True:
            taken = self._lane.take()
            if taken:
                await self._flush(taken)
            if self._lane.successor() is None:
                return

    async def _flush(self, taken: list[Waiting[Any]]) -> None:
        try:
            await self._database.drive(flush(self._database.planner, taken, is_read=self._is_read))
        except AureusError as error:
            _settle_rest(taken, error)
        except BaseException:
            interrupted = DatabaseError("the flush was interrupted; its writes may have happened")
            _settle_rest(taken, interrupted)
            self._answer(taken)
            raise
        self._answer(taken)

    def _answer(self, taken: Sequence[Waiting[Any]]) -> None:
        for member in taken:
            if isinstance(member.outcome, GoAlone) and not member.signal.cancelled():
                self._lane.park(member.key)
            if not member.signal.done():
                member.signal.set_result(None)


def _settle_rest(members: Sequence[Waiting[Any]], error: AureusError) -> None:
    for member in members:
        if not member.is_settled:
            member.settle(error)


async def _configure(connection: PlainConnection) -> None:
    """Teach a new connection our binary types; text results, the caller's usual ones, stay psycopg's own."""
    register(connection.adapters)

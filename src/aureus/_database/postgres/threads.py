"""PostgreSQL for threads: the plan's generators carried out with blocking calls.

There is no background thread for writes: whoever finds the lane idle leads the flush, the others wait for their
answer or for the lane to be handed to them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

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
from aureus._database.postgres.options import PostgresOptions
from aureus._database.postgres.pipeline import Pipelines
from aureus._database.postgres.planner import Planner
from aureus._database.postgres.plans import LET_GO, PlanAges
from aureus._database.postgres.transaction import OpenTransaction
from aureus._database.statement import Op, Row
from aureus._database.waker import Waker
from aureus.errors import AureusError, DatabaseError, DatabaseUnavailable, DeadlineExceeded
from aureus.model.health import PoolUse

R = TypeVar("R")

PlainConnection = Connection[Any]


class PostgresDatabase:
    """An open PostgreSQL database, for any number of threads."""

    def __init__(self, options: PostgresOptions, sources: Sources) -> None:
        self._options = options
        self._catalog = Catalog("postgres", options.schema)
        self._sources = sources
        self.planner = Planner(self._catalog, options, sources, sources.clock)
        self._plans = PlanAges(sources.clock)
        self.pipelines = Pipelines(sources.clock, prepares=options.prepares)
        self._fork_lock = threading.Lock()
        self._open()

    def _open(self) -> None:
        self._pid = os.getpid()
        self._transacting: set[int] = set()
        """Threads that are inside a transaction: what else they write here would be no part of it."""
        self._writes = _ThreadLane(self, is_read=False)
        self._reads = _ThreadLane(self, is_read=True)
        self._pool = ConnectionPool[PlainConnection](
            self._options.connection_string(),
            min_size=self._options.pool_min,
            max_size=self._options.pool_max,
            timeout=self._options.acquire_seconds,
            max_idle=self._options.idle_seconds,
            max_lifetime=self._options.lifetime_seconds,
            reconnect_timeout=5.0,
            num_workers=2,
            kwargs={
                "autocommit": True,
                # What is prepared is known to the pipelines alone: the driver would drop it behind their back.
                "prepare_threshold": None,
            },
            configure=configure,
            open=True,
        )

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return f"{self._options.place()} schema {self._options.schema}"

    @property
    def pool_use(self) -> PoolUse | None:
        """How busy the pool of connections is."""
        return PoolUse.from_statistics(self._pool.get_stats())

    def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing; one consistent view of the data."""
        self._check_fork()
        return self._carry_out(self._reads, make, call, is_read=True)

    def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation: all of it, or nothing."""
        self._check_fork()
        self._refuse_nesting()
        self._prepare_write(call)
        return self._carry_out(self._writes, make, call, is_read=False)

    def _carry_out(
        self, lane: _ThreadLane, make: Callable[[], Op[R]], call: Call, *, is_read: bool
    ) -> R:
        entry = waiting(self.planner, make, call, is_read=is_read)
        if entry is None or isinstance(entry, Begun):
            begun = cast("Begun[R] | None", entry)
            return self.drive(alone(self.planner, make, call, is_read=is_read, begun=begun))
        if not isinstance(entry, Waiting):
            return entry
        member = cast("Waiting[R]", entry)
        outcome = lane.run(member)
        if isinstance(outcome, GoAlone):
            try:
                return self.drive(alone(self.planner, make, call, is_read=is_read))
            finally:
                lane.release(member)
        if isinstance(outcome, BaseException):
            raise outcome
        return cast(R, outcome)

    @contextmanager
    def transaction(self, call: Call) -> Generator[PostgresTransaction]:
        """Open a transaction; leaving the block commits, an exception rolls back."""
        self._check_fork()
        self._refuse_nesting()
        self._prepare_write(call)
        opened = OpenTransaction(self.planner, call)
        self.drive(opened.begin())
        transaction = PostgresTransaction(self, opened)
        caller = threading.get_ident()
        try:
            self._transacting.add(caller)
            yield transaction
        except BaseException:
            self.drive(opened.roll_back())
            raise
        finally:
            self._transacting.discard(caller)
        self.drive(opened.commit())

    def _prepare_write(self, call: Call) -> None:
        """Carry out the read that is due before a write for this tenant, if any."""
        due = self.planner.sources.due(call.tenant_id)
        if due is not None:
            self.read(due, call)

    def close(self) -> None:
        """Close every connection; a second call does nothing."""
        self._refuse_nesting()
        if self._pid == os.getpid():
            self._pool.close(timeout=5.0)

    def watcher(self, ring: Wake) -> Watcher | None:
        """Return what listens for sealing; None behind a pooler, without a direct URL."""
        direct = self._options.direct()
        return None if direct is None else Listening(direct, ring)

    def _refuse_nesting(self) -> None:
        if threading.get_ident() in self._transacting:
            raise nested()

    def _check_fork(self) -> None:
        """Open connections of its own in a forked child; those of the parent are left alone."""
        if self._pid != os.getpid():
            with self._fork_lock:
                if self._pid != os.getpid():
                    self._open()

    # Carrying out what the plan asks for.

    def drive(self, steps: Generator[Io, Any, R]) -> R:
        """Carry out a plan's steps one after the other and return what it returns."""
        try:
            effect = next(steps)
            while True:
                try:
                    answer = self._answer(effect)
                except BaseException as error:  # noqa: BLE001 - the steps clean up, then it goes on to the caller
                    if isinstance(effect, Exchange):
                        effect.connection.close()
                    effect = steps.throw(error)
                else:
                    effect = steps.send(answer)
        except StopIteration as end:
            return cast(R, end.value)

    def _answer(self, effect: Io) -> Any:
        if isinstance(effect, Exchange):
            return self._exchange(effect)
        if isinstance(effect, Acquire):
            return self._acquire(effect.timeout_seconds)
        if isinstance(effect, Release):
            return self._release(effect.connection, is_broken=effect.is_broken)
        if isinstance(effect, Compute):
            return effect.work()
        time.sleep(effect.seconds)  # noqa: TID251 - the rest between two tries
        return None

    def _exchange(self, effect: Exchange) -> Reply:
        try:
            return effect.connection.wait(self.pipelines.steps(effect))  # type: ignore[no-any-return]  # a connection of either kind
        except psycopg.Error as error:
            return Reply([], error)

    def _acquire(self, timeout: float) -> PlainConnection | NoConnection:
        try:
            return self._pool.getconn(timeout=max(0.001, timeout))
        except PoolClosed as error:
            raise DatabaseError("this database is closed; open a new one") from error
        except (PoolTimeout, psycopg.OperationalError) as error:
            return self._no_connection(error)

    def _no_connection(self, error: BaseException) -> NoConnection:
        """Find out why: the pool only says that it took too long."""
        refused = NoConnection(str(error))
        try:
            with psycopg.connect(self._options.connection_string(), connect_timeout=2):
                refused.__cause__ = DatabaseUnavailable(
                    f"{self._options.place()}: all {self._options.pool_max} connections of the pool are in use; "
                    "raise its maximum, or do less at once"
                )
        except psycopg.Error as reason:
            refused.__cause__ = reason
        return refused

    def _release(self, connection: PlainConnection, *, is_broken: bool) -> None:
        if is_broken:
            connection.close()
        try:
            if self._options.prepares and self._plans.is_due(connection):
                connection.execute(LET_GO, prepare=False)
        except psycopg.Error:
            connection.close()
        finally:
            self._pool.putconn(connection)


class PostgresTransaction:
    """An open transaction: operations run in place; between them the connection is the caller's own."""

    def __init__(self, database: PostgresDatabase, opened: OpenTransaction) -> None:
        self._database = database
        self._opened = opened

    @property
    def connection(self) -> PlainConnection:
        """The psycopg connection, inside this transaction; do not commit or close it."""
        self._opened.check_open()
        return cast(PlainConnection, self._opened.connection)

    def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction."""
        return self._database.drive(self._opened.perform(make, call))

    def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation inside this transaction; a failed one leaves the rest of it intact."""
        return self._database.drive(self._opened.perform(make, call))

    def execute(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Run the caller's own SQL with psycopg's placeholders (%s, %(name)s) and return its rows."""
        self._opened.check_open()
        check_own_sql(text, parameters)
        try:
            # A savepoint, so that a statement that fails leaves the transaction intact, as on SQLite.
            with self.connection.transaction():
                cursor = self.connection.execute(text.encode(), parameters or None)
                self._database.pipelines.executed(self.connection, cursor.statusmessage)
                return cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise mapped_own(error) from error


class _ThreadLane:
    """The lane of one process: leaders and followers."""

    def __init__(self, database: PostgresDatabase, *, is_read: bool) -> None:
        self._database = database
        self._is_read = is_read
        self._mutex = threading.Lock()
        self._lane: Lane[Waiting[Any]] = Lane()

    def run(self, member: Waiting[R]) -> Any:
        """Bring a member through the lane and return its outcome."""
        member.signal = Waker()
        with self._mutex:
            member.leads = self._lane.enter(member)
        while not member.is_settled:
            if member.leads:
                self._lead(member)
            else:
                self._wait(member)
        return member.outcome

    def release(self, member: Waiting[Any]) -> None:
        """Let others with the key of a member that went alone travel again."""
        with self._mutex:
            successor = self._lane.release(member.key)
            if successor is not None:
                successor.leads = True
                successor.signal.wake()

    def _lead(self, leader: Waiting[Any]) -> None:
        """Carry out one flush, answer its members and hand the lane on, whatever happens."""
        leader.leads = False
        taken: list[Waiting[Any]] = []
        try:
            with self._mutex:
                taken = self._lane.take()
            if taken:
                plan = flush(self._database.planner, taken, is_read=self._is_read)
                self._database.drive(plan)
        except AureusError as error:
            _settle_rest(taken, error)
        except BaseException:
            _settle_rest(
                taken, DatabaseError("the flush was interrupted; its writes may have happened")
            )
            raise
        finally:
            self._hand_on(leader, taken)

    def _hand_on(self, leader: Waiting[Any], taken: Sequence[Waiting[Any]]) -> None:
        with self._mutex:
            for member in taken:
                if isinstance(member.outcome, GoAlone):
                    self._lane.park(member.key)
            successor = self._lane.successor()
            if successor is not None:
                successor.leads = True
        for member in taken:
            if member is not leader:
                member.signal.wake()
        if successor is not None and successor is not leader:
            successor.signal.wake()

    def _wait(self, member: Waiting[Any]) -> None:
        remaining = member.deadline - self._database.planner.clock.monotonic()
        try:
            answered = member.signal.wait(max(0.0, remaining))
        except BaseException:
            self._leave(member)
            raise
        if not answered and not member.is_settled and not member.leads:
            was_queued = self._leave(member)
            if not member.is_settled:
                member.settle(
                    DeadlineExceeded(
                        "the call waited for its turn until its deadline; nothing happened"
                        if was_queued
                        else "the call was in flight at its deadline; it may have happened"
                    )
                )

    def _leave(self, member: Waiting[Any]) -> bool:
        """Take a member out of the queue; when the lane was just handed to it, hand it on."""
        with self._mutex:
            was_queued = self._lane.withdraw(member)
            successor = None
            if member.leads:
                member.leads = False
                successor = self._lane.successor()
                if successor is not None:
                    successor.leads = True
        if successor is not None:
            successor.signal.wake()
        return was_queued


def _settle_rest(members: Sequence[Waiting[Any]], error: AureusError) -> None:
    for member in members:
        if not member.is_settled:
            member.settle(error)


def configure(connection: PlainConnection) -> None:
    """Teach a new connection our binary types; text results, the caller's usual ones, stay psycopg's own."""
    register(connection.adapters)

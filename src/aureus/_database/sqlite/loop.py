"""SQLite for one event loop: reads inline, writes gathered into flushes in one worker thread.

A read takes microseconds, less than the way to a thread and back; one that says that it is lengthy has a thread. A
flush waits for the disk, so it runs in the worker: one hop for each flush, and the next one begins while the loop still
hands out the answers. Only when a read meets a lock (another process recovers or rebuilds the file) does it go to the
worker too.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TypeVar, cast

from aureus._database.bell import Wake, Watcher
from aureus._database.catalog import Catalog
from aureus._database.drive import Call, Sources
from aureus._database.nesting import nested
from aureus._database.sqlite.connect import Opener
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.connections import (
    Connections,
    closed,
    in_child_of_a_transaction,
    watch_forks,
)
from aureus._database.sqlite.engine import Engine, TakesLong
from aureus._database.sqlite.migrations import ensure
from aureus._database.sqlite.options import SqliteOptions
from aureus._database.sqlite.transaction import (
    AsyncSqliteTransaction,
    SqliteTransaction,
)
from aureus._database.sqlite.watching import Watching
from aureus._database.sqlite.writer import GRACE_SECONDS, Waiting, Writer
from aureus._database.statement import Op
from aureus.errors import DatabaseBusy, Invalid
from aureus.model.health import PoolUse

R = TypeVar("R")


class AsyncSqliteDatabase:
    """An open SQLite database, for the event loop that first uses it."""

    def __init__(
        self,
        path: Path | None,
        sources: Sources,
        *,
        may_migrate: bool = True,
        creates: bool = True,
        catalog: Catalog | None = None,
    ) -> None:
        options = SqliteOptions(path, creates=creates, may_migrate=may_migrate)
        self._options = options
        self._clock = sources.clock
        self._sources = sources
        self._engine = Engine(catalog or Catalog("sqlite"), sources)
        self._opener = Opener(options, sources.clock, sources.ids)
        self._connections = Connections(self._opener, sources.clock)
        self._writer = Writer(self._connections, self._engine, self._post)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="aureus-sqlite")
        self._borrowed: Connection | None = None
        """The writer while a transaction has it; touched by the worker alone."""
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_open = False
        self._is_paused = False
        watch_forks(self)

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return self._options.place()

    @property
    def pool_use(self) -> PoolUse | None:
        """How busy the pool is: there is none."""
        return None

    async def open(self) -> None:
        """Open the file and bring its schema up to date; the first call on the database does so by itself.

        Raises ``DatabaseError`` and ``MigrationError``; another call tries again.
        """
        loop = self._bind_loop()
        if self._is_open:
            return
        if self._opening is None:
            self._opening = loop.create_task(self._open())
        opening = self._opening
        try:
            await asyncio.shield(opening)
        finally:
            if opening.done() and self._opening is opening:
                self._opening = None

    async def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing; one consistent view of the data."""
        await self.open()
        if self._connections.is_memory:
            return await self._travel(make, call, is_read=True)
        deadline = self._clock.monotonic() + call.timeout_seconds
        try:
            return self._read(make, call, deadline, in_loop=True)
        except DatabaseBusy:
            return await self.in_worker(lambda: self._read(make, call, deadline, in_loop=False))
        except TakesLong:
            # Not in the worker: there, writes would wait for it.
            return await asyncio.to_thread(self._read, make, call, deadline, in_loop=False)

    async def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation: all of it, or nothing.

        Cancelled while it waits for its turn, it leaves and nothing happened; in flight, it may have happened.
        """
        await self.open()
        await self._prepare_write(call)
        return await self._travel(make, call, is_read=False)

    @asynccontextmanager
    async def transaction(self, call: Call) -> AsyncGenerator[AsyncSqliteTransaction]:
        """Open a transaction; leaving the block commits, an exception rolls back.

        Other writers of the file wait until it ends. Raises ``DatabaseBusy`` and ``DeadlineExceeded``.
        """
        await self.open()
        self._refuse_nesting()
        await self._prepare_write(call)
        member = self._writer.waiting(None, call, self._bind_loop().create_future())
        await self._queue(member)
        outer = _current.get()
        transaction: AsyncSqliteTransaction | None = None
        try:
            await self.in_worker(lambda: self._begin(member))
            transaction = AsyncSqliteTransaction(self._lent(call), self, self.in_worker)
            _current.set(transaction)
            yield transaction
        except BaseException:
            await self.in_worker(lambda: self._end(member, transaction, keeps=False))
            raise
        else:
            await self.in_worker(lambda: self._end(member, transaction, keeps=True))
        finally:
            _current.set(outer)

    async def _prepare_write(self, call: Call) -> None:
        """Carry out the read that is due before a write for this tenant, if any."""
        due = self._sources.due(call.tenant_id)
        if due is not None:
            await self.read(due, call)

    def watcher(self, ring: Wake) -> Watcher | None:
        """Return what looks for commits of other processes; None in memory, where there are none."""
        if self._options.path is None:
            return None
        clock, opener = self._clock, self._opener
        return Watching(lambda seconds: opener.reader(clock.monotonic() + seconds), ring)

    async def close(self) -> None:
        """Finish what is in flight and close every connection; a second call does nothing."""
        if os.getpid() != self._pid:
            return
        self._refuse_nesting()
        loop = asyncio.get_running_loop()
        if self._loop is not None and self._loop.is_closed():
            self._loop = loop  # Who waited in the former loop is gone with it.
        if self._closing is None:
            self._require_loop(loop)
            self._closing = loop.create_task(self._close())
        await asyncio.shield(self._closing)

    # Opening and closing.

    async def _open(self) -> None:
        await self.in_worker(self._open_in_worker)
        self._is_open = True

    def _open_in_worker(self) -> None:
        deadline = self._clock.monotonic() + self._options.open_seconds
        with self._connections.writing:
            ensure(
                self._connections.writer(deadline),
                self._options.place(),
                deadline,
                may_migrate=self._options.may_migrate,
            )
        if not self._connections.is_memory:
            # Opened here, because the loop reads without leaving it.
            self._connections.readers.give_back(self._connections.readers.take(deadline))

    async def _close(self) -> None:
        if self._is_open:
            loop = asyncio.get_running_loop()
            member = self._writer.waiting(None, Call("", math.inf), loop.create_future())
            await self._queue(member)
            self._writer.withdraw(member)
        try:
            await self.in_worker(self._close_in_worker)
        finally:
            self._go_on()
            self._worker.shutdown(wait=True)

    def _close_in_worker(self) -> None:
        with self._connections.writing:
            self._connections.close()

    # Reads.

    def _read(self, make: Callable[[], Op[R]], call: Call, deadline: float, *, in_loop: bool) -> R:
        connection = self._connections.readers.take(deadline)
        connection.waits_for_locks = not in_loop
        try:
            return self._engine.read(connection, make, call, deadline, may_take_long=not in_loop)
        finally:
            self._connections.readers.give_back(connection)

    # The lane. Members are settled by the worker and answered in the loop.

    async def _travel(self, make: Callable[[], Op[R]], call: Call, *, is_read: bool) -> R:
        self._refuse_nesting()
        future = self._bind_loop().create_future()
        member = self._writer.waiting(make, call, future, is_read=is_read)
        await self._queue(member)
        return cast(R, member.result)

    async def _queue(self, member: Waiting) -> None:
        """Wait until a member is settled, or until the lane is its own. Raises its error."""
        loop = asyncio.get_running_loop()
        remaining = member.deadline - self._clock.monotonic()
        timer = (
            loop.call_later(max(0.0, remaining), self._expire, member)
            if remaining < math.inf
            else None
        )
        try:
            if self._writer.enter(member):
                self._go_on()
            await member.waiter
        except BaseException:
            self._leave(member)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _go_on(self) -> None:
        """Hand the lane on: to a transaction that waits at its head, or to the worker."""
        head = self._writer.hand_on()
        if head is None:
            return
        if head.travels_alone():
            _answer(head)
        else:
            self._worker.submit(self._flush_in_worker)

    def _flush_in_worker(self) -> None:
        """Carry out flushes until nobody waits, or until a transaction is next."""
        while (head := self._writer.hand_on()) is not None and not head.travels_alone():
            with self._connections.writing:
                try:
                    self._writer.flush(head)
                except Exception as error:  # noqa: BLE001 - a bug; it is told to one caller, and the lane goes on
                    self._writer.withdraw(head)
                    head.error = error
                    self._post([head])
        if head is not None:
            self._in_loop(_answer, head)

    def _post(self, members: Sequence[Waiting]) -> None:
        self._in_loop(_answer_all, members)

    def _in_loop(self, action: Callable[..., None], *arguments: object) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(action, *arguments)

    def _expire(self, member: Waiting) -> None:
        if member.waiter.done() or (member.travels_alone() and member.leads):
            return
        if self._writer.withdraw(member):
            member.error = self._writer.too_late(member, was_queued=True)
            _answer(member)
        else:
            asyncio.get_running_loop().call_later(GRACE_SECONDS, self._free, member)

    def _free(self, member: Waiting) -> None:
        """Let a caller go whose write is still in flight long after its deadline."""
        if not member.waiter.done():
            member.waiter.set_exception(self._writer.too_late(member, was_queued=False))

    def _leave(self, member: Waiting) -> None:
        """Take a cancelled caller out of the queue; when the lane was just handed to it, hand it on."""
        member.is_abandoned = True
        was_queued = self._writer.withdraw(member)
        if was_queued and member.travels_alone() and member.leads:
            self._go_on()

    # Transactions.

    def _begin(self, member: Waiting) -> None:
        """Lend the writer to a transaction: in the worker, like everything that touches it."""
        self._connections.writing.acquire()
        try:
            self._borrowed = self._writer.begin(member)
        finally:
            self._writer.withdraw(member)
            if self._borrowed is None:
                self._connections.writing.release()

    def _lent(self, call: Call) -> SqliteTransaction:
        if self._borrowed is None:
            raise closed(self._options.place())
        return SqliteTransaction(self._borrowed, self._engine, call)

    def _end(
        self, member: Waiting, transaction: AsyncSqliteTransaction | None, *, keeps: bool
    ) -> None:
        """End a transaction and hand the lane on, also when its caller was cancelled while it began."""
        borrowed, self._borrowed = self._borrowed, None
        try:
            if transaction is not None:
                transaction.end(keeps=keeps)
                self._writer.note_length()
            elif borrowed is not None:
                borrowed.roll_back()
        finally:
            self._writer.withdraw(member)
            if borrowed is not None:
                self._connections.end_borrowing()
                self._connections.writing.release()
            self._in_loop(self._go_on)

    async def in_worker(self, job: Callable[[], R]) -> R:
        """Carry out a job in the worker; a caller that is cancelled meanwhile does not stop it."""
        return await asyncio.shield(asyncio.wrap_future(self._worker.submit(job)))

    # Who may call.

    def _bind_loop(self) -> asyncio.AbstractEventLoop:
        if self._pid != os.getpid():
            raise in_child_of_a_transaction(self._options.place())
        loop = asyncio.get_running_loop()
        self._require_loop(loop)
        if self._closing is not None:
            raise closed(self._options.place())
        return loop

    def _require_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise Invalid(
                f"{self._options.place()} was opened in another event loop; open one database for each loop"
            )

    def _refuse_nesting(self) -> None:
        current = _current.get()
        if current is not None and current.is_open_on(self):
            raise nested()

    def before_fork(self) -> None:
        """Close every connection, so that a child inherits none."""
        if self._is_open and self._closing is None:
            self._is_paused = self._connections.pause()

    def after_fork(self, *, is_child: bool) -> None:
        """Go on in the parent; a child has another loop and opens a database of its own."""
        is_paused, self._is_paused = self._is_paused, False
        if is_paused and not is_child:
            self._connections.resume()
        elif is_child and not is_paused:
            self._connections.leak()


_current: ContextVar[AsyncSqliteTransaction | None] = ContextVar("aureus_sqlite_tx", default=None)
"""The transaction that the current task is in: a call beside it would wait for it for ever."""


def _answer(member: Waiting) -> None:
    future: asyncio.Future[None] = member.waiter
    if future.done():
        return
    if member.error is not None:
        future.set_exception(member.error)
    else:
        future.set_result(None)


def _answer_all(members: Sequence[Waiting]) -> None:
    for member in members:
        _answer(member)

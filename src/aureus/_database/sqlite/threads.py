"""SQLite for threads: whoever finds the lane idle writes at once, on its own thread.

The others wait for their answer, or for the lane to be handed to them; no background thread writes. The lock
``Connections.writing`` is held by whoever leads, for exactly as long. So a waiting caller that finds it free while it
is still waiting knows that the leader was interrupted at a bad moment, and hands the lane on itself.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from aureus._database.bell import Wake, Watcher
from aureus._database.catalog import Catalog
from aureus._database.drive import Call, Sources
from aureus._database.nesting import nested
from aureus._database.sqlite.connect import Opener
from aureus._database.sqlite.connections import (
    Connections,
    closed,
    in_child_of_a_transaction,
    watch_forks,
)
from aureus._database.sqlite.engine import Engine
from aureus._database.sqlite.migrations import ensure
from aureus._database.sqlite.options import SqliteOptions
from aureus._database.sqlite.transaction import SqliteTransaction
from aureus._database.sqlite.watching import Watching
from aureus._database.sqlite.writer import GRACE_SECONDS, Waiting, Writer
from aureus._database.statement import Op
from aureus._database.waker import Waker
from aureus.errors import OutcomeUnknown
from aureus.model.health import PoolUse

R = TypeVar("R")

LOOK_SECONDS = 0.1
"""How often a waiting caller looks whether anybody leads."""


class SqliteDatabase:
    """An open SQLite database, for any number of threads."""

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
        self._closing = threading.Lock()
        self._is_closed = False
        self._is_paused = False
        self._is_orphan = False
        self._begin_anew()
        self._open()
        watch_forks(self)

    def _begin_anew(self) -> None:
        self._connections = Connections(self._opener, self._clock)
        self._writer = Writer(self._connections, self._engine, _wake)
        self._owner: int | None = None

    def _open(self) -> None:
        """Find out now what is wrong with the file, and bring its schema up to date."""
        deadline = self._clock.monotonic() + self._options.open_seconds
        with self._connections.writing:
            try:
                ensure(
                    self._connections.writer(deadline),
                    self._options.place(),
                    deadline,
                    may_migrate=self._options.may_migrate,
                )
            except BaseException:
                self._connections.close()
                raise

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return self._options.place()

    @property
    def pool_use(self) -> PoolUse | None:
        """How busy the pool is: there is none."""
        return None

    def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing; one consistent view of the data."""
        self._require_usable()
        if self._connections.is_memory:
            return self._travel(make, call, is_read=True)
        deadline = self._clock.monotonic() + call.timeout_seconds
        connection = self._connections.readers.take(deadline)
        try:
            return self._engine.read(connection, make, call, deadline)
        finally:
            self._connections.readers.give_back(connection)

    def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation: all of it, or nothing."""
        self._require_usable()
        self._prepare_write(call)
        return self._travel(make, call, is_read=False)

    @contextmanager
    def transaction(self, call: Call) -> Generator[SqliteTransaction]:
        """Open a transaction; leaving the block commits, an exception rolls back.

        Other writers of the file wait until it ends. Raises ``DatabaseBusy`` and ``DeadlineExceeded``.
        """
        self._require_usable()
        self._refuse_nesting()
        self._prepare_write(call)
        with self._alone(call) as member:
            connection = self._writer.begin(member)
            self._writer.withdraw(member)
            transaction = SqliteTransaction(connection, self._engine, call)
            try:
                yield transaction
            except BaseException:
                transaction.roll_back()
                raise
            else:
                transaction.commit()
                self._writer.note_length()

    def watcher(self, ring: Wake) -> Watcher | None:
        """Return what looks for commits of other processes; None in memory, where there are none."""
        if self._options.path is None:
            return None
        clock, opener = self._clock, self._opener
        return Watching(lambda seconds: opener.reader(clock.monotonic() + seconds), ring)

    def close(self) -> None:
        """Finish what is in flight and close every connection; a second call does nothing."""
        self._refuse_nesting()
        with self._closing:
            if self._is_closed or self._is_orphan:
                return
            self._is_closed = True
        try:
            with self._alone(Call("", math.inf)) as member:
                self._writer.withdraw(member)
                self._connections.close()
        except BaseException:
            self._is_closed = False  # Interrupted while waiting for others: it can be closed later.
            raise

    def _prepare_write(self, call: Call) -> None:
        """Carry out the read that is due before a write for this tenant, if any."""
        due = self._sources.due(call.tenant_id)
        if due is not None:
            self.read(due, call)

    # The lane.

    def _travel(self, make: Callable[[], Op[R]], call: Call, *, is_read: bool) -> R:
        """Bring an operation through the lane and return its result, or raise its error."""
        self._refuse_nesting()
        member = self._writer.waiting(make, call, Waker(), is_read=is_read)
        try:
            self._writer.enter(member)
            self._see_through(member)
        except BaseException:
            self._leave(member)
            raise
        if member.error is not None:
            raise member.error
        return cast(R, member.result)

    def _see_through(self, member: Waiting) -> None:
        """Wait until a member is settled, and lead when it is its turn."""
        while not member.is_settled:
            if member.leads:
                self._lead(member)
            else:
                self._wait(member)

    def _lead(self, member: Waiting) -> None:
        """Carry out the member's flush on this thread, then hand the lane on, whatever happens."""
        with self._connections.writing:
            self._owner = threading.get_ident()
            try:
                while not member.is_settled:
                    if not self._writer.holds(member):
                        raise self._writer.too_late(member, was_queued=True)
                    self._writer.flush(member)
            finally:
                self._owner = None
                self._hand_on()

    @contextmanager
    def _alone(self, call: Call) -> Generator[Waiting]:
        """Wait for the lane and keep it for as long as the block lasts."""
        self._refuse_nesting()
        member = self._writer.waiting(None, call, Waker())
        try:
            self._writer.enter(member)
            while not member.leads:
                self._wait(member)
            with self._connections.writing:
                self._owner = threading.get_ident()
                try:
                    yield member
                finally:
                    self._owner = None
                    self._let_go()
        except BaseException:
            self._leave(member)
            raise

    def _let_go(self) -> None:
        """Leave nothing open on the writer and hand the lane on; the caller holds ``writing``."""
        self._connections.end_borrowing()
        self._hand_on()

    def _hand_on(self) -> None:
        head = self._writer.hand_on()
        if head is not None:
            head.waiter.wake()

    def _wait(self, member: Waiting) -> None:
        """Wait until the member is settled or leads. Raises ``DeadlineExceeded`` and ``DatabaseBusy``."""
        remaining = member.deadline - self._clock.monotonic()
        if member.waiter.wait(max(0.0, min(remaining, LOOK_SECONDS))):
            return
        if remaining > LOOK_SECONDS:
            self._look_for_leader(member)
        elif self._writer.withdraw(member):
            raise self._writer.too_late(member, was_queued=True)
        elif not member.waiter.wait(GRACE_SECONDS):
            raise self._writer.too_late(member, was_queued=False)

    def _look_for_leader(self, member: Waiting) -> None:
        """Hand the lane on when its leader is gone: it was interrupted twice, or before it could begin."""
        if not self._connections.writing.acquire(blocking=False):
            return
        try:
            self._let_go()
            if not member.is_settled and not self._writer.holds(member):
                raise OutcomeUnknown(
                    "the flush of this write was interrupted; it may have happened or not"
                )
        finally:
            self._connections.writing.release()

    def _leave(self, member: Waiting) -> None:
        """Take back what a caller that gives up has in the lane; what is in flight goes on."""
        member.is_abandoned = True
        self._writer.withdraw(member)
        if self._connections.writing.acquire(blocking=False):
            try:
                self._let_go()
            finally:
                self._connections.writing.release()

    # Who may call.

    def _require_usable(self) -> None:
        if self._is_closed:
            raise closed(self._options.place())
        if self._is_orphan:
            raise in_child_of_a_transaction(self._options.place())

    def _refuse_nesting(self) -> None:
        if self._owner == threading.get_ident():
            raise nested()

    def before_fork(self) -> None:
        """Close every connection, so that a child inherits none."""
        if not self._is_closed and self._owner != threading.get_ident():
            self._is_paused = self._connections.pause()

    def after_fork(self, *, is_child: bool) -> None:
        """Go on in the parent; begin with connections of its own in the child."""
        is_paused, self._is_paused = self._is_paused, False
        if not is_child:
            if is_paused:
                self._connections.resume()
        elif is_paused:
            self._begin_anew()
        elif not self._is_closed:
            self._is_orphan = True
            self._connections.leak()


def _wake(members: Sequence[Waiting]) -> None:
    for member in members:
        member.waiter.wake()

"""The one writer of a process: who waits, and the flushes in which their operations travel.

A flush is BEGIN IMMEDIATE, one savepoint for each operation in order of arrival (none for a single one), COMMIT; only
then are the callers answered. Who waits for the file's lock still waits in the queue, may leave it, and is joined by
others meanwhile. An operation that fails is undone alone. The same for threads and event loops: what differs is how a
caller waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from aureus._database.drive import Call
from aureus._database.lane import Lane, Member
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.connections import Connections
from aureus._database.sqlite.engine import Engine
from aureus._database.sqlite.errors import again
from aureus._database.statement import Op
from aureus.errors import AureusError, DatabaseBusy, DatabaseError, DeadlineExceeded

FLUSH_SECONDS_MAX = 0.005
"""Work of one flush, so that other processes get their turn at the file; what is left travels in the next one."""

GRACE_SECONDS = 1.0
"""How long a caller past its deadline waits for a flush that carries its write: an answer is better than none."""


@dataclass(slots=True)
class Flight:
    """A flush as its members see it: they are settled all at once, so that no interrupt comes between two of them."""

    has_landed: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Waiting(Member):
    """A caller's operation on its way through the lane, or a caller that wants the writer for a transaction."""

    make: Callable[[], Op[Any]] | None
    """None for a transaction: its caller uses the writer itself."""
    call: Call
    deadline: float
    waiter: Any
    """What the caller waits on: a ``Waker`` or an ``asyncio.Future``."""
    is_read: bool = False
    leads: bool = False
    """True once the lane was handed to this caller."""
    is_abandoned: bool = False
    """True when its caller has left and takes no answer."""
    flight: Flight | None = None
    """The flush that answers it."""
    result: Any = None
    error: BaseException | None = None

    @property
    def is_settled(self) -> bool:
        """Return whether result and error are the caller's answer."""
        return self.flight is not None and self.flight.has_landed

    @property
    def order(self) -> tuple[str, int, str]:
        """Return the same for all: one writer carries them out in order of arrival."""
        return ("", 0, "")

    def travels_alone(self) -> bool:
        """Return whether this is a transaction."""
        return self.make is None


class Writer:
    """The lane of one process and the flushes on its writing connection."""

    def __init__(
        self,
        connections: Connections,
        engine: Engine,
        notify: Callable[[Sequence[Waiting]], None],
    ) -> None:
        self._connections = connections
        self._engine = engine
        self._notify = notify
        self._clock = engine.sources.clock
        self._lock = threading.Lock()
        self._lane: Lane[Waiting] = Lane()
        self._connection: Connection | None = None

    def waiting(
        self,
        make: Callable[[], Op[Any]] | None,
        call: Call,
        waiter: Any,
        *,
        is_read: bool = False,
    ) -> Waiting:
        """Make the member for a call that begins now."""
        return Waiting(
            tenant_id=call.tenant_id,
            rank=0,
            key=None,
            size_bytes=0,
            make=make,
            call=call,
            deadline=self._clock.monotonic() + call.timeout_seconds,
            waiter=waiter,
            is_read=is_read,
        )

    # The queue.

    def enter(self, member: Waiting) -> bool:
        """Queue a member; return True when nobody leads, so that it leads. Raises ``DatabaseBusy``."""
        with self._lock:
            member.leads = self._lane.enter(member)
            return member.leads

    def withdraw(self, member: Waiting) -> bool:
        """Take a member out of the queue; False when it is not there (any more)."""
        with self._lock:
            return self._lane.withdraw(member)

    def holds(self, member: Waiting) -> bool:
        """Return whether a member still waits in the queue."""
        with self._lock:
            return member in self._lane

    def hand_on(self) -> Waiting | None:
        """Hand the lane to the head of the queue and return it; None leaves the lane idle.

        Doing so again while the head has not begun changes nothing.
        """
        passed_over: list[Waiting] = []
        with self._lock:
            while (head := self._lane.successor()) is not None and self._is_gone(head):
                self._lane.withdraw(head)
                passed_over.append(head)
            if head is not None:
                head.leads = True
        if passed_over:
            self._tell(passed_over)
        return head

    def _tell(self, passed_over: Sequence[Waiting]) -> None:
        """Answer members that were taken out of the queue: a loop that stood still may yet wait for one of them."""
        flight = Flight(has_landed=True)
        for member in passed_over:
            member.error = self.too_late(member, was_queued=True)
            member.flight = flight
        self._notify(passed_over)

    def _is_gone(self, member: Waiting) -> bool:
        """Return whether nobody waits for this member any more; a second interrupt may have kept it from leaving."""
        return member.is_abandoned or self._clock.monotonic() > member.deadline + 2 * GRACE_SECONDS

    def too_late(self, member: Waiting, *, was_queued: bool) -> AureusError:
        """Return the error of a caller whose deadline came before its answer."""
        seconds = member.call.timeout_seconds
        connection = self._connection
        if not was_queued:
            return DeadlineExceeded(
                f"the call was in flight at its deadline of {seconds:g} s; it may have happened"
            )
        if connection is not None and connection.is_waiting:
            return self._held_by_others(member)
        return DeadlineExceeded(
            f"the call waited for its turn until its deadline of {seconds:g} s; nothing happened"
        )

    def _held_by_others(self, member: Waiting) -> AureusError:
        return DatabaseBusy(
            f"another connection, perhaps of another process, held the database for the call's "
            f"{member.call.timeout_seconds:g} s; nothing happened, repeat the call"
        )

    # A flush. The caller holds the connections' ``writing`` lock.

    def begin(self, leader: Waiting) -> Connection:
        """Begin the transaction that the leader's flush, or the leader itself, is to use.

        Raises ``AureusError``: nobody else has anything to do with it.
        """
        connection = self._connections.writer(leader.deadline)
        self._connection = connection
        try:
            connection.begin(leader.deadline)
        except DatabaseBusy as error:
            raise self._held_by_others(leader) from error
        except BaseException:
            connection.roll_back()
            raise
        return connection

    def flush(self, leader: Waiting) -> None:
        """Carry out one flush and answer its members.

        The leader is one of them, unless it must wait for another flush: SQLite may undo a whole transaction because
        of one member. An exception that is no error, such as ``KeyboardInterrupt``, leaves the others in the queue.
        """
        taken: list[Waiting] = []
        done: list[Waiting] = []
        flight = Flight()
        try:
            self._carry_out(leader, flight, taken, done)
        except BaseException:
            connection = self._connection
            if connection is not None and connection.was_committed:
                flight.has_landed = True
            else:
                if connection is not None:
                    connection.roll_back()
                self._restore([*done, *taken], leader)
            raise
        else:
            flight.has_landed = True
        finally:
            if flight.has_landed:
                self._notify(done)
        if self._connection is not None and self._connection.has_sealed:
            self._engine.sources.sealed()
        self.note_length()

    def note_length(self) -> None:
        """Let the checkpointer know how long the log is after a commit."""
        if self._connection is not None and not self._connections.is_memory:
            self._connections.checkpointer.notice(self._connection.wal_pages)

    def _carry_out(
        self, leader: Waiting, flight: Flight, taken: list[Waiting], done: list[Waiting]
    ) -> None:
        try:
            connection = self.begin(leader)
        except AureusError as error:
            self.withdraw(leader)
            leader.error = error
            leader.flight = flight
            done.append(leader)
            return
        with self._lock:
            taken.extend(self._lane.take())
        self._perform_all(connection, taken, done)
        for member in done:
            member.flight = flight
        self._commit(connection, done)

    def _perform_all(
        self, connection: Connection, taken: list[Waiting], done: list[Waiting]
    ) -> None:
        """Move members from ``taken`` to ``done`` one by one until the flush is full."""
        end = self._clock.monotonic() + FLUSH_SECONDS_MAX
        is_alone = len(taken) == 1
        while taken and (not done or self._clock.monotonic() < end):
            member = taken[0]
            self._perform(connection, member, is_alone=is_alone)
            done.append(member)
            del taken[0]
            if connection.is_lost:
                # SQLite has undone the others too: they travel again, without the one that brought this about.
                self._put_back([*done[:-1], *taken])
                done[:] = [member]
                taken.clear()
        self._put_back(taken)
        taken.clear()

    def _perform(self, connection: Connection, member: Waiting, *, is_alone: bool) -> None:
        member.result, member.error = None, None
        if self._clock.monotonic() > member.deadline:
            member.error = self.too_late(member, was_queued=True)
        elif member.make is not None and not member.is_abandoned:
            try:
                member.result = self._engine.perform(
                    connection,
                    member.make,
                    member.call,
                    member.deadline,
                    is_read=member.is_read,
                    is_alone=is_alone,
                )
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this caller's alone
                member.error = error
        if connection.is_lost and member.error is None:
            member.error = DatabaseError("SQLite undid the transaction; nothing happened")

    def _commit(self, connection: Connection, done: Sequence[Waiting]) -> None:
        # After a commit nothing may touch the connection: was_committed speaks until the flight has landed.
        if connection.is_lost:
            connection.roll_back()
            return
        try:
            self._engine.seal(connection)
            connection.commit()
        except AureusError as error:
            connection.roll_back()
            for member in done:
                member.error = again(error)

    def _put_back(self, members: Sequence[Waiting]) -> None:
        with self._lock:
            self._lane.put_back(members)

    def _restore(self, members: Sequence[Waiting], leader: Waiting) -> None:
        """Queue the members of an interrupted flush again, each once, wherever the interrupt found them."""
        with self._lock:
            self._lane.put_back(
                member
                for member in dict.fromkeys(members)
                if member is not leader and member not in self._lane
            )

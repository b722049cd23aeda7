"""Operations by themselves: a transaction of their own, one flush for each statement they ask for.

The first flush carries BEGIN and the binding, the last one the commit: k statements are k round trips.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from aureus._database.drive import Call, Drive
from aureus._database.postgres.errors import Verdict, mapped, verdict_of
from aureus._database.postgres.flush import Begun
from aureus._database.postgres.io import (
    Acquire,
    Exchange,
    NoConnection,
    Pause,
    Release,
    Reply,
    Sent,
    Steps,
    feed,
    hand_over,
)
from aureus._database.postgres.planner import Planner, is_lasting
from aureus._database.statement import Op
from aureus.errors import DeadlineExceeded

R = TypeVar("R")

_REPEATED = (Verdict.CONFLICT, Verdict.NOT_STARTED, Verdict.GONE)

_TAKEN = "23505"
"""The SQLSTATE of a unique key that is taken."""

TAKEN_TRIES_MAX = 3
"""Times that an operation begins anew because a key was taken: by whom it had waited for, if not by itself. What they
wrote is seen by the next attempt, which finds its own earlier write by it, or has its own words for the refusal."""


def alone(
    planner: Planner,
    make: Callable[[], Op[R]],
    call: Call,
    *,
    is_read: bool,
    begun: Begun[R] | None = None,
) -> Steps[R]:
    """Carry one operation out in a transaction of its own, one flush for each statement it asks for.

    The first attempt goes on with what has ``begun``.
    """
    deadline = planner.clock.monotonic() + call.timeout_seconds
    tries = taken_count = 0
    may_end = is_read
    while True:
        if begun is None:
            drive = Drive(make(), planner.sources, call)
            begun = Begun(drive, drive.start())
        attempt = _Attempt(planner, begun, call, deadline, is_read=is_read, may_end=may_end)
        begun = None
        connection: Any = yield Acquire(
            max(0.0, min(deadline - planner.clock.monotonic(), planner.options.acquire_seconds))
        )
        if isinstance(connection, NoConnection):
            failure: BaseException = connection.__cause__ or connection
            in_doubt = None
        else:
            try:
                outcome = yield from attempt.carry_out(connection)
            finally:
                yield Release(connection, attempt.is_broken)
            if attempt.wants_more:
                may_end = False
                continue
            if outcome is None:
                if attempt.appends:
                    planner.sources.appended(call.tenant_id)
                return attempt.result()
            failure, in_doubt = outcome
        verdict = verdict_of(failure)
        if in_doubt is not None:
            if (yield from planner.did_happen(in_doubt, deadline)) is None:
                raise planner.unknown(in_doubt, failure)
        elif isinstance(connection, NoConnection):
            if is_lasting(failure):
                raise mapped(failure, planner.options.place())
        elif getattr(failure, "sqlstate", None) == _TAKEN and taken_count < TAKEN_TRIES_MAX:
            taken_count += 1
        elif verdict not in _REPEATED:
            raise mapped(failure)
        wait = planner.rest(0.01, tries)
        if planner.clock.monotonic() + wait >= deadline:
            raise mapped(failure, planner.options.place())
        yield Pause(wait)
        tries += 1


class _Attempt(Generic[R]):
    """One attempt at an operation that goes alone, on one connection."""

    def __init__(
        self,
        planner: Planner,
        begun: Begun[R],
        call: Call,
        deadline: float,
        *,
        is_read: bool,
        may_end: bool,
    ) -> None:
        self._planner = planner
        self._call = call
        self._deadline = deadline
        self._is_read = is_read
        self._drive = begun.drive
        self._request = begun.request
        self._flush_id = planner.sources.ids.new()
        self._may_end = may_end
        self.is_broken = False
        self.wants_more = False
        """Whether the operation asked for more although its transaction had ended: it has to begin anew."""

    @property
    def appends(self) -> bool:
        """Whether the operation may have appended to the tenant's ledger."""
        return self._drive.appends

    def result(self) -> R:
        """Return what the operation returned."""
        return self._drive.result  # type: ignore[return-value]  # it has ended, so its result is an R

    def carry_out(self, connection: Any) -> Steps[tuple[BaseException, str | None] | None]:
        """Run the transaction; None when it is committed, else the error, and the flush in doubt if one is."""
        request = self._request
        opening: list[Sent] = self._opening()
        count = 0
        while request is not None:
            mark = f"{self._flush_id}.{count}"
            sent = [*opening, *self._planner.statements(request, self._call.tenant_id, mark)]
            first = len(opening)
            size = 1 + len(request.companions)
            commits = request.is_last or (self._may_end and request.may_end)
            if commits:
                sent += self._closing()
            reply: Reply = yield Exchange(connection, sent, self._deadline)
            if reply.error is not None:
                return (yield from self._failed(connection, reply.error, commits=commits))
            hand_over(request.companions, reply.rows[first], reply.rows[first + 1 : first + size])
            opening, count = [], count + 1
            try:
                request = yield from feed(self._drive, reply.rows[first])
            except BaseException:
                if not commits:
                    yield from self._roll_back(connection)
                raise
            if commits:
                self.wants_more = request is not None
                if self.wants_more:
                    self._drive.close()
                return None
        if count:
            reply = yield Exchange(connection, self._closing(), self._deadline)
            if reply.error is not None:
                return (yield from self._failed(connection, reply.error, commits=True))
        return None

    def _opening(self) -> list[Sent]:
        remaining = self._deadline - self._planner.clock.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded("the deadline of the call has passed; nothing happened")
        begin = "BEGIN"
        if self._is_read or self._call.is_whole:
            begin += " ISOLATION LEVEL REPEATABLE READ" + (" READ ONLY" if self._is_read else "")
        return [Sent(begin), self._planner.binding(self._call.tenant_id, None, remaining)]

    def _closing(self) -> list[Sent]:
        kept = [] if self._is_read else [self._planner.save_flush(self._flush_id)]
        return [*kept, Sent("COMMIT")]

    def _failed(
        self, connection: Any, error: BaseException, *, commits: bool
    ) -> Steps[tuple[BaseException, str | None]]:
        self._drive.close()
        if verdict_of(error) is Verdict.GONE:
            self.is_broken = True
            in_doubt = self._flush_id if commits and not self._is_read else None
            return error, in_doubt
        yield from self._roll_back(connection)
        return error, None

    def _roll_back(self, connection: Any) -> Steps[None]:
        reply: Reply = yield Exchange(connection, [Sent("ROLLBACK")], self._deadline)
        self.is_broken = self.is_broken or reply.error is not None

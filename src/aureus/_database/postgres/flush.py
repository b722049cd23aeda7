"""Gathered flushes: many operations in one pipeline and one commit.

There is no BEGIN: everything up to the Sync is one implicit transaction, and the Sync commits it. An operation that
fails leaves the flush and goes alone; the others are sent again. A lost reply is settled for the whole flush at once,
and then every operation is simply repeated: one that had happened finds its own write and returns it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aureus._database.drive import Call, Drive, Request, Sources
from aureus._database.lane import Key, Member, key_of, size_of
from aureus._database.postgres.errors import Verdict, mapped, verdict_of
from aureus._database.postgres.io import NoConnection, Pause, Reply, Sent, Steps, hand_over
from aureus._database.postgres.planner import Planner, is_lasting
from aureus._database.statement import Op, Rows
from aureus.errors import AureusError

R = TypeVar("R")

FLUSH_TRIES_MAX = 3
"""Times that a flush is sent again after a deadlock or a serialization failure; then its members go alone."""

DOUBTS_MAX = 20
"""Lost replies in a row after which a flush is given up; each of them was settled first."""


class GoAlone:
    """The outcome of a member that must be carried out by itself."""


@dataclass(frozen=True, slots=True)
class Begun(Generic[R]):
    """An operation that goes alone, stopped at its first statement."""

    drive: Drive[R]
    request: Request | None


@dataclass(slots=True, eq=False)
class Waiting(Member, Generic[R]):
    """An operation on its way through the lane."""

    make: Callable[[], Op[R]]
    call: Call
    deadline: float
    sources: Sources
    drive: Drive[R]
    request: Request
    outcome: R | AureusError | BaseException | GoAlone | None = None
    is_settled: bool = False
    leads: bool = False
    signal: Any = None

    def renew(self) -> None:
        """Begin the operation anew, for another attempt."""
        self.drive.close()
        self.drive = Drive(self.make(), self.sources, self.call)
        request = self.drive.start()
        if request is None:
            self.settle(self.drive.result)
        else:
            self.request = request

    def settle(self, outcome: Any) -> None:
        """Note what came of the operation."""
        self.outcome = outcome
        self.is_settled = True

    def receive(self, rows: Rows) -> None:
        """Hand the operation the rows of its last statement; its return or raise is the caller's answer."""
        try:
            self.drive.feed(rows)
        except Exception as error:  # noqa: BLE001 - whatever the body raises is the caller's answer
            self.settle(error)
        else:
            self.settle(self.drive.result)


def waiting(
    planner: Planner, make: Callable[[], Op[R]], call: Call, *, is_read: bool
) -> Waiting[R] | R | Begun[R] | None:
    """Return the operation ready for a lane; its result when it needs no statement.

    One that must go alone is ``Begun``, or None when it has a transaction of its own kind.
    """
    if call.is_whole:
        return None
    drive = Drive(make(), planner.sources, call)
    request = drive.start()
    if request is None:
        return drive.result
    if drive.is_lengthy or not (is_read or request.is_last):
        return Begun(drive, request)
    statement = request.statement
    compiled = planner.catalog.compiled(statement.query)

    def named(names: tuple[str, ...]) -> Key | None:
        noun = statement.query.noun
        return None if is_read else key_of(call.tenant_id, noun, names, statement.parameters)

    return Waiting(
        tenant_id=call.tenant_id,
        rank=compiled.order,
        key=named(compiled.key),
        locks=named(compiled.locks),
        size_bytes=size_of(statement.parameters),
        make=make,
        call=call,
        deadline=planner.clock.monotonic() + call.timeout_seconds,
        sources=planner.sources,
        drive=drive,
        request=request,
    )


def flush(planner: Planner, members: Sequence[Waiting[Any]], *, is_read: bool) -> Steps[None]:
    """Carry members out in one commit; every member is settled afterwards, some of them to go alone."""
    pending = list(members)
    tries = 0
    while pending := [member for member in pending if not member.is_settled]:
        flush_id = planner.sources.ids.new()
        sent, spans = _compose(planner, pending, None if is_read else flush_id)
        reply: Reply = yield from planner.once(sent, max(m.deadline for m in pending))
        if reply.error is None:
            _deliver(pending, spans, reply)
            return
        verdict = verdict_of(reply.error)
        culprit = _culprit(spans, reply.failed)
        if isinstance(reply.error, NoConnection):
            yield from _pause_or_fail(planner, pending, reply.error, tries)
        elif verdict is Verdict.GONE and not is_read and tries < DOUBTS_MAX:
            yield from _resolve_doubt(planner, pending, flush_id, reply.error)
        elif verdict is Verdict.NOT_STARTED or (verdict is Verdict.GONE and is_read):
            yield from _pause_or_fail(planner, pending, reply.error, tries)
        elif verdict is Verdict.CONFLICT and tries < FLUSH_TRIES_MAX:
            yield Pause(planner.rest(0.005, tries))
        elif culprit is None:
            _settle_all(pending, mapped(reply.error, planner.options.place()))
        elif verdict is Verdict.CONFLICT:
            for member in pending:
                member.settle(GoAlone())
        else:
            pending[culprit].settle(GoAlone())
            tries -= 1
        tries += 1
        for member in pending:
            if not member.is_settled:
                member.renew()


def _compose(
    planner: Planner, members: Sequence[Waiting[Any]], flush_id: str | None
) -> tuple[list[Sent], list[tuple[int, int]]]:
    """Return the statements of a flush, and for each member where its own begin and end."""
    sent: list[Sent] = []
    spans: list[tuple[int, int]] = []
    tenant: str | None = None
    lock_ms = None if flush_id is None else planner.options.lock_ms
    for index, member in enumerate(members):
        if member.tenant_id != tenant:
            tenant = member.tenant_id
            remaining = max(1.0, max(m.deadline for m in members) - planner.clock.monotonic())
            sent.append(planner.binding(tenant, lock_ms, remaining))
        start = len(sent)
        mark = f"{flush_id or 'read'}.{index}"
        sent.extend(planner.statements(member.request, member.tenant_id, mark))
        spans.append((start, len(sent)))
    if flush_id is not None:
        sent.append(planner.save_flush(flush_id))
        sent.extend(planner.tidying())
    return sent, spans


def _deliver(
    members: Sequence[Waiting[Any]], spans: Sequence[tuple[int, int]], reply: Reply
) -> None:
    for member, (start, end) in zip(members, spans, strict=True):
        hand_over(member.request.companions, reply.rows[start], reply.rows[start + 1 : end])
        if member.request.is_last:
            member.receive(reply.rows[start])
            if member.drive.appends:
                member.sources.appended(member.tenant_id)
            continue
        # A read: its first statement is answered; one that asks for more needs one snapshot for all of it.
        try:
            more = member.drive.feed(reply.rows[start])
        except Exception as error:  # noqa: BLE001 - whatever the body raises is the caller's answer
            member.settle(error)
        else:
            member.settle(member.drive.result if more is None else GoAlone())


def _resolve_doubt(
    planner: Planner, members: Sequence[Waiting[Any]], flush_id: str, error: BaseException
) -> Steps[None]:
    """Decide whether a flush with a lost reply happened; afterwards every operation is simply repeated.

    An operation that had happened finds its own write by the identifier that its caller made, and returns it.
    """
    deadline = max(member.deadline for member in members)
    if (yield from planner.did_happen(flush_id, deadline)) is None:
        _settle_all(members, planner.unknown(flush_id, error))


def _pause_or_fail(
    planner: Planner, members: Sequence[Waiting[Any]], error: BaseException, tries: int
) -> Steps[None]:
    """Wait for the server to come back, and fail those whose deadline has passed."""
    wait = planner.rest(0.05, tries)
    now = planner.clock.monotonic()
    cause = error.__cause__ if isinstance(error, NoConnection) and error.__cause__ else error
    lasting = is_lasting(cause)
    for member in members:
        if lasting or now + wait >= member.deadline:
            member.settle(mapped(cause, planner.options.place()))
    if any(not member.is_settled for member in members):
        yield Pause(wait)


def _culprit(spans: Sequence[tuple[int, int]], failed: int) -> int | None:
    for index, (start, end) in enumerate(spans):
        if start <= failed < end:
            return index
    return None


def _settle_all(members: Sequence[Waiting[Any]], error: AureusError) -> None:
    for member in members:
        if not member.is_settled:
            member.settle(error)

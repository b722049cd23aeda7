"""Decides what a flush sends and what its answer means: generators without I/O, the same for threads and event loops.

A flush is one pipeline that ends in one Sync. For gathered writes there is no BEGIN: everything up to the Sync is one
implicit transaction, so bindings made with ``set_config(…, true)`` hold for exactly this flush and the Sync commits.
Each tenant's statements follow a binding of their own; no policy ever sees two tenants at once.

The generators yield ``Exchange``, ``Acquire``, ``Release`` and ``Pause`` and receive what came of them. They never see
a socket, so that every branch (a broken connection, a blocked row, a lost reply) is tested without one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from aureus._database.catalog import Catalog, Compiled
from aureus._database.drive import Call, Companion, Drive, Request, Sources
from aureus._database.lane import Member, key_of, size_of
from aureus._database.postgres.errors import Verdict, mapped, verdict_of
from aureus._database.postgres.options import PostgresOptions
from aureus._database.statement import Op, Queries, Rows
from aureus.clock import Clock
from aureus.errors import AureusError, DeadlineExceeded, OutcomeUnknown

R = TypeVar("R")

FLUSH_TRIES_MAX = 3
"""Times that a flush is sent again after a deadlock or a serialization failure; then its members go alone."""

PAUSE_SECONDS_MAX = 1.0
"""The longest wait between two tries."""

_flushes = Queries("flushes")


@dataclass(frozen=True, slots=True)
class Sent:
    """One statement as the driver takes it."""

    text: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Acquire:
    """Ask for a connection; the answer is one, or an error that says that none was had."""

    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Release:
    """Give a connection back; a broken one is thrown away."""

    connection: Any
    is_broken: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send statements in one pipeline with one Sync and wait for all answers."""

    connection: Any
    statements: Sequence[Sent]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next try."""

    seconds: float


@dataclass(slots=True)
class Reply:
    """What came back: rows for each statement that was carried out, and the error that ended the pipeline."""

    rows: list[Rows]
    error: BaseException | None = None

    @property
    def failed(self) -> int:
        """Return the index of the statement that failed: the first one without rows."""
        return len(self.rows)


Io = Acquire | Release | Exchange | Pause
Steps = Generator[Io, Any, R]


class GoAlone:
    """The outcome of a member that must be carried out by itself."""


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
        self.drive = Drive(self.make(), self.sources)
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


@dataclass(slots=True)
class Planner:
    """Composes flushes and judges their replies."""

    catalog: Catalog
    options: PostgresOptions
    sources: Sources
    clock: Clock
    flush_count: int = field(default=0)

    def waiting(
        self, make: Callable[[], Op[R]], call: Call, *, is_read: bool
    ) -> Waiting[R] | R | None:
        """Return the operation ready for a lane; its result when it needs no statement; None when it must go alone."""
        drive = Drive(make(), self.sources)
        request = drive.start()
        if request is None:
            return drive.result
        if not (is_read or request.is_last):
            drive.close()
            return None
        statement = request.statement
        compiled = self.catalog.compiled(statement.query)
        key = (
            None
            if is_read
            else key_of(call.tenant_id, statement.query.noun, compiled.key, statement.parameters)
        )
        return Waiting(
            tenant_id=call.tenant_id,
            rank=compiled.order,
            key=key,
            size_bytes=size_of(statement.parameters),
            make=make,
            call=call,
            deadline=self.clock.monotonic() + call.timeout_seconds,
            sources=self.sources,
            drive=drive,
            request=request,
        )

    # Gathered flushes.

    def flush(self, members: Sequence[Waiting[Any]], *, is_read: bool) -> Steps[None]:
        """Carry members out in one commit; every member is settled afterwards, some of them to go alone."""
        pending = list(members)
        tries = 0
        while pending := [member for member in pending if not member.is_settled]:
            flush_id = self.sources.ids.new()
            sent, spans = self._compose(pending, None if is_read else flush_id)
            reply: Reply = yield from self._once(sent, max(m.deadline for m in pending))
            if reply.error is None:
                self._deliver(pending, spans, reply)
                return
            verdict = verdict_of(reply.error)
            culprit = _culprit(spans, reply.failed)
            if isinstance(reply.error, NoConnection):
                yield from self._pause_or_fail(pending, reply.error, tries)
            elif verdict is Verdict.GONE and not is_read:
                yield from self._resolve_doubt(pending, flush_id, reply.error)
            elif verdict in (Verdict.GONE, Verdict.NOT_STARTED):
                yield from self._pause_or_fail(pending, reply.error, tries)
            elif verdict is Verdict.CONFLICT and tries < FLUSH_TRIES_MAX:
                yield Pause(self._jittered(0.005, tries))
            elif culprit is None:
                _settle_all(pending, mapped(reply.error, self.options.place()))
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
        self, members: Sequence[Waiting[Any]], flush_id: str | None
    ) -> tuple[list[Sent], list[tuple[int, int]]]:
        """Return the statements of a flush, and for each member where its own begin and end."""
        sent: list[Sent] = []
        spans: list[tuple[int, int]] = []
        tenant: str | None = None
        lock_ms = None if flush_id is None else self.options.lock_ms
        for index, member in enumerate(members):
            if member.tenant_id != tenant:
                tenant = member.tenant_id
                remaining = max(m.deadline for m in members) - self.clock.monotonic()
                sent.append(self.binding(tenant, lock_ms, remaining))
            start = len(sent)
            mark = f"{flush_id or 'read'}.{index}"
            sent.extend(self.statements(member.request, tenant, mark))
            spans.append((start, len(sent)))
        if flush_id is not None:
            sent.append(self.save_flush(flush_id))
        return sent, spans

    def _deliver(
        self, members: Sequence[Waiting[Any]], spans: Sequence[tuple[int, int]], reply: Reply
    ) -> None:
        for member, (start, end) in zip(members, spans, strict=True):
            hand_over(member.request.companions, reply.rows[start], reply.rows[start + 1 : end])
            if member.request.is_last:
                member.receive(reply.rows[start])
                continue
            # A read: its first statement is answered; one that asks for more needs one snapshot for all of it.
            try:
                more = member.drive.feed(reply.rows[start])
            except Exception as error:  # noqa: BLE001 - whatever the body raises is the caller's answer
                member.settle(error)
            else:
                member.settle(member.drive.result if more is None else GoAlone())

    def _resolve_doubt(
        self, members: Sequence[Waiting[Any]], flush_id: str, error: BaseException
    ) -> Steps[None]:
        """Decide whether a flush with a lost reply happened; afterwards every operation is simply repeated.

        An operation that had happened finds its own write by the identifier that its caller made, and returns it.
        """
        deadline = max(member.deadline for member in members)
        if (yield from self.did_happen(flush_id, deadline)) is None:
            _settle_all(members, self.unknown(flush_id, error))

    def unknown(self, flush_id: str, cause: BaseException) -> OutcomeUnknown:
        """Return the error for a commit that nobody can tell about."""
        found = OutcomeUnknown(
            f"the connection to {self.options.place()} broke during a commit and the server stayed away; "
            "the write happened or did not: look before repeating it",
            flush_id=flush_id,
        )
        found.__cause__ = cause
        return found

    def did_happen(self, flush_id: str, deadline: float) -> Steps[bool | None]:
        """Return whether a flush in doubt happened; None when the server stays away past the deadline."""
        sent = [*self.role_only(), self.compiled(_flushes.settle_flush, {"flush_id": flush_id}, "", "")]
        tries = 0
        while True:
            reply: Reply = yield from self._once(sent, deadline)
            if reply.error is None:
                return not reply.rows[-1]
            if self.clock.monotonic() >= deadline:
                return None
            yield Pause(self._jittered(0.05, tries))
            tries += 1

    def _pause_or_fail(
        self, members: Sequence[Waiting[Any]], error: BaseException, tries: int
    ) -> Steps[None]:
        """Wait for the server to come back, and fail those whose deadline has passed."""
        wait = self._jittered(0.05, tries)
        now = self.clock.monotonic()
        cause = error.__cause__ if isinstance(error, NoConnection) and error.__cause__ else error
        lasting = _is_lasting(cause)
        for member in members:
            if lasting or now + wait >= member.deadline:
                member.settle(mapped(cause, self.options.place()))
        if any(not member.is_settled for member in members):
            yield Pause(wait)

    def _once(self, sent: Sequence[Sent], deadline: float) -> Steps[Reply]:
        """Send one flush on a connection of the pool."""
        remaining = max(0.0, deadline - self.clock.monotonic())
        connection: Any = yield Acquire(min(remaining, self.options.acquire_seconds))
        if isinstance(connection, NoConnection):
            return Reply([], connection)
        reply: Reply = yield Exchange(connection, sent)
        broken = reply.error is not None and verdict_of(reply.error) is Verdict.GONE
        yield Release(connection, broken)
        self.flush_count += 1
        return reply

    # Operations by themselves.

    def alone(self, make: Callable[[], Op[R]], call: Call, *, is_read: bool) -> Steps[R]:
        """Carry one operation out in a transaction of its own, one flush for each statement it asks for."""
        deadline = self.clock.monotonic() + call.timeout_seconds
        tries = 0
        while True:
            attempt = _Attempt(self, make, call, deadline, is_read=is_read)
            connection: Any = yield Acquire(
                max(0.0, min(deadline - self.clock.monotonic(), self.options.acquire_seconds))
            )
            if isinstance(connection, NoConnection):
                failure: BaseException = connection.__cause__ or connection
                in_doubt = None
            else:
                try:
                    outcome = yield from attempt.carry_out(connection)
                finally:
                    yield Release(connection, attempt.is_broken)
                if outcome is None:
                    return attempt.result()
                failure, in_doubt = outcome
            verdict = verdict_of(failure)
            if in_doubt is not None:
                if (yield from self.did_happen(in_doubt, deadline)) is None:
                    raise self.unknown(in_doubt, failure)
            elif isinstance(connection, NoConnection):
                if _is_lasting(failure):
                    raise mapped(failure, self.options.place())
            elif verdict not in _REPEATED:
                raise mapped(failure)
            wait = self._jittered(0.01, tries)
            if self.clock.monotonic() + wait >= deadline:
                raise mapped(failure, self.options.place())
            yield Pause(wait)
            tries += 1

    # Statements.

    def binding(self, tenant_id: str, lock_ms: int | None, remaining_seconds: float) -> Sent:
        """Return the first message of a flush: role, tenant and limits, until the transaction's end."""
        lock = max(1, round(remaining_seconds * 1000)) if lock_ms is None else lock_ms
        statement_ms = max(1, round(min(remaining_seconds, self.options.statement_seconds) * 1000))
        settings = [("aureus.tenant", tenant_id)]
        if self.options.role is not None:
            settings.insert(0, ("role", self.options.role))
        settings += [("lock_timeout", f"{lock}ms"), ("statement_timeout", f"{statement_ms}ms")]
        return _set_config(settings)

    def role_only(self) -> list[Sent]:
        """Return the message that drops to the application's role, for statements without a tenant."""
        return [] if self.options.role is None else [_set_config([("role", self.options.role)])]

    def statements(self, request: Request, tenant_id: str, mark: str) -> list[Sent]:
        """Return a request's statement and its companions."""
        return [
            self.compiled(part.query, part.parameters, tenant_id, mark)
            for part in (request.statement, *(one.statement for one in request.companions))
        ]

    def compiled(self, query: Any, parameters: dict[str, Any], tenant_id: str, mark: str) -> Sent:
        """Return one statement of the catalogue with its parameters in place."""
        found: Compiled = self.catalog.compiled(query)
        values = {**parameters, "tenant_id": tenant_id, "mark": mark}
        return Sent(found.texts[0], tuple(values[name] for name in found.parameters[0]))

    def save_flush(self, flush_id: str) -> Sent:
        """Return the statement that leaves a flush's identifier with its writes."""
        return self.compiled(_flushes.save_flush, {"flush_id": flush_id}, "", "")

    def _jittered(self, seconds: float, tries: int) -> float:
        longest = min(PAUSE_SECONDS_MAX, seconds * 2.0 ** min(tries, 10))
        return longest * (0.5 + self.sources.ids.jitter() / 2)


class NoConnection(Exception):
    """No connection was had in time; the reason is the cause. Nothing was sent."""


_REPEATED = (Verdict.CONFLICT, Verdict.NOT_STARTED, Verdict.GONE)


class _Attempt(Generic[R]):
    """One attempt at an operation that goes alone, on one connection."""

    def __init__(
        self,
        planner: Planner,
        make: Callable[[], Op[R]],
        call: Call,
        deadline: float,
        *,
        is_read: bool,
    ) -> None:
        self._planner = planner
        self._call = call
        self._deadline = deadline
        self._is_read = is_read
        self._drive = Drive(make(), planner.sources)
        self._flush_id = planner.sources.ids.new()
        self.is_broken = False

    def result(self) -> R:
        """Return what the operation returned."""
        return self._drive.result  # type: ignore[return-value]  # it has ended, so its result is an R

    def carry_out(self, connection: Any) -> Steps[tuple[BaseException, str | None] | None]:
        """Run the transaction; None when it is committed, else the error, and the flush in doubt if one is."""
        request = self._drive.start()
        opening: list[Sent] = self._opening()
        count = 0
        while request is not None:
            mark = f"{self._flush_id}.{count}"
            sent = [*opening, *self._planner.statements(request, self._call.tenant_id, mark)]
            first = len(opening)
            size = 1 + len(request.companions)
            commits = request.is_last
            if commits:
                sent += self._closing()
            reply: Reply = yield Exchange(connection, sent)
            if reply.error is not None:
                return (yield from self._failed(connection, reply, commits=commits))
            hand_over(request.companions, reply.rows[first], reply.rows[first + 1 : first + size])
            opening, count = [], count + 1
            try:
                request = self._drive.feed(reply.rows[first])
            except BaseException:
                if not commits:
                    yield from self._roll_back(connection)
                raise
            if commits:
                return None
        if count:
            reply = yield Exchange(connection, self._closing())
            if reply.error is not None:
                return (yield from self._failed(connection, reply, commits=True))
        return None

    def _opening(self) -> list[Sent]:
        remaining = self._deadline - self._planner.clock.monotonic()
        if remaining <= 0:
            raise DeadlineExceeded("the deadline of the call has passed; nothing happened")
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self._is_read else "BEGIN"
        return [Sent(begin), self._planner.binding(self._call.tenant_id, None, remaining)]

    def _closing(self) -> list[Sent]:
        kept = [] if self._is_read else [self._planner.save_flush(self._flush_id)]
        return [*kept, Sent("COMMIT")]

    def _failed(
        self, connection: Any, reply: Reply, *, commits: bool
    ) -> Steps[tuple[BaseException, str | None]]:
        error = reply.error
        assert error is not None
        self._drive.close()
        if verdict_of(error) is Verdict.GONE:
            self.is_broken = True
            in_doubt = self._flush_id if commits and not self._is_read else None
            return error, in_doubt
        yield from self._roll_back(connection)
        return error, None

    def _roll_back(self, connection: Any) -> Steps[None]:
        reply: Reply = yield Exchange(connection, [Sent("ROLLBACK")])
        self.is_broken = self.is_broken or reply.error is not None


def hand_over(companions: Sequence[Companion], rows: Rows, answers: Sequence[Rows]) -> None:
    """Give each companion its rows, when the write it travelled with happened."""
    for companion, answer in zip(companions, answers, strict=True):
        if rows and answer:
            companion.receive(answer)


def _culprit(spans: Sequence[tuple[int, int]], failed: int) -> int | None:
    for index, (start, end) in enumerate(spans):
        if start <= failed < end:
            return index
    return None


def _settle_all(members: Sequence[Waiting[Any]], error: AureusError) -> None:
    for member in members:
        if not member.is_settled:
            member.settle(error)


def _is_lasting(error: BaseException) -> bool:
    """Return whether waiting will not help: a wrong password, a missing database, a refused role."""
    state = getattr(error, "sqlstate", None)
    return state is not None and state[:2] in ("28", "3D", "42")


def _set_config(settings: Sequence[tuple[str, str]]) -> Sent:
    calls = ", ".join(
        f"set_config(${2 * index + 1}, ${2 * index + 2}, true)" for index in range(len(settings))
    )
    return Sent(f"SELECT {calls}", tuple(text for pair in settings for text in pair))

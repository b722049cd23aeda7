"""An open transaction: BEGIN to COMMIT with the caller's own statements between our operations.

Each operation drops to the application's role, binds the tenant and gives the role back, inside a savepoint of its
own: between operations the connection is the caller's, with the rights of the user in the URL, and a failed
operation leaves the rest of the transaction intact.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from aureus._database.drive import Call, Drive, Request
from aureus._database.nesting import ended
from aureus._database.postgres.errors import Verdict, mapped, verdict_of
from aureus._database.postgres.io import (
    Acquire,
    Exchange,
    NoConnection,
    Release,
    Reply,
    Sent,
    Steps,
    feed,
    hand_over,
)
from aureus._database.postgres.planner import Planner
from aureus._database.statement import Op
from aureus.errors import Conflict

R = TypeVar("R")

ENDING_SECONDS = 10.0
"""How long a server that says nothing is waited for, at least."""

_SAVEPOINT = Sent("SAVEPOINT aureus_operation")
_RELEASE = Sent("RELEASE SAVEPOINT aureus_operation")
_UNDO = Sent("ROLLBACK TO SAVEPOINT aureus_operation")


class OpenTransaction:
    """The state of one transaction and the steps that move it."""

    def __init__(self, planner: Planner, call: Call) -> None:
        self._planner = planner
        self._call = call
        self._deadline = planner.clock.monotonic() + call.timeout_seconds
        self._flush_id = planner.sources.ids.new()
        self._count = 0
        self._is_broken = False
        self._unsealed: set[str] = set()
        self.connection: Any = None

    def check_open(self) -> None:
        """Raise ``DatabaseError`` when the transaction has ended."""
        if self.connection is None:
            raise ended()

    def begin(self) -> Steps[None]:
        """Take a connection and begin. Raises ``DatabaseUnavailable``."""
        options = self._planner.options
        connection: Any = yield Acquire(min(self._call.timeout_seconds, options.acquire_seconds))
        if isinstance(connection, NoConnection):
            raise mapped(connection.__cause__ or connection, options.place())
        idle_ms = round(options.idle_in_transaction_seconds * 1000)
        statement_ms = round(options.statement_seconds * 1000)
        opening = [
            Sent("BEGIN"),
            Sent(
                "SELECT set_config('idle_in_transaction_session_timeout', $1, true), "
                "set_config('statement_timeout', $2, true), set_config('aureus.tenant', $3, true)",
                (f"{idle_ms}ms", f"{statement_ms}ms", self._call.tenant_id),
            ),
        ]
        reply: Reply = yield Exchange(connection, opening, self._until())
        if reply.error is not None:
            yield Release(connection, is_broken=True)
            raise mapped(reply.error, options.place())
        self.connection = connection

    def perform(self, make: Callable[[], Op[R]], call: Call) -> Steps[R]:
        """Carry an operation out inside this transaction."""
        self.check_open()
        call.refuse_whole()
        drive = Drive(make(), self._planner.sources, call)
        request = drive.start()
        opening = [_SAVEPOINT, self._binding(call)]
        is_open = False
        while request is not None:
            closing = [*self._unbinding(), _RELEASE] if request.is_last else []
            sent = [*opening, *self._statements(request, call), *closing]
            reply: Reply = yield Exchange(self.connection, sent, self._until())
            if reply.error is not None:
                yield from self._undo(drive, reply.error)
            start = len(opening)
            rows = reply.rows[start]
            hand_over(
                request.companions,
                rows,
                reply.rows[start + 1 : start + 1 + len(request.companions)],
            )
            is_open = not request.is_last
            opening = []
            try:
                request = yield from feed(drive, rows)
            except BaseException:
                if is_open:
                    yield self._undoing()
                raise
        if is_open:
            reply = yield Exchange(self.connection, [*self._unbinding(), _RELEASE], self._until())
            if reply.error is not None:
                self._is_broken = verdict_of(reply.error) is Verdict.GONE
                raise mapped(reply.error)
        if drive.appends:
            self._unsealed.add(call.tenant_id)
        return drive.result  # type: ignore[return-value]  # it has ended, so its result is an R

    def commit(self) -> Steps[None]:
        """Commit and give the connection back. Raises ``OutcomeUnknown`` when nobody can tell what happened."""
        self.check_open()
        sent = [
            *self._planner.role_only(),
            self._planner.save_flush(self._flush_id),
            Sent("COMMIT"),
        ]
        reply: Reply = yield Exchange(self.connection, sent, self._until())
        broken = reply.error is not None and verdict_of(reply.error) is Verdict.GONE
        connection, self.connection = self.connection, None
        if reply.error is not None and not broken:
            undone: Reply = yield Exchange(connection, [Sent("ROLLBACK")], self._until())
            broken = undone.error is not None
            yield Release(connection, broken)
            raise mapped(reply.error)
        yield Release(connection, broken)
        if reply.error is not None:
            yield from self._resolve_doubt(reply.error)
        for tenant_id in sorted(self._unsealed):
            self._planner.sources.appended(tenant_id)

    def roll_back(self) -> Steps[None]:
        """Undo everything and give the connection back."""
        if self.connection is None:
            return
        connection, self.connection = self.connection, None
        reply: Reply = yield Exchange(connection, [Sent("ROLLBACK")], self._until())
        yield Release(connection, self._is_broken or reply.error is not None)

    def _resolve_doubt(self, error: BaseException) -> Steps[None]:
        happened = yield from self._planner.did_happen(self._flush_id, self._deadline)
        if happened is None:
            raise self._planner.unknown(self._flush_id, error)
        if not happened:
            raise Conflict(
                "the connection broke before the commit; nothing happened, repeat the transaction"
            ) from error

    def _statements(self, request: Request, call: Call) -> list[Sent]:
        self._count += 1
        return self._planner.statements(request, call.tenant_id, f"{self._flush_id}.{self._count}")

    def _binding(self, call: Call) -> Sent:
        remaining = self._deadline - self._planner.clock.monotonic()
        return self._planner.binding(call.tenant_id, None, max(0.001, remaining))

    def _unbinding(self) -> list[Sent]:
        """Return what gives the connection back to the caller: the user's own rights, the transaction's tenant."""
        settings = "set_config('aureus.tenant', $1, true)"
        if self._planner.options.role is not None:
            settings += ", set_config('role', 'none', true)"
        return [Sent(f"SELECT {settings}", (self._call.tenant_id,))]

    def _until(self) -> float:
        """Return how long the server may take: past the deadline too, since the caller wants to end what is open."""
        return max(self._deadline, self._planner.clock.monotonic() + ENDING_SECONDS)

    def _undoing(self) -> Exchange:
        return Exchange(self.connection, [_UNDO, *self._unbinding(), _RELEASE], self._until())

    def _undo(self, drive: Drive[Any], error: BaseException) -> Steps[None]:
        drive.close()
        if verdict_of(error) is Verdict.GONE:
            self._is_broken = True
        else:
            reply: Reply = yield self._undoing()
            self._is_broken = reply.error is not None
        raise mapped(error)

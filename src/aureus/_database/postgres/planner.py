"""Composes the statements of a flush: bindings, marks, parameters in their places.

Each tenant's statements follow a binding of their own, made with ``set_config(…, true)`` and so gone at the end of the
transaction: no session state, and no policy ever sees two tenants at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from aureus._database.catalog import Catalog, Compiled
from aureus._database.drive import Request, Sources
from aureus._database.postgres.errors import Verdict, verdict_of
from aureus._database.postgres.io import (
    Acquire,
    Exchange,
    NoConnection,
    Pause,
    Release,
    Reply,
    Sent,
    Steps,
)
from aureus._database.postgres.options import PostgresOptions
from aureus._database.statement import Queries
from aureus.clock import Clock
from aureus.errors import OutcomeUnknown

PAUSE_SECONDS_MAX = 1.0
"""The longest rest between two tries."""

FLUSHES_PER_PRUNING = 10_000
"""Flushes after which old identifiers are forgotten; one pruning takes twice as many, so that none pile up."""

_flushes = Queries("flushes")


@dataclass(slots=True)
class Planner:
    """Composes flushes and sends them; what is the same for gathered writes, lone ones and transactions."""

    catalog: Catalog
    options: PostgresOptions
    sources: Sources
    clock: Clock
    flush_count: int = field(default=0)

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

    def tidying(self) -> list[Sent]:
        """Return what forgets old flushes: with the first flush of a process, and then now and again."""
        if self.flush_count % FLUSHES_PER_PRUNING:
            return []
        return [self.compiled(_flushes.prune_flushes, {}, "", "")]

    def rest(self, seconds: float, tries: int) -> float:
        """Return how long to rest before a try: doubled each time, jittered, bounded."""
        longest = min(PAUSE_SECONDS_MAX, seconds * 2.0 ** min(tries, 10))
        return longest * (0.5 + self.sources.ids.jitter() / 2)

    def once(self, sent: Sequence[Sent], deadline: float) -> Steps[Reply]:
        """Send one flush on a connection of the pool; the reply's error is ``NoConnection`` when none was had."""
        remaining = max(0.0, deadline - self.clock.monotonic())
        connection: Any = yield Acquire(min(remaining, self.options.acquire_seconds))
        if isinstance(connection, NoConnection):
            return Reply([], connection)
        broken = True
        try:
            reply: Reply = yield Exchange(connection, sent, deadline)
            broken = reply.error is not None and verdict_of(reply.error) is Verdict.GONE
        finally:
            yield Release(connection, broken)
        self.flush_count += 1
        return reply

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
        sent = [
            *self.role_only(),
            self.compiled(_flushes.settle_flush, {"flush_id": flush_id}, "", ""),
        ]
        tries = 0
        while True:
            reply: Reply = yield from self.once(sent, deadline)
            if reply.error is None:
                return not reply.rows[-1]
            if self.clock.monotonic() >= deadline:
                return None
            yield Pause(self.rest(0.05, tries))
            tries += 1


def is_lasting(error: BaseException) -> bool:
    """Return whether waiting will not help: a wrong password, a missing database, a refused role."""
    state = getattr(error, "sqlstate", None)
    return state is not None and state[:2] in ("28", "3D", "42")


def _set_config(settings: Sequence[tuple[str, str]]) -> Sent:
    return Sent(_setting(len(settings)), tuple(text for pair in settings for text in pair))


@lru_cache(maxsize=8)
def _setting(count: int) -> str:
    """Return the text that makes so many settings: the same object each time, so that it is found by its identity."""
    calls = (f"set_config(${2 * index + 1}, ${2 * index + 2}, true)" for index in range(count))
    return f"SELECT {', '.join(calls)}"

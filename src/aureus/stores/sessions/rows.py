"""What the operations on sessions share: the collection they work on, rows as records, and the facts they state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from aureus._database.operation import Operations
from aureus._database.statement import Op, Queries, Row, current_time, fetch_one, new_id
from aureus.codec import check_name, decode
from aureus.errors import Invalid, NotFound, VersionConflict
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.sessions import (
    ACTIONS,
    DECISIONS,
    DEFAULT_COLLECTION,
    ID_BYTES_MAX,
    OPERATION_ID_BYTES_MAX,
    ROUTINE,
    TTL_SECONDS_MAX,
    Session,
    SessionSummary,
    stream_of,
)

sql = Queries("sessions")

PAGE_MAX = 1000
"""Sessions, agents or messages of one page."""

GONE_AT = datetime(1970, 1, 1, tzinfo=UTC)
"""When deleted sessions have expired: before the clock of every process."""


class SessionScope(Operations):
    """Operations on the sessions of one collection."""

    def __init__(self, collection: str = DEFAULT_COLLECTION) -> None:
        self._collection = collection

    def _named(self, agent_id: str, session_id: str) -> dict[str, str]:
        """Return the parameters that name a session; raises ``Invalid``."""
        return {
            "collection": self._collection,
            "agent_id": check_name(agent_id, "agent_id", bytes_max=ID_BYTES_MAX),
            "session_id": check_name(session_id, "session_id", bytes_max=ID_BYTES_MAX),
        }

    def _summary(self, row: Row) -> SessionSummary:
        return SessionSummary(**self._columns(row))

    def _session(self, row: Row) -> Session:
        state, context = row[8:10]
        return Session(
            **self._columns(row),
            state={} if state is None else decode(state),
            context={} if context is None else decode(context),
        )

    def _columns(self, row: Row) -> dict[str, Any]:
        ttl_ms = row[4]
        return {
            "collection": self._collection,
            "agent_id": row[0],
            "session_id": row[1],
            "version": row[2],
            "message_count": row[3],
            "ttl_seconds": None if ttl_ms is None else ttl_ms / 1000,
            "expires_at": row[5],
            "created_at": row[6],
            "updated_at": row[7],
        }

    def _fact(
        self,
        kind: EventType,
        agent_id: str,
        session_id: str | None = None,
        *,
        actor: str | None = None,
        **payload: Any,
    ) -> Fact:
        """Return the fact of a write."""
        stream = stream_of(self._collection, agent_id, session_id)
        named = {"collection": self._collection, "agentId": agent_id}
        if session_id is not None:
            named["sessionId"] = session_id
        return Fact(
            stream=stream,
            type=kind,
            payload={**named, **payload},
            actor=actor or agent_id,
            audit=AuditPoint(ACTIONS[kind], stream, is_decision=kind in DECISIONS),
            is_routine=kind in ROUTINE,
        )

    def _why_refused(
        self, agent_id: str, session_id: str, expected_version: int | None
    ) -> Callable[[], Op[None]]:
        """Return what finds out why a write found no session to change."""

        def explain() -> Op[None]:
            now = yield from current_time()
            standing = yield from fetch_one(
                sql.get_session_standing,
                lambda row: (int(row[0]), bool(row[1])),
                now=now,
                **self._named(agent_id, session_id),
            )
            version, is_live = standing or (0, False)
            name = f"session {agent_id}/{session_id}"
            fields = {"agent_id": agent_id, "session_id": session_id}
            if expected_version is not None and not (is_live and version == expected_version):
                actual = version if is_live else 0
                where = "is not there" if standing is None else "has ended"
                raise VersionConflict(
                    f"{name} is at version {actual}, not {expected_version}; load it and try again"
                    if is_live
                    else f"{name} {where}, so it is not at version {expected_version}",
                    **fields,
                    expected_version=expected_version,
                    actual_version=actual,
                )
            if not is_live:
                raise NotFound(
                    f"there is no {name}"
                    if standing is None
                    else f"{name} was deleted or has expired; save it to begin it anew",
                    **fields,
                )

        return explain


def expiry_of(
    now: datetime, ttl_seconds: float | None, expires_at: datetime | None
) -> tuple[int | None, datetime | None]:
    """Return the time to live in milliseconds and the end that it means; raises ``Invalid``."""
    if ttl_seconds is None:
        given: Any = expires_at
        if given is not None and not (isinstance(given, datetime) and given.tzinfo):
            raise Invalid(f"expires_at is {given!r}; it is a time with a zone, such as UTC")
        if expires_at is not None and expires_at <= now:
            raise Invalid(f"expires_at is {expires_at}, which is over; delete ends a session now")
        return None, expires_at
    if expires_at is not None:
        raise Invalid("a session ends after ttl_seconds or at expires_at, not by both")
    seconds: Any = ttl_seconds
    if not isinstance(seconds, int | float) or not 0.001 <= seconds <= TTL_SECONDS_MAX:
        raise Invalid(
            f"ttl_seconds is {ttl_seconds!r}; it lies between 0.001 and {TTL_SECONDS_MAX:,.0f}",
            ttl_seconds=ttl_seconds,
        )
    ttl_ms = round(ttl_seconds * 1000)
    return ttl_ms, now + timedelta(milliseconds=ttl_ms)


def page_of(limit: int) -> int:
    """Return how many rows a page has."""
    return max(1, min(limit, PAGE_MAX))


def operation_id_of(given: str | None) -> Op[str]:
    """Return the identifier by which a repeated call is known: the caller's, or a fresh one."""
    if given is None:
        return (yield from new_id())
    return check_name(given, "operation_id", bytes_max=OPERATION_ID_BYTES_MAX)

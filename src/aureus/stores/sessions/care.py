"""The care of sessions: expired ones are swept, tombstones forgotten, and sessions of other programs adopted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aureus._database.kinds import check_record
from aureus._database.operation import write
from aureus._database.statement import Op, Queries, current_time, last_all, record
from aureus.clock import to_micros
from aureus.codec import check_name, check_text, encode_text
from aureus.errors import Invalid
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.sessions import (
    ACTIONS,
    DEFAULT_COLLECTION,
    ID_BYTES_MAX,
    ROLE_CHARACTERS_MAX,
    AdoptedMessage,
    AdoptedSession,
)
from aureus.stores.sessions.rows import (
    GONE_AT,
    SessionScope,
    operation_id_of,
    page_of,
)

sql = Queries("sessions")

Names = Sequence[tuple[str, str]]
"""Agents and their sessions."""


class CareOperations(SessionScope):
    """Operations that keep the sessions of a tenant in order."""

    @write
    def sweep_expired(self, *, limit: int = 500, operation_id: str | None = None) -> Op[int]:
        """Remove the content of sessions that have expired, in every collection; return how many there were. Atomic.

        At most 1,000 at a call, those that expired first before others; 0 is the end. Reads never see an expired
        session, swept or not; this gives its room back and facets a tombstone.
        """
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        yield from record(
            Fact(
                stream=DEFAULT_COLLECTION,
                type=EventType.SESSIONS_EXPIRED,
                payload={"operationId": operation},
                actor="aureus",
                audit=AuditPoint(
                    ACTIONS[EventType.SESSIONS_EXPIRED], DEFAULT_COLLECTION, is_decision=True
                ),
            )
        )
        swept = yield from last_all(
            sql.sweep_sessions,
            lambda row: str(row[0]),
            operation_id=operation,
            gone_at=GONE_AT,
            limit=page_of(limit),
            now=now,
        )
        return len(swept)

    @write
    def prune_deleted(self, *, before: datetime, limit: int = 500) -> Op[int]:
        """Forget the tombstones of sessions that were deleted before a moment, in every collection; return how many.

        At most 1,000 at a call, oldest first; 0 is the end. From then on a late append begins the session anew, and a
        new session of the same name counts its version from 1: leave tombstones as long as a writer may be late.
        """
        pruned = yield from last_all(
            sql.prune_sessions,
            lambda row: str(row[0]),
            before_at=before,
            limit=page_of(limit),
        )
        return len(pruned)

    @write
    def adopt(
        self,
        sessions: Sequence[AdoptedSession],
        *,
        actor: str = "aureus",
        operation_id: str | None = None,
    ) -> Op[Names]:
        """Take over sessions that another program kept, with their times and versions. Atomic.

        One whose name is taken here is left alone, so that a repeated call changes nothing. Returns the names of those
        that were taken by this call. Raises ``Invalid`` for what cannot be stored, and for one that is given twice.
        """
        operation = yield from operation_id_of(operation_id)
        _check_all(sessions)
        encoded = encode_text([_adopted(session) for session in sessions], what="sessions")
        stream = DEFAULT_COLLECTION
        yield from record(
            Fact(
                stream=stream,
                type=EventType.SESSIONS_ADOPTED,
                payload={"collection": self._collection, "operationId": operation},
                actor=actor,
                audit=AuditPoint(ACTIONS[EventType.SESSIONS_ADOPTED], stream, is_decision=True),
            )
        )
        return (
            yield from last_all(
                sql.adopt_sessions,
                lambda row: (str(row[0]), str(row[1])),
                collection=self._collection,
                sessions=encoded,
                operation_id=operation,
            )
        )


def _check_all(sessions: Sequence[AdoptedSession]) -> None:
    """Raise ``Invalid`` for a session whose parts are of the wrong kinds, or whose name stands twice."""
    names: set[tuple[str, str]] = set()
    for session in sessions:
        check_record(session)
        for message in session.messages:
            check_record(message)
        name = (session.agent_id, session.session_id)
        if name in names:
            raise Invalid(
                f"session {name[0]}/{name[1]} is given twice; give it once", what="sessions"
            )
        names.add(name)


def _adopted(session: AdoptedSession) -> dict[str, Any]:
    name = f"{session.agent_id}/{session.session_id}"
    return {
        "agent_id": check_name(session.agent_id, "agent_id", bytes_max=ID_BYTES_MAX),
        "session_id": check_name(session.session_id, "session_id", bytes_max=ID_BYTES_MAX),
        "version": max(1, session.version),
        "state": encode_text(session.state, what=f"state of {name}"),
        "context": encode_text(session.context, what=f"context of {name}"),
        "created_at": to_micros(session.created_at),
        "updated_at": to_micros(session.updated_at),
        "messages": [_adopted_message(message, name) for message in session.messages],
    }


def _adopted_message(message: AdoptedMessage, name: str) -> dict[str, Any]:
    check_text(message.role, f"role in {name}", characters_max=ROLE_CHARACTERS_MAX)
    return {
        "role": message.role,
        "content": encode_text(message.content, what=f"content in {name}"),
        "metadata": encode_text(message.metadata, what=f"metadata in {name}"),
        "created_at": to_micros(message.created_at),
    }

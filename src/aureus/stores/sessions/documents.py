"""The document of a session: saved, loaded, emptied, ended and deleted as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from aureus._database.operation import read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_one,
    last,
    last_all,
    record,
)
from aureus.codec import as_object, check_name, encode, encode_text
from aureus.errors import NotFound
from aureus.model.events import EventType
from aureus.model.plain import plain
from aureus.model.sessions import ID_BYTES_MAX, Session, SessionSummary
from aureus.stores.sessions.rows import GONE_AT, SessionScope, expiry_of, operation_id_of

sql = Queries("sessions")


class DocumentOperations(SessionScope):
    """Operations on the documents of sessions."""

    @write
    def save(
        self,
        agent_id: str,
        session_id: str,
        state: Any,
        *,
        expected_version: int | None = None,
        context: Mapping[str, Any] | None = None,
        ttl_seconds: float | None = None,
        expires_at: datetime | None = None,
        operation_id: str | None = None,
    ) -> Op[Session]:
        """Store the state of a session and return it with its new version. Atomic.

        ``expected_version`` is the version that the caller has seen, 0 for a session that must not be there yet, None
        for whatever is there. ``context`` replaces the stored one; None keeps it. ``ttl_seconds`` lets the session end
        that long after its last write, ``expires_at`` at a moment; neither keeps the rule it has. A session that was
        deleted or has expired is begun anew, without its old context and history; its version goes on counting.

        A repeated call with the same ``operation_id`` changes nothing, as long as no other save came between. Raises
        ``VersionConflict``, ``Invalid`` and ``LimitExceeded``.
        """
        named = self._named(agent_id, session_id)
        encoded = encode(state, what="state")
        context_text = (
            None if context is None else encode_text(as_object(context, "context"), what="context")
        )
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        ttl_ms, end = expiry_of(now, ttl_seconds, expires_at)
        fact = self._fact(
            EventType.SESSION_SAVED,
            agent_id,
            session_id,
            operationId=operation,
            stateBytes=len(encoded),
            sha256=sha256(encoded).hexdigest(),
        )
        yield from record(fact)

        def saved(row: Row) -> Session:
            return self._session((*row[:8], encoded if row[8] is None else row[8], row[9]))

        session = yield from last(
            sql.save_session,
            saved,
            **named,
            state=encoded.decode(),
            context=context_text,
            sets_expiry=ttl_seconds is not None or expires_at is not None,
            ttl_ms=ttl_ms,
            expires_at=end,
            expected_version=expected_version,
            operation_id=operation,
            now=now,
        )
        if session is None:
            raise Refused(self._why_refused(agent_id, session_id, expected_version))
        return session

    @read
    def load(self, agent_id: str, session_id: str) -> Op[Session]:
        """Return a session. Raises ``NotFound`` when there is none, or it was deleted or has expired."""
        session = yield from self._find(agent_id, session_id)
        if session is None:
            raise NotFound(
                f"there is no session {agent_id}/{session_id} in the collection {self._collection}",
                agent_id=agent_id,
                session_id=session_id,
            )
        return session

    @read
    def find(self, agent_id: str, session_id: str) -> Op[Session | None]:
        """Return a session, or None when there is none."""
        return (yield from self._find(agent_id, session_id))

    def _find(self, agent_id: str, session_id: str) -> Op[Session | None]:
        named = self._named(agent_id, session_id)
        now = yield from current_time()
        return (yield from fetch_one(sql.load_session, self._session, now=now, **named))

    @write
    def delete(
        self,
        agent_id: str,
        session_id: str,
        *,
        expected_version: int | None = None,
        actor: str | None = None,
        operation_id: str | None = None,
    ) -> Op[bool]:
        """Delete a session with its history; return whether there was one. Atomic, and harmless when repeated.

        What stays is a tombstone without content, so that a late write with an old ``expected_version`` is refused, and
        a late append too. Raises ``VersionConflict``.
        """
        named = self._named(agent_id, session_id)
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        yield from record(
            self._fact(
                EventType.SESSION_DELETED,
                agent_id,
                session_id,
                actor=actor,
                operationId=operation,
            )
        )
        version = yield from last(
            sql.delete_session,
            lambda row: int(row[0]),
            **named,
            expected_version=expected_version,
            operation_id=operation,
            gone_at=GONE_AT,
            now=now,
        )
        if version is None and expected_version is not None:
            raise Refused(self._why_refused(agent_id, session_id, expected_version))
        return version is not None

    @write
    def delete_agent(
        self, agent_id: str, *, actor: str | None = None, operation_id: str | None = None
    ) -> Op[int]:
        """Delete every session of an agent in this collection; return how many there were. Atomic."""
        agent = check_name(agent_id, "agent_id", bytes_max=ID_BYTES_MAX)
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        yield from record(
            self._fact(
                EventType.SESSIONS_DELETED,
                agent,
                actor=actor,
                operationId=operation,
            )
        )
        deleted = yield from last_all(
            sql.delete_sessions_of_agent,
            lambda row: str(row[0]),
            collection=self._collection,
            agent_id=agent,
            operation_id=operation,
            gone_at=GONE_AT,
            now=now,
        )
        return len(deleted)

    @write
    def reset(
        self,
        agent_id: str,
        session_id: str,
        *,
        expected_version: int | None = None,
        actor: str | None = None,
        operation_id: str | None = None,
    ) -> Op[Session]:
        """Empty a session: no state, no context, no history; its name, age and expiry stay. Atomic.

        Raises ``NotFound`` and ``VersionConflict``.
        """
        named = self._named(agent_id, session_id)
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        yield from record(
            self._fact(
                EventType.SESSION_RESET,
                agent_id,
                session_id,
                actor=actor,
                operationId=operation,
            )
        )
        session = yield from last(
            sql.reset_session,
            lambda row: self._session((*row[:8], None, None)),
            **named,
            expected_version=expected_version,
            operation_id=operation,
            now=now,
        )
        if session is None:
            raise Refused(self._why_refused(agent_id, session_id, expected_version))
        return session

    @write
    def set_expiry(
        self,
        agent_id: str,
        session_id: str,
        *,
        ttl_seconds: float | None = None,
        expires_at: datetime | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Op[SessionSummary]:
        """Say when a session ends: so long after its last write, at a moment, or, with neither, never. Atomic.

        Raises ``NotFound`` and ``VersionConflict``.
        """
        named = self._named(agent_id, session_id)
        operation = yield from operation_id_of(operation_id)
        now = yield from current_time()
        ttl_ms, end = expiry_of(now, ttl_seconds, expires_at)
        yield from record(
            self._fact(
                EventType.SESSION_EXPIRY_SET,
                agent_id,
                session_id,
                operationId=operation,
                expiresAt=plain(end),
            )
        )
        summary = yield from last(
            sql.set_session_expiry,
            self._summary,
            **named,
            ttl_ms=ttl_ms,
            expires_at=end,
            expected_version=expected_version,
            operation_id=operation,
            now=now,
        )
        if summary is None:
            raise Refused(self._why_refused(agent_id, session_id, expected_version))
        return summary

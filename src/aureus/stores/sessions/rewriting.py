"""Documents of many sessions of an agent, written as they are given.

For whoever brings earlier documents back (`aureus.snapshots`) and has seen the sessions in the same moment; callers use
the operations, which hold the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from aureus._database.statement import Op, Queries, current_time, fetch_all, record_all
from aureus.clock import to_micros
from aureus.codec import encode_made
from aureus.model.events import EventType, Fact
from aureus.stores.sessions.rows import SessionScope, expiry_of

sql = Queries("sessions")

BATCH_MAX = 250
"""Sessions of one statement that writes them."""


@dataclass(frozen=True, slots=True)
class SessionDocument:
    """What a session is to say, and when it ends: so long after now, at a moment, or, with neither, never."""

    session_id: str
    state: Any
    context: dict[str, Any]
    ttl_seconds: float | None
    expires_at: datetime | None


class SessionRewriting(SessionScope):
    """Writes documents of the sessions of one collection."""

    def rewrite(
        self, agent_id: str, documents: Sequence[SessionDocument], *, operation_id: str
    ) -> Op[None]:
        """Give sessions their documents, each as its next version and with its event.

        Only inside a whole operation: what each session is now is what that operation has seen. One that was deleted or
        has expired begins anew, without its history.
        """
        if not documents:
            return
        now = yield from current_time()
        rows: list[dict[str, Any]] = []
        facts: list[Fact] = []
        for document in sorted(documents, key=lambda one: one.session_id):
            ttl_ms, end = expiry_of(now, document.ttl_seconds, document.expires_at)
            state = encode_made(document.state)
            rows.append(
                {
                    "session_id": document.session_id,
                    "state": state,
                    "context": encode_made(document.context),
                    "ttl_ms": ttl_ms,
                    "expires_at": None if end is None else to_micros(end),
                }
            )
            facts.append(
                self._fact(
                    EventType.SESSION_SAVED,
                    agent_id,
                    document.session_id,
                    operationId=operation_id,
                    stateBytes=len(state.encode()),
                    sha256=sha256(state.encode()).hexdigest(),
                )
            )
        yield from record_all(facts)
        yield from fetch_all(
            sql.rewrite_sessions,
            bool,
            collection=self._collection,
            agent_id=agent_id,
            sessions=encode_made(rows),
            operation_id=operation_id,
            now=now,
        )

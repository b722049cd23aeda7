"""The table ``agent_states`` of the Forge SDK: how its rows become sessions.

A row holds agent, session, times, and a document with version, data, history and context. A document of another shape
becomes the state as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from aureus.model.sessions import AdoptedMessage, AdoptedSession

COLUMNS = ("agent_id", "session_id", "state", "created_at", "updated_at")
"""The columns of such a table."""


def session_of(
    agent_id: str, session_id: str, document: Any, created_at: datetime, updated_at: datetime
) -> AdoptedSession:
    """Return the session of a row; its times are those of the columns, which such documents contradict at times."""
    fields = _fields(document)
    history = fields.get("history")
    if "data" not in fields or not isinstance(history, list | None):
        return AdoptedSession(agent_id, session_id, 1, document, {}, created_at, updated_at)
    context, version = fields.get("context"), fields.get("version")
    return AdoptedSession(
        agent_id=agent_id,
        session_id=session_id,
        version=version if type(version) is int and version > 0 else 1,
        state=fields["data"],
        context=_fields(context),
        created_at=created_at,
        updated_at=updated_at,
        messages=[_message(item, created_at) for item in cast(Sequence[Any], history or ())],
    )


def _message(item: Any, otherwise: datetime) -> AdoptedMessage:
    fields = _fields(item) if isinstance(item, dict) else {"content": item}
    metadata = fields.get("metadata")
    return AdoptedMessage(
        role=str(fields.get("role") or "unknown"),
        content=fields.get("content"),
        metadata=_fields(metadata),
        created_at=_moment(fields.get("timestamp"), otherwise),
    )


def _fields(value: Any) -> dict[str, Any]:
    """Return an object's fields; none of what is no object."""
    return cast(dict[str, Any], value) if isinstance(value, dict) else {}


def _moment(value: Any, otherwise: datetime) -> datetime:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return otherwise
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

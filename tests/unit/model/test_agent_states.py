"""Documents of the Forge SDK become sessions, and what is none becomes a state as it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aureus.model.agent_states import session_of

CREATED = datetime(2024, 5, 1, tzinfo=UTC)
UPDATED = CREATED + timedelta(days=1)


def adopted(document: Any) -> Any:
    """Return the session of a document."""
    return session_of("a", "s", document, CREATED, UPDATED)


def test_a_document_is_taken_apart() -> None:
    session = adopted(
        {
            "version": 3,
            "data": {"n": 1},
            "context": {"k": 1},
            "created_at": "1999-01-01T00:00:00Z",
            "history": [
                {
                    "role": "user",
                    "content": 1,
                    "timestamp": "2024-05-01T10:00:00",
                    "metadata": {"m": 1},
                },
                {"content": "x", "timestamp": "not a time", "metadata": []},
                "bare",
            ],
        }
    )
    assert (session.state, session.context, session.version) == ({"n": 1}, {"k": 1}, 3)
    assert (session.created_at, session.updated_at) == (CREATED, UPDATED)
    first, second, third = session.messages
    assert (first.role, first.content, first.metadata) == ("user", 1, {"m": 1})
    assert first.created_at == CREATED + timedelta(hours=10)
    assert (second.role, second.metadata, second.created_at) == ("unknown", {}, CREATED)
    assert (third.role, third.content) == ("unknown", "bare")


@pytest.mark.parametrize(
    "document", [None, 1, [], "x", {}, {"n": 1}, {"data": 1, "history": {"role": "user"}}]
)
def test_another_document_is_the_state(document: Any) -> None:
    session = adopted(document)
    assert (session.state, session.context, session.version) == (document, {}, 1)
    assert list(session.messages) == []


@pytest.mark.parametrize("version", [0, -1, True, "3", None, 1.5])
def test_a_version_that_is_none_begins_at_one(version: Any) -> None:
    assert adopted({"data": None, "version": version}).version == 1

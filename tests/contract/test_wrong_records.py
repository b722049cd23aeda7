"""A record that a caller makes is refused by the name of its wrong part, before anything is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from aureus.errors import Invalid
from aureus.model.memories import MemoryFilter, NewMemory, Provenance
from aureus.model.sessions import AdoptedMessage, AdoptedSession
from tests.contract.stage import Stage

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("is_shared", "yes"),
        ("is_shared", None),
        ("metadata", "abc"),
        ("metadata", [1]),
        ("provenance", {"run_id": "r"}),
        ("provenance", Provenance(run_id=5)),  # type: ignore[arg-type]  # the mistake
        ("tags", "ab"),
        ("memory_id", 5),
    ],
)
def test_a_new_memory(stage: Stage, name: str, value: Any) -> None:
    given = replace(NewMemory(text="x", agent_id="a"), **{name: value})
    with pytest.raises(Invalid, match=name):
        stage.stores.memories.add_chunk([NewMemory(text="y", agent_id="a"), given])
    assert stage.stores.memories.count() == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("include_shared", "yes"), ("min_confidence", "high"), ("min_confidence", True)],
)
def test_a_filter(stage: Stage, name: str, value: Any) -> None:
    wanted = replace(MemoryFilter(), **{name: value})
    for read in (stage.stores.memories.query, stage.stores.memories.count):
        with pytest.raises(Invalid, match=name):
            read(wanted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("created_at", NOW.replace(tzinfo=None)),
        ("updated_at", "yesterday"),
        ("version", "7"),
        ("context", [1]),
        ("messages", [AdoptedMessage("user", 1, {}, NOW.replace(tzinfo=None))]),
    ],
)
def test_an_adopted_session(stage: Stage, name: str, value: Any) -> None:
    given = AdoptedSession("a", "s", 1, {}, {}, NOW, NOW)
    with pytest.raises(Invalid):
        stage.stores.sessions.adopt([given, replace(given, session_id="t", **{name: value})])
    assert stage.stores.sessions.count() == 0


def test_a_session_that_is_adopted_twice_at_once(stage: Stage) -> None:
    """The engine's own words about a unique key were the answer."""
    given = AdoptedSession("a", "s", 1, {}, {}, NOW, NOW)
    with pytest.raises(Invalid, match="a/s is given twice"):
        stage.stores.sessions.adopt([given, given])
    assert list(stage.stores.sessions.adopt([given])) == [("a", "s")]

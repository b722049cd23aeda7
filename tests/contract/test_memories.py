"""Memories: found again as they were said, changed and forgotten without losing what was known before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from aureus.errors import AlreadyExists, Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model.memories import AsOf, Memory, MemoryTier, NewMemory, Provenance
from aureus.stores.memories.criteria import BEGINNING, END
from aureus.stores.memories.facts import fingerprint_of
from tests.contract.stage import Stage

LATER = datetime(2027, 3, 1, 12, tzinfo=timezone(timedelta(hours=2)))


def add(stage: Stage, text: str = "likes tea", **more: Any) -> Memory:
    """Add a memory of the planner."""
    found: Memory = stage.stores.memories.add(text, **{"agent_id": "planner", **more})
    return found


def test_moments_at_the_ends_of_the_calendar_come_back_to_the_microsecond(stage: Stage) -> None:
    """PostgreSQL reckoned them with 53 bits: the last one became the year 10000, and no list could be read."""
    ends = [BEGINNING, datetime(2255, 6, 5, 23, 47, 34, 740993, UTC), END]
    store = stage.stores.memories
    for number, end in enumerate(ends):
        memory_id = f"m{number}"
        added = add(stage, memory_id=memory_id, valid_from=end, valid_to=end)
        assert (added.valid_from, added.valid_to) == (end, end)
        assert store.get(memory_id) == added
        store.update(memory_id, expires_at=END)
    assert len(store.query(as_of=AsOf(recorded=stage.backend.clock.now()))) == 3


def events_of(stage: Stage, memory: Memory) -> list[str]:
    """Return the types of the events of a memory's agent and user."""
    return [event.type for event in stage.stores.events.read_stream(memory.stream)]


def test_a_memory_comes_back_as_it_was_said(stage: Stage) -> None:
    said: dict[str, Any] = {
        "user_id": "ada / 100% \u2028",
        "session_id": "s1",
        "namespace": "work",
        "type": "preference",
        "content": {"zero": 0, "none": None, "list": ["", False, 1.5, 2**62], "ü": "🐙"},
        "tags": ["b", "a", "it's"],
        "confidence": 1,
        "subject": "ada",
        "language": "german",
        "metadata": {"k": [1, {"x": None}]},
        "provenance": Provenance("r1", "t1", "s1", "e1", LATER),
        "sources": ["m1", "m2"],
        "is_shared": True,
        "occurred_at": LATER,
        "valid_from": LATER,
        "valid_to": LATER + timedelta(days=1),
        "expires_at": LATER + timedelta(days=2, microseconds=1),
    }
    text = "mag Tee \u2014 'quotes' \"double\" \\ ; -- \n\t\U0001f375"
    memory = add(stage, text, memory_id="m9", **said)
    assert memory == stage.stores.memories.get("m9")
    assert (memory.text, memory.memory_id, memory.version) == (text, "m9", 1)
    for name, value in said.items():
        wanted = tuple(value) if name in {"tags", "sources"} else value
        assert getattr(memory, name) == wanted, name
    assert memory.tier is MemoryTier.HOT
    assert memory.created_at == memory.updated_at == stage.backend.clock.now()
    assert memory.to_dict()["occurred_at"] == "2027-03-01T10:00:00.000000Z"


def test_what_is_left_out_is_none_and_times_are_now(stage: Stage) -> None:
    memory = add(stage)
    assert (memory.user_id, memory.session_id, memory.key, memory.subject) == (None,) * 4
    assert (memory.provenance, memory.content, memory.tags, memory.metadata) == (None, None, (), {})
    assert (memory.confidence, memory.type) == (0.5, "episodic_note")
    assert memory.occurred_at == stage.backend.clock.now()


def test_a_repeated_addition_returns_the_memory_and_writes_nothing(stage: Stage) -> None:
    first = add(stage, memory_id="m1")
    assert add(stage, memory_id="m1") == first
    changed = stage.stores.memories.update("m1", text="likes coffee")
    assert add(stage, memory_id="m1") == changed
    assert events_of(stage, first) == ["memory_created", "memory_updated"]


def test_one_id_for_two_memories_is_refused(stage: Stage) -> None:
    first = add(stage, memory_id="m1")
    others: list[dict[str, Any]] = [
        {"text": "other"}, {"agent_id": "coach"}, {"content": 1}, {"type": "fact"},
    ]  # fmt: skip
    for other in others:
        with pytest.raises(AlreadyExists, match="m1 exists"):
            add(stage, memory_id="m1", **other)
    assert stage.stores.memories.get("m1") == first
    assert events_of(stage, first) == ["memory_created"]


def test_an_update_changes_what_it_names_and_nothing_else(stage: Stage) -> None:
    first = add(stage, tags=["a", "b"], content={"n": 1}, confidence=0.2, user_id="ada")
    stage.backend.clock.advance(10)
    changed = stage.stores.memories.update(
        first.memory_id, content=None, tags=["b", "c"], confidence=0.9, expected_version=1
    )
    assert (changed.text, changed.content, changed.tags) == ("likes tea", None, ("b", "c"))
    assert (changed.version, changed.confidence, changed.user_id) == (2, 0.9, "ada")
    assert changed.created_at == first.created_at < changed.updated_at
    assert stage.stores.memories.get(first.memory_id) == changed


def test_a_stale_expectation_is_a_conflict_that_names_both_versions(stage: Stage) -> None:
    memory = add(stage)
    stage.stores.memories.update(memory.memory_id, text="two")
    for call in (stage.stores.memories.update, stage.stores.memories.forget):
        with pytest.raises(VersionConflict, match="version 2, not 1") as caught:
            call(memory.memory_id, expected_version=1)
        assert (caught.value.version, caught.value.expected_version) == (2, 1)
    assert events_of(stage, memory) == ["memory_created", "memory_updated"]


def test_a_repeated_update_returns_what_it_wrote_however_much_came_after(stage: Stage) -> None:
    memory = add(stage)
    update = stage.stores.memories.update
    first = update(memory.memory_id, text="one", operation_id="op1", expected_version=1)
    for _ in range(2):
        assert update(memory.memory_id, text="one", operation_id="op1", expected_version=1) == first
    update(memory.memory_id, text="two")
    assert update(memory.memory_id, text="one", operation_id="op1") == first
    assert stage.stores.memories.get(memory.memory_id).text == "two"
    assert len(events_of(stage, memory)) == 3


def test_forgetting_hides_a_memory_and_twice_is_once(stage: Stage) -> None:
    memory = add(stage, tags=["a"])
    forgotten = stage.stores.memories.forget(memory.memory_id, actor="ada")
    assert (forgotten.deleted_at, forgotten.version) == (stage.backend.clock.now(), 2)
    assert stage.stores.memories.forget(memory.memory_id) == forgotten
    with pytest.raises(NotFound, match="was forgotten"):
        stage.stores.memories.get(memory.memory_id)
    with pytest.raises(NotFound, match="was forgotten"):
        stage.stores.memories.update(memory.memory_id, text="x")
    with pytest.raises(NotFound, match="no memory 'nobody'"):
        stage.stores.memories.forget("nobody")
    (entry,) = stage.stores.audit.list().entries
    assert (entry.type, entry.actor, entry.action) == ("memory_deleted", "ada", "memory.delete")
    assert entry.resource == f"memories/{memory.memory_id}"


def test_an_expired_memory_is_gone_at_once(stage: Stage) -> None:
    memory = add(stage, expires_at=stage.backend.clock.now() + timedelta(seconds=60))
    stage.backend.clock.advance(59.9)
    assert stage.stores.memories.get(memory.memory_id) == memory
    stage.backend.clock.advance(0.1)
    for call in (stage.stores.memories.get, stage.stores.memories.update):
        with pytest.raises(NotFound, match="has expired"):
            call(memory.memory_id)


def test_the_event_of_a_write_proves_its_text_without_repeating_it(stage: Stage) -> None:
    memory = add(stage, "a secret", provenance=Provenance(run_id="r7"))
    changed = stage.stores.memories.update(memory.memory_id, text="another secret")
    created, updated = stage.stores.events.read_stream("memories/planner")
    assert "secret" not in repr((created.payload, updated.payload))
    assert (created.payload["memoryId"], created.payload["version"]) == (memory.memory_id, 1)
    assert created.payload["sha256"] == fingerprint_of(memory)
    assert updated.payload["sha256"] == fingerprint_of(changed) != fingerprint_of(memory)
    assert (created.actor, created.correlation_id) == ("planner", "r7")


WRONG: list[dict[str, Any]] = [
    {"text": ""},
    {"text": "nul \x00"},
    {"text": "half \ud800"},
    {"text": 1},
    {"agent_id": ""},
    {"user_id": ""},
    {"agent_id": "x" * 257},
    {"type": "rumour"},
    {"tags": "abc"},
    {"tags": [str(n) for n in range(65)]},
    {"tags": [""]},
    {"confidence": 1.1},
    {"confidence": float("nan")},
    {"confidence": True},
    {"content": float("inf")},
    {"content": {"a": "\x00"}},
    {"content": 2**64},
    {"occurred_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - what is refused
    {"expires_at": "tomorrow"},
    {"valid_from": LATER, "valid_to": LATER - timedelta(seconds=1)},
    {"provenance": Provenance(run_id="")},
]


def test_what_cannot_be_kept_is_refused_before_anything_is_stored(stage: Stage) -> None:
    for wrong in WRONG:
        with pytest.raises((Invalid, LimitExceeded)):
            add(stage, **{"text": "fine", **wrong})
    assert stage.stores.events.stream_version("memories/planner") == 0


def test_of_many_updates_at_once_with_one_expectation_exactly_one_wins(stage: Stage) -> None:
    memory = add(stage)

    def attempt(number: int) -> bool:
        try:
            stage.stores.memories.update(memory.memory_id, text=f"n{number}", expected_version=1)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
        list(
            pool.map(
                lambda n: stage.stores.memories.update(memory.memory_id, text=f"m{n}"), range(8)
            )
        )
    assert stage.stores.memories.get(memory.memory_id).version == 10
    assert events_of(stage, memory) == ["memory_created", *["memory_updated"] * 9]


def test_another_tenants_memories_are_not_there(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    memory = add(stage, memory_id="m1")
    other = another_stage("other")
    for call in (other.stores.memories.get, other.stores.memories.forget):
        with pytest.raises(NotFound):
            call("m1")
    assert add(other, "mine", memory_id="m1").text == "mine"
    assert stage.stores.memories.get("m1") == memory


def test_a_load_goes_chunk_by_chunk_and_is_simply_repeated(stage: Stage) -> None:
    wanted = [
        NewMemory(text=f"n{n}", agent_id=f"a{n % 3}", memory_id=f"m{n:03}", tags=["load"])
        for n in range(70)
    ]
    store = stage.stores.memories
    assert store.add_all(wanted[:30], chunk_size=20) == 30
    assert store.add_all(wanted, chunk_size=20) == 70
    assert [memory.text for memory in store.add_chunk([wanted[69], wanted[0]])] == ["n69", "n0"]
    assert sum(stage.stores.events.stream_version(f"memories/a{n}") for n in range(3)) == 70
    with pytest.raises(AlreadyExists, match="m005"):
        store.add_all([NewMemory(text="new", agent_id="a"), replace(wanted[5], text="other")])
    assert stage.stores.events.stream_version("memories/a") == 0
    with pytest.raises(LimitExceeded):
        store.add_chunk([NewMemory(text="x", agent_id="a")] * 1001)
    assert list(store.add_chunk([])) == []

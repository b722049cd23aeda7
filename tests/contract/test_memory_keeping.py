"""Many memories at once: cleared within their bounds, kept as close as they are used, and swept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aureus.errors import Invalid, LimitExceeded
from aureus.model.memories import Memory, MemoryTier, NewMemory
from aureus.model.retention import RetentionAction, RetentionPolicy, TierRule
from tests.contract.stage import Stage


def test_clearing_touches_one_agent_and_one_user_only(stage: Stage) -> None:
    store = stage.stores.memories
    store.add_all(
        NewMemory(text="x", agent_id=agent, user_id=user, tags=["t"])
        for agent in ("a", "b")
        for user in ("u", "v", None)
        for _ in range(3)
    )
    assert store.clear_batch("a", user_id="u", limit=2) == 2
    assert store.clear("a", user_id="u", actor="ada") == 1
    assert store.clear("a", user_id="u") == 0
    assert (store.count(agent_id="a"), store.count(agent_id="b")) == (6, 9)
    assert store.clear("a", user_id="") == 3
    assert store.clear("a") == 3
    assert (store.count(), store.count(tags=["t"])) == (9, 9)
    entries = stage.stores.audit.list().entries
    assert [entry.details["reason"] for entry in entries] == ["cleared"] * 9
    assert entries[2].actor == "ada"


def test_retention_moves_what_is_old_and_unused(stage: Stage) -> None:
    store, clock = stage.stores.memories, stage.backend.clock
    for name in ("used", "unused", "long"):
        store.add(name, agent_id="a", memory_id=name)
    for _ in range(10):
        assert store.record_access(["used", "used", "nobody"]) == 1
    assert list(store.list_due()) == []
    clock.advance(24 * 3600)
    store.add("new", agent_id="a", memory_id="new")
    due = store.list_due()
    assert [(d.memory.memory_id, d.action, d.tier) for d in due] == [
        ("long", RetentionAction.TRANSITION, MemoryTier.WARM),
        ("unused", RetentionAction.TRANSITION, MemoryTier.WARM),
    ]
    store.update("long", text="longer")
    assert store.apply_retention(due) == 1, "what was changed since is decided about anew"
    assert store.apply_retention(due) == 1, "moving makes no new version"
    assert [store.get(name).tier.value for name in ("used", "unused", "long")] == [
        "hot",
        "warm",
        "hot",
    ]
    assert store.get("unused").version == 1
    clock.advance(6 * 24 * 3600)

    def shorten(memory: Memory, ratio: float) -> str:
        return memory.text[: round(len(memory.text) * ratio)]

    assert store.retain(summarize=shorten) == 4
    found = {memory.memory_id: memory for memory in store.query()}
    assert (found["unused"].text, found["unused"].tier.value) == ("unu", "cold")
    assert [version.memory.text for version in store.history("unused")] == ["unu", "unused"]
    assert (found["used"].text, found["used"].tier.value) == ("used", "hot")
    assert store.count(tier="warm") == 1
    ends = RetentionPolicy(
        {MemoryTier.COLD: TierRule(timedelta(0)), MemoryTier.ARCHIVED: TierRule(timedelta(0))}
    )
    assert store.retain(ends) >= 2
    assert store.find("unused") is None
    kinds = {event.type for event in stage.stores.events.read_stream("memories/a")}
    assert kinds == {"memory_created", "memory_updated", "memory_moved", "memory_deleted"}


def test_a_summary_that_says_nothing_is_refused_and_nothing_is_lost(stage: Stage) -> None:
    """It was stored, and the memory could not be changed any more."""
    store = stage.stores.memories
    store.add("short", agent_id="a", memory_id="m")
    rules = RetentionPolicy({MemoryTier.HOT: TierRule(timedelta(0), 0, 0.5)})
    for summary in ("", " ", "nul \x00"):
        with pytest.raises(Invalid, match="summary of memory m"):
            store.retain(rules, summarize=lambda *_, said=summary: said)
    assert (store.get("m").text, store.get("m").tier.value) == ("short", "hot")
    assert store.retain(rules, summarize=lambda *_: "s") == 1
    assert store.get("m").text == "s"


def test_intervals_of_versions_are_not_turned_round_by_a_clock_that_went_back(stage: Stage) -> None:
    clock, store = stage.backend.clock, stage.stores.memories
    clock.advance(10)
    began = clock.now()
    store.add("x", agent_id="a", memory_id="m")
    clock.advance(-5)
    assert store.clear("a") == 1
    assert [(one.recorded_from, one.recorded_to) for one in store.history("m")] == [
        (began, None),
        (began, began),
    ]


def test_a_batch_has_a_largest_size(stage: Stage) -> None:
    with pytest.raises(LimitExceeded):
        stage.stores.memories.record_access([str(n) for n in range(251)])
    stage.stores.memories.add_all(
        NewMemory(
            text="x", agent_id="a", expires_at=stage.backend.clock.now() + timedelta(seconds=n + 1)
        )
        for n in range(300)
    )
    stage.backend.clock.advance(1000)
    counts = [stage.stores.memories.sweep_expired() for _ in range(3)]
    assert counts == [250, 50, 0]

"""Recall and search: what was written is found at once, best first, under the whole filter, by any text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aureus.errors import Invalid, LimitExceeded
from aureus.model.memories import Provenance
from tests.contract.stage import Stage

ODD_TEXTS = [
    "", " ", "'", '"', "''; DROP TABLE memories; --", "%_\\", "* ^ NEAR(", "a:b AND NOT (c", "((((", "&|!<->:*",
    "\u2028\u200b", "🦀", "e\u0301", "-", "OR", '-"', "=agent=planner", "x" * 9000,
]  # fmt: skip


def found(answer: Any) -> list[str]:
    """Return the texts of an answer."""
    return [hit.memory.text for hit in answer]


def at_each_stage(stage: Stage, check: Callable[[], None]) -> None:
    """Check what is pending, and again what is indexed."""
    check()
    assert stage.stores.memories.index() > 0
    check()
    assert stage.stores.memories.index() == 0


def test_a_step_of_upkeep_takes_as_many_as_it_is_told(stage: Stage) -> None:
    memories = stage.stores.memories
    for number in range(5):
        memories.add(f"tide {number}", agent_id="a")
    steps = [memories.index_step(batch_max=2) for _ in range(4)]
    assert [(step.is_done, step.indexed_count) for step in steps] == [
        (False, 2),
        (False, 2),
        (False, 1),
        (True, 0),
    ]


def test_what_was_written_is_found_by_any_form_of_its_words_best_first(stage: Stage) -> None:
    add = stage.stores.memories.add
    for text in (
        "The moon moves the tides",
        "Tides, tides, tides: spring tides at full moon",
        "A long note that mentions the tide once among many other words about boats and harbours",
        "Nothing to see here",
    ):
        add(text, agent_id="planner")

    def check() -> None:
        recall = stage.stores.memories.recall
        answer = recall("What makes a tide?")
        assert found(answer) == [
            "Tides, tides, tides: spring tides at full moon",
            "The moon moves the tides",
            "A long note that mentions the tide once among many other words about boats and harbours",
        ]
        assert answer.is_exact
        assert answer.missed_score_max == 0
        assert len(recall("full moon tide", limit=1)) == 1
        assert found(recall("harbour")) == [answer[2].memory.text]
        # Words that carry no content are used when there are no others.
        assert found(recall("here to")) == ["Nothing to see here"]
        assert found(recall("nowhere")) == []

    at_each_stage(stage, check)


def test_any_text_is_safe(stage: Stage) -> None:
    stage.stores.memories.add("It's 100% a_b \\ c: NEAR 🦀 OR crab", agent_id="planner")
    for text in ODD_TEXTS:
        for answer in (
            stage.stores.memories.recall(text),
            stage.stores.memories.search(text),
            stage.stores.memories.search(text, match="web"),
        ):
            assert len(answer) <= 1
    assert len(stage.stores.memories.recall("100 crabs")) == 1
    for bad in ("nul \x00", "surrogate \ud800"):
        with pytest.raises(Invalid):
            stage.stores.memories.recall(bad)
    with pytest.raises(LimitExceeded):
        stage.stores.memories.recall("x " * 6000)
    with pytest.raises(Invalid, match="klingon"):
        stage.stores.memories.recall("x", language="klingon")
    with pytest.raises(Invalid, match="match"):
        stage.stores.memories.search("x", match="some")


def test_a_search_is_strict_about_words_phrases_and_exclusions(stage: Stage) -> None:
    one = "spring tide at the full moon"
    two = "tide in spring, and an ebb"
    three = "the moon in spring"
    for text in (one, two, three):
        stage.stores.memories.add(text, agent_id="planner")

    def check() -> None:
        search = stage.stores.memories.search
        assert set(found(search("spring tide"))) == {one, two}
        assert found(search('"spring tide"', match="web")) == [one]
        assert found(search('tide -"full moon"', match="web")) == [two]
        assert found(search("spring -moon", match="web")) == [two]
        assert set(found(search("ebb OR moon spring", match="web"))) == {one, two, three}
        assert found(search('"moon in" OR ebb -tides', match="web")) == [three]
        assert found(search("-moon", match="web")) == []
        assert found(search("spring tide comet")) == []

    at_each_stage(stage, check)


def test_a_filter_is_part_of_the_search(stage: Stage) -> None:
    add = stage.stores.memories.add
    now = stage.backend.clock.now()
    add("tide a", agent_id="planner", user_id="ada", tags=["x", "y"], type="fact", subject="sea")
    add("tide b", agent_id="planner", user_id="bob", tags=["x"], namespace="n", confidence=0.9)
    add("tide c", agent_id="other", is_shared=True, content={"k": [1, 2]}, session_id="s1")
    add(
        "tide d", agent_id="other", user_id="ada",
        provenance=Provenance(run_id="r1", task_id="t1", source_event_id="e1"),
    )  # fmt: skip
    add("tide e", agent_id="planner", occurred_at=now - timedelta(days=9))
    add("tide f", agent_id="planner", expires_at=now + timedelta(seconds=5))
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "abcdef"),
        ({"agent_id": "planner"}, "abef"),
        ({"user_id": "ada"}, "ad"),
        ({"user_id": ""}, "cef"),
        ({"agent_id": "planner", "user_id": "ada"}, "a"),
        ({"agent_id": "planner", "include_shared": True}, "abcef"),
        ({"agent_id": "planner", "user_id": "ada", "include_shared": True}, "ac"),
        ({"tags": ["x", "y"]}, "a"),
        ({"tags_any": ["y", "x"]}, "ab"),
        ({"types": ["fact", "goal"]}, "a"),
        ({"subject": "sea"}, "a"),
        ({"namespace": "n"}, "b"),
        ({"min_confidence": 0.8}, "b"),
        ({"containing": {"k": [2]}}, "c"),
        ({"session_id": "s1"}, "c"),
        ({"run_id": "r1"}, "d"),
        ({"task_id": "t1"}, "d"),
        ({"source_event_id": "e1"}, "d"),
        ({"occurred_to": now - timedelta(days=1)}, "e"),
        ({"agent_id": "nobody"}, ""),
    ]

    def check() -> None:
        for criteria, letters in cases:
            answer = stage.stores.memories.recall("tides", **criteria)
            assert "".join(sorted(text[-1] for text in found(answer))) == letters, criteria
            assert answer.is_exact

    at_each_stage(stage, check)
    stage.backend.clock.advance(6)
    assert "tide f" not in found(stage.stores.memories.recall("tide"))


def test_a_filter_that_leaves_few_finds_them_however_many_memories_there_were(
    stage: Stage,
) -> None:
    memories = stage.stores.memories
    for number in range(3):
        memories.add(f"a tide of old {number}", agent_id="a", tags=["rare"])
    memories.index()
    _skip_documents(stage, 70_000)
    for number in range(3):
        memories.add(f"a tide of now {number}", agent_id="a", tags=["rare"])
        memories.add(f"a common tide {number}", agent_id="a", tags=["common"])
    while memories.index():
        pass
    assert sorted(found(memories.recall("tide", tags=["rare"]))) == [
        *(f"a tide of now {number}" for number in range(3)),
        *(f"a tide of old {number}" for number in range(3)),
    ]


def _skip_documents(stage: Stage, count: int) -> None:
    """Let the next document of the index have a number as if so many had been there before."""
    table = stage.table("text_indexes")
    with stage.backend.transaction(stage.tenant) as tx:
        tx.execute(f"UPDATE {table} SET next_document_no = next_document_no + {count}")


def test_what_changes_is_found_as_it_is_now(stage: Stage) -> None:
    memories = stage.stores.memories
    kept = memories.add("tide one", agent_id="planner")
    memories.put("k", "tide two", agent_id="planner")
    gone = memories.add("tide three", agent_id="planner")
    for is_indexed in (False, True):
        if is_indexed:
            memories.index()
        memories.update(kept.memory_id, text=f"ebb {is_indexed}")
        assert found(memories.recall("ebb")) == [f"ebb {is_indexed}"]
        memories.update(kept.memory_id, text="tide one")
        memories.put("k", f"tide two {is_indexed}", agent_id="planner")
        memories.forget(gone.memory_id)
        assert set(found(memories.recall("tide"))) == {"tide one", f"tide two {is_indexed}"}
        memories.restore(gone.memory_id)
        assert "tide three" in found(memories.recall("three"))
    memories.purge(gone.memory_id)
    assert found(memories.recall("three")) == []
    memories.index()
    assert found(memories.recall("three")) == []
    assert memories.clear("planner") == 2
    assert found(memories.recall("tide")) == []


def test_as_many_come_back_as_there_are_and_pages_follow_each_other(stage: Stage) -> None:
    memories = stage.stores.memories
    for number in range(120):
        memories.add(
            "tide " * (number % 5 + 1) + "word " * (number % 7), agent_id="planner",
            confidence=0.9 if number % 20 == 0 else 0.1, memory_id=f"m{number:03d}",
        )  # fmt: skip

    def check() -> None:
        rare = memories.recall("tide", min_confidence=0.5, limit=10)
        assert {hit.memory.memory_id for hit in rare} == {f"m{n:03d}" for n in range(0, 120, 20)}
        everything = memories.recall("tide", limit=500)
        assert len(everything) == 120
        paged = []
        after = None
        while page := memories.recall("tide", limit=50, after=after).hits:
            paged += page
            after = page[-1].cursor
        assert [hit.memory.memory_id for hit in paged] == [
            hit.memory.memory_id for hit in everything
        ]
        scores = [hit.score for hit in everything]
        assert scores == sorted(scores, reverse=True)

    at_each_stage(stage, check)


def test_neighbours_and_sessions_come_with_a_hit(stage: Stage) -> None:
    memories = stage.stores.memories
    for session in ("s1", "s2"):
        talk = memories.conversation(session, agent_id="planner", user_id="ada")
        for number in range(5):
            word = "tide" if number == 2 or (session == "s2" and number > 2) else "talk"
            talk.append(f"{word} {session} {number}", role="user")
    memories.add("tide alone", agent_id="planner")
    answer = memories.recall("tide s1", limit=1, neighbours=2)
    (hit,) = answer
    assert hit.memory.text == "tide s1 2"
    assert [memory.text for memory in hit.before] == ["talk s1 0", "talk s1 1"]
    assert [memory.text for memory in hit.after] == ["talk s1 3", "talk s1 4"]
    grouped = memories.recall("tide", group_by="session", neighbours=1, limit=2)
    assert [one.session_id for one in grouped.sessions] == ["s2", None]
    assert len(grouped.sessions[0].hits) == 3
    assert len(memories.recall("tide", group_by="session").sessions) == 3
    with pytest.raises(Invalid, match="group_by is 'user'"):
        memories.recall("tide", group_by="user")
    plain = grouped.to_dict()
    assert plain["sessions"][0]["hits"][0]["memory"]["agent_id"] == "planner"


def test_tenants_do_not_find_each_others_memories(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    other = another_stage("other")
    stage.stores.memories.add("tide of acme", agent_id="planner")
    other.stores.memories.add("tide of other", agent_id="planner")
    for _ in range(2):
        assert found(stage.stores.memories.recall("tide")) == ["tide of acme"]
        assert found(other.stores.memories.recall("tide")) == ["tide of other"]
        stage.stores.memories.index()

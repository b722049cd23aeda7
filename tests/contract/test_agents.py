"""An agent keeps and finds its own memories, and says by itself where they came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aureus.agents import provenance_at_hand, words_of
from aureus.errors import AlreadyExists, Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model.memories import Provenance
from aureus.tools import ToolCall
from aureus.tools.contract import CURRENT_CALL
from tests.contract.stage import Stage


def test_what_an_agent_remembers_is_its_own_and_says_where_it_came_from(stage: Stage) -> None:
    came_from = Provenance(run_id="r1", task_id="ask", step_id="1")
    planner = stage.stores.agent("planner", user="ada", session="s1", provenance=came_from)
    memory = planner.remember("Ada likes short answers", tags=["preference"], confidence=0.8)
    assert (memory.agent_id, memory.user_id, memory.session_id) == ("planner", "ada", "s1")
    assert (memory.provenance.run_id, memory.provenance.task_id) == ("r1", "ask")
    assert planner.get(memory.memory_id) == memory
    assert planner.query() == [memory]
    assert stage.stores.agent("planner", user="bob").query() == []
    assert stage.stores.agent("planner").count() == 1
    assert stage.stores.agent("coach", user="ada").count() == 0


def test_a_value_is_remembered_as_content_and_found_by_its_words(stage: Stage) -> None:
    planner = stage.stores.agent("planner")
    value = {"port": "Brest", "tides": [{"high": "04:12"}, {"low": None}], "is_safe": True}
    memory = planner.remember(value)
    assert memory.content == value
    assert memory.text == words_of(value) == "port: Brest\ntides high: 04:12\nis_safe: true"
    with pytest.raises(Invalid, match="once"):
        planner.remember(value, content={"another": 1})


def test_a_key_holds_the_newest_memory_of_this_agent_and_user(stage: Stage) -> None:
    one, other = stage.stores.agent("planner", user="ada"), stage.stores.agent("planner")
    first = one.remember("tea", key="drink")
    second = one.remember("coffee", key="drink")
    assert other.remember("water", key="drink").version == 1
    assert [memory.text for memory in one.query()] == ["coffee"]
    assert second.version > first.version
    with pytest.raises(NotFound):
        one.get(first.memory_id)


def test_repeating_a_call_with_the_same_id_keeps_one_memory(stage: Stage) -> None:
    planner = stage.stores.agent("planner", session="s1")
    memory = planner.remember("once", memory_id="m1")
    assert planner.remember("once", memory_id="m1") == memory
    with pytest.raises(AlreadyExists):
        planner.remember("twice", memory_id="m1")
    assert planner.count() == 1


def test_an_agent_forgets_its_own_memories_and_no_others(stage: Stage) -> None:
    planner, coach = stage.stores.agent("planner", user="ada"), stage.stores.agent("coach")
    mine, shared = planner.remember("mine"), coach.remember("shared", is_shared=True)
    hidden = coach.remember("hidden")
    assert planner.get(shared.memory_id) == shared
    for call in (planner.get, planner.forget):
        with pytest.raises(NotFound, match="has no memory"):
            call(hidden.memory_id)
    with pytest.raises(NotFound, match="has no memory"):
        planner.forget(shared.memory_id)
    with pytest.raises(VersionConflict):
        planner.forget(mine.memory_id, expected_version=7)
    forgotten = planner.forget(mine.memory_id)
    assert planner.forget(mine.memory_id) == forgotten
    assert (planner.count(), coach.count()) == (0, 2)
    assert stage.stores.events.read_stream(mine.stream)[-1].actor == "planner"


def test_what_is_shared_about_another_user_is_neither_recalled_nor_got(stage: Stage) -> None:
    planner = stage.stores.agent("planner", user="ada", namespace="work")
    coach = stage.stores.agent("coach")
    about_bob = stage.stores.agent("coach", user="bob", namespace="work")
    memories = {
        "of bob": about_bob.remember("tea of bob", is_shared=True),
        "elsewhere": coach.remember("tea elsewhere", is_shared=True),
        "at work": stage.stores.agent("coach", namespace="work").remember("tea", is_shared=True),
    }
    assert [hit.memory for hit in planner.recall("tea")] == [memories["at work"]]
    assert planner.get(memories["at work"].memory_id) == memories["at work"]
    for name in ("of bob", "elsewhere"):
        with pytest.raises(NotFound, match="has no memory"):
            planner.get(memories[name].memory_id)


def test_an_agent_recalls_its_own_memories_and_what_others_share(stage: Stage) -> None:
    planner, coach = stage.stores.agent("planner", user="ada"), stage.stores.agent("coach")
    planner.remember("Ada prefers short answers", tags=["preference"])
    planner.remember({"tide": "high water at Brest is at 04:12"})
    coach.remember("Short runs are better than none", is_shared=True)
    coach.remember("Ada runs short of time")
    found = planner.recall("short")
    assert {hit.memory.agent_id for hit in found} == {"planner", "coach"}
    assert len(found) == 2
    assert found.is_exact
    assert planner.recall("when is the high tide?")[0].memory.content is not None
    assert [hit.memory.tags for hit in planner.recall("short", tags=["preference"])] == [
        ("preference",)
    ]
    assert len(planner.recall("short", include_shared=False)) == 1
    assert len(planner.search("short answers")) == 1
    assert len(planner.recall("elephants")) == 0


def test_what_is_kept_under_a_key_is_read_changed_and_listed_by_the_agent_itself(
    stage: Stage,
) -> None:
    planner = stage.stores.agent("planner", user="ada")
    kept = planner.remember("prefers short answers", key="style")
    planner_at_sea = stage.stores.agent("planner", user="ada", namespace="sea")
    planner_at_sea.remember("rough", key="style")
    assert planner.get_by_key("style") == kept
    assert planner_at_sea.get_by_key("style").text == "rough"
    assert planner.list_namespaces() == planner_at_sea.list_namespaces() == ["", "sea"]
    assert planner.list_namespaces(prefix="s") == ["sea"]
    assert stage.stores.agent("planner").list_namespaces() == []
    changed = planner.update(kept.memory_id, confidence=0.9, expected_version=1)
    assert (changed.version, changed.text) == (2, "prefers short answers")
    (event,) = stage.stores.events.list(type="memory_updated").events
    assert event.actor == "planner"
    with pytest.raises(VersionConflict):
        planner.update(kept.memory_id, confidence=0.1, expected_version=1)
    for other in (stage.stores.agent("coach"), stage.stores.agent("planner", user="bob")):
        with pytest.raises(NotFound):
            other.update(kept.memory_id, text="mine now")
        with pytest.raises(NotFound):
            other.get_by_key("style")
    assert planner.get_by_key("style") == changed


def test_a_value_that_is_nested_too_deeply_is_refused_before_its_words_are_read(
    stage: Stage,
) -> None:
    value: dict[str, object] = {}
    for _ in range(10_000):
        value = {"a": value}
    with pytest.raises(LimitExceeded, match="nested deeper"):
        stage.stores.agent("planner").remember(value)


def test_clearing_forgets_all_of_an_agent_and_its_user(stage: Stage) -> None:
    ada = stage.stores.agent("planner", user="ada")
    bob, everyone = stage.stores.agent("planner", user="bob"), stage.stores.agent("planner")
    for number in range(3):
        ada.remember(f"note {number}")
        bob.remember(f"note {number}")
    assert (ada.clear(), ada.clear(), bob.count()) == (3, 0, 3)
    with pytest.raises(Invalid, match="namespaces"):
        stage.stores.agent("planner", namespace="work").clear()
    assert everyone.clear() == 3


def test_a_session_goes_with_what_is_remembered_and_narrows_nothing(stage: Stage) -> None:
    planner = stage.stores.agent("planner")
    memory = planner.in_session("s2").remember("in a session")
    assert memory.session_id == "s2"
    assert planner.in_session("s3").query() == [memory]
    assert planner.query(session_id="s3") == []


def test_an_agent_speaks_for_no_other(stage: Stage) -> None:
    with pytest.raises(Invalid, match="agent_id is 'planner'"):
        stage.stores.agent("planner").query(agent_id="coach")
    for names in ({"agent_id": ""}, {"agent_id": "a", "user": ""}, {"agent_id": "a\x00"}):
        with pytest.raises(Invalid):
            stage.stores.agent(names.pop("agent_id"), **names)


def test_what_an_agent_does_in_a_transaction_is_undone_with_it(stage: Stage) -> None:
    def remember_and_fail() -> None:
        with stage.backend.transaction(stage.tenant) as tx:
            tx.agent("planner").remember("never", memory_id="m1")
            assert tx.agent("planner").count() == 1
            tx.agent("coach").get("m1")

    with pytest.raises(NotFound):
        remember_and_fail()
    assert stage.stores.agent("planner").count() == 0


def test_the_run_and_task_at_hand_are_those_of_the_call_or_of_the_process(tmp_path: Path) -> None:
    assert provenance_at_hand({}) is None
    told = {"AUREUS_RUN_ID": "r1", "AUREUS_TASK_ID": "t1", "AUREUS_ATTEMPT": "2"}
    assert provenance_at_hand(told) == Provenance(run_id="r1", task_id="t1", step_id="2")
    call = ToolCall("r2", "w", "t2", 3, "key", "acme", {}, tmp_path)
    token = CURRENT_CALL.set(call)
    try:
        assert provenance_at_hand(told) == Provenance(run_id="r2", task_id="t2", step_id="3")
    finally:
        CURRENT_CALL.reset(token)


def test_what_lies_around_a_shared_memory_is_shown_only_as_far_as_it_is_shared(
    stage: Stage,
) -> None:
    """With neighbours an agent was shown what another one keeps to itself."""
    memories = stage.stores.memories
    for number, is_shared in enumerate([False, True, True, False]):
        memories.add(
            f"tea {number}",
            agent_id="other",
            session_id="s",
            is_shared=is_shared,
            memory_id=f"m{number}",
        )
    memories.add("tea of mine", agent_id="mine", session_id="t", memory_id="own")
    memories.add("unshared", agent_id="mine", session_id="t", memory_id="behind")

    def around(hits: Any) -> dict[str, list[str]]:
        return {
            hit.memory.memory_id: [one.memory_id for one in (*hit.before, *hit.after)]
            for hit in hits
        }

    found = stage.stores.agent("mine").recall("tea", neighbours=2).hits
    assert around(found) == {"m1": ["m2"], "m2": ["m1"], "own": ["behind"]}
    whole = memories.recall("tea", agent_id="other", neighbours=2).hits
    assert around(whole)["m1"] == ["m0", "m2", "m3"]

"""Reading memories: filters in every combination, pages without gaps, two times, and nothing that is not live."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from aureus.errors import Invalid
from aureus.model.memories import AsOf, Memory, MemoryFilter, NewMemory, Provenance
from tests.contract.stage import Stage

START = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    """Return a moment some days after the first of January."""
    return START + timedelta(days=number)


MEMORIES = [
    NewMemory(memory_id="m0", text="tea", agent_id="a", user_id="u", type="fact", tags=["x", "y"], confidence=0.9,
              content={"n": 1, "list": [{"k": "v", "z": 1}, 2]}, occurred_at=day(0), session_id="s",
              provenance=Provenance("r", "t", "p", "e")),
    NewMemory(memory_id="m1", text="tea", agent_id="a", user_id="u", type="goal", tags=["x"], confidence=0.1,
              content={"n": 1.0}, occurred_at=day(1), session_id="s", namespace="work"),
    NewMemory(memory_id="m2", text="tea", agent_id="a", user_id="v", type="fact", tags=["y"], occurred_at=day(2),
              content=["n", 1, True], subject="cats", provenance=Provenance(task_id="t")),
    NewMemory(memory_id="m3", text="tea", agent_id="a", type="fact", occurred_at=day(3), valid_from=day(10),
              valid_to=day(20), content="n"),
    NewMemory(memory_id="m4", text="tea", agent_id="b", user_id="u", is_shared=True, occurred_at=day(4), content=0),
    NewMemory(memory_id="m5", text="tea", agent_id="b", is_shared=True, occurred_at=day(4), tags=["x"]),
    NewMemory(memory_id="m6", text="tea", agent_id="b", user_id="w", is_shared=True, occurred_at=day(5),
              session_id="s"),
    NewMemory(memory_id="m7", text="tea", agent_id="b", occurred_at=day(6), expires_at=START + timedelta(hours=1)),
]  # fmt: skip

CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "76543210"),
    ({"agent_id": "a"}, "3210"),
    ({"agent_id": "a", "user_id": "u"}, "10"),
    ({"agent_id": "a", "user_id": ""}, "3"),
    ({"user_id": "u"}, "410"),
    ({"agent_id": "a", "include_shared": True}, "6543210"),
    ({"agent_id": "a", "user_id": "u", "include_shared": True}, "5410"),
    ({"agent_id": "a", "include_shared": True, "tags": ["x"]}, "510"),
    ({"agent_id": "nobody"}, ""),
    ({"session_id": "s"}, "610"),
    ({"session_id": "s", "agent_id": "a"}, "10"),
    ({"namespace": "work"}, "1"),
    ({"namespace": ""}, "7654320"),
    ({"types": ["fact"]}, "320"),
    ({"types": ["fact", "goal"], "agent_id": "a", "user_id": "u"}, "10"),
    ({"tags": ["x"]}, "510"),
    ({"tags": ["x", "y"]}, "0"),
    ({"tags_any": ["x", "y"]}, "5210"),
    ({"tags_any": ["none", "y"], "tags": ["x"]}, "0"),
    ({"containing": {"n": 1}}, "10"),
    ({"containing": {"list": [{"k": "v"}]}}, "0"),
    ({"containing": {"list": [{"k": "v", "z": 2}]}}, ""),
    ({"containing": [1, "n"]}, "2"),
    ({"containing": "n"}, "32"),
    ({"containing": True}, "2"),
    ({"containing": 0}, "4"),
    ({"min_confidence": 0.5}, "7654320"),
    ({"min_confidence": 0.9}, "0"),
    ({"subject": "cats"}, "2"),
    ({"run_id": "r"}, "0"),
    ({"task_id": "t"}, "20"),
    ({"task_id": "t", "step_id": "p"}, "0"),
    ({"source_event_id": "e"}, "0"),
    ({"source_event_id": "e", "agent_id": "b"}, ""),
    ({"tier": "hot"}, "76543210"),
    ({"tier": "cold"}, ""),
    ({"occurred_from": day(1), "occurred_to": day(4)}, "321"),
    ({"occurred_from": day(4)}, "7654"),
    ({"created_from": day(0), "created_to": day(1)}, "76543210"),
    ({"created_from": day(1)}, ""),
    ({"valid_at": day(10)}, "76543210"),
    ({"valid_at": day(20), "agent_id": "a"}, "210"),
]


@pytest.fixture
def library(stage: Stage) -> Stage:
    """Give a stage with the memories above, and others that no read may show."""
    store = stage.stores.memories
    store.add_all(MEMORIES)
    gone = store.add(
        "gone", agent_id="a", user_id="u", tags=["x", "y"], session_id="s", type="fact"
    )
    store.forget(gone.memory_id)
    store.put("k", "old", agent_id="a", tags=["x"])
    new = store.put("k", "new", agent_id="a")
    store.forget(new.memory_id)
    return stage


def digits(memories: list[Memory]) -> str:
    """Return the numbers in the ids of memories."""
    return "".join(memory.memory_id.removeprefix("m") for memory in memories)


def test_every_filter_narrows_lists_and_counts_alike(library: Stage) -> None:
    store = library.stores.memories
    for criteria, wanted in CASES:
        assert digits(store.query(**criteria)) == wanted, criteria
        assert digits(store.query(MemoryFilter(**criteria), newest_first=False)) == wanted[::-1], (
            criteria
        )
        assert store.count(**criteria) == len(wanted), criteria
        now = AsOf(recorded=library.backend.clock.now())
        assert digits(store.query(as_of=now, **criteria)) == wanted, criteria
        assert store.count(as_of=now, **criteria) == len(wanted), criteria


def test_pages_neither_double_nor_skip(library: Stage) -> None:
    store = library.stores.memories
    for criteria, wanted in CASES:
        for newest_first in (True, False):
            found, after = "", None
            while page := store.query(newest_first=newest_first, after=after, limit=2, **criteria):
                assert len(page) <= 2
                found, after = found + digits(page), page[-1].cursor
            assert found == (wanted if newest_first else wanted[::-1]), criteria


def test_what_has_expired_is_in_no_read(library: Stage) -> None:
    store = library.stores.memories
    library.backend.clock.advance(3600)
    assert digits(store.query()) == "6543210"
    assert store.count(agent_id="b") == 3
    assert store.statistics().total == 7
    assert (
        digits(store.query(as_of=AsOf(recorded=START + timedelta(seconds=1)), agent_id="b"))
        == "7654"
    )
    assert store.sweep_expired() == 1
    assert store.sweep_expired() == 0
    (event,) = library.stores.audit.list().entries[2:]
    assert (event.type, event.details["reason"], event.actor) == (
        "memory_deleted",
        "expired",
        "aureus",
    )


def test_what_has_expired_is_not_found_by_what_held_either(stage: Stage) -> None:
    """A list as of a moment left it out, and the read of the one memory did not."""
    clock, store = stage.backend.clock, stage.stores.memories
    soon = clock.now() + timedelta(seconds=10)
    memory = store.add("soon over", agent_id="a", expires_at=soon)
    clock.advance(10)
    for at in (AsOf(valid=START), AsOf(recorded=soon, valid=START)):
        assert store.query(as_of=at) == []
        assert store.find(memory.memory_id, as_of=at) is None
    before = AsOf(recorded=soon - timedelta(microseconds=1), valid=START)
    assert store.query(as_of=before) == [store.get(memory.memory_id, as_of=before)]


def test_what_an_agent_shares_itself_is_listed_as_it_is_counted_and_found(stage: Stage) -> None:
    """The walk along the index of what is shared passed over the agent's own that belong to no user."""
    store = stage.stores.memories
    store.add("tea", agent_id="a", memory_id="m0", is_shared=True, tags=["x"])
    store.add("tea", agent_id="a", memory_id="m1", user_id="u")
    store.add("tea", agent_id="a", memory_id="m2")
    store.add("tea", agent_id="a", memory_id="m3", user_id="v", is_shared=True)
    wanted: dict[str, Any] = {"agent_id": "a", "user_id": "u", "include_shared": True}
    assert digits(store.query(newest_first=False, **wanted)) == "01"
    assert digits(store.query(**wanted)) == "10"
    assert store.count(**wanted) == 2
    assert digits(store.query(tags=["x"], **wanted)) == "0"
    assert sorted(hit.memory.memory_id for hit in store.recall("tea", **wanted).hits) == [
        "m0",
        "m1",
    ]
    assert digits(store.query(as_of=AsOf(recorded=START), **wanted)) == "10"


def test_recent_memories_are_those_of_the_last_days(library: Stage) -> None:
    library.backend.clock.advance(6.5 * 86_400)
    store = library.stores.memories
    assert digits(store.recent(days=3)) == "654"
    assert digits(store.recent(days=1, hours=40, agent_id="b", limit=1)) == "6"
    assert digits(store.recent(agent_id="a")) == "3210"
    for past in (-1, 1e300):
        with pytest.raises(Invalid, match="hours"):
            store.recent(hours=past)
    latest = datetime.max.replace(tzinfo=UTC)
    assert digits(store.query(after=(latest, "m"), limit=2)) == "65"


def test_statistics_add_up(library: Stage) -> None:
    found = library.stores.memories.statistics(agent_id="a")
    assert (found.total, found.by_type, found.task_count) == (4, {"fact": 3, "goal": 1}, 1)
    assert found.mean_confidence == pytest.approx((0.9 + 0.1 + 0.5 + 0.5) / 4)
    nobody = library.stores.memories.statistics(agent_id="nobody")
    assert (nobody.total, nobody.by_type, nobody.mean_confidence) == (0, {}, None)


def test_the_past_is_read_as_it_was_recorded(stage: Stage) -> None:
    clock, store = stage.backend.clock, stage.stores.memories
    moments: list[datetime] = []
    versions: list[Memory] = []

    def then(memory: Memory) -> None:
        versions.append(memory)
        moments.append(clock.now())
        clock.advance(10)

    then(store.add("one", agent_id="a", memory_id="m1", tags=["x"]))
    then(store.update("m1", text="two", tags=["y"]))
    then(store.forget("m1"))
    then(store.restore("m1"))
    for index in (0, 1, 3):
        at = AsOf(recorded=moments[index] + timedelta(seconds=5))
        assert store.get("m1", as_of=at) == versions[index]
        assert store.query(agent_id="a", as_of=at) == [versions[index]]
        assert store.count(tags=["x"], as_of=at) == (1 if index == 0 else 0)
    for at in (AsOf(recorded=moments[2]), AsOf(recorded=moments[0] - timedelta(seconds=1))):
        assert (store.find("m1", as_of=at), store.query(as_of=at)) == (None, [])
    history = store.history("m1")
    assert [one.memory for one in history] == versions[::-1]
    assert [one.recorded_to for one in history] == [None, *moments[:0:-1]]
    assert [one.recorded_from for one in history] == moments[::-1]
    assert [one.memory.version for one in store.history("m1", before_version=3, limit=1)] == [2]


def test_conversations_are_in_order_and_paged_from_their_end(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    store = stage.stores.memories
    talk = store.conversation("s1", agent_id="a", user_id="u")
    sent = [talk.append(f"n{n}", role="user" if n % 2 else "assistant") for n in range(7)]
    assert talk.append("n6", role="assistant", message_id=sent[6].memory_id) == sent[6]
    note = store.add("aside", agent_id="a", user_id="u", session_id="s1")
    last = talk.append("n7", role="user", metadata={"tool": "x"}, message_id="last")
    assert (last.type, last.metadata, last.session_id) == (
        "conversation", {"tool": "x", "role": "user"}, "s1",
    )  # fmt: skip
    everything = talk.history()
    assert [message.text for message in everything] == [f"n{n}" for n in range(8)]
    end = talk.history(limit=3)
    assert end == everything[5:]
    assert talk.history(before=end[0].memory_no, limit=3) == everything[2:5]
    assert talk.history(after=sent[5].memory_no) == everything[6:]
    assert [m.text for m in store.neighbours(note.memory_id, before=2, after=5)] == [
        "n5", "n6", "aside", "n7",
    ]  # fmt: skip
    assert store.neighbours(store.add("alone", agent_id="a").memory_id, before=3)[0].text == "alone"
    assert list(store.conversation("s1", agent_id="a").history()) == []
    assert (
        list(
            another_stage("other")
            .stores.memories.conversation("s1", agent_id="a", user_id="u")
            .history()
        )
        == []
    )
    with pytest.raises(Invalid):
        talk.append("x", role="user", type="fact")
    with pytest.raises(Invalid):
        talk.history(before=1, after=1)


def test_pages_of_any_moment_hold_what_history_says(stage: Stage) -> None:
    """Whether it stands, was superseded, was changed, forgotten, restored or has expired since."""
    clock, store = stage.backend.clock, stage.stores.memories
    moments: list[datetime] = []
    happened = [START - timedelta(hours=number % 3) for number in range(12)]
    for number in range(12):
        expiry = {"expires_at": START + timedelta(seconds=40)} if number == 9 else {}
        store.add(
            f"n{number}", agent_id="ab"[number % 2], memory_id=f"m{number:02d}",
            occurred_at=happened[number], **expiry,
        )  # fmt: skip
    for step in range(8):
        clock.advance(10)
        moments.append(clock.now())
        store.update(f"m{step:02d}", text=f"changed {step}")
        if step % 2:
            store.forget(f"m{step:02d}")
        if step % 4 == 3:
            store.restore(f"m{step:02d}")
        store.put("key", f"value {step}", agent_id="a", memory_id=f"p{step}")
    clock.advance(10)
    ids = [f"m{number:02d}" for number in range(12)] + [f"p{step}" for step in range(8)]
    told = {one: store.history(one) for one in ids}
    for moment in moments:
        for valid in (None, moment - timedelta(seconds=15)):
            then = AsOf(recorded=moment, valid=valid)
            expected = sorted(
                (
                    version.memory
                    for versions in told.values()
                    for version in versions
                    if version.recorded_from <= moment
                    and (version.recorded_to is None or version.recorded_to > moment)
                    and version.memory.deleted_at is None
                    and (version.memory.superseded_by is None or valid is not None)
                    and (version.memory.expires_at is None or version.memory.expires_at > moment)
                    and (valid is None or version.memory.holds_at(valid))
                ),
                key=lambda memory: memory.cursor,
            )
            for agent in (None, "a"):
                wanted = [one for one in expected if agent in (None, one.agent_id)]
                criteria = {} if agent is None else {"agent_id": agent}
                assert store.count(as_of=then, **criteria) == len(wanted)
                for newest_first in (False, True):
                    found: list[Memory] = []
                    while page := store.query(
                        as_of=then, newest_first=newest_first, limit=3, **criteria,
                        after=found[-1].cursor if found else None,
                    ):  # fmt: skip
                        found += page
                    assert found == (wanted[::-1] if newest_first else wanted)

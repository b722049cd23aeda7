"""Snapshots: what an agent was at one moment, and going back to it as new versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aureus.errors import (
    AlreadyExists,
    Forbidden,
    IntegrityFailure,
    Invalid,
    LimitExceeded,
    NotFound,
)
from aureus.model.rollbacks import Remedy
from aureus.model.snapshots import PartKind
from aureus.model.workflows import RiskTier
from aureus.snapshots import capturing
from tests.contract.stage import Stage


@pytest.fixture
def agent(stage: Stage) -> Any:
    """Give the stores of a tenant whose agent has keys, sessions and memories."""
    stores = stage.stores
    stores.world_state.set("plan", {"b": 1, "a": 2})
    stores.world_state.set("mood", "calm")
    stores.sessions.save("planner", "s1", {"step": 1}, context={"lang": "en"})
    stores.sessions.append("planner", "s2", "user", "hello")
    stores.memories.add("likes tea", agent_id="planner", memory_id="m1", tags=["taste"])
    stores.memories.put("tone", "short", agent_id="planner", user_id="ada", memory_id="m2")
    stores.memories.add("of another", agent_id="other", memory_id="m9")
    stage.backend.clock.advance(1)
    return stores


def taken(stores: Any, **more: Any) -> Any:
    """Return a verified snapshot of the agent and its world state."""
    snapshot = stores.snapshots.create("planner", world_scope="default", **more)
    return stores.snapshots.verify(snapshot.snapshot_id).snapshot


def change_everything(stores: Any) -> None:
    """Change what the snapshot holds in every way there is."""
    stores.world_state.set("plan", 3)
    stores.world_state.delete("mood")
    stores.world_state.set("new", True)
    stores.sessions.save("planner", "s1", {"step": 2}, context={"lang": "de"})
    stores.sessions.delete("planner", "s2")
    stores.sessions.save("planner", "s3", {"step": 9})
    stores.memories.update("m1", text="likes coffee", tags=["drink"], confidence=0.9)
    stores.memories.put("tone", "long", agent_id="planner", user_id="ada", memory_id="m3")
    stores.memories.add("added", agent_id="planner", memory_id="m4")


def held(stores: Any) -> dict[str, Any]:
    """Return what the agent has."""
    sessions = stores.sessions.list_documents("planner")
    return {
        "keys": {entry.key: entry.value for entry in stores.world_state.list()},
        "sessions": {one.session_id: (one.state, one.context) for one in sessions},
        "memories": {
            one.memory_id: (one.text, one.tags, one.confidence, one.key, one.valid_to)
            for one in stores.memories.query(agent_id="planner")
        },
    }


def test_a_snapshot_says_what_there_was_and_where_the_ledger_stood(
    stage: Stage, agent: Any
) -> None:
    snapshot = agent.snapshots.create(
        "planner",
        world_scope="default",
        run_id="r1",
        task_id="t1",
        tags=["nightly", "nightly"],
        metadata={"why": 1.0},
        actor="ada",
    )
    assert (snapshot.state_count, snapshot.memory_count, snapshot.part_count) == (4, 2, 6)
    assert (snapshot.tags, snapshot.metadata) == (("nightly",), {"why": 1.0})
    assert (snapshot.created_by, snapshot.created_at) == ("ada", stage.backend.clock.now())
    assert (snapshot.is_verified, snapshot.verified_at, snapshot.risk) == (
        False, None, RiskTier.HIGH,
    )  # fmt: skip
    assert agent.snapshots.get(snapshot.snapshot_id) == snapshot
    parts = agent.snapshots.list_parts(snapshot.snapshot_id)
    assert [(part.kind.value, part.place, part.name, part.version) for part in parts] == [
        ("world_state", "default", "mood", 1),
        ("world_state", "default", "plan", 1),
        ("session", "sessions", "s1", 1),
        ("session", "sessions", "s2", 1),
        ("memory", "", "m1", 1),
        ("memory", "", "m2", 1),
    ]
    assert parts[1].content == '{"a":2,"b":1}'
    assert parts[4].content is None
    assert agent.snapshots.list_parts(snapshot.snapshot_id, after_no=4, limit=1) == [parts[4]]
    # The ledger was sealed up to the moment: every event is in the tree but the one that tells of the snapshot.
    entries = agent.events.list(limit=1000).events
    told = [event for event in entries if event.type == "STATE_SNAPSHOT"]
    assert [event.payload["root"] for event in told] == [snapshot.root.hex()]
    assert (told[0].stream, told[0].correlation_id) == (f"snapshots/{snapshot.snapshot_id}", "r1")
    assert snapshot.ledger_size == len(entries) - 1
    assert told[0].entry_no == max(event.entry_no for event in entries)
    assert snapshot.to_dict()["risk"] == "HIGH"


def test_going_back_brings_everything_back_as_new_versions(stage: Stage, agent: Any) -> None:
    before = held(agent)
    snapshot = taken(agent)
    stage.backend.clock.advance(1)
    change_everything(agent)
    changed = held(agent)
    stage.backend.clock.advance(1)
    remedies = {(one.name, one.remedy) for one in agent.snapshots.diff(snapshot.snapshot_id)}
    assert remedies == {
        ("plan", Remedy.SET), ("mood", Remedy.SET), ("new", Remedy.DELETE),
        ("s1", Remedy.SAVE), ("s2", Remedy.SAVE), ("s3", Remedy.LEAVE),
        ("m1", Remedy.REVISE), ("m2", Remedy.REVIVE), ("m3", Remedy.FORGET), ("m4", Remedy.FORGET),
    }  # fmt: skip
    assert held(agent) == changed
    rollback = agent.snapshots.restore(snapshot.snapshot_id, actor="ada", reason="it went wrong")
    assert rollback.counts == {
        "delete": 1, "forget": 2, "leave": 1, "revise": 1, "revive": 1, "save": 2, "set": 2,
    }  # fmt: skip
    assert [(one.name, one.remedy) for one in rollback.kept] == [("s3", Remedy.LEAVE)]
    begun_since = {"s3": changed["sessions"]["s3"]}
    assert held(agent) == {**before, "sessions": {**before["sessions"], **begun_since}}
    # Nothing was overwritten: what came between is still there, behind what was brought back.
    assert [entry.value for entry in agent.world_state.history("plan")] == [
        {"a": 2, "b": 1}, 3, {"b": 1, "a": 2},
    ]  # fmt: skip
    versions = agent.memories.history("m1")
    assert [(one.memory.version, one.memory.text) for one in versions] == [
        (3, "likes tea"), (2, "likes coffee"), (1, "likes tea"),
    ]  # fmt: skip
    assert agent.sessions.load("planner", "s1").version == 3
    found = agent.memories.recall("tea coffee", agent_id="planner")
    assert [hit.memory.memory_id for hit in found.hits] == ["m1"]
    # Doing it again finds nothing to do, and the rollback itself can be taken back.
    assert {one.remedy for one in agent.snapshots.diff(snapshot.snapshot_id)} == {Remedy.LEAVE}
    agent.snapshots.verify(rollback.before_id)
    agent.snapshots.restore(rollback.before_id)
    restored = held(agent)
    assert restored["sessions"].pop("s2") == ({}, {})
    assert restored == changed
    assert agent.memories.get("m9").version == 1


def test_a_rollback_is_told_and_kept(stage: Stage, agent: Any) -> None:
    snapshot = taken(agent)
    agent.world_state.set("plan", 3)
    rollback = agent.snapshots.restore(
        snapshot.snapshot_id, actor="ada", reason="why not", rollback_id="back"
    )
    assert agent.snapshots.get_rollback("back") == rollback
    assert (rollback.actor, rollback.reason, rollback.risk) == ("ada", "why not", RiskTier.LOW)
    events = agent.events.read_stream("rollbacks/back")
    assert [event.type for event in events] == [
        "ROLLBACK_INITIATED", "ROLLBACK_POLICY_DECISION", "ROLLBACK_COMPLETED",
    ]  # fmt: skip
    assert events[1].payload["riskTier"] == "LOW"
    assert events[2].payload["beforeId"] == rollback.before_id
    audited = {event.action for event in events}
    assert audited == {None, "rollback.allow", "rollback.complete"}
    moved = agent.events.read_stream("world_state/default/plan")[-1]
    assert (moved.actor, moved.payload["operationId"]) == ("ada", "back")
    # A repeated call finds what it did, and does nothing.
    again = agent.snapshots.attempt(snapshot.snapshot_id, rollback_id="back")
    assert (again.rollback, len(again), bool(again)) == (rollback, 0, True)
    agent.world_state.set("plan", 4)
    assert agent.snapshots.restore(snapshot.snapshot_id, rollback_id="back") == rollback
    assert agent.world_state.get("plan").value == 4
    stage.backend.clock.advance(1)
    second = agent.snapshots.restore(snapshot.snapshot_id)
    page = agent.snapshots.list_rollbacks(snapshot_id=snapshot.snapshot_id, limit=1)
    assert page == [second]
    rest = agent.snapshots.list_rollbacks(before=(second.created_at, second.rollback_id))
    assert rest == [rollback]
    with pytest.raises(NotFound, match="no rollback 'nothing'"):
        agent.snapshots.get_rollback("nothing")


def test_what_is_gone_for_good_or_over_by_now_stays_away_and_is_named(
    stage: Stage, agent: Any
) -> None:
    clock = stage.backend.clock
    soon = clock.now() + timedelta(seconds=60)
    agent.memories.add("for a minute", agent_id="planner", memory_id="m5", expires_at=soon)
    agent.memories.add("for longer by now", agent_id="planner", memory_id="m6", expires_at=soon)
    agent.sessions.save("planner", "short", 1, ttl_seconds=60)
    agent.sessions.save("planner", "until", 1, expires_at=soon)
    agent.sessions.save("planner", "deleted", 1, ttl_seconds=3600)
    snapshot = taken(agent)
    agent.memories.purge("m1")
    agent.memories.update("m6", expires_at=soon + timedelta(days=1), text="changed")
    agent.sessions.delete("planner", "deleted")
    clock.advance(120)
    assert agent.snapshots.verify(snapshot.snapshot_id).erased == ("m1",)
    rollback = agent.snapshots.restore(snapshot.snapshot_id)
    assert [(one.kind, one.name, one.remedy) for one in rollback.kept] == [
        (PartKind.MEMORY, "m1", Remedy.ERASED),
        (PartKind.MEMORY, "m5", Remedy.EXPIRED),
        (PartKind.SESSION, "short", Remedy.EXPIRED),
        (PartKind.SESSION, "until", Remedy.EXPIRED),
    ]
    kept = agent.memories.get("m6")
    assert (kept.text, kept.expires_at) == ("for longer by now", soon + timedelta(days=1))
    revived = agent.sessions.load("planner", "deleted")
    assert (revived.state, revived.ttl_seconds, revived.message_count) == (1, 3600, 0)
    assert agent.memories.find("m1") is None
    assert agent.memories.find("m5") is None


def test_messages_that_were_added_are_no_change_of_a_session(stage: Stage, agent: Any) -> None:
    agent.sessions.save("planner", "s1", {"step": 1}, ttl_seconds=600)
    snapshot = taken(agent)
    stage.backend.clock.advance(5)
    agent.sessions.append("planner", "s1", "user", "more")
    agent.sessions.append("planner", "s2", "user", "more")
    assert agent.snapshots.diff(snapshot.snapshot_id) == []
    agent.memories.update("m1", text="likes coffee")
    agent.memories.update("m1", text="likes tea")
    assert agent.snapshots.diff(snapshot.snapshot_id) == []


def test_a_snapshot_may_be_of_a_part_of_an_agent(agent: Any) -> None:
    agent.memories.add("ada's", agent_id="planner", user_id="ada", namespace="n", memory_id="m7")
    create = agent.snapshots.create
    assert create("planner", user_id="ada").memory_count == 2
    assert create("planner", user_id="ada", namespace="n").memory_count == 1
    assert create("planner", user_id="").memory_count == 1
    assert create("planner", session_ids=["s1", "nobody"]).state_count == 1
    assert create("planner", session_ids=[]).state_count == 0
    assert create("planner", collection="elsewhere").state_count == 0
    assert create(world_scope="default").part_count == 2
    assert create(world_scope="nothing").part_count == 0
    only = create("planner", session_ids=["s1"])
    agent.sessions.delete("planner", "s2")
    agent.sessions.save("planner", "s1", {"step": 7})
    assert [one.name for one in agent.snapshots.diff(only.snapshot_id)] == ["s1"]


def test_two_snapshots_are_compared(stage: Stage, agent: Any) -> None:
    first = taken(agent)
    change_everything(agent)
    second = taken(agent)
    changes = agent.snapshots.diff(first.snapshot_id, second.snapshot_id)
    assert {(one.name, one.change.value, one.remedy) for one in changes} == {
        ("plan", "changed", None), ("mood", "removed", None), ("new", "added", None),
        ("s1", "changed", None), ("s2", "removed", None), ("s3", "added", None),
        ("m1", "changed", None), ("m2", "removed", None), ("m3", "added", None), ("m4", "added", None),
    }  # fmt: skip
    assert agent.snapshots.diff(first.snapshot_id, first.snapshot_id) == []
    assert changes[0].to_dict()["kind"] == "memory"


def test_snapshots_are_found_by_agent_run_memory_tag_and_time(stage: Stage, agent: Any) -> None:
    clock, snapshots = stage.backend.clock, agent.snapshots
    began = clock.now()
    made = []
    for number in range(5):
        made.append(
            snapshots.create(
                "planner" if number % 2 else "other",
                world_scope="default" if number == 3 else None,
                run_id=f"r{number % 2}",
                task_id=f"t{number}",
                tags=["odd"] if number % 2 else [],
            ).snapshot_id
        )
        clock.advance(10)

    def ids(**filters: Any) -> list[str]:
        return [one.snapshot_id for one in snapshots.list(**filters)]

    assert ids() == made[::-1]
    assert ids(agent_id="planner") == [made[3], made[1]]
    assert ids(agent_id="planner", run_id="r0") == []
    assert ids(run_id="r0") == [made[4], made[2], made[0]]
    assert ids(run_id="r1", task_id="t3") == [made[3]]
    assert ids(tag="odd") == [made[3], made[1]]
    assert ids(world_scope="default") == [made[3]]
    assert ids(memory_id="m1") == [made[3], made[1]]
    assert ids(memory_id="m9", since=began + timedelta(seconds=10)) == [made[4], made[2]]
    assert ids(memory_id="m1", agent_id="other") == []
    assert ids(since=began + timedelta(seconds=10), until=began + timedelta(seconds=30)) == [
        made[2], made[1],
    ]  # fmt: skip
    page = snapshots.list(limit=2)
    assert ids(before=page[-1].cursor, limit=2) == [made[2], made[1]]
    by_memory = snapshots.list(memory_id="m1", limit=1)
    assert ids(memory_id="m1", before=by_memory[-1].cursor) == [made[1]]
    with pytest.raises(Invalid, match="without a zone"):
        snapshots.list(since=began.replace(tzinfo=None))
    with pytest.raises(NotFound, match="no verified snapshot"):
        snapshots.get_last_verified(agent_id="planner")
    snapshots.verify(made[1])
    assert ids(verified_only=True) == [made[1]]
    assert snapshots.get_last_verified(agent_id="planner").snapshot_id == made[1]
    assert snapshots.get_last_verified().snapshot_id == made[1]


def test_the_risk_is_the_given_one_or_follows_from_what_is_known(agent: Any) -> None:
    def risk(**more: Any) -> RiskTier:
        return taken(agent, **more).risk  # type: ignore[no-any-return]  # any backend

    assert risk() is RiskTier.LOW
    assert risk(risk_tier=RiskTier.CRITICAL) is RiskTier.CRITICAL
    assert risk(metadata={"risk_tier": "MEDIUM"}) is RiskTier.MEDIUM
    assert risk(metadata={"riskTier": "HIGH"}) is RiskTier.HIGH
    for number in range(9):
        agent.memories.add(f"number {number}", agent_id="planner")
    assert risk() is RiskTier.MEDIUM
    assert agent.snapshots.create("planner").risk is RiskTier.HIGH
    with pytest.raises(Invalid, match="risk tier 'huge' is none of LOW, MEDIUM, HIGH, CRITICAL"):
        risk(metadata={"risk_tier": "huge"})


def test_taking_the_same_snapshot_again_returns_it(agent: Any) -> None:
    first = agent.snapshots.create("planner", snapshot_id="s")
    agent.memories.add("more", agent_id="planner")
    assert agent.snapshots.create("planner", snapshot_id="s") == first
    with pytest.raises(AlreadyExists, match="is of something else"):
        agent.snapshots.create("other", snapshot_id="s")


def test_a_deleted_snapshot_leaves_its_events(agent: Any) -> None:
    snapshot = taken(agent, snapshot_id="s")
    assert agent.snapshots.delete("s", actor="ada", reason="too old")
    assert not agent.snapshots.delete("s")
    for call in (agent.snapshots.get, agent.snapshots.list_parts, agent.snapshots.verify,
                 agent.snapshots.diff, agent.snapshots.restore):  # fmt: skip
        with pytest.raises(NotFound, match="there is no snapshot 's'"):
            call("s")
    events = agent.events.read_stream("snapshots/s")
    assert [event.type for event in events] == ["STATE_SNAPSHOT", "SNAPSHOT_DELETED"]
    assert events[0].payload["root"] == snapshot.root.hex()
    assert events[1].action == "snapshot.delete"
    assert agent.memories.get("m1").version == 1


def test_what_no_snapshot_can_be_of_is_refused(agent: Any, monkeypatch: Any) -> None:
    create = agent.snapshots.create
    calls: list[tuple[Callable[[], Any], str]] = [
        (create, "name one"),
        (lambda: create(""), "agent_id is empty"),
        (lambda: create(world_scope="w", user_id="ada"), "name the agent too"),
        (lambda: create("planner", collection="no name"), "no name for a collection"),
        (lambda: create("planner", tags=["x"] * 65), "65 tags"),
        (lambda: create("planner", metadata={"x": float("nan")}), "metadata.x is nan"),
        (lambda: create("planner", run_id=""), "run_id is empty"),
        (lambda: create("planner", actor=""), "actor is empty"),
    ]
    for call, match in calls:
        with pytest.raises(Invalid, match=match):
            call()
    monkeypatch.setattr(capturing, "MEMORIES_MAX", 1)
    with pytest.raises(LimitExceeded, match="more than 1 memories of the agent planner"):
        create("planner")
    monkeypatch.setattr(capturing, "KEYS_MAX", 1)
    with pytest.raises(LimitExceeded, match="more than 1 keys of the scope default"):
        create(world_scope="default")
    monkeypatch.setattr(capturing, "SESSIONS_MAX", 1)
    with pytest.raises(LimitExceeded, match="more than 1 sessions of the agent planner"):
        create("planner")
    assert agent.snapshots.list() == []


def test_a_whole_operation_needs_a_transaction_of_its_own(stage: Stage, agent: Any) -> None:
    snapshot = taken(agent)
    with stage.backend.transaction(stage.tenant) as tx:
        calls: list[Callable[[], Any]] = [
            lambda: tx.snapshots.create("planner"),
            lambda: tx.snapshots.restore(snapshot.snapshot_id),
            lambda: tx.snapshots.diff(snapshot.snapshot_id),
        ]
        for call in calls:
            with pytest.raises(Invalid, match="needs a transaction of its own"):
                call()
        assert tx.snapshots.get(snapshot.snapshot_id) == snapshot
        assert tx.snapshots.delete(snapshot.snapshot_id)


def test_many_parts_are_captured_and_brought_back_page_by_page(
    stage: Stage, agent: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(capturing, "PAGE", 3)
    monkeypatch.setattr("aureus.snapshots.restoring.BATCH_MAX", 2)
    monkeypatch.setattr("aureus.snapshots.restoring.KEYS_AT_ONCE", 2)
    monkeypatch.setattr("aureus.snapshots.restoring.SESSIONS_AT_ONCE", 3)
    monkeypatch.setattr("aureus.stores.snapshots.rows.CHUNK_BYTES", 40)
    for number in range(7):
        agent.world_state.set(f"k{number}", number)
        agent.sessions.save("planner", f"more{number}", number)
        agent.memories.add(f"number {number}", agent_id="planner", memory_id=f"n{number}")
    before = held(agent)
    snapshot = taken(agent)
    assert snapshot.part_count == 9 + 9 + 9
    for number in range(7):
        agent.world_state.set(f"k{number}", -number)
        agent.sessions.save("planner", f"more{number}", -number)
        agent.memories.forget(f"n{number}")
        agent.memories.add(f"later {number}", agent_id="planner")
    agent.snapshots.restore(snapshot.snapshot_id)
    assert held(agent) == before
    assert stage.stores.snapshots.diff(snapshot.snapshot_id) == []


def test_snapshots_of_another_tenant_are_not_there(
    agent: Any, another_stage: Callable[[str], Stage]
) -> None:
    snapshot = taken(agent)
    agent.snapshots.request_approval(snapshot.snapshot_id, requested_by="planner", approval_id="a1")
    agent.snapshots.restore(snapshot.snapshot_id, rollback_id="back")
    other = another_stage("other").stores.snapshots
    assert list(other.list()) == list(other.list(memory_id="m1")) == []
    assert list(other.list_rollbacks()) == list(other.list_approvals()) == []
    calls: list[Callable[[], Any]] = [
        lambda: other.get(snapshot.snapshot_id),
        lambda: other.verify(snapshot.snapshot_id),
        lambda: other.restore(snapshot.snapshot_id),
        lambda: other.diff(snapshot.snapshot_id),
        lambda: other.list_parts(snapshot.snapshot_id),
        lambda: other.get_rollback("back"),
        lambda: other.get_approval("a1"),
        lambda: other.decide_approval("a1", approve=True, decided_by="eve"),
    ]
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert not other.delete(snapshot.snapshot_id)
    assert other.create("planner", world_scope="default").part_count == 0


def test_rows_of_snapshots_are_immutable(stage: Stage, agent: Any) -> None:
    snapshot = taken(agent)
    agent.snapshots.restore(snapshot.snapshot_id)
    for table, column in (
        ("snapshots", "root"), ("snapshots", "risk_tier"), ("snapshot_parts", "content"),
        ("rollbacks", "actor"),
    ):  # fmt: skip
        with (
            stage.backend.transaction(stage.tenant) as tx,
            pytest.raises((IntegrityFailure, Forbidden)),
        ):
            tx.execute(f"UPDATE {stage.table(table)} SET {column} = {column}")


def test_pages_hold_fewer_things_where_these_are_large() -> None:
    paging = capturing.Paging()
    sizes = [paging.size]
    for large in (100, 100, 100, 4_000_000, 4_000_000):
        paging.seen([large] * paging.size)
        sizes.append(paging.size)
    assert sizes == [16, 128, 1000, 1000, 4, 4]
    paging = capturing.Paging(2)
    paging.seen([20_000_000])
    assert paging.size == 1
    paging.seen([])
    assert paging.size == 1


def test_an_agent_that_has_grown_beyond_the_limits_goes_back_all_the_same(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "KEYS_MAX", 3)
    world, snapshots = stage.stores.world_state, stage.stores.snapshots
    for number in range(3):
        world.set(f"k{number}", 1)
    snapshots.create(world_scope="default", snapshot_id="s")
    snapshots.verify("s")
    for number in range(6):
        world.set(f"k{number}", 2)
    with pytest.raises(LimitExceeded, match="more than 3 keys of the scope default; narrow"):
        snapshots.create(world_scope="default")
    rollback = snapshots.restore("s")
    assert rollback.counts == {"delete": 3, "set": 3}
    assert snapshots.get(rollback.before_id).state_count == 6
    for number in range(9):
        world.set(f"k{number}", 3)
    with pytest.raises(LimitExceeded, match="more than 6 keys of the scope default by now"):
        snapshots.restore("s")
    assert world.get("k8").value == 3


def test_a_snapshot_of_too_many_bytes_is_refused_before_anything_is_stored(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capturing, "CONTENT_BYTES_MAX", 1000)
    stage.stores.world_state.set("large", "x" * 1001)
    with pytest.raises(LimitExceeded, match="more than 1,000 bytes with the keys of the scope"):
        stage.stores.snapshots.create(world_scope="default")
    assert list(stage.stores.snapshots.list()) == []
    assert list(stage.stores.events.list(category="snapshots").events) == []

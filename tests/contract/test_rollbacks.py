"""Going back over much at once: each write has its event, and what stands in the way is said before a change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aureus.errors import AlreadyExists, Forbidden, IntegrityFailure
from tests.contract.stage import Stage

MANY = 25
"""More streams than the recorder appends to one by one."""


def test_each_write_of_a_rollback_has_its_event_in_its_stream(stage: Stage) -> None:
    stores = stage.stores
    for number in range(MANY):
        stores.world_state.set(f"k{number}", number)
        stores.sessions.save("planner", f"s{number}", {"n": number})
        stores.memories.add(f"tide {number}", agent_id="planner", memory_id=f"m{number}")
    stores.snapshots.create("planner", world_scope="default", snapshot_id="s")
    stores.snapshots.verify("s")
    for number in range(MANY):
        stores.world_state.delete(f"k{number}")
        stores.sessions.save("planner", f"s{number}", {"n": -1})
        stores.memories.update(f"m{number}", text="ebb")
    stores.world_state.set("later", 1)
    stores.snapshots.request_approval("s", requested_by="a", approval_id="a")
    stores.snapshots.decide_approval("a", approve=True, decided_by="b")
    rollback = stores.snapshots.restore("s", rollback_id="back", approval_id="a")
    assert rollback.counts == {"delete": 1, "revise": MANY, "save": MANY, "set": MANY}
    for number in range(MANY):
        told = stores.events.read_stream(f"world_state/default/k{number}")
        assert [(event.version, event.type) for event in told] == [
            (1, "world_state_set"), (2, "world_state_deleted"), (3, "world_state_set"),
        ]  # fmt: skip
        assert stores.world_state.get(f"k{number}").version == told[-1].version
        assert told[-1].payload["operationId"] == "back"
        saved = stores.events.read_stream(f"sessions/planner/s{number}")[-1]
        assert (saved.version, saved.payload["operationId"]) == (3, "back")
        assert stores.sessions.load("planner", f"s{number}").version == 3
    revised = stores.events.read_stream("memories/planner")[-MANY:]
    assert [event.payload["version"] for event in revised] == [3] * MANY


def test_positions_rise_with_versions_where_many_streams_are_appended_to(stage: Stage) -> None:
    stores = stage.stores
    for number in range(MANY):
        stores.world_state.set(f"k{number}", 1)
    stores.snapshots.create(world_scope="default", snapshot_id="s")
    stores.snapshots.verify("s")
    for turn in range(3):
        for number in range(MANY):
            stores.world_state.set(f"k{number}", turn + 2)
        stores.snapshots.restore("s")
    while not stores.ledger.seal().is_done:
        pass
    for number in range(MANY):
        told = stores.events.read_stream(f"world_state/default/k{number}")
        assert [event.version for event in told] == list(range(1, 8))
        numbers = [event.entry_no for event in told]
        assert numbers == sorted(numbers)
    # The verifier counts the versions of each stream in the order of the tree.
    report = stores.ledger.verify()
    assert report.is_intact, report.summary


def test_a_session_ends_again_as_it_did_at_the_snapshot(stage: Stage) -> None:
    sessions, snapshots, clock = stage.stores.sessions, stage.stores.snapshots, stage.backend.clock
    soon = clock.now() + timedelta(seconds=60)
    sessions.save("planner", "never", 1)
    sessions.save("planner", "at once", 1, expires_at=soon)
    sessions.save("planner", "idle", 1, ttl_seconds=600)
    snapshots.create("planner", snapshot_id="s")
    snapshots.verify("s")
    sessions.set_expiry("planner", "never", ttl_seconds=5)
    sessions.set_expiry("planner", "at once", expires_at=soon + timedelta(days=1))
    sessions.set_expiry("planner", "idle")
    snapshots.restore("s")
    assert sessions.load("planner", "never").expires_at is None
    assert sessions.load("planner", "at once").expires_at == soon
    assert sessions.load("planner", "idle").ttl_seconds == 600
    assert snapshots.diff("s") == []
    # An end that has passed by now is none to go back to.
    sessions.save("planner", "at once", 2, expires_at=soon + timedelta(days=1))
    clock.advance(120)
    snapshots.restore("s")
    kept = sessions.load("planner", "at once")
    assert (kept.state, kept.expires_at) == (1, soon + timedelta(days=1))


def test_states_that_were_brought_back_are_found_by_what_they_hold(stage: Stage) -> None:
    sessions, snapshots = stage.stores.sessions, stage.stores.snapshots
    sessions.save("planner", "s1", {"step": 1, "tags": ["a", "b"]})
    while not sessions.index_states().is_ready:
        pass
    snapshots.create("planner", snapshot_id="s")
    snapshots.verify("s")
    sessions.save("planner", "s1", {"step": 2, "tags": ["c"]})
    snapshots.restore("s")
    assert [one.session_id for one in sessions.find_containing({"tags": ["b"]})] == ["s1"]
    assert list(sessions.find_containing({"step": 2})) == []


def test_a_rollback_id_that_a_write_has_used_is_refused(stage: Stage) -> None:
    stores = stage.stores
    stores.world_state.set("plan", 1, operation_id="monday")
    stores.snapshots.create(world_scope="default", snapshot_id="s")
    stores.snapshots.verify("s")
    stores.world_state.set("plan", 2)
    with pytest.raises(AlreadyExists, match="operation_id of an earlier write of key 'plan'"):
        stores.snapshots.restore("s", rollback_id="monday")
    assert stores.world_state.get("plan").value == 2
    assert stores.snapshots.restore("s", rollback_id="tuesday").counts == {"set": 1}


def verified(stores: Any, snapshot_id: str, **more: Any) -> None:
    """Take a snapshot of the agent and its world state, and verify it."""
    stores.snapshots.create("planner", world_scope="default", snapshot_id=snapshot_id, **more)
    stores.snapshots.verify(snapshot_id)


def test_a_key_is_given_back_by_a_memory_that_has_expired(stage: Stage) -> None:
    memories, snapshots, clock = stage.stores.memories, stage.stores.snapshots, stage.backend.clock
    memories.put("tone", "short", agent_id="planner", memory_id="m1")
    verified(stage.stores, "s")
    soon = clock.now() + timedelta(seconds=60)
    memories.put("tone", "long", agent_id="planner", memory_id="m2", expires_at=soon)
    clock.advance(120)
    assert snapshots.restore("s").counts == {"revive": 1}
    assert memories.get_by_key("tone", agent_id="planner").text == "short"


def test_the_id_of_a_rollback_stands_for_one_snapshot(stage: Stage) -> None:
    verified(stage.stores, "s")
    verified(stage.stores, "t")
    stage.stores.snapshots.restore("s", rollback_id="back")
    with pytest.raises(AlreadyExists, match="rollback back went to snapshot s, not t"):
        stage.stores.snapshots.restore("t", rollback_id="back")


def test_the_id_of_an_approval_stands_for_one_question(stage: Stage) -> None:
    snapshots = stage.stores.snapshots
    verified(stage.stores, "s")
    verified(stage.stores, "t")
    asked = snapshots.request_approval("s", requested_by="a", approval_id="ok")
    assert snapshots.request_approval("s", requested_by="a", approval_id="ok") == asked
    with pytest.raises(AlreadyExists, match="approval ok is for snapshot s, not t"):
        snapshots.request_approval("t", requested_by="a", approval_id="ok")


def test_an_approval_of_a_low_risk_is_none_of_a_high_one(stage: Stage) -> None:
    stores, snapshots = stage.stores, stage.stores.snapshots
    verified(stores, "s")
    snapshots.request_approval("s", requested_by="a", approval_id="ok")
    snapshots.decide_approval("ok", approve=True, decided_by="b")
    # A rollback that was refused, or a check that failed, makes the risk a high one.
    with stage.backend.transaction(stage.tenant) as tx:
        tx.execute(f"UPDATE {stage.table('snapshots')} SET is_verified = false")
    with pytest.raises(Forbidden, match="was given for a LOW risk, and this is a HIGH one"):
        snapshots.restore("s", approval_id="ok")
    assert snapshots.get_approval("ok").status.value == "approved"


def test_the_id_of_a_snapshot_may_be_used_again(stage: Stage) -> None:
    stores, snapshots = stage.stores, stage.stores.snapshots
    verified(stores, "s")
    snapshots.delete("s")
    stores.world_state.set("plan", 2)
    verified(stores, "s")
    assert snapshots.restore("s").counts == {}


def test_a_snapshot_that_was_deleted_is_not_put_back_behind_our_back(
    stage: Stage, tamper: Callable[[Stage, str, str], None]
) -> None:
    verified(stage.stores, "s")
    table = stage.table("snapshots")
    copied = "aureus.kept" if table != "snapshots" else "kept"
    tamper(stage, "snapshots", f"CREATE TABLE {copied} AS SELECT * FROM {table}")
    stage.stores.snapshots.delete("s")
    tamper(stage, "snapshots", f"INSERT INTO {table} SELECT * FROM {copied}")
    with pytest.raises(IntegrityFailure, match="it tells that the snapshot was deleted"):
        stage.stores.snapshots.verify("s")

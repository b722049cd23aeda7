"""Going back to a moment of which nobody has taken a snapshot: the ledger tells what there was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from aureus.errors import AlreadyExists, IntegrityFailure, Invalid
from tests.contract.stage import Stage
from tests.contract.test_snapshot_tampering import Tamper


def held(stores: Any) -> dict[str, Any]:
    """Return the keys and the memories of the agent."""
    return {
        "keys": {entry.key: entry.value for entry in stores.world_state.list()},
        "memories": {
            one.memory_id: (one.text, one.tags, one.key, one.user_id)
            for one in stores.memories.query(agent_id="planner")
        },
    }


def sealed_head(stores: Any) -> Any:
    """Seal what is there and return the head."""
    while not stores.ledger.seal().is_done:
        pass
    return stores.ledger.get_head()


def live_through(stage: Stage) -> list[tuple[Any, Any, dict[str, Any]]]:
    """Change keys and memories in every way; return head, time and state after each step."""
    stores, clock = stage.stores, stage.backend.clock
    world, memories = stores.world_state, stores.memories
    until = clock.now() + timedelta(seconds=35)
    steps: list[Callable[[], Any]] = [
        lambda: world.set("plan", {"b": 1, "a": 2.5}),
        lambda: memories.add("likes tea", agent_id="planner", memory_id="m1", tags=["t"]),
        lambda: memories.add("of ada", agent_id="planner", user_id="ada", memory_id="m2"),
        lambda: memories.put("tone", "short", agent_id="planner", memory_id="m3"),
        lambda: world.increment("count", 5),
        lambda: memories.update("m1", text="likes coffee", tags=[]),
        lambda: world.set("plan", None),
        lambda: memories.put("tone", "long", agent_id="planner", memory_id="m4"),
        lambda: memories.forget("m1"),
        lambda: world.delete("plan"),
        lambda: memories.add("a while", agent_id="planner", memory_id="m5", expires_at=until),
        lambda: memories.restore("m1"),
        lambda: world.transform("list", lambda value: [*(value or []), 1]),
        lambda: memories.add("of another", agent_id="other", memory_id="m9"),
        lambda: world.increment("count", -1),
        lambda: memories.forget("m2"),
    ]
    moments: list[tuple[Any, Any, dict[str, Any]]] = []
    for step in steps:
        step()
        moments.append((sealed_head(stores), clock.now(), held(stores)))
        clock.advance(3)
    return moments


def test_every_moment_that_a_head_was_kept_of_can_be_gone_back_to(stage: Stage) -> None:
    moments = live_through(stage)
    snapshots = stage.stores.snapshots
    for head, _, state in moments:
        snapshot = snapshots.reconstruct(
            "planner", world_scope="default", size=head.size, root=head.root
        )
        assert (snapshot.ledger_size, snapshot.ledger_root, snapshot.as_of_size) == (
            head.size, head.root, head.size,
        )  # fmt: skip
        assert snapshots.verify(snapshot.snapshot_id).is_intact
        snapshots.restore(snapshot.snapshot_id)
        state["memories"].pop("m5", None)  # It would have expired by now.
        assert held(stage.stores) == state


def test_a_time_stands_for_what_was_sealed_by_then(stage: Stage) -> None:
    moments = live_through(stage)
    for head, at, state in moments[::4]:
        snapshot = stage.stores.snapshots.reconstruct(
            "planner", world_scope="default", moment=at + timedelta(seconds=1), risk_tier="LOW"
        )
        assert snapshot.ledger_size == head.size
        stage.stores.snapshots.restore(snapshot.snapshot_id)
        assert held(stage.stores) == state


def test_what_had_expired_at_the_moment_or_is_of_others_is_no_part_of_it(stage: Stage) -> None:
    moments = live_through(stage)
    reconstruct = stage.stores.snapshots.reconstruct

    def names(**scope: Any) -> list[str]:
        snapshot = reconstruct(**scope)
        return [part.name for part in stage.stores.snapshots.list_parts(snapshot.snapshot_id)]

    last = moments[-1][0].size
    assert names(agent_id="planner", size=last) == ["m1", "m4"]
    assert names(agent_id="planner", user_id="ada", size=moments[2][0].size) == ["m2"]
    assert names(agent_id="planner", namespace="n", size=last) == []
    assert names(agent_id="other", size=last) == ["m9"]
    assert names(world_scope="default", size=last) == ["count", "list"]
    assert "m5" in names(agent_id="planner", size=moments[10][0].size)
    stage.stores.memories.purge("m1")
    purged = reconstruct("planner", size=last)
    assert stage.stores.snapshots.verify(purged.snapshot_id).erased == ("m1",)


def test_a_moment_that_is_not_there_or_not_proved_is_refused(stage: Stage) -> None:
    stores = stage.stores
    stores.world_state.set("k", 1)
    head = sealed_head(stores)
    reconstruct = stores.snapshots.reconstruct
    for given, match in (
        ({}, "give the moment once"),
        ({"size": 1, "moment": stage.backend.clock.now()}, "give the moment once"),
        ({"size": 0}, "had none then"),
        ({"size": 99}, "not 99"),
        ({"moment": stage.backend.clock.now() - timedelta(days=1)}, "had none then"),
        ({"moment": stage.backend.clock.now().replace(tzinfo=None)}, "without a zone"),
    ):
        with pytest.raises(Invalid, match=match):
            reconstruct(world_scope="default", **given)
    with pytest.raises(IntegrityFailure, match="have the root"):
        reconstruct(world_scope="default", size=head.size, root=bytes(32))
    made = reconstruct(world_scope="default", size=head.size, snapshot_id="s")
    assert reconstruct(world_scope="default", size=head.size, snapshot_id="s") == made
    with pytest.raises(AlreadyExists):
        reconstruct(world_scope="w", size=head.size, snapshot_id="s")


def test_a_value_that_was_edited_is_not_brought_back(stage: Stage, tamper: Tamper) -> None:
    stores = stage.stores
    stores.world_state.set("k", 1)
    head = sealed_head(stores)
    versions = stage.table("world_state_versions")
    tamper(stage, "world_state_versions", f"UPDATE {versions} SET value = '2'")
    with pytest.raises(IntegrityFailure, match="key 'k' of the scope default had another value"):
        stores.snapshots.reconstruct(world_scope="default", size=head.size)
    tamper(stage, "world_state_versions", f"DELETE FROM {versions}")
    with pytest.raises(Invalid, match="does not tell of every write"):
        stores.snapshots.reconstruct(world_scope="default", size=head.size)

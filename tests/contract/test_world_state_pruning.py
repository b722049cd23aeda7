"""Pruning of the world state: old versions go, on record; what stands, and what a snapshot names, stays."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.errors import Forbidden, IntegrityFailure, Invalid, NotFound
from aureus.stores.world_state import pruning
from tests.contract.stage import Stage


def sealed_size(stores: Any) -> int:
    """Seal everything, and return how much that is."""
    while not stores.ledger.seal().is_done:
        pass
    return int(stores.ledger.get_head().size)


def versions(stores: Any, key: str) -> list[int]:
    """Return the versions of a key that are left, oldest first."""
    return [entry.version for entry in stores.world_state.history(key)][::-1]


def test_old_versions_go_and_the_newest_stay(stage: Stage) -> None:
    stores, world = stage.stores, stage.stores.world_state
    for number in range(5):
        world.set("plan", number)
        world.set("once", number)
    world.delete("once")
    world.set("single", 1)
    done = world.prune(keep_newest=2, actor="ada", reason="tidy")
    assert (done.scope, done.version_count, len(done.record_ids)) == ("default", 7, 1)
    assert versions(stores, "plan") == [4, 5]
    assert versions(stores, "once") == [5, 6]
    assert versions(stores, "single") == [1]
    assert (world.get("plan").value, world.get("plan").version) == (4, 5)
    with pytest.raises(NotFound, match="has no version 1"):
        world.read_version("plan", 1)
    (told,) = stores.events.read_stream("world_state_prunings/default")
    assert (told.type, told.actor, told.action) == (
        "world_state_pruned", "ada", "world-state.prune",
    )  # fmt: skip
    assert told.event_id == done.record_ids[0]
    assert told.payload["removed"] == [
        {"key": "once", "versions": [[1, 4]], "toldCount": 4},
        {"key": "plan", "versions": [[1, 3]], "toldCount": 3},
    ]
    # Writes go on counting, and pruning again finds nothing.
    assert world.set("plan", 9).version == 6
    assert world.set("once", 9).version == 7
    assert world.prune(keep_newest=3).version_count == 0
    assert stores.ledger.verify().is_intact


def test_what_is_younger_than_a_time_stays(stage: Stage) -> None:
    stores, world, clock = stage.stores, stage.stores.world_state, stage.backend.clock
    world.set("plan", 1)
    world.set("plan", 2)
    clock.advance(60)
    middle = clock.now()
    world.set("plan", 3)
    world.set("plan", 4)
    assert world.prune(before=middle).version_count == 2
    assert versions(stores, "plan") == [3, 4]
    clock.advance(60)
    assert world.prune(before=middle, keep_newest=1).version_count == 0
    assert world.prune(before=clock.now(), keep_newest=1).version_count == 1
    assert versions(stores, "plan") == [4]


def test_what_a_snapshot_names_stays_and_goes_back(stage: Stage) -> None:
    stores, world, snapshots = stage.stores, stage.stores.world_state, stage.stores.snapshots
    world.set("plan", 1)
    world.set("plan", 2)
    snapshots.create(world_scope="default", snapshot_id="s")
    world.set("plan", 3)
    world.set("plan", 4)
    assert world.prune(keep_newest=1).version_count == 2
    assert versions(stores, "plan") == [2, 4]
    snapshots.verify("s")
    snapshots.restore("s")
    assert (world.get("plan").value, world.get("plan").version) == (2, 5)
    snapshots.delete("s")
    # The snapshot that the rollback has taken names version 4 still.
    assert world.prune(keep_newest=1).version_count == 1
    assert versions(stores, "plan") == [4, 5]


def test_it_goes_on_from_where_a_batch_ended(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "BATCH_MAX", 3)
    stores, world = stage.stores, stage.stores.world_state
    for number in range(4):
        for key in ("a", "b", "c"):
            world.set(key, number)
    first = world.prune_batch(keep_newest=1, record_id="r1")
    assert (first.version_count, first.place, first.is_done) == (3, ("a", 3), False)
    again = world.prune_batch(keep_newest=1, record_id="r1")
    assert (again.version_count, again.record_id, again.place) == (3, "r1", ("a", 3))
    assert versions(stores, "b") == [1, 2, 3, 4]
    done = world.prune(keep_newest=1)
    assert (done.version_count, len(done.record_ids)) == (6, 2)
    assert [versions(stores, key) for key in ("a", "b", "c")] == [[4]] * 3


def test_moments_that_need_nothing_of_what_is_gone_are_reconstructed(stage: Stage) -> None:
    stores, world = stage.stores, stage.stores.world_state
    world.set("plan", 1)
    early = sealed_size(stores)
    world.set("plan", 2)
    world.set("mood", "calm")
    late = sealed_size(stores)
    world.set("mood", "glad")
    world.prune(keep_newest=2)
    made = stores.snapshots.reconstruct(world_scope="default", size=late)
    assert made.state_count == 2
    world.set("plan", 3)
    world.prune(keep_newest=1)
    with pytest.raises(
        Invalid, match="key 'plan' of the scope default had a value then that was pruned"
    ):
        stores.snapshots.reconstruct(world_scope="default", size=early)
    # What was erased after it had been pruned is told of no more, and the rest is.
    stores.erasure.erase("x", reason="r", world_state=[("default", "plan")], scrub=False)
    now = sealed_size(stores)
    parts = stores.snapshots.list_parts(
        stores.snapshots.reconstruct(world_scope="default", size=now).snapshot_id
    )
    assert [(part.name, part.content) for part in parts] == [("mood", '"glad"')]


def test_something_has_to_be_said_of_what_may_go(stage: Stage) -> None:
    world, clock = stage.stores.world_state, stage.backend.clock
    world.set("plan", 1)
    world.set("plan", 2)
    for wrong, problem in (
        ({}, "say what may go"),
        ({"keep_newest": 0}, "the newest version of a key always stays"),
        ({"before": clock.now().replace(tzinfo=None)}, "a time without a zone"),
    ):
        with pytest.raises(Invalid, match=problem):
            world.prune(**wrong)
    assert versions(stage.stores, "plan") == [1, 2]


def test_other_scopes_and_tenants_keep_theirs(stage: Stage, another_stage: Any) -> None:
    other = another_stage("other").stores
    elsewhere = stage.stores.world_state.scope("r_1")
    for number in range(3):
        for world in (stage.stores.world_state, elsewhere, other.world_state):
            world.set("plan", number)
    assert stage.stores.world_state.prune(keep_newest=1).version_count == 2
    assert len(elsewhere.history("plan")) == len(other.world_state.history("plan")) == 3
    assert elsewhere.prune(keep_newest=1).scope == "r_1"


def test_a_version_is_deleted_by_pruning_alone(stage: Stage) -> None:
    stage.stores.world_state.set("plan", 1)
    stage.stores.world_state.set("plan", 2)
    table = stage.table("world_state_versions")
    with pytest.raises(Invalid, match="world_state_pruned"):
        stage.stores.events.append("x", "world_state_pruned", {}, event_id="r")
    stage.stores.events.append("x", "other", {}, event_id="r")
    for statement in (
        f"DELETE FROM {table}",
        f"UPDATE {table} SET value = NULL, erasure_record_id = 'r'",
    ):
        with (
            stage.backend.transaction(stage.tenant) as tx,
            pytest.raises((IntegrityFailure, Forbidden)),
        ):
            tx.execute(statement)
    assert versions(stage.stores, "plan") == [1, 2]

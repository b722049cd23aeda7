"""Every write of snapshots, prepared so that one call carries it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.contract.stage import Stage

Prepared = Callable[[], Any]


def create_snapshot(stage: Stage) -> Prepared:
    """Return the taking of a snapshot of what an agent has."""
    stage.stores.world_state.set("k", 1)
    stage.stores.sessions.save("a", "s1", {"n": 1})
    stage.stores.memories.add("tea", agent_id="a", memory_id="m1", tags=["x"])
    return lambda: stage.stores.snapshots.create("a", world_scope="default", snapshot_id="s")


def check_snapshot(stage: Stage) -> Prepared:
    """Return the verification of a snapshot."""
    create_snapshot(stage)()
    return lambda: stage.stores.snapshots.check("s")


def roll_back(stage: Stage) -> Prepared:
    """Return a rollback that does something to each noun, with an approval."""
    check_snapshot(stage)()
    stage.stores.world_state.set("k", 2)
    stage.stores.sessions.save("a", "s1", {"n": 2})
    stage.stores.memories.update("m1", text="coffee", tags=["y"])
    stage.stores.memories.add("later", agent_id="a", memory_id="m2", tags=["y"])
    request_approval(stage)()
    stage.stores.snapshots.decide_approval("ok", approve=True, decided_by="ada")
    return lambda: stage.stores.snapshots.attempt("s", approval_id="ok", rollback_id="back")


def roll_back_many(stage: Stage) -> Prepared:
    """Return a rollback whose events go to many streams at once."""
    for number in range(12):
        stage.stores.world_state.set(f"k{number}", 1)
        stage.stores.sessions.save("a", f"s{number}", {"n": 1})
    check_snapshot(stage)()
    for number in range(12):
        stage.stores.world_state.delete(f"k{number}")
        stage.stores.sessions.save("a", f"s{number}", {"n": 2})
    return lambda: stage.stores.snapshots.attempt("s", rollback_id="back")


def fail_to_roll_back(stage: Stage) -> Prepared:
    """Return a rollback to a snapshot that was changed."""
    check_snapshot(stage)()
    stage.stores.memories.update("m1", text="coffee")
    with stage.backend.transaction(stage.tenant) as tx:
        tx.execute(f"DELETE FROM {stage.table('memory_versions')}")
    return lambda: stage.stores.snapshots.attempt("s", rollback_id="back")


def request_approval(stage: Stage) -> Prepared:
    """Return the question whether an agent may go back."""
    snapshots = stage.stores.snapshots
    if not snapshots.list():
        create_snapshot(stage)()
    return lambda: snapshots.request_approval("s", requested_by="a", approval_id="ok")


def decide_approval(stage: Stage) -> Prepared:
    """Return the answer to it."""
    request_approval(stage)()
    snapshots = stage.stores.snapshots
    return lambda: snapshots.decide_approval("ok", approve=True, decided_by="ada")


def delete_snapshot(stage: Stage) -> Prepared:
    """Return the removal of a snapshot with its parts."""
    create_snapshot(stage)()
    return lambda: stage.stores.snapshots.delete("s")


SNAPSHOT_WRITES = [
    create_snapshot, check_snapshot, roll_back, roll_back_many, fail_to_roll_back, request_approval,
    decide_approval, delete_snapshot,
]  # fmt: skip

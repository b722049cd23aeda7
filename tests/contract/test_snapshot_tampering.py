"""Whatever of a snapshot the owner of the database edits: verifying names it, and going back is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from aureus.errors import IntegrityFailure
from aureus.model.snapshots import root_over
from aureus.snapshots.capturing import first_leaf
from tests.contract.stage import Stage

Tamper = Callable[[Stage, str, str], None]


class Edit(NamedTuple):
    """An edit of one table, and the part that is named for it."""

    table: str
    change: str
    part: str


PLAN = "WHERE snapshot_id = '{id}' AND name = 'plan'"
POINTER = "WHERE snapshot_id = '{id}' AND name = 'm1'"
ROW = "WHERE snapshot_id = '{id}'"
ZEROS = "0" * 64

EDITS = [
    Edit(
        "snapshot_parts", f"UPDATE {{table}} SET content = '2' {PLAN}", "world_state default/plan"
    ),
    Edit(
        "snapshot_parts",
        f"UPDATE {{table}} SET content = '2', content_hash = {{hash of 2}} {PLAN}",
        "world_state default/plan",
    ),
    Edit(
        "snapshot_parts", f"UPDATE {{table}} SET content = NULL {PLAN}", "world_state default/plan"
    ),
    Edit(
        "snapshot_parts", f"UPDATE {{table}} SET name = 'plan2' {PLAN}", "world_state default/plan2"
    ),
    Edit("snapshot_parts", f"UPDATE {{table}} SET version = 9 {PLAN}", "world_state default/plan"),
    Edit("snapshot_parts", f"UPDATE {{table}} SET kind = 'session' {PLAN}", "session default/plan"),
    Edit(
        "snapshot_parts",
        f"UPDATE {{table}} SET leaf_hash = {{zeros}} {PLAN}",
        "world_state default/plan",
    ),
    Edit(
        "snapshot_parts",
        "UPDATE {table} SET content = '{{}}' WHERE snapshot_id = '{id}' AND name = 's1'",
        "session sessions/s1",
    ),
    Edit(
        "snapshot_parts",
        "UPDATE {table} SET content = NULL, erasure_record_id = 'r' WHERE snapshot_id = '{id}' AND name = 's1'",
        "session sessions/s1",
    ),
    Edit("snapshot_parts", f"UPDATE {{table}} SET version = 2 {POINTER}", "memory m1"),
    Edit("snapshot_parts", f"UPDATE {{table}} SET content_hash = {{zeros}} {POINTER}", "memory m1"),
    Edit("snapshot_parts", f"UPDATE {{table}} SET content = '1' {POINTER}", "memory m1"),
    Edit("snapshot_parts", f"DELETE FROM {{table}} {PLAN}", "parts"),
    Edit("snapshot_parts", f"DELETE FROM {{table}} {POINTER}", "parts"),
    Edit("snapshots", f"UPDATE {{table}} SET risk_tier = 'LOW' {ROW}", "header"),
    Edit("snapshots", f"UPDATE {{table}} SET agent_id = 'other' {ROW}", "header"),
    Edit("snapshots", f"UPDATE {{table}} SET created_by = 'eve' {ROW}", "header"),
    Edit("snapshots", f"UPDATE {{table}} SET tags = '[]' {ROW}", "header"),
    Edit("snapshots", f"UPDATE {{table}} SET ledger_size = ledger_size - 1 {ROW}", "header"),
    Edit("snapshots", f"UPDATE {{table}} SET ledger_root = {{zeros}} {ROW}", "header"),
    Edit("snapshots", f"UPDATE {{table}} SET memory_count = memory_count + 1 {ROW}", "parts"),
    Edit("snapshots", f"UPDATE {{table}} SET state_hash = {{zeros}} {ROW}", "state"),
    Edit("snapshots", f"UPDATE {{table}} SET root = {{zeros}} {ROW}", "header"),
    Edit("memories", "UPDATE {table} SET text = 'poison' WHERE memory_id = 'm1'", "memory m1"),
    Edit("memories", "UPDATE {table} SET tags = '[]' WHERE memory_id = 'm1'", "memory m1"),
    Edit("memories", "UPDATE {table} SET version = 7 WHERE memory_id = 'm1'", "memory m1"),
    Edit(
        "event_payloads",
        "UPDATE {table} SET payload = {bytes of {}} WHERE entry_no = (SELECT entry_no FROM {events}"
        " WHERE stream = 'snapshots/{id}')",
        "ledger",
    ),
    Edit(
        "events",
        "UPDATE {table} SET actor = 'eve' WHERE stream = 'snapshots/{id}'",
        "ledger",
    ),
    Edit(
        "events",
        "UPDATE {table} SET stream = 'elsewhere/{id}' WHERE stream = 'snapshots/{id}'",
        "ledger",
    ),
    Edit("ledger_batches", "UPDATE {table} SET leaf_hashes = {zeros per entry}", "ledger"),
    Edit("ledger_batches", "DELETE FROM {table} WHERE first_position = 0", "ledger"),
    Edit("ledger_heads", "UPDATE {table} SET root = {zeros}", "ledger"),
    Edit("ledger_heads", "UPDATE {table} SET tenant_key = 'another'", "ledger"),
]


@pytest.fixture
def agent(stage: Stage) -> Any:
    """Give the stores of a tenant whose agent has a key, a session and memories."""
    return settle(stage)


def settle(stage: Stage) -> Any:
    """Give an agent something to have, and return the stores."""
    stage.stores.world_state.set("plan", 1)
    stage.stores.sessions.save("planner", "s1", {"step": 1})
    stage.stores.memories.add("likes tea", agent_id="planner", memory_id="m1", tags=["taste"])
    stage.stores.memories.add("stays", agent_id="planner", memory_id="m2")
    return stage.stores


def spelled(stage: Stage, edit: Edit, snapshot_id: str) -> str:
    """Return the statement of an edit in the words of the engine."""
    is_postgres = stage.table("x") != "x"
    two = "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"
    words = {
        "{table}": stage.table(edit.table),
        "{events}": stage.table("events"),
        "{zeros per entry}": "decode(repeat('00', 32 * size), 'hex')"
        if is_postgres
        else "zeroblob(32 * size)",
        "{zeros}": f"'\\x{ZEROS}'" if is_postgres else f"x'{ZEROS}'",
        "{hash of 2}": f"'\\x{two}'" if is_postgres else f"x'{two}'",
        "{bytes of {}}": "'\\x7b7d'" if is_postgres else "x'7b7d'",
        "{{}}": "{}",
        "{id}": snapshot_id,
    }
    text = edit.change
    for word, meaning in words.items():
        text = text.replace(word, meaning)
    return text


def test_every_edit_is_found_and_named(
    another_stage: Callable[[str], Stage], tamper: Tamper
) -> None:
    for number, edit in enumerate(EDITS):
        stage = another_stage(f"t{number}")
        snapshots = settle(stage).snapshots
        made = snapshots.create("planner", world_scope="default", risk_tier="HIGH", tags=["t"])
        assert snapshots.verify(made.snapshot_id).is_intact
        tamper(stage, edit.table, spelled(stage, edit, made.snapshot_id))
        found = snapshots.check(made.snapshot_id)
        assert (found.part, found.is_intact) == (edit.part, False), edit
        with pytest.raises(IntegrityFailure, match=f"was changed: {edit.part}: ") as caught:
            snapshots.verify(made.snapshot_id)
        assert caught.value.part == edit.part
        marked = snapshots.get(made.snapshot_id)
        assert (marked.is_verified, marked.verified_at) == (False, stage.backend.clock.now())


def test_a_changed_snapshot_is_not_gone_back_to(stage: Stage, agent: Any, tamper: Tamper) -> None:
    snapshot = agent.snapshots.create("planner", world_scope="default")
    agent.snapshots.verify(snapshot.snapshot_id)
    agent.world_state.set("plan", 5)
    agent.memories.forget("m2")
    edit = EDITS[1]
    tamper(stage, edit.table, spelled(stage, edit, snapshot.snapshot_id))
    with pytest.raises(IntegrityFailure, match="its name, version or hash is another one"):
        agent.snapshots.restore(snapshot.snapshot_id, rollback_id="back", actor="ada")
    assert agent.world_state.get("plan").value == 5
    assert agent.memories.find("m2") is None
    assert agent.snapshots.list(tag="before-rollback") == []
    assert agent.snapshots.list_rollbacks() == []
    assert not agent.snapshots.get(snapshot.snapshot_id).is_verified
    (failed,) = agent.events.read_stream("rollbacks/back")
    assert (failed.type, failed.action, failed.outcome) == (
        "ROLLBACK_FAILED", "rollback.fail", "failure",
    )  # fmt: skip
    assert failed.payload["part"] == "world_state default/plan"


def test_a_root_that_is_made_anew_contradicts_the_ledger(
    stage: Stage, agent: Any, tamper: Tamper
) -> None:
    """Somebody who knows how roots are made rewrites row, parts and root without a seam."""
    snapshot = agent.snapshots.create("planner", world_scope="default")
    forged = replace(snapshot, created_by="eve")
    parts = agent.snapshots.list_parts(snapshot.snapshot_id)
    root = root_over([first_leaf(forged), *(part.leaf() for part in parts)])
    spelling = f"'\\x{root.hex()}'" if stage.table("x") != "x" else f"x'{root.hex()}'"
    tamper(
        stage,
        "snapshots",
        f"UPDATE {stage.table('snapshots')} SET created_by = 'eve', root = {spelling}",
    )
    with pytest.raises(IntegrityFailure, match="root: the ledger tells of another root"):
        agent.snapshots.verify(snapshot.snapshot_id)


def test_an_earlier_version_that_is_edited_or_removed_is_found(
    stage: Stage, agent: Any, tamper: Tamper
) -> None:
    snapshot = agent.snapshots.create("planner")
    agent.memories.update("m1", text="likes coffee")
    assert agent.snapshots.verify(snapshot.snapshot_id).is_intact
    versions = stage.table("memory_versions")
    for statement, problem in (
        (f"UPDATE {versions} SET text = 'poison'", "version 1 says something else than it did"),
        (f"DELETE FROM {versions}", "its version 1 is not there any more"),
    ):
        tamper(stage, "memory_versions", statement)
        with pytest.raises(IntegrityFailure, match=f"memory m1: {problem}"):
            agent.snapshots.verify(snapshot.snapshot_id)
        with pytest.raises(IntegrityFailure):
            agent.snapshots.restore(snapshot.snapshot_id)


def test_nothing_is_found_where_nothing_was_edited(stage: Stage, agent: Any) -> None:
    snapshot = agent.snapshots.create("planner", world_scope="default", metadata={"é": [1.5, None]})
    for number in range(300):
        agent.events.append(f"other/{number % 7}", "t", {"n": number})
        if number % 50 == 0:
            assert agent.snapshots.verify(snapshot.snapshot_id).is_intact
    late = agent.snapshots.create("planner")
    agent.memories.forget("m1")
    agent.memories.purge("m2")
    agent.world_state.delete("plan")
    agent.sessions.delete("planner", "s1")
    for snapshot_id in (snapshot.snapshot_id, late.snapshot_id):
        assert agent.snapshots.verify(snapshot_id).erased == ("m2",)

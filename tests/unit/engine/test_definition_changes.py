"""What a message says about a workflow that changed under a run."""

from __future__ import annotations

from dataclasses import replace

from aureus.engine.definition_changes import definition_changed
from tests.unit.engine.simulation import new_run, task, workflow


def test_both_hashes_and_every_kind_of_change_are_named_with_the_ways_out() -> None:
    stored = workflow(task("a"), task("b"), task("same"))
    given = workflow(task("a", timeout_ms=5), task("same"), task("c"))
    error = definition_changed(new_run(stored), stored, given)
    assert (error.stored_hash, error.given_hash) == (stored.hash, given.hash)
    assert (error.added, error.removed, error.changed) == (["c"], ["b"], ["a"])
    assert stored.hash[:12] in error.message
    assert given.hash[:12] in error.message
    assert "added: c; removed: b; changed: a" in error.message
    for way_out in ("--new", "--accept-changed-definition", "runs resume r_1", "cancel"):
        assert way_out in error.message


def test_a_change_outside_the_tasks_is_said_to_be_one() -> None:
    stored = workflow(task("a"))
    given = replace(stored, goal="more", hash="0" * 64)
    assert "not its tasks" in definition_changed(new_run(stored), stored, given).message


def test_a_message_names_a_few_tasks_and_the_error_all() -> None:
    stored = workflow(task("a"))
    given = workflow(task("a"), *(task(f"t{n}") for n in range(20)))
    error = definition_changed(new_run(stored), stored, given)
    assert "t4 and 15 more" in error.message
    assert len(error.added) == 20

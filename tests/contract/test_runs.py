"""Runs: begun once, changed by their holder only, taken over without a gap."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest

from aureus.errors import (
    AlreadyExists,
    IllegalTransition,
    Invalid,
    LeaseLost,
    NotFound,
)
from aureus.model.approvals import ApprovalRequest
from aureus.model.events import EventType
from aureus.model.states import (
    RUN_TRANSITIONS,
    TASK_INITIAL,
    TASK_TRANSITIONS,
    RunPhase,
    RunStatus,
    TaskKind,
    TaskStatus,
)
from aureus.model.tasks import TaskChange, TaskKey
from tests.contract.stage import Stage, begun, fact, finished
from tests.support.backends import Backend


def test_a_started_run_is_there_with_its_inputs_its_task_and_its_events(stage: Stage) -> None:
    advanced = stage.start("r1")
    assert (advanced.run.status, advanced.run.version, advanced.run.epoch) == ("running", 1, 1)
    assert stage.stores.runs.get("r1") == advanced.run
    assert stage.stores.runs.get_inputs("r1") == {"folder": "docs"}
    (task,) = stage.stores.tasks.list("r1")
    assert (task.name, task.status, task.attempt, task.has_result) == ("read", "running", 1, False)
    assert list(stage.stores.events.read_stream("runs/r1")) == list(advanced.events)


def test_a_run_id_is_used_once(stage: Stage) -> None:
    first = stage.start("r1")
    with pytest.raises(AlreadyExists):
        stage.start("r1")
    assert stage.stores.runs.get("r1") == first.run
    assert stage.versions("r1") == [1, 2]


def test_one_unfinished_run_holds_a_resume_key_and_an_ended_one_frees_it(stage: Stage) -> None:
    first = stage.start("r1", resume_key="same")
    with pytest.raises(AlreadyExists):
        stage.start("r2", resume_key="same")
    assert stage.stores.runs.find_unfinished("same") == first.run
    assert stage.stores.runs.find("r2") is None
    stage.advance(first.run, status=RunStatus.FAILED, changes=[])
    assert stage.stores.runs.find_unfinished("same") is None
    stage.start("r3", resume_key="same")


@pytest.mark.parametrize(
    "result", ["0", '""', "false", "null", "[]", '{"a":1.50}', "9223372036854775807"]
)
def test_falsy_results_and_large_integers_come_back_as_they_went(stage: Stage, result: str) -> None:
    run = stage.start("r1").run
    stage.advance(run, changes=[finished("read", result)])
    (task,) = stage.stores.tasks.list("r1")
    assert task.has_result

    assert task.result == json.loads(result)
    assert type(task.result) is type(json.loads(result))


def test_a_large_result_lies_apart_and_comes_back_whole(stage: Stage) -> None:
    run = stage.start("r1").run
    text = "ü" * 300_000
    stage.advance(run, changes=[finished("read", f'"{text}"')])
    assert stage.stores.tasks.get("r1", TaskKey("", "read")).result == text
    with stage.backend.transaction("acme") as tx:
        (row,) = tx.execute(f"SELECT count(*) FROM {stage.table('task_results')}")
        assert row[0] == 1


def test_a_transition_changes_run_tasks_approvals_and_events_together(stage: Stage) -> None:
    run = stage.start("r1").run
    advanced = stage.advance(
        run,
        changes=[
            finished("read", "1"),
            begun("count"),
            TaskChange(TaskKey("", "ask"), is_new=True, status=TaskStatus.WAITING, attempt=1),
        ],
        approvals=[ApprovalRequest(TaskKey("", "ask"), "go on?", "HIGH", "engine")],
        facts=[
            fact("r1", EventType.TASK_COMPLETED, "read"),
            fact("r1", EventType.TASK_STARTED, "count"),
        ],
    )
    assert advanced.run.version == 2
    assert {task.name: str(task.status) for task in stage.stores.tasks.list("r1")} == {
        "read": "completed",
        "count": "running",
        "ask": "waiting",
    }
    (approval,) = stage.stores.approvals.list("r1")
    assert (approval.message, approval.risk_tier, approval.status) == ("go on?", "HIGH", "pending")
    assert stage.versions("r1") == [1, 2, 3, 4]


def test_a_repeated_transition_changes_nothing_and_returns_the_same_run(stage: Stage) -> None:
    run = stage.start("r1").run
    transition = stage.a_transition(
        run, changes=[finished("read", "1")], facts=[fact("r1", EventType.TASK_COMPLETED, "read")]
    )
    first = stage.stores.runs.advance(transition)
    try:
        second = stage.stores.runs.advance(transition)
    except LeaseLost:
        assert "SQLite" in stage.backend.client.description, "a SQLite commit is never in doubt"
    else:
        assert second.run == first.run
        assert second.events == ()
    assert stage.versions("r1") == [1, 2, 3]
    assert stage.stores.runs.get("r1").version == 2


def test_a_transition_under_an_old_epoch_or_a_foreign_lease_is_refused(stage: Stage) -> None:
    run = stage.start("r1").run
    for wrong in ({"epoch": 2}, {"epoch": 0}, {"lease_id": "somebody"}):
        with pytest.raises(LeaseLost):
            stage.advance(run, **wrong, facts=[fact("r1", EventType.TASK_FAILED, "read")])
    assert stage.versions("r1") == [1, 2]
    assert stage.stores.runs.get("r1") == run


def test_a_lapsed_lease_lets_another_process_take_the_run_over(stage: Stage) -> None:
    run = stage.start("r1").run
    claim = {"lease_id": "other", "facts": [fact("r1", EventType.WORKFLOW_RESUMED)]}
    assert stage.stores.runs.claim("r1", transition_id=stage.new_id(), **claim) is None
    assert stage.versions("r1") == [1, 2]
    expire(stage)
    claimed = stage.stores.runs.claim("r1", transition_id=stage.new_id(), **claim)
    assert (claimed.run.epoch, claimed.run.lease_id) == (2, "other")
    assert stage.versions("r1") == [1, 2, 3]
    with pytest.raises(LeaseLost):
        stage.advance(run)


def test_a_holder_known_to_be_dead_need_not_be_waited_for(stage: Stage) -> None:
    stage.start("r1")
    claimed = stage.stores.runs.claim(
        "r1", lease_id="other", transition_id=stage.new_id(), dead_lease_id=stage.lease_id
    )
    assert claimed.run.epoch == 2


def test_a_released_run_is_free_at_once(stage: Stage) -> None:
    run = stage.start("r1").run
    stage.advance(run, keeps_lease=False)
    claimed = stage.stores.runs.claim("r1", lease_id="other", transition_id=stage.new_id())
    assert claimed is not None


def test_an_ended_run_cannot_be_claimed_or_asked_to_stop(stage: Stage) -> None:
    run = stage.start("r1").run
    stage.advance(run, status=RunStatus.COMPLETED, keeps_lease=False)
    assert stage.stores.runs.claim("r1", lease_id="other", transition_id="t") is None
    assert stage.stores.runs.request_cancel("r1") is None


def test_a_wish_to_cancel_is_noted_once_and_shown_to_the_holder(stage: Stage) -> None:
    stage.start("r1")
    stage.start("r2")
    wish = [fact("r1", EventType.WORKFLOW_CANCEL_REQUESTED)]
    assert stage.stores.runs.request_cancel("r1", facts=wish) is not None
    assert stage.stores.runs.request_cancel("r1", facts=wish) is None
    notices = stage.stores.leases.list_notices(stage.lease_id)
    assert [(notice.kind, notice.run_id) for notice in notices] == [("cancel", "r1")]
    assert stage.versions("r1") == [1, 2, 3]


def test_the_database_allows_exactly_the_moves_of_the_table_for_runs(stage: Stage) -> None:
    for before, after in itertools.product(set(RunStatus) - {RunStatus.PENDING}, RunStatus):
        run = stage.start(f"{before}-{after}").run
        if before is not RunStatus.RUNNING:
            run = stage.advance(run, status=before).run
        move = stage.a_transition(run, status=after)
        if after is before or after in RUN_TRANSITIONS[before]:
            assert stage.stores.runs.advance(move).run.status is after
            continue
        with pytest.raises(IllegalTransition):
            stage.stores.runs.advance(move)
        assert stage.stores.runs.get(run.run_id) == run


def test_the_database_allows_exactly_the_moves_of_the_table_for_tasks(stage: Stage) -> None:
    key = TaskKey("", "t")
    for before, after in itertools.product(TASK_INITIAL | {TaskStatus.RETRYING}, TaskStatus):
        first = TaskStatus.RUNNING if before is TaskStatus.RETRYING else before
        begin = TaskChange(key, is_new=True, status=first, attempt=1)
        run = stage.start(f"{before}-{after}", changes=[begin]).run
        if before is not first:
            change = TaskChange(key, is_new=False, status=before, attempt=1)
            run = stage.advance(run, changes=[change]).run
        change = TaskChange(key, is_new=False, status=after, attempt=1)
        if after is before or after in TASK_TRANSITIONS[before]:
            stage.advance(run, changes=[change])
            assert stage.stores.tasks.get(run.run_id, key).status is after
            continue
        with pytest.raises(IllegalTransition):
            stage.advance(run, changes=[change])
        assert stage.stores.runs.get(run.run_id) == run


def test_a_task_cannot_begin_at_its_end(stage: Stage) -> None:
    for status in set(TaskStatus) - TASK_INITIAL:
        begin = TaskChange(TaskKey("", "t"), is_new=True, status=status, attempt=1)
        with pytest.raises(IllegalTransition):
            stage.start("r1", changes=[begin])
    assert stage.stores.runs.find("r1") is None


def test_a_finished_task_keeps_its_result_whatever_comes_later(stage: Stage) -> None:
    run = stage.start("r1").run
    run = stage.advance(run, changes=[finished("read", '"first"')]).run
    with pytest.raises(IllegalTransition):
        stage.advance(
            run,
            changes=[
                TaskChange(TaskKey("", "read"), is_new=False, status=TaskStatus.RUNNING, attempt=2)
            ],
        )
    assert stage.stores.tasks.get("r1", TaskKey("", "read")).result == "first"


def test_the_journal_has_room_for_every_kind_scope_and_occurrence(stage: Stage) -> None:
    changes = [
        TaskChange(
            TaskKey(scope, "same", number),
            is_new=True,
            status=TaskStatus.RUNNING,
            attempt=1,
            kind=kind,
        )
        for scope in ("", "compensation/a")
        for number, kind in enumerate(TaskKind)
    ]
    stage.start("r1", changes=changes)
    kinds = {(task.scope, task.occurrence): task.kind for task in stage.stores.tasks.list("r1")}
    assert kinds == {(c.key.scope, c.key.occurrence): c.kind for c in changes}


def test_compensation_keeps_the_error_that_it_makes_up_for(stage: Stage) -> None:
    run = stage.start("r1").run
    run = stage.advance(
        run, phase=RunPhase.COMPENSATING, error_code="task_failed", error_message="no\nway"
    ).run
    assert (run.phase, run.error_code, run.error_message) == (
        "compensating",
        "task_failed",
        "no\nway",
    )
    assert stage.stores.runs.get("r1") == run


def test_pages_of_runs_neither_double_nor_skip_while_runs_are_added(stage: Stage) -> None:
    for number in range(25):
        stage.backend.clock.advance(1 if number % 3 else 0)
        stage.start(f"r{number:02}")
    seen: list[str] = []
    before = None
    while page := stage.stores.runs.list(limit=7, before=before):
        seen += [run.run_id for run in page]
        before = (page[-1].created_at, page[-1].run_id)
        stage.backend.clock.advance(1)
        stage.start(f"late-{len(seen)}")
    assert seen == [f"r{number:02}" for number in reversed(range(25))]


def test_a_list_may_be_narrowed_to_a_status_or_a_workflow(stage: Stage) -> None:
    stage.start("r1")
    ended = stage.start("r2").run
    stage.advance(ended, status=RunStatus.COMPLETED)
    ids = [run.run_id for run in stage.stores.runs.list(status=RunStatus.COMPLETED)]
    assert ids == ["r2"]
    assert stage.stores.runs.list(workflow_id="other") == []
    assert len(stage.stores.runs.list(workflow_id="digest")) == 2


def test_what_is_not_there_is_said_to_be_missing(stage: Stage) -> None:
    for look in (stage.stores.runs.get, stage.stores.runs.get_inputs):
        with pytest.raises(NotFound):
            look("nobody")
    with pytest.raises(NotFound):
        stage.stores.workflows.get_version("digest", "other")


def test_two_tenants_with_equal_ids_neither_see_nor_change_each_other(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    other = another_stage("other")
    mine = stage.start("r1", resume_key="same").run
    theirs = other.start("r1", resume_key="same", inputs={"folder": "theirs"}).run
    stage.advance(mine, status=RunStatus.COMPLETED, changes=[finished("read", "1")])
    assert other.stores.runs.get("r1") == theirs
    assert other.stores.runs.get_inputs("r1") == {"folder": "theirs"}
    assert [str(task.status) for task in other.stores.tasks.list("r1")] == ["running"]
    assert other.versions("r1") == [1, 2]
    with pytest.raises(LeaseLost):
        other.advance(theirs, lease_id=stage.lease_id)


def test_inputs_that_cannot_be_kept_are_refused_before_anything_is_stored(stage: Stage) -> None:
    for bad in (float("nan"), "a\x00b", "\ud800", 2**63, -(2**63) - 1, {1: 2}, object()):
        with pytest.raises(Invalid):
            stage.start("r1", inputs={"x": bad})
    assert stage.stores.runs.find("r1") is None


def test_what_a_transaction_wrote_is_gone_with_it(backend: Backend, stage: Stage) -> None:
    def start_and_give_up() -> None:
        with backend.transaction("acme") as tx:
            tx.runs.start(stage.a_start("r1"))
            assert tx.runs.get("r1").status == "running"
            raise RuntimeError("given up")

    with pytest.raises(RuntimeError, match="given up"):
        start_and_give_up()
    assert stage.stores.runs.find("r1") is None
    with backend.transaction("acme") as tx:
        tx.runs.start(stage.a_start("r1"))
        with pytest.raises(AlreadyExists):
            tx.runs.start(stage.a_start("r1"))
        tx.runs.start(stage.a_start("r2"))
    assert [run.run_id for run in stage.stores.runs.list()] == ["r2", "r1"]
    assert stage.versions("r2") == [1, 2]


def expire(stage: Stage) -> None:
    """Let the lease of the stage be over."""
    stage.stores.leases.release(stage.lease_id)

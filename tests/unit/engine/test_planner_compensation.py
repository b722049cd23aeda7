"""What makes up for a run that failed: which tasks, in which order, and what interrupts it."""

from __future__ import annotations

from aureus.engine.outcomes import Cancelled, Ended, Interrupted
from aureus.engine.planner import Rules
from aureus.model.states import ApprovalStatus, RunPhase
from aureus.model.tasks import TaskKey
from aureus.model.workflows import Compensation, CompensationAction, RetryPolicy, RiskTier, Workflow
from tests.unit.engine.simulation import Simulation, broken, done, late, task, workflow

UNDO = CompensationAction("command", {"command": ["undo", "${{ tasks.a.result.id }}"]})
CLEANUP = TaskKey("compensation/c", "cleanup")
UNDO_A = TaskKey("compensation/a", "command")
UNDO_B = TaskKey("compensation/b", "sleep")


def saga() -> Workflow:
    """Return three tasks of which the last makes up for its own failure and the others can be undone."""
    return workflow(
        task("a", compensation_action=UNDO),
        task("b", "a", compensation_action=CompensationAction("sleep", {"ms": 1})),
        task("c", "b", compensation=Compensation(on_failure="cleanup")),
        task("cleanup", inputs={"why": "${{ tasks.c.status }}"}),
    )


def failing_saga() -> Simulation:
    """Return the saga at the moment when its last task has failed."""
    run = Simulation(saga())
    run.tick(("a", done({"id": "7"})))
    run.tick(("b", done()))
    run.tick(("c", broken("boom")))
    return run


def test_a_compensation_task_never_runs_when_all_goes_well() -> None:
    run = Simulation(saga())
    for name in "abc":
        run.tick((name, done({"id": "7"})))
    assert run.state == "completed"
    assert run.statuses() == {"a": "completed", "b": "completed", "c": "completed"}


def test_the_failed_task_is_made_up_for_first_then_the_others_are_undone_last_to_first() -> None:
    run = failing_saga()
    assert run.run.phase is RunPhase.COMPENSATING
    for key in (CLEANUP, UNDO_B, UNDO_A):
        assert list(run.working) == [key], "one step at a time"
        run.tick((key, done({"undone": key.name})))
    assert run.state == "failed"
    assert run.started[-3:] == [CLEANUP, UNDO_B, UNDO_A]
    assert run.rows[UNDO_A].result == {"undone": "command"}
    assert run.told()[-8:] == [
        "TASK_FAILED c",
        "COMPENSATION_TRIGGERED cleanup",
        "COMPENSATION_COMPLETED cleanup",
        "COMPENSATION_TRIGGERED b",
        "COMPENSATION_COMPLETED b",
        "COMPENSATION_TRIGGERED a",
        "COMPENSATION_COMPLETED a",
        "WORKFLOW_FAILED",
    ]
    assert [fact.metadata.get("compensationFor") for fact in run.facts[-8:]] == [
        None, "c", "c", "b", "b", "a", "a", None,
    ]  # fmt: skip


def test_compensations_see_what_they_make_up_for() -> None:
    run = failing_saga()
    assert run.working[CLEANUP].inputs == {"why": "failed"}
    run.tick((CLEANUP, done()))
    run.tick((UNDO_B, done()))
    assert run.working[UNDO_A].inputs == {"command": ["undo", "7"]}


def test_the_run_keeps_the_error_that_it_failed_with() -> None:
    run = failing_saga()
    for key in (CLEANUP, UNDO_B, UNDO_A):
        run.tick((key, broken("cannot undo")))
    assert run.state == "failed"
    assert (run.run.error_code, run.run.error_message) == ("tool_failed", "task c failed: boom")


def test_a_failing_compensation_is_recorded_and_the_rest_goes_on() -> None:
    run = failing_saga()
    run.tick((CLEANUP, broken("stuck")))
    assert run.rows[CLEANUP].error_message == "stuck"
    assert run.told()[-2:] == ["COMPENSATION_FAILED cleanup", "COMPENSATION_TRIGGERED b"]
    run.tick((UNDO_B, done()))
    run.tick((UNDO_A, done()))
    assert run.statuses()["compensation/c/cleanup"] == "failed"
    assert run.state == "failed"


def test_an_interrupted_compensation_goes_on_where_it_stopped() -> None:
    run = failing_saga()
    run.tick((CLEANUP, done()))
    run.crash()
    assert list(run.working) == [UNDO_B]
    assert run.rows[UNDO_B].attempt == 2
    run.tick((UNDO_B, done()))
    run.crash()
    run.tick((UNDO_A, done()))
    assert run.state == "failed"
    assert [key for key in run.started if key == CLEANUP] == [CLEANUP]


def test_a_compensation_task_is_retried_by_its_own_policy() -> None:
    policy = RetryPolicy(attempts_max=2, backoff_ms=1)
    run = Simulation(
        workflow(task("a", compensation=Compensation(on_failure="fix")), task("fix", retry=policy))
    )
    key = TaskKey("compensation/a", "fix")
    run.tick(("a", broken()))
    run.tick((key, broken()))
    assert run.status(key) == "retrying"
    run.pass_time(1)
    run.tick((key, done()))
    assert run.told() == [
        "TASK_STARTED a",
        "TASK_FAILED a",
        "COMPENSATION_TRIGGERED fix",
        "TASK_RETRY fix",
        "TASK_STARTED fix",
        "COMPENSATION_COMPLETED fix",
        "WORKFLOW_FAILED",
    ]


def test_a_timeout_has_its_own_compensation_or_that_of_a_failure() -> None:
    own = Compensation(on_failure="failed", on_timeout="late")
    run = Simulation(workflow(task("a", compensation=own), task("failed"), task("late")))
    run.tick(("a", late()))
    assert list(run.working) == [TaskKey("compensation/a", "late")]
    run = Simulation(
        workflow(task("a", compensation=Compensation(on_failure="failed")), task("failed"))
    )
    run.tick(("a", late()))
    assert list(run.working) == [TaskKey("compensation/a", "failed")]


def test_what_runs_when_a_task_fails_is_let_finish_and_then_undone() -> None:
    action = CompensationAction("sleep", {"ms": 1})
    run = Simulation(workflow(task("a"), task("b", compensation_action=action), task("c", "b")))
    run.tick(("a", broken()))
    assert run.statuses() == {"a": "failed", "b": "running"}
    assert run.state == "running"
    run.tick(("b", done()))
    assert run.status("c") is None
    assert list(run.working) == [TaskKey("compensation/b", "sleep")]


def test_a_sibling_that_fails_meanwhile_is_not_retried_and_is_made_up_for() -> None:
    run = Simulation(
        workflow(
            task("a", compensation=Compensation(on_failure="fix-a")),
            task(
                "b",
                retry=RetryPolicy(attempts_max=3),
                compensation=Compensation(on_failure="fix-b"),
            ),
            task("fix-a"),
            task("fix-b"),
        )
    )
    run.tick(("a", broken("first")))
    run.tick(("b", broken("second")))
    run.tick((TaskKey("compensation/a", "fix-a"), done()))
    run.tick((TaskKey("compensation/b", "fix-b"), done()))
    assert run.run.error_message == "task a failed: first"
    assert run.state == "failed"


def test_what_was_tried_and_given_up_is_made_up_for_as_a_failure() -> None:
    """Its attempts may have left something behind: one waited for a retry, the other's process died."""
    policy = RetryPolicy(attempts_max=3)
    run = Simulation(
        workflow(
            task("a"),
            task("b", retry=policy, compensation=Compensation(on_failure="fix-b")),
            task("c", compensation=Compensation(on_failure="fix-c")),
            task("fix-b"),
            task("fix-c"),
        )
    )
    run.tick(("b", broken()))
    run.tick(("a", broken()))
    assert run.statuses() == {"a": "failed", "b": "cancelled", "c": "running"}
    run.crash()
    assert run.status("c") == "cancelled"
    run.tick((TaskKey("compensation/b", "fix-b"), done()))
    run.tick((TaskKey("compensation/c", "fix-c"), done()))
    assert run.state == "failed"


def test_a_task_that_only_waited_for_a_person_has_nothing_to_make_up_for() -> None:
    run = Simulation(
        workflow(
            task("a"),
            task("b", risk_tier=RiskTier.HIGH, compensation=Compensation(on_failure="fix")),
            task("fix"),
        ),
        Rules(approve_from=RiskTier.HIGH),
    )
    run.tick(("a", broken()))
    assert run.statuses() == {"a": "failed", "b": "cancelled"}
    assert run.state == "failed"


def test_a_compensation_asks_nobody_because_of_its_risk() -> None:
    run = Simulation(
        workflow(
            task("a", compensation=Compensation(on_failure="fix")),
            task("fix", risk_tier=RiskTier.CRITICAL),
        ),
        Rules(approve_from=RiskTier.LOW),
    )
    run.tick(("a", broken()))
    assert list(run.working) == [TaskKey("compensation/a", "fix")]


def test_a_compensation_that_is_a_question_waits_for_its_answer() -> None:
    key = TaskKey("compensation/a", "ask")
    run = Simulation(
        workflow(
            task("a", compensation=Compensation(on_failure="ask")),
            task("ask", tool="wait-for-approval", inputs={"message": "now what?"}),
        )
    )
    run.tick(("a", broken()))
    assert run.state == "paused"
    run.answer(key, ApprovalStatus.APPROVED)
    run.crash()
    assert run.status(key) == "completed"
    assert run.state == "failed"


def test_the_condition_of_a_compensation_task_can_leave_it_out() -> None:
    run = Simulation(
        workflow(
            task("a", compensation=Compensation(on_failure="fix")),
            task("fix", when="${{ input.x }}"),
        ),
        inputs={"x": False},
    )
    run.tick(("a", broken()))
    assert run.statuses() == {"a": "failed", "compensation/a/fix": "skipped"}


def test_a_run_can_be_cancelled_while_it_compensates() -> None:
    run = failing_saga()
    run.resume()
    run.journal.is_cancel_requested = True
    run.settle([Ended(CLEANUP, Interrupted())])
    assert run.status(CLEANUP) == "cancelled"
    assert run.state == "cancelled"
    assert not [key for key in run.started if key in {UNDO_A, UNDO_B}]


def test_cancelling_a_tool_of_a_compensation_ends_it_as_cancelled() -> None:
    run = failing_saga()
    run.journal.is_cancel_requested = True
    run.tick((CLEANUP, Cancelled()))
    assert run.statuses()["compensation/c/cleanup"] == "cancelled"
    assert run.state == "cancelled"


def test_a_compensation_task_without_a_tool_calls_that_of_its_compensation_action() -> None:
    """As the files of the older system have it: the task that makes up names its tool only there."""
    run = Simulation(
        workflow(
            task("pay", compensation=Compensation(on_failure="refund")),
            task("refund", compensation_action=CompensationAction("sleep", {"ms": 5})),
        )
    )
    run.tick(("pay", broken("boom")))
    key = TaskKey("compensation/pay", "refund")
    assert list(run.working) == [key]
    assert run.rows[key].tool == "sleep"

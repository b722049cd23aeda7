"""What the planner asks people, and what their answers do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aureus.engine.planner import Rules
from aureus.model.plain import plain
from aureus.model.states import ApprovalStatus
from aureus.model.tasks import TaskKey
from aureus.model.workflows import Compensation, RetryPolicy, RiskTier, Workflow
from tests.unit.engine.simulation import START, Simulation, done, task, workflow

ASK = TaskKey("", "ask")


def question(**inputs: object) -> Workflow:
    """Return a workflow with a question between two tasks."""
    given = {"message": "deploy ${{ tasks.a.result.version }}?", **inputs}
    retry = RetryPolicy(attempts_max=3)
    return workflow(
        task("a"),
        task("ask", "a", tool="wait-for-approval", inputs=given, retry=retry),
        task("b", "ask", inputs={"by": "${{ tasks.ask.result.approvedBy }}"}),
    )


def asked(**inputs: object) -> Simulation:
    """Return the run of the question at the moment when it waits."""
    run = Simulation(question(**inputs))
    run.tick(("a", done({"version": 7})))
    return run


def test_a_run_that_only_waits_for_people_is_paused_and_given_back() -> None:
    run = asked()
    assert run.statuses() == {"a": "completed", "ask": "waiting"}
    assert (run.state, run.run.lease_id) == ("paused", None)
    assert run.approvals[ASK].message == "deploy 7?"
    assert run.told()[-2:] == ["APPROVAL_REQUESTED ask", "WORKFLOW_PAUSED"]
    assert run.facts[-1].payload["data"] == {"waitingFor": ["ask"]}


def test_a_yes_completes_the_question_with_who_said_so() -> None:
    run = asked()
    run.answer("ask", ApprovalStatus.APPROVED, reason="looks good")
    run.crash()
    result = {"approvedBy": "ada", "reason": "looks good", "at": plain(START)}
    assert run.rows[ASK].result == result
    assert run.working[TaskKey("", "b")].inputs == {"by": "ada"}


def test_a_no_fails_the_question_without_another_try() -> None:
    run = asked()
    run.answer("ask", ApprovalStatus.DENIED, reason="not on a Friday")
    run.crash()
    assert run.status("ask") == "failed"
    assert run.state == "failed"
    assert run.run.error_code == "approval_denied"
    assert "ada denied task 'ask': not on a Friday" in str(run.run.error_message)


def test_no_answer_in_time_is_a_no() -> None:
    run = asked(expiresInMs=60_000)
    assert run.approvals[ASK].expires_at == START + timedelta(seconds=60)
    run.pass_time(59)
    run.crash()
    assert run.state == "paused"
    run.pass_time(1)
    run.crash()
    assert run.run.error_code == "approval_expired"
    assert run.told()[-3:] == ["APPROVAL_DENIED ask", "TASK_FAILED ask", "WORKFLOW_FAILED"]


def test_a_run_is_not_paused_while_other_tasks_run_and_wakes_when_the_question_expires() -> None:
    given = {"message": "go?", "expiresInMs": 60_000}
    run = Simulation(workflow(task("ask", tool="wait-for-approval", inputs=given), task("slow")))
    assert run.state == "running"
    assert run.planner.next_wake(run.now) == START + timedelta(seconds=60)
    run.answer("ask", ApprovalStatus.APPROVED)
    run.tick()
    assert run.statuses() == {"ask": "completed", "slow": "running"}


def test_questions_are_asked_even_when_no_place_is_free() -> None:
    run = Simulation(
        workflow(task("a"), task("ask", tool="wait-for-approval", inputs={"message": "?"})),
        Rules(parallel_max=1),
    )
    assert run.statuses() == {"a": "running", "ask": "waiting"}


@pytest.mark.parametrize(
    ("tier", "lowest", "waits"),
    [
        (RiskTier.HIGH, RiskTier.HIGH, True),
        (RiskTier.CRITICAL, RiskTier.HIGH, True),
        (RiskTier.MEDIUM, RiskTier.HIGH, False),
        (None, RiskTier.LOW, False),
        (RiskTier.CRITICAL, None, False),
    ],
)
def test_a_risk_tier_asks_only_from_the_tier_that_was_named(
    tier: RiskTier | None, lowest: RiskTier | None, waits: bool
) -> None:
    run = Simulation(workflow(task("a", risk_tier=tier)), Rules(approve_from=lowest))
    assert run.status("a") == ("waiting" if waits else "running")


def test_a_yes_to_a_risk_starts_the_task_with_its_first_attempt() -> None:
    run = Simulation(
        workflow(task("a", tool="command", risk_tier=RiskTier.HIGH, inputs={"command": ["ls"]})),
        Rules(approve_from=RiskTier.HIGH),
    )
    key = TaskKey("", "a")
    before = run.rows[key]
    assert "'a' (tool 'command') start? Its risk tier is HIGH" in run.approvals[key].message
    run.answer("a", ApprovalStatus.APPROVED)
    run.crash()
    assert (run.status("a"), run.rows[key].attempt) == ("running", 1)
    assert run.working[key].idempotency_key == before.idempotency_key
    run.tick(("a", done()))
    assert run.state == "completed"


def test_approved_tasks_respect_the_bound() -> None:
    tasks = [task(f"t{n}", risk_tier=RiskTier.HIGH) for n in range(3)]
    run = Simulation(workflow(*tasks), Rules(parallel_max=1, approve_from=RiskTier.HIGH))
    for name in ("t0", "t1", "t2"):
        run.answer(name, ApprovalStatus.APPROVED)
    run.crash()
    assert run.statuses() == {"t0": "running", "t1": "waiting", "t2": "waiting"}
    run.tick(("t0", done()))
    assert run.statuses() == {"t0": "completed", "t1": "running", "t2": "waiting"}
    run.tick(("t1", done()))
    run.tick(("t2", done()))
    assert (run.state, run.max_running) == ("completed", 1)


def test_a_no_to_a_risk_is_made_up_for() -> None:
    run = Simulation(
        workflow(
            task("a", risk_tier=RiskTier.HIGH, compensation=Compensation(on_failure="fix")),
            task("fix"),
        ),
        Rules(approve_from=RiskTier.HIGH),
    )
    run.answer("a", ApprovalStatus.DENIED)
    run.crash()
    assert list(run.working) == [TaskKey("compensation/a", "fix")]


def test_a_question_that_cannot_be_asked_fails_its_task() -> None:
    run = Simulation(
        workflow(
            task("ask", tool="wait-for-approval", inputs={"message": "${{ input.text }}"}),
        ),
        inputs={"text": 7},
    )
    problem = run.working[ASK].problem
    assert problem is not None
    assert "'message' must be text" in problem.message


def test_a_run_waits_for_the_approvals_that_are_left() -> None:
    run = Simulation(
        workflow(
            task("one", tool="wait-for-approval", inputs={"message": "1?"}),
            task("two", tool="wait-for-approval", inputs={"message": "2?"}),
        )
    )
    run.answer("one", ApprovalStatus.APPROVED)
    run.crash()
    assert run.state == "paused"
    assert run.facts[-1].payload["data"] == {"waitingFor": ["two"]}

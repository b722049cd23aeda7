"""What the steps of a run are told as."""

from __future__ import annotations

import pytest

from aureus.engine.commands import TaskLabel
from aureus.engine.facts import _ACTIONS, Teller
from aureus.engine.planner import Rules
from aureus.model.events import EventType
from aureus.model.states import ApprovalStatus
from aureus.model.tasks import TaskKey
from aureus.model.workflows import RetryPolicy, RiskTier
from tests.unit.engine.simulation import Simulation, broken, done, task, workflow

TELLER = Teller("r_1", "w", "ada")


def test_a_fact_is_in_the_stream_of_its_run_and_names_what_it_is_about() -> None:
    label = TaskLabel(TaskKey("compensation/a", "fix"), "fix", compensation_for="a")
    fact = TELLER.of_task(EventType.TASK_RETRY, label, data={"reason": "failed", "code": None})
    assert (fact.stream, fact.type, fact.actor) == ("runs/r_1", "TASK_RETRY", "ada")
    assert fact.correlation_id == "r_1"
    assert fact.payload == {
        "workflowId": "w", "runId": "r_1", "taskId": "fix", "data": {"reason": "failed"},
    }  # fmt: skip
    assert fact.metadata == {"compensationFor": "a"}
    assert fact.audit is not None
    assert fact.audit.resource == "runs/r_1/tasks/compensation/a/fix"


def test_what_is_empty_is_left_out() -> None:
    fact = TELLER.of_run(EventType.WORKFLOW_RESUMED, data={"afterHost": None})
    assert fact.payload == {"workflowId": "w", "runId": "r_1"}
    assert fact.metadata == {}


@pytest.mark.parametrize(
    ("kind", "tier", "is_decision"),
    [
        (EventType.TASK_STARTED, None, False),
        (EventType.TASK_STARTED, RiskTier.MEDIUM, False),
        (EventType.TASK_STARTED, RiskTier.HIGH, True),
        (EventType.TASK_COMPLETED, RiskTier.CRITICAL, True),
        (EventType.APPROVAL_GRANTED, None, True),
        (EventType.APPROVAL_REQUESTED, RiskTier.LOW, True),
    ],
)
def test_approvals_and_high_risks_are_decisions(
    kind: EventType, tier: RiskTier | None, is_decision: bool
) -> None:
    audit = TELLER.of_task(kind, TaskLabel(TaskKey("", "a"), "a", risk_tier=tier)).audit
    assert audit is not None
    assert audit.is_decision is is_decision


@pytest.mark.parametrize(
    ("kind", "is_decision"),
    [
        (EventType.WORKFLOW_STARTED, False),
        (EventType.WORKFLOW_FAILED, False),
        (EventType.WORKFLOW_CANCEL_REQUESTED, True),
        (EventType.WORKFLOW_CANCELLED, True),
    ],
)
def test_cancellations_are_decisions(kind: EventType, is_decision: bool) -> None:
    audit = TELLER.of_run(kind).audit
    assert audit is not None
    assert audit.is_decision is is_decision


def test_every_event_type_of_runs_tasks_and_approvals_can_be_told() -> None:
    prefixes = ("WORKFLOW_", "TASK_", "APPROVAL_", "COMPENSATION_")
    assert {kind for kind in EventType if kind.startswith(prefixes)} == set(_ACTIONS)


def test_metadata_say_attempt_error_and_duration() -> None:
    policy = RetryPolicy(attempts_max=2, backoff_ms=1000, jitter=False)
    run = Simulation(workflow(task("a", retry=policy)))
    run.tick(("a", broken("no luck")))
    assert run.facts[-1].metadata == {"attempt": 1, "error": "no luck", "duration": 7}
    assert run.facts[-1].payload["data"] == {
        "reason": "failed", "delayMs": 1000, "code": "tool_failed",
    }  # fmt: skip
    run.pass_time(1)
    run.tick(("a", done(replayed=True)))
    completed, ended = run.facts[-2:]
    assert completed.metadata == {"attempt": 2, "duration": 7}
    assert completed.payload["data"] == {"replayed": True}
    assert ended.metadata == {"duration": 1000}


def test_a_denied_approval_of_a_high_risk_is_told_with_its_task() -> None:
    run = Simulation(
        workflow(task("a", risk_tier=RiskTier.HIGH)), Rules(approve_from=RiskTier.HIGH)
    )
    run.answer("a", ApprovalStatus.DENIED)
    run.crash()
    failed = next(fact for fact in run.facts if fact.type == "TASK_FAILED")
    assert failed.payload["data"] == {"code": "approval_denied"}
    assert failed.audit is not None
    assert (failed.audit.is_decision, failed.audit.outcome) == (True, "failure")

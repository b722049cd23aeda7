"""What the steps of a run are told as: events of its stream, which are audit entries where they are decisions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aureus.engine.commands import TaskLabel
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.runs import stream_of
from aureus.model.workflows import RiskTier

_ACTIONS: Mapping[EventType, str] = {
    EventType.WORKFLOW_STARTED: "run.start",
    EventType.WORKFLOW_RESUMED: "run.resume",
    EventType.WORKFLOW_PAUSED: "run.pause",
    EventType.WORKFLOW_COMPLETED: "run.complete",
    EventType.WORKFLOW_FAILED: "run.fail",
    EventType.WORKFLOW_CANCEL_REQUESTED: "run.request-cancel",
    EventType.WORKFLOW_CANCELLED: "run.cancel",
    EventType.TASK_STARTED: "task.start",
    EventType.TASK_COMPLETED: "task.complete",
    EventType.TASK_FAILED: "task.fail",
    EventType.TASK_RETRY: "task.retry",
    EventType.TASK_TIMEOUT: "task.time-out",
    EventType.TASK_SKIPPED: "task.skip",
    EventType.TASK_CANCELLED: "task.cancel",
    EventType.APPROVAL_REQUESTED: "approval.request",
    EventType.APPROVAL_GRANTED: "approval.grant",
    EventType.APPROVAL_DENIED: "approval.deny",
    EventType.COMPENSATION_TRIGGERED: "compensation.start",
    EventType.COMPENSATION_COMPLETED: "compensation.complete",
    EventType.COMPENSATION_FAILED: "compensation.fail",
}

_ALWAYS_DECISIONS = frozenset(
    {
        EventType.APPROVAL_REQUESTED,
        EventType.APPROVAL_GRANTED,
        EventType.APPROVAL_DENIED,
        EventType.WORKFLOW_CANCEL_REQUESTED,
        EventType.WORKFLOW_CANCELLED,
    }
)

_OUTCOMES: Mapping[EventType, str] = {
    EventType.WORKFLOW_FAILED: "failure",
    EventType.TASK_FAILED: "failure",
    EventType.TASK_RETRY: "failure",
    EventType.TASK_TIMEOUT: "failure",
    EventType.COMPENSATION_FAILED: "failure",
    EventType.APPROVAL_DENIED: "denied",
}

_HIGH_RISK = frozenset({RiskTier.HIGH, RiskTier.CRITICAL})


@dataclass(frozen=True, slots=True)
class Teller:
    """Words the facts of one run; ``actor`` is who makes them happen."""

    run_id: str
    workflow_id: str
    actor: str

    def of_run(
        self,
        kind: EventType,
        *,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Fact:
        """Return a fact about the run as a whole."""
        return self._fact(
            kind, {}, f"runs/{self.run_id}", kind in _ALWAYS_DECISIONS, data, metadata
        )

    def of_task(
        self,
        kind: EventType,
        label: TaskLabel,
        *,
        data: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Fact:
        """Return a fact about one entry of the journal; what happens to high risks is a decision."""
        known = dict(metadata or {})
        if label.compensation_for is not None:
            known["compensationFor"] = label.compensation_for
        resource = f"runs/{self.run_id}/tasks/{label.key}"
        is_decision = kind in _ALWAYS_DECISIONS or label.risk_tier in _HIGH_RISK
        return self._fact(kind, {"taskId": label.task_id}, resource, is_decision, data, known)

    def _fact(
        self,
        kind: EventType,
        subject: Mapping[str, Any],
        resource: str,
        is_decision: bool,
        data: Mapping[str, Any] | None,
        metadata: Mapping[str, Any] | None,
    ) -> Fact:
        payload: dict[str, Any] = {
            "workflowId": self.workflow_id,
            "runId": self.run_id,
            **subject,
        }
        present = _present(data)
        if present:
            payload["data"] = present
        return Fact(
            stream=stream_of(self.run_id),
            type=kind.value,
            payload=payload,
            actor=self.actor,
            metadata=_present(metadata),
            correlation_id=self.run_id,
            audit=AuditPoint(
                action=_ACTIONS[kind],
                resource=resource,
                outcome=_OUTCOMES.get(kind, "success"),
                is_decision=is_decision,
            ),
        )


def _present(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: value for name, value in (values or {}).items() if value is not None}

"""What a workflow file asks people, and what their answers mean. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from aureus.codec import encode_text
from aureus.engine.commands import (
    AskApproval,
    Command,
    CompleteTask,
    ExpireApproval,
    FailTask,
    Work,
)
from aureus.engine.outcomes import Completed, Failure
from aureus.engine.work import Planned, broken
from aureus.errors import Invalid
from aureus.model.approvals import Approval
from aureus.model.plain import plain
from aureus.model.states import ApprovalStatus, TaskStatus
from aureus.model.workflows import RiskTier, TaskDefinition
from aureus.tools import WaitForApproval

_TOOL = WaitForApproval()


def is_question(definition: TaskDefinition) -> bool:
    """Return whether a task is nothing but a question to a person."""
    return definition.tool == _TOOL.name


def asks_first(definition: TaskDefinition, approve_from: RiskTier | None) -> bool:
    """Return whether a task waits for a person before anything else."""
    tier = definition.risk_tier
    is_risky = tier is not None and approve_from is not None and tier.rank >= approve_from.rank
    return is_question(definition) or is_risky


def checked(planned: Planned, work: Work) -> Work:
    """Return the work of a task, with its problem when it is a question that cannot be asked."""
    if work.problem is None and is_question(planned.definition):
        try:
            _TOOL.check(work.inputs)
        except Invalid as error:
            return broken(planned.label, error, work.idempotency_key)
    return work


def question(planned: Planned, work: Work, now: datetime) -> Command:
    """Return the request for an answer; the work was ``checked``."""
    label = planned.label
    if not is_question(planned.definition):
        doing = "" if label.tool is None else f" (tool {label.tool!r})"
        message = f"May task {label.task_id!r}{doing} start? Its risk tier is {label.risk_tier}."
        return AskApproval(work, message, label.risk_tier)
    asked = _TOOL.read(work.inputs)
    expires_at = None
    if asked.expires_ms is not None:
        expires_at = now + timedelta(milliseconds=asked.expires_ms)
    return AskApproval(work, asked.message, asked.risk_tier or label.risk_tier, expires_at)


def is_approved(approval: Approval | None) -> bool:
    """Return whether a person said yes."""
    return approval is not None and approval.status is ApprovalStatus.APPROVED


def answered(planned: Planned, approval: Approval | None, now: datetime) -> list[Command]:
    """Return what an answer, or its absence for too long, means for the task that waits.

    Empty while the question is open, and for a yes to a task that has work of its own: that one starts when there is
    a free place.
    """
    label = planned.label
    if approval is None:
        return []
    if approval.status is ApprovalStatus.APPROVED:
        return [CompleteTask(label, _approved(approval))] if is_question(planned.definition) else []
    if approval.status is ApprovalStatus.DENIED:
        reason = f": {approval.reason}" if approval.reason else ""
        denied = f"{approval.decided_by} denied task {label.task_id!r}{reason}"
        return [
            FailTask(label, TaskStatus.FAILED, Failure.worded("approval_denied", denied)),
        ]
    is_open = approval.expires_at is None or approval.expires_at > now
    if approval.status is ApprovalStatus.PENDING and is_open:
        return []
    late = f"nobody answered for task {label.task_id!r} before {plain(approval.expires_at)}"
    return [
        ExpireApproval(label),
        FailTask(label, TaskStatus.FAILED, Failure.worded("approval_expired", late)),
    ]


def _approved(approval: Approval) -> Completed:
    result: dict[str, Any] = {
        "approvedBy": approval.decided_by,
        "reason": approval.reason,
        "at": plain(approval.decided_at),
    }
    return Completed(encode_text(result, what="approval"), result)

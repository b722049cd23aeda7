"""Answering what a task asks a person. Of two answers at the same time exactly one wins."""

from __future__ import annotations

from collections.abc import Sequence

from aureus.engine.commands import TaskLabel
from aureus.engine.parts import EngineParts
from aureus.errors import IllegalTransition, Invalid, NotFound
from aureus.model.approvals import Approval
from aureus.model.events import EventType
from aureus.model.plain import plain
from aureus.model.runs import Run
from aureus.model.states import ApprovalStatus
from aureus.model.workflows import RiskTier


async def decide(
    parts: EngineParts,
    run_id: str,
    task_id: str | None,
    *,
    approve: bool,
    actor: str,
    reason: str | None = None,
) -> Approval:
    """Answer a pending question of a run; ``task_id`` may be left out when there is only one.

    Raises ``NotFound``, ``Invalid`` when several wait and none is named, and ``IllegalTransition`` for a question that
    was answered already, has expired, or went away with its run.
    """
    run = await parts.stores.runs.get(run_id)
    chosen = _choose(run, await parts.stores.approvals.list(run_id), task_id)
    kind = EventType.APPROVAL_GRANTED if approve else EventType.APPROVAL_DENIED
    tier = None if chosen.risk_tier is None else RiskTier(chosen.risk_tier)
    fact = parts.teller(run, actor).of_task(
        kind, TaskLabel(chosen.key, chosen.name, risk_tier=tier), data={"reason": reason}
    )
    decided = await parts.stores.approvals.decide(
        run_id,
        chosen.key,
        status=ApprovalStatus.APPROVED if approve else ApprovalStatus.DENIED,
        decision_id=parts.ids.new(),
        decided_by=actor,
        reason=reason,
        facts=[fact],
    )
    if decided is None:
        for approval in await parts.stores.approvals.list(run_id):
            if approval.key == chosen.key:
                raise _not_open(approval)
        raise _not_open(chosen)
    worker = parts.tenure.worker(run_id)
    if worker is not None:
        worker.take_answers()
    return decided[0]


def _choose(run: Run, approvals: Sequence[Approval], task_id: str | None) -> Approval:
    named = [
        approval
        for approval in approvals
        if task_id is None or task_id in {approval.name, str(approval.key)}
    ]
    pending = [approval for approval in named if approval.status is ApprovalStatus.PENDING]
    if len(pending) == 1:
        return pending[0]
    if pending:
        names = ", ".join(str(approval.key) for approval in pending)
        raise Invalid(
            f"{len(pending)} tasks of run {run.run_id} wait for an answer: {names}. Name one of them.",
            run_id=run.run_id,
            tasks=[str(approval.key) for approval in pending],
        )
    if named and (task_id is not None or len(named) == 1):
        raise _not_open(named[-1])
    who = "no task" if task_id is None else f"no task {task_id!r}"
    raise NotFound(
        f"{who} of run {run.run_id} (it is {run.status.value}) waits for an answer",
        run_id=run.run_id,
        task=task_id,
    )


def _not_open(approval: Approval) -> IllegalTransition:
    if approval.decided_by is not None:
        what = (
            f"was {approval.status.value} by {approval.decided_by} at {plain(approval.decided_at)}"
        )
    elif approval.status is ApprovalStatus.PENDING and approval.expires_at is not None:
        what = f"expired at {plain(approval.expires_at)}"
    else:
        what = f"is {approval.status.value}"
    return IllegalTransition(
        f"the approval of task {approval.key} of run {approval.run_id} {what}; it cannot be answered any more",
        run_id=approval.run_id,
        task=str(approval.key),
        status=approval.status.value,
        decided_by=approval.decided_by,
    )

"""What surrounds going back: whether it is allowed, and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from aureus._database.statement import Op
from aureus.errors import AlreadyExists, ApprovalRequired, Forbidden, NotFound
from aureus.model.events import EventType, Fact
from aureus.model.rollbacks import Rollback, SnapshotChange, needs_approval, rollback_stream_of
from aureus.model.snapshots import Snapshot, Verification
from aureus.stores.snapshots.rows import fact_of, find_approval, not_open, use_approval


def check_approved(
    snapshot: Snapshot, approval_id: str | None, rollback_id: str, now: datetime
) -> Op[None]:
    """Use the approval up, where there is one; raise unless it is good, or where one is missing."""
    if approval_id is None:
        if needs_approval(snapshot.risk):
            why = "" if snapshot.risk_tier else ", because it is not verified"
            raise ApprovalRequired(
                f"going back to snapshot {snapshot.snapshot_id} is a {snapshot.risk.value} risk{why}: "
                "ask for an approval with request_approval, and call again with its approval_id",
                snapshot_id=snapshot.snapshot_id,
                risk=snapshot.risk.value,
            )
        return
    approval = yield from find_approval(approval_id)
    if approval is None:
        raise NotFound(f"there is no approval {approval_id!r}", approval_id=approval_id)
    if (approval.snapshot_id, approval.root) != (snapshot.snapshot_id, snapshot.root):
        raise Forbidden(
            f"approval {approval_id} is for snapshot {approval.snapshot_id}, and for what that held then",
            approval_id=approval_id,
            snapshot_id=snapshot.snapshot_id,
        )
    if approval.risk.rank < snapshot.risk.rank:
        raise Forbidden(
            f"approval {approval_id} was given for a {approval.risk.value} risk, and this is a "
            f"{snapshot.risk.value} one by now; verify the snapshot, or ask for another approval",
            approval_id=approval_id,
            snapshot_id=snapshot.snapshot_id,
        )
    if (yield from use_approval(approval_id, snapshot, rollback_id)):
        return
    if approval.is_open(now):
        raise ApprovalRequired(
            f"approval {approval_id} waits for an answer",
            approval_id=approval_id,
            snapshot_id=snapshot.snapshot_id,
        )
    raise not_open(approval, now)


def check_same_snapshot(rollback: Rollback, snapshot_id: str) -> None:
    """Raise ``AlreadyExists`` when a rollback of this id went to another snapshot."""
    if rollback.snapshot_id != snapshot_id:
        raise AlreadyExists(
            f"rollback {rollback.rollback_id} went to snapshot {rollback.snapshot_id}, not {snapshot_id}; "
            "leave rollback_id out, or choose another one",
            rollback_id=rollback.rollback_id,
            snapshot_id=rollback.snapshot_id,
        )


def counted(changes: Sequence[SnapshotChange]) -> dict[str, int]:
    """Return how often each remedy was applied."""
    counts = Counter(change.remedy.value for change in changes if change.remedy is not None)
    return dict(sorted(counts.items()))


def told(rollback: Rollback, snapshot: Snapshot) -> list[Fact]:
    """Return what a rollback is told as: that it began, that it was allowed, and what it did."""
    stream = rollback_stream_of(rollback.rollback_id)
    resource = f"snapshots/{snapshot.snapshot_id}"
    named = {"rollbackId": rollback.rollback_id, "snapshotId": snapshot.snapshot_id}
    return [
        fact_of(
            EventType.ROLLBACK_INITIATED,
            stream,
            resource,
            rollback.actor,
            **named,
            root=snapshot.root.hex(),
            agentId=snapshot.scope.agent_id,
            worldScope=snapshot.scope.world_scope,
            reason=rollback.reason,
        ),
        fact_of(
            EventType.ROLLBACK_POLICY_DECISION,
            stream,
            resource,
            rollback.actor,
            **named,
            riskTier=rollback.risk.value,
            approvalId=rollback.approval_id,
        ),
        fact_of(
            EventType.ROLLBACK_COMPLETED,
            stream,
            resource,
            rollback.actor,
            **named,
            beforeId=rollback.before_id,
            counts=rollback.counts,
            keptCount=len(rollback.kept),
        ),
    ]


def failed(verification: Verification, rollback_id: str, actor: str) -> Fact:
    """Return what a rollback that was refused is told as."""
    snapshot_id = verification.snapshot.snapshot_id
    return fact_of(
        EventType.ROLLBACK_FAILED,
        rollback_stream_of(rollback_id),
        f"snapshots/{snapshot_id}",
        actor,
        outcome="failure",
        rollbackId=rollback_id,
        snapshotId=snapshot_id,
        part=verification.part,
        problem=verification.problem,
    )

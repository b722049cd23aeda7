"""Approvals of rollbacks: asked for a snapshot as it is, answered once, used once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aureus._database.operation import Operations, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
    new_id,
    record,
)
from aureus.codec import check_name
from aureus.errors import AlreadyExists, Forbidden, Invalid, NotFound
from aureus.model.events import EventType
from aureus.model.rollbacks import (
    APPROVAL_SECONDS,
    RollbackApproval,
    RollbackApprovalStatus,
    expiry_after,
    rollback_stream_of,
)
from aureus.stores.snapshots.rows import (
    END,
    NAME_BYTES_MAX,
    approval_of,
    check_reason,
    fact_of,
    find_approval,
    get_snapshot,
    not_open,
    page_of,
)

sql = Queries("snapshots")

APPROVAL_SECONDS_MAX = 366 * 86_400.0
"""A year: who has not answered by then has forgotten what it was about."""


class RollbackApprovals(Operations):
    """Operations on approvals of rollbacks."""

    @write
    def request_approval(
        self,
        snapshot_id: str,
        *,
        requested_by: str,
        reason: str | None = None,
        expires_in_seconds: float = APPROVAL_SECONDS,
        needs_another: bool = False,
        approval_id: str | None = None,
    ) -> Op[RollbackApproval]:
        """Ask a person whether this tenant may go back to a snapshot. Atomic; same ``approval_id``, same question.

        The approval is bound to what the snapshot holds, is good for one rollback, and ends after
        ``expires_in_seconds``. With ``needs_another`` somebody else than ``requested_by`` has to give it. Raises
        ``NotFound`` and ``Invalid``, and ``AlreadyExists`` for an id that stands for another question.
        """
        if not 0 < expires_in_seconds <= APPROVAL_SECONDS_MAX:
            raise Invalid(
                f"expires_in_seconds is {expires_in_seconds}; it lies between 0 and a year",
                expires_in_seconds=expires_in_seconds,
            )
        asked_by = check_name(requested_by, "requested_by", bytes_max=NAME_BYTES_MAX)
        chosen = approval_id or (yield from new_id())
        check_name(chosen, "approval_id", bytes_max=NAME_BYTES_MAX)
        now = yield from current_time()
        earlier = yield from find_approval(chosen)
        if earlier is not None:
            if earlier.snapshot_id != snapshot_id:
                raise AlreadyExists(
                    f"approval {chosen} is for snapshot {earlier.snapshot_id}, not {snapshot_id}; "
                    "leave approval_id out, or choose another one",
                    approval_id=chosen,
                    snapshot_id=earlier.snapshot_id,
                )
            return earlier
        snapshot = yield from get_snapshot(snapshot_id)
        yield from record(
            fact_of(
                EventType.ROLLBACK_APPROVAL_REQUESTED,
                rollback_stream_of(chosen),
                f"snapshots/{snapshot_id}",
                asked_by,
                approvalId=chosen,
                snapshotId=snapshot_id,
                root=snapshot.root.hex(),
                riskTier=snapshot.risk.value,
                reason=check_reason(reason),
            )
        )
        asked = yield from last(
            sql.add_rollback_approval,
            approval_of,
            approval_id=chosen,
            snapshot_id=snapshot_id,
            root=snapshot.root,
            risk_tier=snapshot.risk.value,
            requested_by=asked_by,
            now=now,
            expires_at=expiry_after(now, expires_in_seconds),
            reason=reason,
            needs_another=needs_another,
        )
        if asked is None:
            raise Refused(lambda: _explain_approval(chosen))
        return asked

    @write
    def decide_approval(
        self,
        approval_id: str,
        *,
        approve: bool,
        decided_by: str,
        reason: str | None = None,
    ) -> Op[RollbackApproval]:
        """Answer whether a rollback may be. Atomic; of two answers at the same time exactly one wins.

        Raises ``NotFound``, ``IllegalTransition`` when it is answered already or has expired, and ``Forbidden`` when
        somebody else has to answer.
        """
        answered_by = check_name(decided_by, "decided_by", bytes_max=NAME_BYTES_MAX)
        decision = yield from new_id()
        now = yield from current_time()
        standing = yield from find_approval(approval_id)
        if standing is None:
            raise NotFound(f"there is no approval {approval_id!r}", approval_id=approval_id)
        if (
            yield from fetch_one(sql.get_rollback_approval, _decision, approval_id=approval_id)
        ) == decision:
            return standing
        if not standing.is_open(now):
            raise not_open(standing, now)
        if standing.needs_another and answered_by == standing.requested_by:
            raise Forbidden(
                f"{answered_by} has asked for approval {approval_id}; somebody else has to answer",
                approval_id=approval_id,
            )
        kind = (
            EventType.ROLLBACK_APPROVAL_GRANTED if approve else EventType.ROLLBACK_APPROVAL_DENIED
        )
        status = RollbackApprovalStatus.APPROVED if approve else RollbackApprovalStatus.DENIED
        yield from record(
            fact_of(
                kind,
                rollback_stream_of(approval_id),
                f"snapshots/{standing.snapshot_id}",
                answered_by,
                outcome="success" if approve else "denied",
                approvalId=approval_id,
                snapshotId=standing.snapshot_id,
                reason=check_reason(reason),
            )
        )
        decided = yield from last(
            sql.decide_rollback_approval,
            approval_of,
            approval_id=approval_id,
            status=status.value,
            decision_id=decision,
            decided_by=answered_by,
            decision_reason=reason,
            now=now,
        )
        if decided is None:
            raise Refused(lambda: _explain_approval(approval_id))
        return decided

    @read
    def get_approval(self, approval_id: str) -> Op[RollbackApproval]:
        """Return one approval. Raises ``NotFound``."""
        found = yield from find_approval(approval_id)
        if found is None:
            raise NotFound(f"there is no approval {approval_id!r}", approval_id=approval_id)
        return found

    @read
    def list_approvals(
        self,
        *,
        status: RollbackApprovalStatus | None = None,
        snapshot_id: str | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Op[Sequence[RollbackApproval]]:
        """Return a page of approvals, newest first; at most 1,000. One that is over keeps its status.

        ``before`` is (requested_at, approval_id) of the last one of the page before. There is no index for ``status``
        and ``snapshot_id``: all approvals are read until the page is full.
        """
        before_at, before_id = before or (END, "")
        return (
            yield from fetch_all(
                sql.list_rollback_approvals,
                approval_of,
                status=None if status is None else status.value,
                snapshot_id=snapshot_id,
                before_at=before_at,
                before_id=before_id,
                limit=page_of(limit),
            )
        )


def _decision(row: Row) -> str | None:
    return None if row[10] is None else str(row[10])


def _explain_approval(approval_id: str) -> Op[None]:
    now = yield from current_time()
    approval = yield from find_approval(approval_id)
    if approval is None:
        raise NotFound(f"there is no approval {approval_id!r}", approval_id=approval_id)
    if not approval.is_open(now):
        raise not_open(approval, now)

"""Approvals: questions that tasks ask people, answered once."""

from __future__ import annotations

from collections.abc import Sequence

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    current_time,
    events_of,
    fetch_all,
    last,
    record_all,
)
from aureus.model.approvals import Approval
from aureus.model.events import Event, Fact
from aureus.model.states import ApprovalStatus
from aureus.model.tasks import TaskKey

sql = Queries("approvals")

PAGE_MAX = 1000
"""Pending approvals of one page."""


class ApprovalOperations(Operations):
    """Operations on approvals."""

    @write
    def decide(
        self,
        run_id: str,
        key: TaskKey,
        *,
        status: ApprovalStatus,
        decision_id: str,
        decided_by: str,
        reason: str | None = None,
        facts: Sequence[Fact] = (),
    ) -> Op[tuple[Approval, tuple[Event, ...]] | None]:
        """Answer a pending question; return None when it is not pending any more. Atomic.

        Of two answers at the same time exactly one wins. A repeated call with the same ``decision_id`` returns the
        answer that it gave before.
        """
        now = yield from current_time()
        recorded = yield from record_all(facts)
        approval = yield from last(
            sql.decide_approval,
            Approval.from_row,
            run_id=run_id,
            scope=key.scope,
            name=key.name,
            occurrence=key.occurrence,
            status=status.value,
            decision_id=decision_id,
            decided_by=decided_by,
            reason=reason,
            now=now,
        )
        if approval is None:
            return None
        return approval, events_of(recorded)

    @read
    def list(self, run_id: str) -> Op[Sequence[Approval]]:
        """Return what the tasks of a run asked, oldest first."""
        return (yield from fetch_all(sql.list_approvals, Approval.from_row, run_id=run_id))

    @read
    def list_pending(self, *, limit: int = 100) -> Op[Sequence[Approval]]:
        """Return what waits for a person, oldest first; at most 1,000."""
        return (
            yield from fetch_all(
                sql.list_pending_approvals, Approval.from_row, limit=max(1, min(limit, PAGE_MAX))
            )
        )


class ApprovalStore(ApprovalOperations, Store):
    """Approvals of one tenant."""


class AsyncApprovalStore(ApprovalOperations, AsyncStore):
    """Approvals of one tenant, awaited."""

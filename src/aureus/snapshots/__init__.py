"""Snapshots: what an agent was at one moment, proved by the ledger, and the way back.

A snapshot combines nouns (world state, sessions, memories, the ledger), which is why it lives above their stores. Each
of its operations sees the database at one moment, in a transaction of its own.
"""

from __future__ import annotations

from aureus._database.operation import AsyncStore, Store
from aureus.model.rollbacks import Rollback
from aureus.model.snapshots import Verification
from aureus.snapshots.operations import RollbackAttempt, SnapshotOperations
from aureus.snapshots.verifying import raise_if_broken

__all__ = ["AsyncSnapshotStore", "RollbackAttempt", "SnapshotOperations", "SnapshotStore"]


class SnapshotStore(Store, SnapshotOperations):
    """Snapshots of one tenant."""

    def verify(self, snapshot_id: str) -> Verification:
        """Return what verifying a snapshot found, as `check` does. Raises ``IntegrityFailure`` when it was changed."""
        verification = self.check(snapshot_id)
        raise_if_broken(verification)
        return verification

    def restore(
        self,
        snapshot_id: str,
        *,
        actor: str = "aureus",
        reason: str | None = None,
        approval_id: str | None = None,
        rollback_id: str | None = None,
    ) -> Rollback:
        """Bring back what a snapshot holds, as `attempt` does, and return what was done.

        Raises ``IntegrityFailure`` when the snapshot was changed, and ``ApprovalRequired``.
        """
        attempt = self.attempt(
            snapshot_id,
            actor=actor,
            reason=reason,
            approval_id=approval_id,
            rollback_id=rollback_id,
        )
        return _done(attempt)


class AsyncSnapshotStore(AsyncStore, SnapshotOperations):
    """Snapshots of one tenant, awaited."""

    async def verify(self, snapshot_id: str) -> Verification:
        """Return what verifying a snapshot found, as `check` does; as ``SnapshotStore.verify``."""
        verification = await self.check(snapshot_id)
        raise_if_broken(verification)
        return verification

    async def restore(
        self,
        snapshot_id: str,
        *,
        actor: str = "aureus",
        reason: str | None = None,
        approval_id: str | None = None,
        rollback_id: str | None = None,
    ) -> Rollback:
        """Bring back what a snapshot holds, as `attempt` does; as ``SnapshotStore.restore``."""
        attempt = await self.attempt(
            snapshot_id,
            actor=actor,
            reason=reason,
            approval_id=approval_id,
            rollback_id=rollback_id,
        )
        return _done(attempt)


def _done(attempt: RollbackAttempt) -> Rollback:
    if attempt.verification is not None:
        raise_if_broken(attempt.verification)
    if (
        attempt.rollback is None
    ):  # pragma: no cover - an attempt that found nothing wrong has gone back
        raise AssertionError
    return attempt.rollback

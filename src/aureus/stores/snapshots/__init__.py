"""The rows of snapshots, of rollbacks and of their approvals.

What a snapshot captures, and how an agent goes back to it, combines nouns: that is `aureus.snapshots`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aureus._database.operation import read, write
from aureus._database.statement import Op, Queries, fetch_all, last, record
from aureus.codec import check_name
from aureus.errors import NotFound
from aureus.model.events import EventType
from aureus.model.rollbacks import Rollback
from aureus.model.snapshots import Snapshot, SnapshotPart, stream_of
from aureus.stores.snapshots.approvals import RollbackApprovals
from aureus.stores.snapshots.rows import (
    BEGINNING,
    END,
    NAME_BYTES_MAX,
    check_reason,
    checked_moment,
    fact_of,
    find_rollback,
    get_snapshot,
    page_of,
    rollback_of,
    snapshot_of,
    stored_parts,
)

__all__ = ["SnapshotRows"]

sql = Queries("snapshots")


class SnapshotRows(RollbackApprovals):
    """Operations on snapshots that need no other noun."""

    @read
    def get(self, snapshot_id: str) -> Op[Snapshot]:
        """Return a snapshot without its parts. Raises ``NotFound``."""
        return (yield from get_snapshot(snapshot_id))

    @read
    def list(
        self,
        *,
        agent_id: str | None = None,
        world_scope: str | None = None,
        run_id: str | None = None,
        task_id: str | None = None,
        memory_id: str | None = None,
        tag: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        verified_only: bool = False,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Op[Sequence[Snapshot]]:
        """Return a page of snapshots, newest first; at most 1,000.

        All that is given must hold: the agent, the scope of the world state, the run and task that took it, a memory
        that it points to, a tag, and the moment, from ``since`` on and before ``until``. ``before`` is the ``cursor``
        of the last one of the page before. Each page is read along an index: that of the memory, of the agent, of the
        run, or of all snapshots, from ``before`` or ``until`` back to ``since``. What else is asked for has none: that
        one is read on until the page is full.
        """
        until_at = END if until is None else checked_moment(until, "until")
        before_at, before_id = (until_at, "")
        if before is not None:
            before_at, before_id = min(
                (checked_moment(before[0], "before"), before[1]), (until_at, "")
            )
        common = {
            "task_id": task_id,
            "world_scope": world_scope,
            "tag": tag,
            "verified_only": verified_only,
            "since": BEGINNING if since is None else checked_moment(since, "since"),
            "before_at": before_at,
            "before_id": before_id,
            "limit": page_of(limit),
        }
        if memory_id is not None:
            query = sql.list_memory_snapshots
            common |= {"memory_id": memory_id, "agent_id": agent_id, "run_id": run_id}
        elif agent_id is not None:
            query = sql.list_agent_snapshots
            common |= {"agent_id": agent_id, "run_id": run_id}
        elif run_id is not None:
            query, common = sql.list_run_snapshots, {**common, "run_id": run_id}
        else:
            query = sql.list_snapshots
        return (yield from fetch_all(query, snapshot_of, **common))

    @read
    def get_last_verified(
        self, *, agent_id: str | None = None, world_scope: str | None = None
    ) -> Op[Snapshot]:
        """Return the newest snapshot that was found intact when it was last verified. Raises ``NotFound``."""
        found = yield from self.list(
            agent_id=agent_id, world_scope=world_scope, verified_only=True, limit=1
        )
        if not found:
            raise NotFound(
                "there is no verified snapshot here; `verify` one",
                agent_id=agent_id,
                scope=world_scope,
            )
        return found[0]

    @read
    def list_parts(
        self, snapshot_id: str, *, after_no: int = 0, limit: int = 100
    ) -> Op[Sequence[SnapshotPart]]:
        """Return a page of what a snapshot holds, in its order; at most 1,000. ``after_no`` counts those seen."""
        yield from get_snapshot(snapshot_id)
        rows = yield from stored_parts(snapshot_id, after_no, page_of(limit))
        return [stored.part for stored in rows]

    @write
    def delete(
        self, snapshot_id: str, *, actor: str = "aureus", reason: str | None = None
    ) -> Op[bool]:
        """Remove a snapshot with its parts; return whether there was one. Atomic; its events stay, with its root.

        Nothing that it points to is removed.
        """
        named = check_name(snapshot_id, "snapshot_id", bytes_max=NAME_BYTES_MAX)
        yield from record(
            fact_of(
                EventType.SNAPSHOT_DELETED,
                stream_of(named),
                f"snapshots/{named}",
                actor,
                snapshotId=named,
                reason=check_reason(reason),
            )
        )
        gone = yield from last(sql.delete_snapshot, lambda row: str(row[0]), snapshot_id=named)
        return gone is not None

    @read
    def get_rollback(self, rollback_id: str) -> Op[Rollback]:
        """Return what a rollback did. Raises ``NotFound``."""
        found = yield from find_rollback(rollback_id)
        if found is None:
            raise NotFound(f"there is no rollback {rollback_id!r}", rollback_id=rollback_id)
        return found

    @read
    def list_rollbacks(
        self,
        *,
        snapshot_id: str | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 100,
    ) -> Op[Sequence[Rollback]]:
        """Return a page of rollbacks, newest first; at most 1,000.

        ``before`` is (created_at, rollback_id) of the last one of the page before. There is no index for
        ``snapshot_id``: all rollbacks are read until the page is full.
        """
        before_at, before_id = before or (END, "")
        return (
            yield from fetch_all(
                sql.list_rollbacks,
                rollback_of,
                snapshot_id=snapshot_id,
                before_at=before_at,
                before_id=before_id,
                limit=page_of(limit),
            )
        )

"""What erasing a person removes of snapshots: those of the user. A session that was named goes out of the others.

Used by `aureus.erasing` inside its batches, which record what was done. Snapshots that only point to memories of the
person stay: they hold a hash of each, and going back to them finds these memories gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aureus._database.statement import Op, Queries, fetch_all

sql = Queries("snapshots")


def list_subject_snapshots(subject: str, *, after_id: str, limit: int) -> Op[list[str]]:
    """Return the ids of snapshots of a user, in their order behind one of them."""
    return (
        yield from fetch_all(
            sql.list_subject_snapshots,
            lambda row: str(row[0]),
            subject=subject,
            after_id=after_id,
            limit=limit,
        )
    )


def erase_snapshots(snapshot_ids: Sequence[str]) -> Op[Counter[str]]:
    """Remove snapshots with what they hold; return rows by table."""
    if not snapshot_ids:
        return Counter()
    rows = yield from fetch_all(
        sql.erase_snapshots, lambda row: int(row[1]), snapshot_ids=list(snapshot_ids)
    )
    return Counter(snapshots=len(rows), snapshot_parts=rows[0] if rows else 0)

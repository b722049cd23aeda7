"""What erasing a person removes of snapshots: those of the user, and out of the others what was the person's.

Used by `aureus.erasing` inside its batches, which record what was done. Out of the others go content and salt of keys
and sessions that were named, and the salt of each pointer to a memory of the person: what stays is that there was
something, under a hash that nobody can guess from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aureus._database.statement import Op, Queries, fetch_all, fetch_one
from aureus.codec import encode_made
from aureus.model.sessions import SessionName

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


def is_session_captured(name: SessionName) -> Op[bool]:
    """Return whether a snapshot holds the content of a session."""
    found = yield from fetch_one(sql.is_session_captured, bool, **name._asdict())
    return found is not None


def erase_captured_session(name: SessionName, record_id: str) -> Op[int]:
    """Take the content of a session away from every snapshot, on record; return from how many."""
    gone = yield from fetch_all(
        sql.erase_captured_session, bool, **name._asdict(), record_id=record_id
    )
    return len(gone)


def is_key_captured(scope: str, key: str) -> Op[bool]:
    """Return whether a snapshot holds a value of a key."""
    found = yield from fetch_one(sql.is_key_captured, bool, scope=scope, key=key)
    return found is not None


def erase_captured_key(scope: str, key: str, record_id: str) -> Op[int]:
    """Take the values of a key away from every snapshot, on record; return from how many."""
    gone = yield from fetch_all(
        sql.erase_captured_key, bool, scope=scope, key=key, record_id=record_id
    )
    return len(gone)


def erase_pointers(
    memory_ids: Sequence[str], versions: Sequence[tuple[str, int]], record_id: str
) -> Op[int]:
    """Take the salt of pointers to memories that are gone, or to versions that are, away; return of how many."""
    names = sorted({*memory_ids, *(memory_id for memory_id, _ in versions)})
    if not names:
        return 0
    gone = yield from fetch_all(
        sql.erase_pointers, bool, memory_ids=encode_made(names), record_id=record_id
    )
    return len(gone)

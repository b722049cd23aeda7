"""Rollbacks: what differs from a snapshot by now, what going back does about it, and who has allowed it.

Pure: nothing here reads or stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from aureus.model.plain import plain_record
from aureus.model.snapshots import PartKind, SnapshotPart
from aureus.model.workflows import RiskTier

APPROVAL_SECONDS = 3600.0
"""How long an approval may be waited for and used, unless said otherwise: an hour."""


class Change(StrEnum):
    """What became of a part since a snapshot."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Remedy(StrEnum):
    """What going back does about a change."""

    SET = "set"
    """A key gets its old value, as a new version."""
    DELETE = "delete"
    """A key that was added loses its value; its history stays."""
    SAVE = "save"
    """A session gets its old document, as a new version."""
    FORGET = "forget"
    """A memory that was added is forgotten, which `restore` of memories takes back."""
    REVISE = "revise"
    """A memory gets what it said, as a new version."""
    REVIVE = "revive"
    """A memory that was forgotten or superseded is live again, with what it said."""
    LEAVE = "leave"
    """A session that was begun since stays: deleting it would destroy its history."""
    EXPIRED = "expired"
    """It would have expired by now, so it stays away."""
    ERASED = "erased"
    """It was removed for good; nothing is left to bring back."""


UNDONE = frozenset(
    {Remedy.SET, Remedy.DELETE, Remedy.SAVE, Remedy.FORGET, Remedy.REVISE, Remedy.REVIVE}
)
"""Remedies that take a change back; the others name what stays as it is."""


@dataclass(frozen=True, slots=True)
class SnapshotChange:
    """A part that differs from a snapshot; versions are None where it is not there, ``remedy`` between snapshots."""

    kind: PartKind
    place: str
    name: str
    change: Change
    version_before: int | None
    version_after: int | None
    remedy: Remedy | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """What going back to a snapshot did.

    ``before_id`` is the snapshot of what was there before, by which it can be taken back. ``counts`` says how often
    each remedy was applied, ``kept`` what stayed as it was, and why.
    """

    rollback_id: str
    snapshot_id: str
    before_id: str
    approval_id: str | None
    risk: RiskTier
    actor: str
    reason: str | None
    created_at: datetime
    counts: dict[str, int]
    kept: tuple[SnapshotChange, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the rollback as plain JSON values."""
        return plain_record(self)


class RollbackApprovalStatus(StrEnum):
    """Where the question stands whether an agent may go back."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    USED = "used"


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackApproval:
    """A question to a person: may we go back to this snapshot? It is good for one rollback, and not for ever.

    It is bound to the snapshot by its root: to what it holds, not to its name.
    """

    approval_id: str
    snapshot_id: str
    root: bytes
    risk: RiskTier
    status: RollbackApprovalStatus
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    reason: str | None
    needs_another: bool
    """Whether somebody else than who asked has to answer."""
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None
    rollback_id: str | None
    """The rollback that it was used for."""

    def is_open(self, now: datetime) -> bool:
        """Return whether it can still be answered."""
        return self.status is RollbackApprovalStatus.PENDING and now < self.expires_at

    def to_dict(self) -> dict[str, Any]:
        """Return the approval as plain JSON values."""
        return plain_record(self)


def needs_approval(risk: RiskTier) -> bool:
    """Return whether a person has to agree."""
    return risk.rank >= RiskTier.HIGH.rank


def differences(
    before: Mapping[tuple[str, str, str], SnapshotPart],
    after: Mapping[tuple[str, str, str], SnapshotPart],
) -> list[SnapshotChange]:
    """Return what differs between two sets of parts, by kind, place and name; see `SnapshotPart.is_same`.

    Memories differ when their versions do: what counts for them is decided where both versions are at hand.
    """
    changes: list[SnapshotChange] = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key), after.get(key)
        part = old or new
        if part is None or (old is not None and new is not None and old.is_same(new)):
            continue
        kind = Change.CHANGED
        if old is None:
            kind = Change.ADDED
        elif new is None:
            kind = Change.REMOVED
        changes.append(
            SnapshotChange(
                part.kind,
                part.place,
                part.name,
                kind,
                None if old is None else old.version,
                None if new is None else new.version,
            )
        )
    return changes


def rollback_stream_of(rollback_id: str) -> str:
    """Return the stream of the events of a rollback or of its approval."""
    return f"rollbacks/{quote(rollback_id, safe='')}"


def expiry_after(now: datetime, seconds: float) -> datetime:
    """Return when an approval that is asked for now is over."""
    return now + timedelta(seconds=seconds)

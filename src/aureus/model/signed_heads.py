"""Heads that were signed, and the state of a ledger as its status shows it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aureus.model.events import EventType
from aureus.model.heads import Head
from aureus.model.plain import plain_record

ACTIONS = {EventType.LEDGER_RESTORED: "ledger.accept-restore"}
"""The audit action of each event type that tells about a ledger itself."""

DECISIONS = frozenset({EventType.LEDGER_RESTORED})
"""Those that are audit entries in mode ``decisions`` too."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head that was signed here, as it was kept in the same commit."""

    incarnation: int
    size: int
    root: bytes
    note: str
    """The head with its signatures: a signed note."""
    signed_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the signed head as plain JSON values; the root in hexadecimal."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class LedgerTotals:
    """How many events there are, and how many of them are where in the ledger: all at one moment."""

    event_count: int
    pending_count: int
    """Events that are committed and not sealed yet."""
    sealed_end: int
    """Where the sealed batches end: the same as ``size``, unless somebody added to them."""
    size: int
    version_count: int
    """The versions of all streams together: as many as there are events."""
    last_entry_no: int
    """The highest entry number that is sealed, as the head says."""
    sealed_entry_no: int
    """The same as the batches say."""

    @property
    def stray_count(self) -> int:
        """Return how many events are neither sealed nor waiting; below 0 when sealed ones are gone."""
        return self.event_count - self.pending_count - self.size


@dataclass(frozen=True, slots=True)
class LedgerStatus:
    """How far a ledger is sealed, signed and known elsewhere."""

    head: Head
    incarnation: int
    sealed_at: datetime
    pending_count: int
    signed_size: int | None
    """The size of the newest signed head; None when none was signed in this incarnation."""
    signed_at: datetime | None
    seen_size: int | None
    """The size of the last head that was kept outside the database; None when there is none."""

    @property
    def is_rewound(self) -> bool:
        """Whether the database is behind a head that was seen before."""
        return self.seen_size is not None and self.seen_size > self.head.size

    def to_dict(self) -> dict[str, Any]:
        """Return the status as plain JSON values."""
        return {**plain_record(self), "is_rewound": self.is_rewound}

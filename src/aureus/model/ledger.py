"""The ledger of a tenant: how far it is sealed, and what one round of sealing did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aureus.model.plain import plain_record

SEAL_ENTRIES_MAX = 2048
"""Entries of one sealing round: some 50 ms of work on PostgreSQL; the last append of a round is never cut."""


@dataclass(frozen=True, slots=True)
class LedgerHead:
    """The state of a tenant's tree: ``size`` entries are sealed, at the positions from 0 on.

    ``tenant_key`` stands for the tenant in what others see; ``incarnation`` counts restored histories, from 1.
    """

    tenant_key: str
    incarnation: int
    size: int
    root: bytes
    peaks: bytes
    last_entry_no: int
    sealed_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the head as plain JSON values; hashes in hexadecimal."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class SealingRound:
    """What one round of sealing did."""

    size: int
    """Entries of the tenant that are sealed now; 0 when another process held the head and nobody looked."""
    sealed_count: int
    is_done: bool
    """True when nothing was left that this round could see."""


@dataclass(frozen=True, slots=True)
class LedgerBatch:
    """Entries that one round has sealed: the n-th has position ``first_position`` + n."""

    first_position: int
    entry_nos: tuple[int, ...]
    leaf_hashes: bytes
    """The hashes of the leaves one behind the other, 32 bytes each."""
    sealed_at: datetime

    @property
    def end_position(self) -> int:
        """The position behind its last entry."""
        return self.first_position + len(self.entry_nos)

    def holds(self, position: int) -> bool:
        """Return whether an entry of this batch has the position."""
        return self.first_position <= position < self.end_position

    def leaf_hash(self, position: int) -> bytes:
        """Return the hash of the leaf at a position that this batch holds."""
        at = (position - self.first_position) * 32
        return self.leaf_hashes[at : at + 32]

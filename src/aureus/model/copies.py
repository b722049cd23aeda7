"""What copying a database has done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from aureus.model.heads import Head
from aureus.model.plain import plain_record
from aureus.model.verification import Verification


@dataclass(frozen=True, slots=True)
class TenantCopy:
    """A tenant that is in the target as it was in the source."""

    tenant_id: str
    row_count: int
    head: Head
    """The head of its ledger, the same in both."""
    was_there: bool
    """Whether an earlier copy had brought it; nothing was written then."""
    verification: Verification
    """What verifying the ledger in the target has found."""

    def to_dict(self) -> dict[str, Any]:
        """Return the copy as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class DatabaseCopy:
    """What was copied from where to where."""

    source: str
    target: str
    tenants: tuple[TenantCopy, ...]
    anchors_copied: bool
    """Whether the anchor log is the same in both. It goes along when all tenants do and the target had none."""

    @property
    def is_intact(self) -> bool:
        """Return whether every ledger was verified."""
        return all(one.verification.is_intact for one in self.tenants)

    def to_dict(self) -> dict[str, Any]:
        """Return the copy as plain JSON values."""
        return plain_record(self)

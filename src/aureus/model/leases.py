"""A lease: the right of one process to work on the runs that name it.

A process renews its lease; a run whose lease has expired may be taken over by anybody. On the same host a successor
need not wait: boot id, pid and start of the process tell for certain whether the holder still lives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aureus.model.plain import plain_record


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """Which process, unmistakably: a pid alone may be handed out again."""

    host: str
    boot_id: str
    pid: int
    process_start: str


@dataclass(frozen=True, slots=True)
class Lease:
    """One process's right to work for a tenant; ``expires_at`` is time of the database's clock."""

    lease_id: str
    host: str
    boot_id: str
    pid: int
    process_start: str
    acquired_at: datetime
    renewed_at: datetime
    expires_at: datetime
    is_expired: bool

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Lease:
        """Return the lease of a row, whose columns are in the order of the fields."""
        values = list(row[:9])
        values[8] = bool(values[8])
        return cls(*values)

    @property
    def holder(self) -> ProcessIdentity:
        """Return the process that holds the lease."""
        return ProcessIdentity(self.host, self.boot_id, self.pid, self.process_start)

    def to_dict(self) -> dict[str, Any]:
        """Return the lease as plain JSON values."""
        return plain_record(self)

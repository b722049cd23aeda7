"""An approval: a question that a task asks a person, answered once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aureus.model.plain import plain_record
from aureus.model.states import ApprovalStatus
from aureus.model.tasks import TaskKey


@dataclass(frozen=True, slots=True)
class Approval:
    """What a task asks, and what was answered by whom."""

    run_id: str
    scope: str
    name: str
    occurrence: int
    status: ApprovalStatus
    message: str
    risk_tier: str | None
    requested_by: str
    requested_at: datetime
    expires_at: datetime | None
    decision_id: str | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Approval:
        """Return the approval of a row, whose columns are in the order of the fields."""
        values = list(row[:14])
        values[4] = ApprovalStatus(values[4])
        return cls(*values)

    @property
    def key(self) -> TaskKey:
        """Return the task that asks."""
        return TaskKey(self.scope, self.name, self.occurrence)

    def to_dict(self) -> dict[str, Any]:
        """Return the approval as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """What a transition writes when a task begins to wait for a person."""

    key: TaskKey
    message: str
    risk_tier: str | None
    requested_by: str
    expires_at: datetime | None = None

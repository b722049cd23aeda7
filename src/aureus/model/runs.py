"""A run: one execution of a workflow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aureus.model.plain import plain_record
from aureus.model.states import RunPhase, RunStatus

RUN_ID_CHARACTERS_MAX = 512
"""Characters of a run id that a caller chooses."""


@dataclass(frozen=True, slots=True)
class Run:
    """Where an execution stands.

    ``version`` rises with every change, ``epoch`` with every process that takes the run over; only the holder of the
    current epoch may change it.
    """

    run_id: str
    workflow_id: str
    workflow_hash: str
    status: RunStatus
    phase: RunPhase
    version: int
    epoch: int
    lease_id: str | None
    transition_id: str
    resume_key: str | None
    error_code: str | None
    error_message: str | None
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Run:
        """Return the run of a row, whose columns are in the order of the fields."""
        values = list(row[:17])
        values[3], values[4] = RunStatus(values[3]), RunPhase(values[4])
        return cls(*values)

    @property
    def stream(self) -> str:
        """Return the stream that this run's events are in."""
        return stream_of(self.run_id)

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain JSON values."""
        return plain_record(self)


def stream_of(run_id: str) -> str:
    """Return the stream of a run's events."""
    return f"runs/{run_id}"

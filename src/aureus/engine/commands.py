"""What a planner wants to happen next: the one language of every planner, for files and for Python functions.

A command says what happens to a task or a run; ``transition.Step`` turns commands into rows and facts, the executor
starts the work they name. Whoever emits commands knows no store; whoever carries them out knows no workflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from aureus.engine.outcomes import Completed, Failure
from aureus.model.states import RunStatus, TaskKind, TaskStatus
from aureus.model.tasks import TaskKey
from aureus.model.workflows import RiskTier


@dataclass(frozen=True, slots=True)
class TaskLabel:
    """What people and events call an entry of the journal.

    ``compensation_for`` is the task that the entry makes up for or undoes.
    """

    key: TaskKey
    task_id: str
    tool: str | None = None
    risk_tier: RiskTier | None = None
    compensation_for: str | None = None
    kind: TaskKind = TaskKind.TASK


@dataclass(frozen=True, slots=True)
class Work:
    """All that one attempt needs.

    ``is_key_shared`` says that the author gave the idempotency key, so that it holds across runs. ``problem`` is why
    the work cannot even begin: the attempt then fails at once.
    """

    label: TaskLabel
    inputs: Mapping[str, Any]
    input_hash: str | None
    idempotency_key: str
    is_key_shared: bool = False
    timeout_ms: int | None = None
    problem: Failure | None = None


class RetryReason(StrEnum):
    """Why a task is tried again."""

    FAILED = "failed"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


class SkipReason(StrEnum):
    """Why a task does not run."""

    CONDITION = "condition"
    NEED_SKIPPED = "need_skipped"


@dataclass(frozen=True, slots=True)
class StartTask:
    """Begin an attempt."""

    work: Work


@dataclass(frozen=True, slots=True)
class AskApproval:
    """Let a task wait for a person before it begins, or instead of work."""

    work: Work
    message: str
    risk_tier: RiskTier | None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExpireApproval:
    """Take note that nobody answered in time."""

    label: TaskLabel


@dataclass(frozen=True, slots=True)
class SkipTask:
    """Leave a task out. ``need`` is the skipped task that this one hangs on."""

    label: TaskLabel
    reason: SkipReason
    need: str | None = None


@dataclass(frozen=True, slots=True)
class CompleteTask:
    """Record that a task is done, with its result."""

    label: TaskLabel
    completed: Completed
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FailTask:
    """Record that a task failed for the last time; ``status`` is failed or timeout."""

    label: TaskLabel
    status: TaskStatus
    failure: Failure
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class RetryTask:
    """Let a task wait for its next attempt."""

    label: TaskLabel
    reason: RetryReason
    wake_at: datetime
    failure: Failure | None = None
    duration_ms: int | None = None


@dataclass(frozen=True, slots=True)
class CancelTask:
    """Give a task up."""

    label: TaskLabel


@dataclass(frozen=True, slots=True)
class BeginCompensation:
    """Turn a run round: nothing new begins, what was done is undone. ``failure`` is the run's error from now on."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class PauseRun:
    """Let go of a run until people have answered."""

    waiting_for: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndRun:
    """End a run. The error of a failed run is the one that it began to compensate with."""

    status: RunStatus
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class LetGo:
    """Give an unfinished run back, so that another process goes on at once."""


TaskCommand = (
    StartTask
    | AskApproval
    | ExpireApproval
    | SkipTask
    | CompleteTask
    | FailTask
    | RetryTask
    | CancelTask
)
RunCommand = BeginCompensation | PauseRun | EndRun | LetGo
Command = TaskCommand | RunCommand

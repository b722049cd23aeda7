"""A task: one entry of a run's journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from aureus.model.plain import plain_record
from aureus.model.states import TaskKind, TaskStatus


class TaskKey(NamedTuple):
    """Which entry of a run's journal: scope, name, and which call of that name.

    ``scope`` is empty for the tasks of the run itself. A compensation of task ``a`` has the scope
    ``compensation/a``; items of loops and children will have scopes of their own.
    """

    scope: str
    name: str
    occurrence: int = 0

    def __str__(self) -> str:
        """Return the key as people read it."""
        text = f"{self.scope}/{self.name}" if self.scope else self.name
        return f"{text}#{self.occurrence}" if self.occurrence else text


@dataclass(frozen=True, slots=True)
class Task:
    """Where one entry of the journal stands.

    ``attempt`` counts starts. ``interruptions`` counts starts that ended because their process died or stopped:
    those do not use up the retry budget. ``finished_no`` is the place among the finished tasks of the run, from 1;
    compensation goes from the highest to the lowest.
    """

    scope: str
    name: str
    occurrence: int
    kind: TaskKind
    status: TaskStatus
    attempt: int
    interruptions: int
    epoch: int
    tool: str | None
    input_hash: str | None
    code_version: str | None
    idempotency_key: str | None
    replayed: bool
    result: Any
    has_result: bool
    error_code: str | None
    error_message: str | None
    finished_no: int | None
    scheduled_at: datetime
    started_at: datetime | None
    wake_at: datetime | None
    completed_at: datetime | None

    @property
    def key(self) -> TaskKey:
        """Return which entry of the journal this is."""
        return TaskKey(self.scope, self.name, self.occurrence)

    def to_dict(self) -> dict[str, Any]:
        """Return the task as plain JSON values; ``result`` is absent when there is none."""
        shown = plain_record(self)
        del shown["has_result"]
        if not self.has_result:
            del shown["result"]
        return shown

    def with_result(self, result: Any) -> Task:
        """Return the task with the result that its side table held."""
        return replace(self, result=result, has_result=True)


@dataclass(frozen=True, slots=True)
class TaskChange:
    """What a transition writes about one task; times are those of the transition, except ``wake_at``.

    ``result_json`` is the exact JSON text of the result, None when there is none. ``is_new`` says whether the entry
    is written for the first time.
    """

    key: TaskKey
    is_new: bool
    status: TaskStatus
    attempt: int
    kind: TaskKind = TaskKind.TASK
    interruptions: int = 0
    tool: str | None = None
    input_hash: str | None = None
    code_version: str | None = None
    idempotency_key: str | None = None
    replayed: bool = False
    result_json: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    finished_no: int | None = None
    wake_at: datetime | None = None


def task_from_row(row: Sequence[Any], result: Any, *, has_result: bool) -> Task:
    """Return the task of a row in the order of the fields, without its result columns, and its decoded result."""
    values: list[Any] = [*row[:13], result, has_result, *row[13:20]]
    values[3], values[4], values[12] = TaskKind(values[3]), TaskStatus(values[4]), bool(values[12])
    return Task(*values)

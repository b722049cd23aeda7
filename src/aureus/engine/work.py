"""From a task of a workflow file to the work of one attempt: references filled in, key and hash computed. Pure.

What cannot be filled in (a path that a result does not have) becomes the ``problem`` of the work, so that the attempt
fails in the journal, with its place, instead of breaking the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aureus.codec import decode, encode
from aureus.engine import keys
from aureus.engine.commands import TaskLabel, Work
from aureus.engine.definition import render
from aureus.engine.journal import Journal
from aureus.engine.outcomes import Failure
from aureus.errors import Invalid
from aureus.model.tasks import TaskKey
from aureus.model.workflows import TaskDefinition


class TaskOutcomes(Mapping[str, Any]):
    """What expressions see below ``tasks``: status, and result where there is one, of every task that has ended."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __getitem__(self, task_id: str) -> dict[str, Any]:
        task = self._journal.tasks[TaskKey("", task_id)]
        if not task.status.is_final:
            raise KeyError(task_id)
        shown: dict[str, Any] = {"status": task.status.value}
        if task.has_result:
            shown["result"] = task.result
        return shown

    def __iter__(self) -> Iterator[str]:
        return (key.name for key in self._journal.ended if not key.scope)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def scope_of(journal: Journal) -> dict[str, Any]:
    """Return what the expressions of a workflow file are evaluated against."""
    return {
        "input": journal.inputs,
        "run": {"id": journal.run.run_id},
        "tasks": TaskOutcomes(journal),
    }


@dataclass(frozen=True, slots=True)
class Planned:
    """A task of the file together with what its journal entry is called."""

    label: TaskLabel
    definition: TaskDefinition


def prepare(planned: Planned, journal: Journal, timeout_ms: int | None) -> Work:
    """Return the work of the next attempt.

    The idempotency key is the one that the journal holds already, if any: it must not change between attempts, not
    even when the definition did.
    """
    label, definition = planned.label, planned.definition
    known = journal.tasks.get(label.key)
    recorded = None if known is None else known.idempotency_key
    shared = definition.idempotency_key
    try:
        scope = scope_of(journal)
        inputs: dict[str, Any] = decode(
            encode(render(definition.inputs, scope), what=f"inputs of task {label.task_id!r}")
        )
        derived = keys.idempotency_key(journal.run.run_id, label.key, definition.tool, inputs)
        key = recorded or shared or derived
        hashed = keys.input_hash(definition.tool, inputs)
    except Invalid as error:
        return broken(label, error, recorded or "")
    return Work(label, inputs, hashed, key, shared is not None, timeout_ms)


def broken(label: TaskLabel, error: Invalid, key: str = "") -> Work:
    """Return work that fails as soon as it is started."""
    failure = Failure.worded(error.code, f"task {label.task_id!r} could not begin: {error.message}")
    return Work(label, {}, None, key, problem=failure)

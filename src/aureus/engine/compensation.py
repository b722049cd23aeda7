"""What makes up for a failed run, and in which order. Pure.

First, for every task that ended badly, in the order in which they ended: its ``onFailure`` or ``onTimeout`` task. A
timeout without an ``onTimeout`` is a failure like others. A task that was tried and then given up, because something
else failed meanwhile, counts as failed: its attempts may have left something behind. Then, for every completed task,
the last one first: its ``compensationAction``. Every step is an entry of the journal in the scope
``compensation/<task>``, so that an interrupted compensation goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aureus.engine.commands import TaskLabel
from aureus.engine.journal import Journal
from aureus.engine.work import Planned
from aureus.model.states import RunPhase, TaskStatus
from aureus.model.tasks import Task, TaskKey
from aureus.model.workflows import TaskDefinition, Workflow

SCOPE = "compensation/"
"""What the scopes of compensations begin with; the task that is made up for follows."""


class Backward:
    """The compensation of one run: its steps, and how far they are."""

    def __init__(self, workflow: Workflow, journal: Journal) -> None:
        self._workflow = workflow
        self._journal = journal
        self._steps: list[Planned] | None = None
        self._by_key: dict[TaskKey, Planned] = {}
        self._done_count = 0

    def find(self, key: TaskKey) -> Planned | None:
        """Return the step of an entry."""
        self._know_steps()
        return self._by_key.get(key)

    def given_up(self) -> list[TaskKey]:
        """Return the tasks of the happy path that wait for a retry or a person, and will not be continued."""
        journal = self._journal
        return sorted(
            key for index in (journal.waiting, journal.retrying) for key in index if not key.scope
        )

    @property
    def is_awaiting_tasks(self) -> bool:
        """Return whether tasks of the happy path still run."""
        return any(not key.scope for key in self._journal.running)

    def current(self) -> tuple[Planned, Task | None] | None:
        """Return the first step that has not ended, with its entry if it has begun; None when all have ended.

        To be asked when nothing of the happy path is open any more.
        """
        self._know_steps()
        steps = self._steps or []
        while self._done_count < len(steps):
            step = steps[self._done_count]
            task = self._journal.tasks.get(step.label.key)
            if task is None or not task.status.is_final:
                return step, task
            self._done_count += 1
        return None

    def _know_steps(self) -> None:
        """Find the steps, which are settled as soon as nothing of the happy path is open."""
        is_settled = (
            self._journal.run.phase is RunPhase.COMPENSATING
            and not self.is_awaiting_tasks
            and not self.given_up()
        )
        if self._steps is None and is_settled:
            self._steps = compensation_steps(self._workflow, self._journal)
            self._by_key = {step.label.key: step for step in self._steps}


def compensation_steps(workflow: Workflow, journal: Journal) -> list[Planned]:
    """Return the compensation of a run none of whose own tasks is open any more."""
    definitions = {task.id: task for task in workflow.tasks}
    ended = [journal.tasks[key] for key in journal.ended if not key.scope]
    made_up = (_making_up(task, definitions) for task in ended)
    undone = (_undoing(task, definitions) for task in reversed(ended))
    return [step for steps in (made_up, undone) for found in steps for step in found]


def _making_up(task: Task, definitions: dict[str, TaskDefinition]) -> Iterator[Planned]:
    definition = definitions.get(task.name)
    if definition is None:
        return
    target: str | None = None
    wanted = definition.compensation
    if task.status is TaskStatus.TIMEOUT:
        target = wanted.on_timeout or wanted.on_failure
    elif task.status is TaskStatus.FAILED or (
        task.status is TaskStatus.CANCELLED and task.attempt > 0
    ):
        target = wanted.on_failure
    if target is not None and target in definitions:
        yield _planned(_acting(definitions[target]), target, task.name)


def _acting(definition: TaskDefinition) -> TaskDefinition:
    """Return a compensation task with something to call: its own tool, or else that of its ``compensationAction``.

    Workflow files of the older system name the tool of such a task only there.
    """
    action = definition.compensation_action
    if definition.tool is not None or action is None:
        return definition
    return replace(definition, tool=action.tool, inputs=action.args)


def _undoing(task: Task, definitions: dict[str, TaskDefinition]) -> Iterator[Planned]:
    definition = definitions.get(task.name)
    if definition is None or task.status is not TaskStatus.COMPLETED:
        return
    action = definition.compensation_action
    if action is not None:
        call = TaskDefinition(id=task.name, name=task.name, tool=action.tool, inputs=action.args)
        yield _planned(call, action.tool, task.name, risk_of=definition)


def _planned(
    definition: TaskDefinition,
    name: str,
    compensated: str,
    *,
    risk_of: TaskDefinition | None = None,
) -> Planned:
    label = TaskLabel(
        key=TaskKey(SCOPE + compensated, name),
        task_id=definition.id,
        tool=definition.tool,
        risk_tier=(risk_of or definition).risk_tier,
        compensation_for=compensated,
    )
    return Planned(label, definition)

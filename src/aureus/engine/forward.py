"""Which tasks of a workflow file have become ready: needs counted down as tasks end. Pure.

Reads the journal only through what has ended since the last look, so that 10,000 tasks cost 10,000 looks and not their
square. Whether a ready task starts, is skipped or asks first is for the planner to say.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from aureus.engine.commands import TaskLabel
from aureus.engine.definition.expressions import references
from aureus.engine.journal import Journal
from aureus.engine.work import Planned
from aureus.errors import Invalid
from aureus.model.states import TaskStatus
from aureus.model.tasks import TaskKey
from aureus.model.workflows import TaskDefinition, Workflow

_ENDED_BADLY = frozenset({TaskStatus.FAILED, TaskStatus.TIMEOUT})


class Forward:
    """The happy path of one run: every task that is not there only to make up for another one."""

    def __init__(self, workflow: Workflow, journal: Journal) -> None:
        self._journal = journal
        compensations = workflow.compensations
        tasks = [task for task in workflow.tasks if task.id not in compensations]
        self.tasks = tuple(_planned(task) for task in tasks)
        self._index = {task.id: position for position, task in enumerate(tasks)}
        self._dependants: list[list[int]] = [[] for _ in tasks]
        self._open_needs = [len(task.needs) for task in tasks]
        self._mentions = [_mentioned(task) for task in tasks]
        self._seen = 0
        self._ready = [position for position, count in enumerate(self._open_needs) if not count]
        self._startable: list[int] = []
        self._strangers = sorted(
            key
            for index in (journal.waiting, journal.retrying)
            for key in index
            if not key.scope and self.find(key) is None
        )
        self.left_count = len(tasks)
        self.ended_badly: TaskKey | None = None
        """The first task that failed or timed out for good."""
        for position, task in enumerate(tasks):
            for need in task.needs:
                if need not in self._index:
                    raise Invalid(
                        f"task {task.id!r} needs {need!r}, which is no task of the happy path",
                        task=task.id,
                    )
                self._dependants[self._index[need]].append(position)

    def find(self, key: TaskKey) -> Planned | None:
        """Return the task of an entry, or None when the entry is not of the happy path."""
        position = None if key.scope or key.occurrence else self._index.get(key.name)
        return None if position is None else self.tasks[position]

    def look(self) -> Sequence[Planned]:
        """Take note of what has ended; return what became ready since the last look, in the order of the file."""
        ended = self._journal.ended
        while self._seen < len(ended):
            key = ended[self._seen]
            self._seen += 1
            if not key.scope:
                self._note(key)
        ready, self._ready = sorted(self._ready), []
        return [
            self.tasks[position]
            for position in ready
            if self.tasks[position].label.key not in self._journal.tasks
        ]

    def queue(self, planned: Planned) -> None:
        """Let a ready task wait for a free place."""
        heapq.heappush(self._startable, self._index[planned.label.key.name])

    def take(self, limit: int) -> Sequence[Planned]:
        """Return the tasks that start now, at most ``limit``, in the order of the file."""
        taken: list[Planned] = []
        while self._startable and len(taken) < limit:
            taken.append(self.tasks[heapq.heappop(self._startable)])
        return taken

    @property
    def has_startable(self) -> bool:
        """Return whether a ready task waits for a free place."""
        return bool(self._startable)

    def skipped_need(self, planned: Planned) -> str | None:
        """Return the skipped task that a ready one hangs on, unless its own ``when`` looks at that task."""
        mentions = self._mentions[self._index[planned.label.key.name]]
        for need in planned.definition.needs:
            status = self._journal.tasks[TaskKey("", need)].status
            if status is TaskStatus.SKIPPED and need not in mentions:
                return need
        return None

    def strangers(self) -> Sequence[TaskKey]:
        """Return, once, the open entries outside compensations that the definition does not know any more."""
        strangers, self._strangers = self._strangers, []
        return strangers

    def _note(self, key: TaskKey) -> None:
        task = self._journal.tasks[key]
        if task.status in _ENDED_BADLY and self.ended_badly is None:
            self.ended_badly = key
        position = self._index.get(key.name)
        if position is None:
            return
        self.left_count -= 1
        for dependant in self._dependants[position]:
            self._open_needs[dependant] -= 1
            if not self._open_needs[dependant]:
                self._ready.append(dependant)


def _planned(task: TaskDefinition) -> Planned:
    return Planned(TaskLabel(TaskKey("", task.id), task.id, task.tool, task.risk_tier), task)


def _mentioned(task: TaskDefinition) -> frozenset[str]:
    return frozenset(
        str(reference.steps[0])
        for reference in references(task.when)
        if reference.root == "tasks" and reference.steps
    )

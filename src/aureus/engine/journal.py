"""The journal of one run in memory: what its rows say, plus the counts that make the next step cheap.

It is authoritative while this process holds the lease: nothing is read again between two transitions. It knows neither
workflows nor stores. Entries change only through ``put``, so that the counts can never disagree with them.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from aureus.model.approvals import Approval
from aureus.model.runs import Run
from aureus.model.states import ApprovalStatus, TaskStatus
from aureus.model.tasks import Task, TaskKey


class Journal:
    """A run, its tasks and its approvals."""

    def __init__(
        self,
        run: Run,
        inputs: Mapping[str, Any],
        tasks: Iterable[Task] = (),
        approvals: Iterable[Approval] = (),
    ) -> None:
        self.run = run
        self.inputs = inputs
        self.tasks: dict[TaskKey, Task] = {}
        self.approvals: dict[TaskKey, Approval] = {}
        self.running: dict[TaskKey, None] = {}
        self.waiting: dict[TaskKey, None] = {}
        self.retrying: dict[TaskKey, None] = {}
        self.ended: list[TaskKey] = []
        """The entries that ended, in the order of their ``finished_no``."""
        self.is_cancel_requested = run.cancel_requested_at is not None
        self._timers: list[tuple[datetime, TaskKey]] = []
        self._answered: set[TaskKey] = set()
        self._expiries: list[tuple[datetime, TaskKey]] = []
        for approval in approvals:
            self.hear(approval)
        for task in sorted(tasks, key=lambda task: task.finished_no or 0):
            self.put(task)

    def put(self, task: Task) -> None:
        """Set one entry that has not ended yet."""
        key = task.key
        for index in (self.running, self.waiting, self.retrying):
            index.pop(key, None)
        self.tasks[key] = task
        if task.status is TaskStatus.RUNNING:
            self.running[key] = None
        elif task.status is TaskStatus.WAITING:
            self.waiting[key] = None
        elif task.status is TaskStatus.RETRYING and task.wake_at is not None:
            self.retrying[key] = None
            heapq.heappush(self._timers, (task.wake_at, key))
        elif task.status.is_final:
            self.ended.append(key)

    def hear(self, approval: Approval) -> None:
        """Set what a task asks, and what was answered."""
        self.approvals[approval.key] = approval
        if approval.status is not ApprovalStatus.PENDING:
            self._answered.add(approval.key)
        elif approval.expires_at is not None:
            heapq.heappush(self._expiries, (approval.expires_at, approval.key))

    def restamp(self, task: Task) -> None:
        """Replace an entry by itself with the times that the database gave it."""
        self.tasks[task.key] = task

    @property
    def finished_no_next(self) -> int:
        """Return the number that the next entry to end gets; the first is 1 and none is left out."""
        return len(self.ended) + 1

    def next_timer(self) -> tuple[datetime, TaskKey] | None:
        """Return the retry that is due first, or None; of two at the same time the lower key."""
        while self._timers:
            wake_at, key = self._timers[0]
            task = self.tasks[key]
            if task.status is TaskStatus.RETRYING and task.wake_at == wake_at:
                return wake_at, key
            heapq.heappop(self._timers)
        return None

    def due_retries(self, now: datetime, limit: int) -> list[TaskKey]:
        """Return up to ``limit`` tasks whose wait is over, the longest waiting first."""
        due: list[TaskKey] = []
        kept: list[tuple[datetime, TaskKey]] = []
        while len(due) < limit:
            timer = self.next_timer()
            if timer is None or timer[0] > now:
                break
            kept.append(heapq.heappop(self._timers))
            if timer[1] not in due:
                due.append(timer[1])
        for entry in kept:
            heapq.heappush(self._timers, entry)
        return due

    def due_answers(self, now: datetime) -> list[TaskKey]:
        """Return the waiting tasks that were answered, or whose question has expired, in the order of their keys."""
        self._answered = {key for key in self._answered if key in self.waiting}
        due = set(self._answered)
        due.update(key for moment, key in self._expiries if moment <= now and key in self.waiting)
        return sorted(due)

    def next_expiry(self) -> datetime | None:
        """Return when the first open question expires."""
        while self._expiries:
            moment, key = self._expiries[0]
            if key in self.waiting and self.approvals[key].status is ApprovalStatus.PENDING:
                return moment
            heapq.heappop(self._expiries)
        return None

    def pending_approvals(self) -> tuple[Approval, ...]:
        """Return what people are asked and have not answered, oldest first."""
        pending = [
            approval
            for key in self.waiting
            if (approval := self.approvals.get(key)) is not None
            and approval.status is ApprovalStatus.PENDING
        ]
        return tuple(sorted(pending, key=lambda approval: (approval.requested_at, approval.key)))

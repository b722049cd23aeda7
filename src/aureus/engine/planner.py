"""The planner of workflow files: what a journal and a definition make happen next. Pure: no clock, no I/O.

Rules, where a file leaves a choice:

* A task starts when everything it needs is completed. It is skipped when its ``when`` is false, and when a need was
  skipped; only a ``when`` that mentions that need (``tasks.<need>.status``) decides for itself.
* The first task that fails for good turns the run round. Nothing new starts; what runs is let finish, so that its
  effects are known; what waits for a retry or a person is given up. Then ``compensation`` says what makes up for it.
* A cancelled run is not compensated: whoever cancels asks it to stop, not to do more.
* Compensations ask for no approval by risk tier: undoing must not wait. One that is itself ``wait-for-approval`` waits.

The planner keeps counters beside the journal (open needs, what is ready), so that a step costs what it changes and not
what the workflow holds. They hold nothing that a fresh planner would not find in the journal; a test proves that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from aureus.engine import answers, retries
from aureus.engine.commands import (
    BeginCompensation,
    CancelTask,
    Command,
    CompleteTask,
    EndRun,
    FailTask,
    PauseRun,
    RetryReason,
    RetryTask,
    SkipReason,
    SkipTask,
    StartTask,
    TaskLabel,
    Work,
)
from aureus.engine.compensation import Backward
from aureus.engine.definition import condition
from aureus.engine.forward import Forward
from aureus.engine.journal import Journal
from aureus.engine.outcomes import (
    Cancelled,
    Completed,
    Ended,
    Failed,
    Failure,
    Interrupted,
    TimedOut,
)
from aureus.engine.work import Planned, broken, prepare, scope_of
from aureus.errors import Invalid
from aureus.model.states import RunPhase, RunStatus, TaskStatus
from aureus.model.tasks import TaskKey
from aureus.model.workflows import RetryPolicy, RiskTier, TaskDefinition, Workflow


@dataclass(frozen=True, slots=True)
class Rules:
    """What whoever runs a workflow decides, not the file.

    ``approve_from`` is the lowest risk tier whose tasks ask a person before they start; None asks for none.
    ``task_timeout_ms`` is for tasks that set no limit, ``run_timeout_ms`` for the whole run, pauses included.
    """

    parallel_max: int = 10
    approve_from: RiskTier | None = None
    task_timeout_ms: int | None = None
    run_timeout_ms: int | None = None


class WorkflowPlanner:
    """Plans one run of one workflow."""

    def __init__(self, workflow: Workflow, journal: Journal, rules: Rules) -> None:
        self._workflow = workflow
        self._journal = journal
        self._rules = rules
        self._forward = Forward(workflow, journal)
        self._backward = Backward(workflow, journal)

    @property
    def code_version(self) -> str:
        """Return what journal entries record as the version of the definition that made them."""
        return self._workflow.hash

    @property
    def task_count(self) -> int:
        """Return how many tasks the happy path has."""
        return len(self._forward.tasks)

    def label(self, key: TaskKey) -> TaskLabel:
        """Return what people call an entry; one that the definition does not know keeps its key's name."""
        planned = self._find(key)
        if planned is not None:
            return planned.label
        known = self._journal.tasks.get(key)
        return TaskLabel(key, key.name, None if known is None else known.tool)

    def settle(self, ended: Ended, now: datetime, jitter: float) -> Sequence[Command]:
        """Return what the end of an attempt means; ``jitter`` is a random number in [0, 1)."""
        label = self.label(ended.key)
        match ended.outcome:
            case Completed() as completed:
                return [CompleteTask(label, completed, ended.duration_ms)]
            case Cancelled():
                return [CancelTask(label)]
            case Interrupted():
                return [self._interrupted(label, now)]
            case Failed(failure, is_retryable):
                wake_at = self._next_attempt(ended.key, now, jitter) if is_retryable else None
                return [_failed(label, failure, wake_at, ended.duration_ms)]
            case TimedOut(failure):
                wake_at = self._next_attempt(ended.key, now, jitter)
                return [_timed_out(label, failure, wake_at, ended.duration_ms)]

    def plan(self, now: datetime) -> Sequence[Command]:
        """Return what happens next; to be asked again after its commands were applied, until there are none."""
        run = self._journal.run
        ready = self._forward.look()
        if run.status not in {RunStatus.PENDING, RunStatus.RUNNING}:
            return []
        if self._journal.is_cancel_requested:
            return self._cancel()
        if run.phase is RunPhase.COMPENSATING:
            return self._compensate(now)
        failure = self._failure(now)
        if failure is not None:
            return [BeginCompensation(failure)]
        commands: list[Command] = [CancelTask(self.label(key)) for key in self._forward.strangers()]
        for planned in ready:
            commands += self._consider(planned, now)
        return commands or self._start(now) or self._rest()

    def next_wake(self, now: datetime) -> datetime | None:
        """Return when ``plan`` should be asked again although nothing has ended; None when time changes nothing."""
        journal = self._journal
        expiry = journal.next_expiry()
        moments = [] if expiry is None else [expiry]
        timer = journal.next_timer()
        has_place = len(journal.running) < self._rules.parallel_max
        if timer is not None and (has_place or timer[0] > now):
            moments.append(timer[0])
        deadline = self._deadline()
        if deadline is not None and journal.run.phase is RunPhase.FORWARD:
            moments.append(deadline)
        return min(moments, default=None)

    def _find(self, key: TaskKey) -> Planned | None:
        return self._backward.find(key) if key.scope else self._forward.find(key)

    def _next_attempt(self, key: TaskKey, now: datetime, jitter: float) -> datetime | None:
        """Return when a task that failed is tried again, or None when it is not."""
        task, planned = self._journal.tasks[key], self._find(key)
        policy = RetryPolicy() if planned is None else planned.definition.retry
        failed_count = task.attempt - task.interruptions
        if failed_count >= policy.attempts_max or not self._may_repeat(key, now):
            return None
        return now + retries.delay(policy, failed_count, jitter)

    def _interrupted(self, label: TaskLabel, now: datetime) -> Command:
        task = self._journal.tasks[label.key]
        if not self._may_repeat(label.key, now) or self._find(label.key) is None:
            return CancelTask(label)
        if task.interruptions >= retries.INTERRUPTIONS_MAX:
            failure = Failure.worded(
                "task_interrupted",
                f"task {label.task_id!r} was interrupted {task.interruptions + 1} times: its process "
                "ended each time before it did. Look for what ends it, such as too little memory.",
            )
            return FailTask(label, TaskStatus.FAILED, failure)
        return RetryTask(label, RetryReason.INTERRUPTED, now)

    def _may_repeat(self, key: TaskKey, now: datetime) -> bool:
        """Return whether another attempt makes sense: not on the happy path of a run that turns round or stops."""
        if self._journal.is_cancel_requested:
            return False
        is_forward = self._journal.run.phase is RunPhase.FORWARD
        return bool(key.scope) or (is_forward and self._failure(now) is None)

    def _failure(self, now: datetime) -> Failure | None:
        """Return why the run must turn round, or None."""
        deadline = self._deadline()
        if deadline is not None and now >= deadline:
            seconds = (self._rules.run_timeout_ms or 0) / 1000
            return Failure("run_timed_out", f"the run took longer than its limit of {seconds:g} s")
        key = self._forward.ended_badly
        if key is None:
            return None
        task = self._journal.tasks[key]
        message = f"task {key} failed: {task.error_message or 'it did not say why'}"
        return Failure.worded(task.error_code or "task_failed", message)

    def _deadline(self) -> datetime | None:
        limit_ms = self._rules.run_timeout_ms
        if limit_ms is None:
            return None
        return self._journal.run.created_at + timedelta(milliseconds=limit_ms)

    def _consider(self, planned: Planned, now: datetime) -> list[Command]:
        """Decide what becomes of a task whose needs have ended; one that may start waits for a free place."""
        definition = planned.definition
        need = self._forward.skipped_need(planned)
        if need is not None:
            return [SkipTask(planned.label, SkipReason.NEED_SKIPPED, need)]
        verdict = self._condition(definition)
        if verdict is False:
            return [SkipTask(planned.label, SkipReason.CONDITION)]
        if answers.asks_first(definition, self._rules.approve_from):
            work = self._work(planned, now)
            if work.problem is None:
                return [answers.question(planned, work, now)]
        self._forward.queue(planned)
        return []

    def _condition(self, definition: TaskDefinition) -> bool | Invalid:
        try:
            return condition(definition.when, scope_of(self._journal))
        except Invalid as error:
            return error

    def _work(self, planned: Planned, now: datetime) -> Work:
        """Return the work of a task; what its condition or its question gets wrong is its problem too."""
        verdict = self._condition(planned.definition)
        if isinstance(verdict, Invalid):
            return broken(planned.label, verdict)
        work = prepare(planned, self._journal, self._limit_ms(planned, now))
        return answers.checked(planned, work)

    def _limit_ms(self, planned: Planned, now: datetime) -> int | None:
        limits = [planned.definition.timeout_ms or self._rules.task_timeout_ms]
        deadline = self._deadline()
        if deadline is not None and not planned.label.key.scope:
            limits.append(max(1, math.ceil((deadline - now) / timedelta(milliseconds=1))))
        return min((limit for limit in limits if limit is not None), default=None)

    def _start(self, now: datetime) -> list[Command]:
        """Start what may start: what people approved, then what waited for its retry, then what became ready."""
        journal = self._journal
        commands: list[Command] = []
        starting: list[Planned] = []
        free = self._rules.parallel_max - len(journal.running)
        for key in journal.due_answers(now):
            planned = self._find(key)
            if planned is not None:
                approval = journal.approvals.get(key)
                answer = answers.answered(planned, approval, now)
                commands += answer
                if not answer and answers.is_approved(approval) and len(starting) < free:
                    starting.append(planned)
        for key in journal.due_retries(now, max(0, free - len(starting))):
            planned = self._find(key)
            if planned is not None:
                starting.append(planned)
        starting += self._forward.take(max(0, free - len(starting)))
        return [*commands, *(StartTask(self._work(planned, now)) for planned in starting)]

    def _rest(self) -> list[Command]:
        """Return how a run that has nothing to start goes on: not at all, paused, or to its end."""
        journal = self._journal
        if journal.running or journal.retrying or journal.run.status is RunStatus.PENDING:
            return []
        if journal.waiting:
            return self._pause()
        if self._forward.left_count:
            raise Invalid(
                f"{self._forward.left_count} tasks of workflow {self._workflow.id!r} wait for each other; "
                "`aureus validate` shows the circle",
                workflow_id=self._workflow.id,
            )
        return [EndRun(RunStatus.COMPLETED)]

    def _pause(self) -> list[Command]:
        pending = self._journal.pending_approvals()
        waiting_for = tuple(self.label(approval.key).task_id for approval in pending)
        return [PauseRun(waiting_for)] if waiting_for else []

    def _cancel(self) -> list[Command]:
        journal = self._journal
        if journal.running:
            return []
        open_keys = sorted([*journal.waiting, *journal.retrying])
        failure = Failure("run_cancelled", "the run was cancelled")
        return [
            *(CancelTask(self.label(key)) for key in open_keys),
            EndRun(RunStatus.CANCELLED, failure),
        ]

    def _compensate(self, now: datetime) -> list[Command]:
        given_up = self._backward.given_up()
        if given_up:
            return [CancelTask(self.label(key)) for key in given_up]
        if self._backward.is_awaiting_tasks:
            return []
        current = self._backward.current()
        if current is None:
            run = self._journal.run
            failure = Failure(run.error_code or "task_failed", run.error_message or "a task failed")
            return [EndRun(RunStatus.FAILED, failure)]
        step, task = current
        if task is None:
            return self._begin_step(step, now)
        if task.status is TaskStatus.WAITING:
            approval = self._journal.approvals.get(task.key)
            return answers.answered(step, approval, now) or self._pause()
        if task.status is TaskStatus.RETRYING and task.wake_at is not None and task.wake_at <= now:
            return [StartTask(self._work(step, now))]
        return []

    def _begin_step(self, step: Planned, now: datetime) -> list[Command]:
        if self._condition(step.definition) is False:
            return [SkipTask(step.label, SkipReason.CONDITION)]
        work = self._work(step, now)
        if answers.is_question(step.definition) and work.problem is None:
            return [answers.question(step, work, now)]
        return [StartTask(work)]


def _failed(
    label: TaskLabel, failure: Failure, wake_at: datetime | None, duration_ms: int | None
) -> Command:
    if wake_at is None:
        return FailTask(label, TaskStatus.FAILED, failure, duration_ms)
    return RetryTask(label, RetryReason.FAILED, wake_at, failure, duration_ms)


def _timed_out(
    label: TaskLabel, failure: Failure, wake_at: datetime | None, duration_ms: int | None
) -> Command:
    if wake_at is None:
        return FailTask(label, TaskStatus.TIMEOUT, failure, duration_ms)
    return RetryTask(label, RetryReason.TIMEOUT, wake_at, failure, duration_ms)

"""A run without database, clock or tools: the planner, the steps, and rows that change as the stores' SQL changes them.

Every commit is checked: only legal moves, finish numbers without gaps, and a journal in memory that equals the rows. A
crash forgets the journal and reads the rows again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aureus.codec import decode, encode_text
from aureus.engine.commands import Command, Work
from aureus.engine.definition import hash_of
from aureus.engine.journal import Journal
from aureus.engine.outcomes import (
    Completed,
    Ended,
    Failed,
    Failure,
    Interrupted,
    Outcome,
    TimedOut,
)
from aureus.engine.planner import Rules, WorkflowPlanner
from aureus.engine.transition import Step
from aureus.model.approvals import Approval, ApprovalRequest
from aureus.model.events import Fact
from aureus.model.runs import Run
from aureus.model.states import (
    RUN_TRANSITIONS,
    TASK_INITIAL,
    TASK_TRANSITIONS,
    ApprovalStatus,
    RunPhase,
    RunStatus,
    TaskStatus,
)
from aureus.model.tasks import Task, TaskChange, TaskKey
from aureus.model.transitions import RunOrigin, Transition
from aureus.model.workflows import TaskDefinition, Workflow

START = datetime(2026, 1, 1, tzinfo=UTC)


def task(task_id: str, *needs: str, **more: Any) -> TaskDefinition:
    """Return a task of a workflow."""
    return TaskDefinition(id=task_id, name=task_id, needs=needs, **more)


def workflow(*tasks: TaskDefinition) -> Workflow:
    """Return a workflow with its hash."""
    made = Workflow(id="w", name="W", tasks=tasks, hash="")
    return replace(made, hash=hash_of(made))


def done(result: Any = None, *, replayed: bool = False) -> Completed:
    """Return the outcome of work that is done."""
    return Completed(encode_text(result), result, replayed)


def broken(message: str = "no", *, is_retryable: bool = True) -> Failed:
    """Return the outcome of work that failed."""
    return Failed(Failure("tool_failed", message), is_retryable)


def late() -> TimedOut:
    """Return the outcome of work that took too long."""
    return TimedOut(Failure("task_timed_out", "too long"))


class Simulation:
    """One run, from its first step on."""

    def __init__(
        self, definition: Workflow, rules: Rules | None = None, inputs: dict[str, Any] | None = None
    ) -> None:
        self.definition = definition
        self.rules = rules or Rules()
        self.inputs = inputs or {}
        self.now = START
        self.rows: dict[TaskKey, Task] = {}
        self.approvals: dict[TaskKey, Approval] = {}
        self.facts: list[Fact] = []
        self.working: dict[TaskKey, Work] = {}
        self.max_running = 0
        self.started: list[TaskKey] = []
        self.commands: list[Command] = []
        self.run = new_run(definition)
        self.journal = Journal(self.run, self.inputs)
        self.planner = WorkflowPlanner(definition, self.journal, self.rules)
        step = self._step([])
        start = step.beginning("t0", "lease", None, RunOrigin(self.inputs, "."))
        self.run = replace(
            self.run,
            status=RunStatus.RUNNING,
            version=1,
            epoch=1,
            started_at=START,
            updated_at=START,
        )
        self._write(start.changes, start.facts)
        self._ask(start.approvals)
        self._committed(step)
        self.tick()

    def tick(self, *ended: tuple[str | TaskKey, Outcome], jitter: float = 0.5) -> None:
        """Let attempts end at the same moment, and plan until nothing more happens at this moment."""
        outcomes = [Ended(_key(name), outcome, 7) for name, outcome in ended]
        for outcome in outcomes:
            del self.working[outcome.key]
        self.settle(outcomes, jitter=jitter)

    def settle(self, outcomes: Sequence[Ended], *, jitter: float = 0.5) -> None:
        """Commit steps until one is empty."""
        while True:
            step = self._step(outcomes, jitter)
            if step.is_empty:
                return
            self._commit(step)
            outcomes = []

    def pass_time(self, seconds: float) -> None:
        """Move the clock, and plan."""
        self.now += timedelta(seconds=seconds)
        self.tick()

    def crash(self) -> None:
        """Forget everything but the rows, and go on as another process."""
        self.resume()
        self.settle([Ended(key, Interrupted()) for key in self.journal.running])

    def resume(self, definition: Workflow | None = None, rules: Rules | None = None) -> None:
        """Read the rows again as a process that has taken the run over, without planning yet."""
        status = RunStatus.RUNNING
        self.run = replace(
            self.run,
            status=status,
            epoch=self.run.epoch + 1,
            lease_id="lease",
            version=self.run.version + 1,
        )
        self.definition, self.rules = definition or self.definition, rules or self.rules
        self.working.clear()
        approvals = list(self.approvals.values())
        self.journal = Journal(self.run, self.inputs, self.rows.values(), approvals)
        self.planner = WorkflowPlanner(self.definition, self.journal, self.rules)

    def answer(
        self, name: str | TaskKey, status: ApprovalStatus, reason: str | None = None
    ) -> None:
        """Let a person answer, as the row says it, and let the journal know."""
        key = _key(name)
        self.approvals[key] = replace(
            self.approvals[key],
            status=status,
            decision_id="d",
            decided_by="ada",
            decided_at=self.now,
            reason=reason,
        )
        self.journal.hear(self.approvals[key])

    @property
    def state(self) -> str:
        """Return the status of the run."""
        return self.run.status.value

    def status(self, name: str | TaskKey) -> str | None:
        """Return the status of an entry, None when it has not begun."""
        row = self.rows.get(_key(name))
        return None if row is None else row.status.value

    def statuses(self) -> dict[str, str]:
        """Return the status of every entry by its name."""
        return {str(key): row.status.value for key, row in self.rows.items()}

    def told(self) -> list[str]:
        """Return the types of the facts, with their task where they have one."""
        return [
            f"{fact.type} {fact.payload['taskId']}" if "taskId" in fact.payload else fact.type
            for fact in self.facts
        ]

    def _step(self, outcomes: Sequence[Ended], jitter: float = 0.5) -> Step:
        step = Step(
            self.journal, now=self.now, actor="tester", code_version=self.planner.code_version
        )
        for ended in outcomes:
            self._apply(step, self.planner.settle(ended, self.now, jitter))
        while True:
            fresh = WorkflowPlanner(self.definition, self.journal, self.rules).plan(self.now)
            commands = self.planner.plan(self.now)
            assert list(commands) == list(fresh), "a fresh planner would decide something else"
            if not commands:
                return step
            self._apply(step, commands)

    def _apply(self, step: Step, commands: Sequence[Command]) -> None:
        self.commands += commands
        step.apply(commands)

    def _commit(self, step: Step) -> None:
        transition = step.transition(f"t{self.run.version}")
        assert transition.status in {self.run.status, *RUN_TRANSITIONS[self.run.status]}
        self._write(transition.changes, transition.facts)
        self._ask(transition.approvals)
        self.run = self._after(transition)
        self._committed(step)

    def _after(self, transition: Transition) -> Run:
        status = transition.status
        return replace(
            self.run,
            status=status,
            phase=transition.phase,
            version=self.run.version + 1,
            lease_id="lease" if transition.keeps_lease else None,
            transition_id=transition.transition_id,
            error_code=transition.error_code,
            error_message=transition.error_message,
            completed_at=self.now if status.is_final else None,
            updated_at=self.now,
        )

    def _committed(self, step: Step) -> None:
        step.committed(self.run)
        assert self.journal.tasks == self.rows
        assert self.journal.approvals == self.approvals
        finished = [row.finished_no for row in self.rows.values() if row.status.is_final]
        assert sorted(number or 0 for number in finished) == list(range(1, len(finished) + 1))
        for work in step.started:
            self.working[work.label.key] = work
            self.started.append(work.label.key)
        running = [key for key, row in self.rows.items() if row.status is TaskStatus.RUNNING]
        assert sorted(running) == sorted(self.working)
        self.max_running = max(self.max_running, len(running))

    def _write(self, changes: Sequence[TaskChange], facts: Sequence[Fact]) -> None:
        self.facts += facts
        for change in changes:
            before = self.rows.get(change.key)
            assert change.is_new == (before is None)
            if before is None:
                assert change.status in TASK_INITIAL
            elif before.status is not change.status:
                assert change.status in TASK_TRANSITIONS[before.status]
            self.rows[change.key] = _row(change, before, self.run.epoch or 1, self.now)

    def _ask(self, requests: Sequence[ApprovalRequest]) -> None:
        for request in requests:
            assert request.key not in self.approvals
            self.approvals[request.key] = Approval(
                run_id=self.run.run_id,
                scope=request.key.scope,
                name=request.key.name,
                occurrence=request.key.occurrence,
                status=ApprovalStatus.PENDING,
                message=request.message,
                risk_tier=request.risk_tier,
                requested_by=request.requested_by,
                requested_at=self.now,
                expires_at=request.expires_at,
                decision_id=None,
                decided_by=None,
                decided_at=None,
                reason=None,
            )


def _key(name: str | TaskKey) -> TaskKey:
    return name if isinstance(name, TaskKey) else TaskKey("", name)


def new_run(definition: Workflow) -> Run:
    return Run(
        run_id="r_1",
        workflow_id=definition.id,
        workflow_hash=definition.hash,
        status=RunStatus.PENDING,
        phase=RunPhase.FORWARD,
        version=0,
        epoch=0,
        lease_id="lease",
        transition_id="t0",
        resume_key=None,
        error_code=None,
        error_message=None,
        cancel_requested_at=None,
        created_at=START,
        started_at=None,
        completed_at=None,
        updated_at=START,
    )


def _row(change: TaskChange, before: Task | None, epoch: int, now: datetime) -> Task:
    """Return what the statements start_run and advance_run leave of a change."""
    is_final = change.status.is_final
    has_result = change.result_json is not None
    result = decode(change.result_json) if change.result_json is not None else None
    if before is not None:
        return replace(
            before,
            status=change.status,
            attempt=change.attempt,
            interruptions=change.interruptions,
            epoch=epoch,
            replayed=change.replayed,
            result=result,
            has_result=has_result,
            error_code=change.error_code,
            error_message=change.error_message,
            finished_no=change.finished_no,
            started_at=now if change.status is TaskStatus.RUNNING else before.started_at,
            wake_at=change.wake_at,
            completed_at=now if is_final else None,
        )
    return Task(
        scope=change.key.scope,
        name=change.key.name,
        occurrence=change.key.occurrence,
        kind=change.kind,
        status=change.status,
        attempt=change.attempt,
        interruptions=change.interruptions,
        epoch=epoch,
        tool=change.tool,
        input_hash=change.input_hash,
        code_version=change.code_version,
        idempotency_key=change.idempotency_key,
        replayed=change.replayed,
        result=None,
        has_result=False,
        error_code=change.error_code,
        error_message=change.error_message,
        finished_no=change.finished_no,
        scheduled_at=now,
        started_at=now if change.status is TaskStatus.RUNNING else None,
        wake_at=change.wake_at,
        completed_at=now if change.status is TaskStatus.SKIPPED else None,
    )

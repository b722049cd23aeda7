"""One step of a run: commands become rows, facts and the journal's next state, all in one commit. Pure.

``Step`` applies commands to the journal at once, so that a planner sees what it has just decided. The commit that
follows either happens, or the process stops working on the run and forgets the journal. The times of entries are those
of the commit, filled in by ``committed``, so that the journal in memory is to the last field what a reader gets.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aureus.engine.commands import (
    AskApproval,
    BeginCompensation,
    CancelTask,
    Command,
    CompleteTask,
    EndRun,
    ExpireApproval,
    FailTask,
    LetGo,
    PauseRun,
    RetryReason,
    RetryTask,
    SkipTask,
    StartTask,
    TaskLabel,
    Work,
)
from aureus.engine.facts import Teller
from aureus.engine.journal import Journal
from aureus.model.approvals import Approval, ApprovalRequest
from aureus.model.events import EventType, Fact
from aureus.model.plain import plain
from aureus.model.runs import Run
from aureus.model.states import ApprovalStatus, RunPhase, RunStatus, TaskStatus
from aureus.model.tasks import Task, TaskChange, TaskKey
from aureus.model.transitions import RunOrigin, RunStart, Transition

_ENDS: dict[RunStatus, EventType] = {
    RunStatus.COMPLETED: EventType.WORKFLOW_COMPLETED,
    RunStatus.FAILED: EventType.WORKFLOW_FAILED,
    RunStatus.CANCELLED: EventType.WORKFLOW_CANCELLED,
}


@dataclass(slots=True)
class _Written:
    before: Task | None
    change: TaskChange
    result: Any


class Step:
    """The commands of one commit and what they amount to."""

    def __init__(self, journal: Journal, *, now: datetime, actor: str, code_version: str) -> None:
        self._journal = journal
        self._now = now
        self._actor = actor
        self._code_version = code_version
        self._teller = Teller(journal.run.run_id, journal.run.workflow_id, actor)
        self._written: dict[TaskKey, _Written] = {}
        self._requests: list[ApprovalRequest] = []
        self._facts: list[Fact] = []
        self._keeps_lease = True
        self.is_empty = True
        self.started: list[Work] = []
        """The work that begins once the step is committed."""

    def tell(self, fact: Fact) -> None:
        """Add a fact that is not about a task."""
        self._facts.append(fact)

    def apply(self, commands: Iterable[Command]) -> None:
        """Carry commands out on the journal, in their order."""
        for command in commands:
            self.is_empty = False
            match command:
                case StartTask():
                    self._start(command.work)
                case AskApproval():
                    self._ask(command)
                case ExpireApproval():
                    self._expire(command)
                case SkipTask():
                    self._skip(command)
                case CompleteTask():
                    self._complete(command)
                case FailTask():
                    self._fail(command)
                case RetryTask():
                    self._retry(command)
                case CancelTask():
                    self._cancel(command)
                case BeginCompensation():
                    self._journal.run = replace(
                        self._journal.run,
                        phase=RunPhase.COMPENSATING,
                        error_code=command.failure.code,
                        error_message=command.failure.message,
                    )
                case PauseRun():
                    self._pause(command)
                case EndRun():
                    self._end(command)
                case LetGo():
                    self._keeps_lease = False

    def beginning(
        self, transition_id: str, lease_id: str, resume_key: str | None, origin: RunOrigin
    ) -> RunStart:
        """Return the step as the first one of its run."""
        run = self._journal.run
        return RunStart(
            run_id=run.run_id,
            workflow_id=run.workflow_id,
            workflow_hash=run.workflow_hash,
            lease_id=lease_id,
            transition_id=transition_id,
            resume_key=resume_key,
            origin=origin,
            changes=self._changes(),
            approvals=tuple(self._requests),
            facts=tuple(self._facts),
        )

    def transition(self, transition_id: str) -> Transition:
        """Return the step as one of a run that this process holds."""
        run = self._journal.run
        if run.lease_id is None:
            raise AssertionError("a step of a run that nobody holds")
        return Transition(
            run_id=run.run_id,
            epoch=run.epoch,
            lease_id=run.lease_id,
            transition_id=transition_id,
            status=run.status,
            phase=run.phase,
            keeps_lease=self._keeps_lease,
            error_code=run.error_code,
            error_message=run.error_message,
            changes=self._changes(),
            approvals=tuple(self._requests),
            facts=tuple(self._facts),
        )

    def committed(self, run: Run) -> None:
        """Take over what the commit made of the run; its ``updated_at`` is the time of everything in the step."""
        self._journal.run = run
        for written in self._written.values():
            self._journal.restamp(_after(written, run.epoch, run.updated_at))
        for request in self._requests:
            self._journal.hear(_asked(run.run_id, request, run.updated_at))

    def _changes(self) -> tuple[TaskChange, ...]:
        return tuple(written.change for written in self._written.values())

    def _start(self, work: Work) -> None:
        label = work.label
        known = self._journal.tasks.get(label.key)
        attempt = 1 if known is None else known.attempt + 1
        self._write(label, TaskStatus.RUNNING, attempt=attempt, **_identity(known, work))
        self.started.append(work)
        is_first_step = label.compensation_for is not None and attempt == 1
        kind = EventType.COMPENSATION_TRIGGERED if is_first_step else EventType.TASK_STARTED
        self._tell(kind, label, data={"tool": label.tool}, metadata={"attempt": attempt})

    def _ask(self, command: AskApproval) -> None:
        label = command.work.label
        self._write(label, TaskStatus.WAITING, **_identity(None, command.work))
        tier = None if command.risk_tier is None else command.risk_tier.value
        request = ApprovalRequest(label.key, command.message, tier, self._actor, command.expires_at)
        self._requests.append(request)
        self._journal.hear(_asked(self._journal.run.run_id, request, self._now))
        self._tell(
            EventType.APPROVAL_REQUESTED,
            label,
            data={
                "message": command.message,
                "riskTier": tier,
                "expiresAt": plain(command.expires_at),
            },
        )

    def _expire(self, command: ExpireApproval) -> None:
        approval = self._journal.approvals[command.label.key]
        data = {"code": "approval_expired", "expiresAt": plain(approval.expires_at)}
        self._tell(EventType.APPROVAL_DENIED, command.label, data=data)

    def _skip(self, command: SkipTask) -> None:
        self._write(command.label, TaskStatus.SKIPPED)
        data = {"reason": command.reason.value, "need": command.need}
        self._tell(EventType.TASK_SKIPPED, command.label, data=data)

    def _complete(self, command: CompleteTask) -> None:
        label, completed = command.label, command.completed
        task = self._write(
            label,
            TaskStatus.COMPLETED,
            completed.result,
            result_json=completed.result_json,
            replayed=completed.replayed,
        )
        is_step = label.compensation_for is not None
        self._tell(
            EventType.COMPENSATION_COMPLETED if is_step else EventType.TASK_COMPLETED,
            label,
            data={"replayed": True} if completed.replayed else None,
            metadata={"attempt": task.attempt or None, "duration": command.duration_ms},
        )

    def _fail(self, command: FailTask) -> None:
        label, failure = command.label, command.failure
        task = self._write(
            label, command.status, error_code=failure.code, error_message=failure.message
        )
        kind = EventType.TASK_FAILED
        if label.compensation_for is not None:
            kind = EventType.COMPENSATION_FAILED
        elif command.status is TaskStatus.TIMEOUT:
            kind = EventType.TASK_TIMEOUT
        self._tell(
            kind,
            label,
            data={"code": failure.code},
            metadata={
                "attempt": task.attempt or None,
                "error": failure.message,
                "duration": command.duration_ms,
            },
        )

    def _retry(self, command: RetryTask) -> None:
        label, failure = command.label, command.failure
        known = self._journal.tasks[label.key]
        is_interruption = command.reason is RetryReason.INTERRUPTED
        self._write(
            label,
            TaskStatus.RETRYING,
            wake_at=command.wake_at,
            interruptions=known.interruptions + is_interruption,
            error_code=None if failure is None else failure.code,
            error_message=None if failure is None else failure.message,
        )
        delay_ms = round((command.wake_at - self._now).total_seconds() * 1000)
        self._tell(
            EventType.TASK_RETRY,
            label,
            data={
                "reason": command.reason.value,
                "delayMs": None if is_interruption else delay_ms,
                "code": None if failure is None else failure.code,
            },
            metadata={
                "attempt": known.attempt,
                "error": None if failure is None else failure.message,
                "duration": command.duration_ms,
            },
        )

    def _cancel(self, command: CancelTask) -> None:
        task = self._write(command.label, TaskStatus.CANCELLED)
        self._tell(
            EventType.TASK_CANCELLED, command.label, metadata={"attempt": task.attempt or None}
        )

    def _pause(self, command: PauseRun) -> None:
        self._journal.run = replace(self._journal.run, status=RunStatus.PAUSED)
        self._keeps_lease = False
        data = {"waitingFor": list(command.waiting_for)}
        self.tell(self._teller.of_run(EventType.WORKFLOW_PAUSED, data=data))

    def _end(self, command: EndRun) -> None:
        run, failure = self._journal.run, command.failure
        self._journal.run = replace(
            run,
            status=command.status,
            error_code=None if failure is None else failure.code,
            error_message=None if failure is None else failure.message,
        )
        self._keeps_lease = False
        since = run.started_at or run.created_at
        self.tell(
            self._teller.of_run(
                _ENDS[command.status],
                data=None if failure is None else {"code": failure.code},
                metadata={
                    "error": None if failure is None else failure.message,
                    "duration": max(0, round((self._now - since).total_seconds() * 1000)),
                },
            )
        )

    def _tell(
        self,
        kind: EventType,
        label: TaskLabel,
        *,
        data: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._facts.append(self._teller.of_task(kind, label, data=data, metadata=metadata))

    def _write(self, label: TaskLabel, status: TaskStatus, result: Any = None, **more: Any) -> Task:
        """Set an entry: what is not named stays, but wait and error last only until the next change."""
        known = self._journal.tasks.get(label.key)
        written = self._written.get(label.key)
        if written is not None and written.change.is_new:
            raise AssertionError(f"{label.key} begins and changes in one step")
        values: dict[str, Any] = {
            "key": label.key,
            "is_new": known is None,
            "status": status,
            "attempt": 0 if known is None else known.attempt,
            "kind": label.kind if known is None else known.kind,
            "tool": label.tool if known is None else known.tool,
            "code_version": self._code_version if known is None else known.code_version,
            "finished_no": self._journal.finished_no_next if status.is_final else None,
        }
        if known is not None:
            values |= {
                "interruptions": known.interruptions,
                "input_hash": known.input_hash,
                "idempotency_key": known.idempotency_key,
            }
        change = TaskChange(**{**values, **more})
        before = known if written is None else written.before
        written = _Written(before, change, result)
        self._written[label.key] = written
        task = _after(written, self._journal.run.epoch, self._now)
        self._journal.put(task)
        return task


def _identity(known: Task | None, work: Work) -> dict[str, Any]:
    """Return what an entry records of its work when it is first written."""
    if known is not None:
        return {}
    return {"input_hash": work.input_hash, "idempotency_key": work.idempotency_key or None}


def _after(written: _Written, epoch: int, now: datetime) -> Task:
    """Return an entry as the statements of the stores leave it."""
    change, before = written.change, written.before
    is_running = change.status is TaskStatus.RUNNING
    started_at = None if before is None else before.started_at
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
        result=written.result,
        has_result=change.result_json is not None,
        error_code=change.error_code,
        error_message=change.error_message,
        finished_no=change.finished_no,
        scheduled_at=now if before is None else before.scheduled_at,
        started_at=now if is_running else started_at,
        wake_at=change.wake_at,
        completed_at=now if change.status.is_final else None,
    )


def _asked(run_id: str, request: ApprovalRequest, now: datetime) -> Approval:
    return Approval(
        run_id=run_id,
        scope=request.key.scope,
        name=request.key.name,
        occurrence=request.key.occurrence,
        status=ApprovalStatus.PENDING,
        message=request.message,
        risk_tier=request.risk_tier,
        requested_by=request.requested_by,
        requested_at=now,
        expires_at=request.expires_at,
        decision_id=None,
        decided_by=None,
        decided_at=None,
        reason=None,
    )

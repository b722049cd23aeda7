"""Starts runs, and goes on with unfinished ones.

Both begin with the one statement that starts a run: the database refuses it when an unfinished run of the same workflow
and inputs is there, and then that one is gone on with. So two processes that are started together never start two runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from aureus.codec import canonical
from aureus.engine import keys
from aureus.engine.attempts import Surroundings
from aureus.engine.commands import PauseRun, Work
from aureus.engine.definition import from_dict, to_dict
from aureus.engine.definition_changes import definition_changed
from aureus.engine.executor import Executor, Ports
from aureus.engine.journal import Journal
from aureus.engine.lease import Term
from aureus.engine.observer import watched
from aureus.engine.parts import EngineParts, RunOutcome, outcome_of
from aureus.engine.planner import Rules, WorkflowPlanner
from aureus.engine.timers import pause
from aureus.engine.transition import Step
from aureus.errors import AlreadyExists, Conflict
from aureus.model.events import EventType, Fact
from aureus.model.leases import Lease
from aureus.model.runs import Run
from aureus.model.states import RunPhase, RunStatus, TaskStatus
from aureus.model.transitions import Advanced, RunOrigin
from aureus.model.workflows import RiskTier, Workflow

START_TRIES_MAX = 5
"""Times that a start is tried again because the run in its way ended at that moment."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to run, and how."""

    workflow: Workflow
    directory: Path
    approve_from: RiskTier | None = None
    accepts_changed_definition: bool = False
    waits: bool = False

    def origin(self, inputs: dict[str, Any]) -> RunOrigin:
        """Return what is kept of the wish, for those who go on with the run without it."""
        approve_from = None if self.approve_from is None else self.approve_from.value
        return RunOrigin(inputs, str(self.directory), approve_from)


class Running:
    """Works on runs, each in its caller's own task."""

    def __init__(self, parts: EngineParts) -> None:
        self._parts = parts
        self._saved_versions: set[tuple[str, str]] = set()
        self._executors: dict[str, Executor] = {}

    def stop(self) -> None:
        """Stop everything that is being worked on; again: at once."""
        for executor in list(self._executors.values()):
            executor.stop()

    async def start(
        self, wish: Wish, inputs: dict[str, Any], *, run_id: str | None, is_new: bool
    ) -> RunOutcome:
        """Start a run, or go on with the one that is in its way; see ``Engine.run``."""
        await self._save_version(wish.workflow)
        is_named = run_id is not None
        resume_key = None if is_named or is_new else keys.resume_key(wish.workflow.id, inputs)
        for _ in range(START_TRIES_MAX):
            wanted = run_id if run_id is not None else f"r_{self._parts.ids.new()}"
            outcome = await self._start(wish, inputs, wanted, resume_key)
            if outcome is not None:
                return outcome
            found = await self._in_the_way(wanted, resume_key)
            if found is not None:
                if is_named:
                    await self._check_same(found, wish.workflow, inputs)
                return await self.go_on(found, wish)
        raise Conflict(
            f"runs of workflow {wish.workflow.id!r} with these inputs start and end too fast to start one more; "
            "repeat the call",
            workflow_id=wish.workflow.id,
        )

    async def go_on(self, run: Run, wish: Wish) -> RunOutcome:
        """Go on with an unfinished run; one that has ended is returned as it is."""
        if not run.status.is_final:
            wish = await self._as_careful_as_before(run, wish)
        if not run.status.is_final and run.workflow_hash != wish.workflow.hash:
            await self._check_definition(run, wish)
        while not run.status.is_final:
            outcome = await self._resume(run, wish)
            if outcome is not None:
                return outcome
            run = await self._parts.stores.runs.get(run.run_id)
            if run.status.is_final:
                break
            if not wish.waits:
                raise await self._parts.claims.held(run)
            run = await self._parts.claims.wait_for_turn(run, self._parts.stopping)
            if self._parts.stopping.is_set():
                return RunOutcome(
                    run, await self._parts.stores.tasks.list(run.run_id), stopped=True
                )
        return RunOutcome(run, await self._parts.stores.tasks.list(run.run_id))

    async def _as_careful_as_before(self, run: Run, wish: Wish) -> Wish:
        """Return the wish with the run's own ``approve_from``, unless it asks people even earlier."""
        origin = await self._parts.stores.runs.get_origin(run.run_id)
        if origin.approve_from is None:
            return wish
        before = RiskTier(origin.approve_from)
        now = wish.approve_from
        return (
            wish
            if now is not None and now.rank <= before.rank
            else replace(wish, approve_from=before)
        )

    async def _start(
        self, wish: Wish, inputs: dict[str, Any], run_id: str, resume_key: str | None
    ) -> RunOutcome | None:
        """Start a run; None when another one is in its way."""
        parts, workflow = self._parts, wish.workflow
        async with parts.tenure.using() as term:
            transition_id, now = parts.ids.new(), parts.clock.now()
            run = _new_run(workflow, run_id, term.lease_id, transition_id, resume_key, now)
            journal = Journal(run, inputs)
            planner = self._planner(wish, journal)
            step = Step(journal, now=now, actor=parts.actor, code_version=planner.code_version)
            about = {
                "name": workflow.name,
                "workflowHash": workflow.hash,
                "tasks": planner.task_count,
            }
            step.tell(parts.teller(run).of_run(EventType.WORKFLOW_STARTED, data=about))
            while commands := planner.plan(now):
                step.apply(commands)
            with parts.occupy(run):
                try:
                    started = await parts.stores.runs.start(
                        step.beginning(
                            transition_id, term.lease_id, resume_key, wish.origin(inputs)
                        )
                    )
                except AlreadyExists:
                    found = await self._in_the_way(run_id, resume_key)
                    if found is None or found.transition_id != transition_id:
                        return None
                    started = Advanced(found, ())
                step.committed(started.run)
                executor = self._executor(wish, journal, planner)
                await executor.observe(parts.observer.on_events(started.run, started.events))
                return await self._execute(executor, term, step.started, was_resumed=False)

    async def _resume(self, run: Run, wish: Wish) -> RunOutcome | None:
        """Take a run over and go on with it; None when somebody holds it or it has ended."""
        parts = self._parts
        if run.status is RunStatus.PAUSED:
            outcome = await self._waiting(run, wish)
            if outcome is not None:
                return outcome
        if wish.waits and run.run_id in parts.busy:
            return None
        with parts.occupy(run):
            async with parts.tenure.using() as term:
                fact = await self._resumed(run, wish)
                given = wish.workflow.hash
                claimed = await parts.claims.claim(
                    run,
                    term.lease_id,
                    [fact],
                    workflow_hash=None if given == run.workflow_hash else given,
                )
                if claimed is None:
                    return None
                journal = await parts.load(claimed.run)
                planner = self._planner(wish, journal)
                executor = self._executor(wish, journal, planner)
                telling = parts.observer.on_resume(
                    claimed.run, _done_count(journal), planner.task_count, run.updated_at
                )
                await executor.observe(telling)
                await executor.observe(parts.observer.on_events(claimed.run, claimed.events))
                return await self._execute(executor, term, (), was_resumed=True)

    async def _execute(
        self, executor: Executor, term: Term, begun: Sequence[Work], *, was_resumed: bool
    ) -> RunOutcome:
        run_id = executor.journal.run.run_id
        term.work(run_id, executor)
        self._executors[run_id] = executor
        if self._parts.stopping.is_set():
            executor.stop()
        try:
            await executor.execute(begun)
        finally:
            term.rest(run_id)
            del self._executors[run_id]
        return outcome_of(executor.journal, was_resumed=was_resumed, stopped=executor.was_stopped)

    async def _waiting(self, run: Run, wish: Wish) -> RunOutcome | None:
        """Return a paused run as it is when it would only be paused again."""
        parts = self._parts
        journal = await parts.load(run)
        journal.run = replace(run, status=RunStatus.RUNNING)
        commands = self._planner(wish, journal).plan(parts.clock.now())
        if not commands or not all(isinstance(command, PauseRun) for command in commands):
            return None
        journal.run = run
        telling = parts.observer.on_waiting(run, journal.pending_approvals())
        await watched(run.run_id, telling)
        return outcome_of(journal)

    def _planner(self, wish: Wish, journal: Journal) -> WorkflowPlanner:
        settings = self._parts.settings
        rules = Rules(
            parallel_max=settings.parallel_tasks_max,
            approve_from=wish.approve_from,
            task_timeout_ms=_milliseconds(settings.task_timeout_seconds),
            run_timeout_ms=_milliseconds(settings.workflow_timeout_seconds),
        )
        return WorkflowPlanner(wish.workflow, journal, rules)

    def _executor(self, wish: Wish, journal: Journal, planner: WorkflowPlanner) -> Executor:
        parts = self._parts
        around = Surroundings(
            run_id=journal.run.run_id,
            workflow_id=journal.run.workflow_id,
            tenant_id=parts.tenant_id,
            directory=wish.directory,
            tools=parts.tools,
            keys=parts.stores.idempotency_keys,
            clock=parts.clock,
            pause=pause,
        )
        ports = Ports(
            runs=parts.stores.runs,
            approvals=parts.stores.approvals,
            observer=parts.observer,
            clock=parts.clock,
            ids=parts.ids,
            actor=parts.actor,
        )
        return Executor(journal, planner, around, ports)

    async def _save_version(self, workflow: Workflow) -> None:
        """Keep the definition that a run goes by; once for each version and process."""
        version = (workflow.id, workflow.hash)
        if version not in self._saved_versions:
            await self._parts.stores.workflows.save_version(
                *version, name=workflow.name, definition=to_dict(workflow)
            )
            self._saved_versions.add(version)

    async def _in_the_way(self, run_id: str, resume_key: str | None) -> Run | None:
        runs = self._parts.stores.runs
        if resume_key is None:
            return await runs.find(run_id)
        return await runs.find_unfinished(resume_key)

    async def _check_same(self, run: Run, workflow: Workflow, inputs: Mapping[str, Any]) -> None:
        """Refuse to take a run for another one only because somebody chose the same id."""
        what = f"belongs to workflow {run.workflow_id!r}"
        if run.workflow_id == workflow.id:
            stored = await self._parts.stores.runs.get_inputs(run.run_id)
            if canonical(stored) == canonical(dict(inputs)):
                return
            what = "was started with other inputs"
        raise AlreadyExists(
            f"run {run.run_id} exists and {what}; choose another run id", run_id=run.run_id
        )

    async def _check_definition(self, run: Run, wish: Wish) -> None:
        if wish.accepts_changed_definition:
            await self._save_version(wish.workflow)
            return
        stored = await self._parts.stores.workflows.get_version(run.workflow_id, run.workflow_hash)
        raise definition_changed(run, from_dict(stored), wish.workflow)

    async def _resumed(self, run: Run, wish: Wish) -> Fact:
        """Return the fact that a run goes on: after whom, and by which definition when it is another one."""
        holder: Lease | None = None
        if run.lease_id is not None:
            holder = await self._parts.stores.leases.find(run.lease_id)
        given = wish.workflow.hash
        data = {
            "afterHost": None if holder is None else holder.host,
            "afterPid": None if holder is None else holder.pid,
            "workflowHash": None if given == run.workflow_hash else given,
        }
        return self._parts.teller(run).of_run(EventType.WORKFLOW_RESUMED, data=data)


def _new_run(
    workflow: Workflow,
    run_id: str,
    lease_id: str,
    transition_id: str,
    resume_key: str | None,
    now: datetime,
) -> Run:
    """Return a run as it is before its first commit."""
    return Run(
        run_id=run_id,
        workflow_id=workflow.id,
        workflow_hash=workflow.hash,
        status=RunStatus.PENDING,
        phase=RunPhase.FORWARD,
        version=0,
        epoch=0,
        lease_id=lease_id,
        transition_id=transition_id,
        resume_key=resume_key,
        error_code=None,
        error_message=None,
        cancel_requested_at=None,
        created_at=now,
        started_at=None,
        completed_at=None,
        updated_at=now,
    )


def _done_count(journal: Journal) -> int:
    return sum(
        task.status in {TaskStatus.COMPLETED, TaskStatus.SKIPPED}
        for key, task in journal.tasks.items()
        if not key.scope
    )


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(1, round(seconds * 1000))

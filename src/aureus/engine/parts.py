"""What the duties of an engine have in common: its stores, its tools, and who it works for."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aureus.clock import Clock
from aureus.config.settings import EngineSettings
from aureus.engine.attempts import ToolFinder
from aureus.engine.claims import Claims
from aureus.engine.facts import Teller
from aureus.engine.journal import Journal
from aureus.engine.lease import Tenure
from aureus.engine.observer import Observer
from aureus.errors import Conflict, IllegalTransition
from aureus.ids import Ids
from aureus.model.approvals import Approval
from aureus.model.runs import Run
from aureus.model.tasks import Task
from aureus.stores.approvals import AsyncApprovalStore
from aureus.stores.idempotency_keys import AsyncIdempotencyKeyStore
from aureus.stores.leases import AsyncLeaseStore
from aureus.stores.runs import AsyncRunStore
from aureus.stores.tasks import AsyncTaskStore
from aureus.stores.workflows import AsyncWorkflowStore


@dataclass(frozen=True, slots=True)
class EngineStores:
    """The stores of one tenant that an engine works on."""

    workflows: AsyncWorkflowStore
    runs: AsyncRunStore
    tasks: AsyncTaskStore
    approvals: AsyncApprovalStore
    leases: AsyncLeaseStore
    idempotency_keys: AsyncIdempotencyKeyStore


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Where a run stands when the engine lets go of it.

    ``tasks`` are in the order in which they were scheduled. ``stopped`` says that the process was asked to stop, so
    that somebody else goes on.
    """

    run: Run
    tasks: Sequence[Task]
    pending_approvals: Sequence[Approval] = ()
    was_resumed: bool = False
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class EngineParts:
    """An engine, as its duties see it."""

    stores: EngineStores
    tools: ToolFinder
    settings: EngineSettings
    clock: Clock
    ids: Ids
    actor: str
    tenant_id: str
    observer: Observer
    tenure: Tenure
    claims: Claims
    stopping: asyncio.Event
    busy: set[str] = field(default_factory=set[str])

    def teller(self, run: Run, actor: str | None = None) -> Teller:
        """Return who words the facts of a run."""
        return Teller(run.run_id, run.workflow_id, actor or self.actor)

    @contextmanager
    def occupy(self, run: Run) -> Generator[None]:
        """Keep a run to one caller of this process, for whom the lease makes no difference."""
        if run.run_id in self.busy:
            raise Conflict(
                f"run {run.run_id} is being worked on by this process already; it goes on there",
                run_id=run.run_id,
            )
        self.busy.add(run.run_id)
        try:
            yield
        finally:
            self.busy.discard(run.run_id)

    async def load(self, run: Run) -> Journal:
        """Read the journal of a run, once for all the time that it is held."""
        stores, run_id = self.stores, run.run_id
        inputs = await stores.runs.get_inputs(run_id)
        tasks = await stores.tasks.list(run_id)
        return Journal(run, inputs, tasks, await stores.approvals.list(run_id))


def refuse_final(run: Run, wish: str) -> None:
    """Raise ``IllegalTransition`` when a run has ended."""
    if run.status.is_final:
        raise IllegalTransition(
            f"run {run.run_id} is {run.status.value}; it cannot be {wish}",
            run_id=run.run_id,
            status=run.status.value,
        )


def outcome_of(journal: Journal, *, was_resumed: bool = False, stopped: bool = False) -> RunOutcome:
    """Return where a journal stands."""
    tasks = sorted(journal.tasks.values(), key=lambda task: (task.scheduled_at, task.key))
    pending = () if journal.run.status.is_final else journal.pending_approvals()
    return RunOutcome(journal.run, tasks, pending, was_resumed, stopped)

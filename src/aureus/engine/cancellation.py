"""Cancelling a run: whoever holds it is asked to stop; one that nobody holds is cancelled here and now.

The wish is written first, so that it is kept whatever happens next: a holder notices it within a second or two, and a
successor before it starts anything. A cancelled run is not compensated.
"""

from __future__ import annotations

from aureus.engine.commands import CancelTask, EndRun, TaskLabel
from aureus.engine.compensation import SCOPE
from aureus.engine.journal import Journal
from aureus.engine.observer import watched
from aureus.engine.outcomes import Failure
from aureus.engine.parts import EngineParts, refuse_final
from aureus.engine.transition import Step
from aureus.model.events import EventType
from aureus.model.runs import Run
from aureus.model.states import RunStatus
from aureus.model.tasks import Task


async def cancel(parts: EngineParts, run_id: str, *, actor: str, reason: str | None = None) -> Run:
    """Cancel a run; return it cancelled, or as it is while its holder stops. Repeating it is harmless.

    Raises ``NotFound``, and ``IllegalTransition`` for a run that has ended.
    """
    runs = parts.stores.runs
    run = await runs.get(run_id)
    refuse_final(run, "cancelled")
    data = {"reason": reason}
    asked = parts.teller(run, actor).of_run(EventType.WORKFLOW_CANCEL_REQUESTED, data=data)
    await runs.request_cancel(run_id, facts=[asked])
    worker = parts.tenure.worker(run_id)
    if worker is not None:
        worker.request_cancel()
    if run_id in parts.busy:
        return await runs.get(run_id)
    with parts.occupy(run):
        return await _cancel_here(parts, run, actor)


async def _cancel_here(parts: EngineParts, run: Run, actor: str) -> Run:
    async with parts.tenure.using() as term:
        claimed = await parts.claims.claim(run, term.lease_id)
        if claimed is None:
            return await parts.stores.runs.get(run.run_id)
        return await _cancel_held(parts, await parts.load(claimed.run), actor)


async def _cancel_held(parts: EngineParts, journal: Journal, actor: str) -> Run:
    """Cancel a run that this process has just taken, without needing its definition."""
    now = parts.clock.now()
    step = Step(journal, now=now, actor=actor, code_version=journal.run.workflow_hash)
    open_keys = sorted([*journal.running, *journal.waiting, *journal.retrying])
    step.apply(CancelTask(_label(journal.tasks[key])) for key in open_keys)
    failure = Failure("run_cancelled", f"the run was cancelled by {actor}")
    step.apply([EndRun(RunStatus.CANCELLED, failure)])
    advanced = await parts.stores.runs.advance(step.transition(parts.ids.new()))
    run_id = advanced.run.run_id
    await watched(run_id, parts.observer.on_events(advanced.run, advanced.events))
    return advanced.run


def _label(task: Task) -> TaskLabel:
    scope = task.scope
    compensated = scope.removeprefix(SCOPE) if scope.startswith(SCOPE) else None
    return TaskLabel(task.key, task.name, task.tool, compensation_for=compensated)

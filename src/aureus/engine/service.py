"""The engine of one tenant in one process: run, resume, cancel, decide, stop.

Everything happens in the event loop that the engine was made in. It opens no database and reads no setting: whoever
makes it hands in the stores, the tools and the limits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aureus.clock import Clock, SystemClock
from aureus.codec import as_object, check_text, shown
from aureus.config.settings import EngineSettings
from aureus.engine import cancellation, decisions
from aureus.engine.attempts import ToolFinder
from aureus.engine.claims import Claims
from aureus.engine.definition import Loaded, from_dict, resolve_inputs
from aureus.engine.identity import read_identity
from aureus.engine.lease import Tenure
from aureus.engine.observer import Observer, Unobserved
from aureus.engine.parts import EngineParts, EngineStores, RunOutcome, refuse_final
from aureus.engine.running import Running, Wish
from aureus.engine.tool_checks import check_tools
from aureus.errors import Conflict, Invalid
from aureus.ids import Ids, RandomIds
from aureus.model.approvals import Approval
from aureus.model.leases import ProcessIdentity
from aureus.model.runs import RUN_ID_CHARACTERS_MAX, Run
from aureus.model.workflows import RiskTier, Workflow
from aureus.stores.leases import LeaseStore


class Engine:
    """Runs workflows for one tenant."""

    def __init__(
        self,
        stores: EngineStores,
        tools: ToolFinder,
        settings: EngineSettings,
        *,
        tenant_id: str,
        actor: str,
        renewals: LeaseStore | None,
        observer: Observer | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        identity: ProcessIdentity | None = None,
    ) -> None:
        """Wire an engine; nothing is read or written before it is used.

        ``renewals`` are the lease operations of the same tenant for a thread, on a connection of its own and with a
        timeout well below the lease; None for a database that no other process can reach. ``actor`` is who the
        events name.
        """
        clock, ids = clock or SystemClock(), ids or RandomIds()
        tenure = Tenure(
            stores.leases,
            renewals,
            identity or read_identity(),
            lease_seconds=settings.lease_seconds,
            clock=clock,
            ids=ids,
        )
        self._parts = EngineParts(
            stores=stores,
            tools=tools,
            settings=settings,
            clock=clock,
            ids=ids,
            actor=actor,
            tenant_id=tenant_id,
            observer=observer or Unobserved(),
            tenure=tenure,
            claims=Claims(stores.runs, stores.leases, tenure, ids),
            stopping=asyncio.Event(),
        )
        self._running = Running(self._parts)
        self._places = asyncio.Semaphore(settings.concurrent_runs_max)

    async def run(
        self,
        workflow: Workflow | Loaded,
        inputs: Mapping[str, Any],
        *,
        directory: Path,
        run_id: str | None = None,
        new: bool = False,
        approve_from: RiskTier | str | None = None,
        accept_changed_definition: bool = False,
        wait: bool = False,
    ) -> RunOutcome:
        """Run a workflow to its end, or until it waits for people or this process is stopped.

        An unfinished run of the same workflow and inputs goes on, unless ``new`` asks for another one or ``run_id``
        names one; a run of that name that has ended is returned as it is. ``directory`` is where relative paths of
        tools start. ``wait`` waits for a run that another process works on, instead of raising ``Conflict``.

        Raises ``Invalid`` for inputs or tools that cannot be used (nothing was stored), ``AlreadyExists`` when
        ``run_id`` is taken by other work, ``DefinitionChanged`` unless that is accepted, and what ended the work on
        the run without ending the run: ``LeaseLost``, ``WorkflowError`` of an observer, errors of the database.
        """
        self._refuse_stopped()
        meant = workflow.workflow if isinstance(workflow, Loaded) else workflow
        resolved = checked_start(meant, inputs, run_id)
        check_tools(meant, self._parts.tools)
        wish = Wish(meant, directory, _tier(approve_from), accept_changed_definition, wait)
        async with self._places:
            return await self._running.start(wish, resolved, run_id=run_id, is_new=new)

    async def resume(
        self,
        run_id: str,
        *,
        directory: Path | None = None,
        workflow: Workflow | Loaded | None = None,
        approve_from: RiskTier | str | None = None,
        accept_changed_definition: bool = False,
        wait: bool = False,
    ) -> RunOutcome:
        """Go on with an unfinished run, by the definition that it was started with unless another one is given.

        Relative paths of tools start where they did before, unless ``directory`` names another folder.

        Raises ``NotFound``, ``IllegalTransition`` for a run that has ended, and what ``run`` raises.
        """
        self._refuse_stopped()
        run = await self._parts.stores.runs.get(run_id)
        refuse_final(run, "resumed")
        if directory is None:
            directory = Path((await self._parts.stores.runs.get_origin(run_id)).directory)
        if workflow is None:
            versions = self._parts.stores.workflows
            meant = from_dict(await versions.get_version(run.workflow_id, run.workflow_hash))
        else:
            meant = workflow.workflow if isinstance(workflow, Loaded) else workflow
        check_tools(meant, self._parts.tools)
        wish = Wish(meant, directory, _tier(approve_from), accept_changed_definition, wait)
        async with self._places:
            return await self._running.go_on(run, wish)

    async def cancel(
        self, run_id: str, *, actor: str | None = None, reason: str | None = None
    ) -> Run:
        """Cancel a run; return it cancelled, or as it is while its holder stops. Repeating it is harmless.

        Raises ``NotFound``, and ``IllegalTransition`` for a run that has ended.
        """
        who = actor or self._parts.actor
        return await cancellation.cancel(self._parts, run_id, actor=who, reason=reason)

    async def decide(
        self,
        run_id: str,
        task_id: str | None = None,
        *,
        approve: bool,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Approval:
        """Answer what a task asks; a run that paused for it goes on when it is run again.

        Raises ``NotFound``, ``Invalid`` when several tasks wait and none is named, and ``IllegalTransition`` for a
        question that was answered already or has expired.
        """
        who = actor or self._parts.actor
        return await decisions.decide(
            self._parts, run_id, task_id, approve=approve, actor=who, reason=reason
        )

    def stop(self) -> None:
        """Hand over what this engine works on: tools are stopped, their attempts do not count, leases are given back.

        Called in the engine's event loop; returns at once, and each ``run`` returns soon with ``stopped`` set. A second
        call kills the tools and gives up without writing anything; whoever comes next goes on all the same.
        """
        self._parts.stopping.set()
        self._running.stop()

    async def close(self) -> None:
        """Give the lease back, when nothing works any more; a second call does nothing."""
        await self._parts.tenure.give_back()

    def _refuse_stopped(self) -> None:
        if self._parts.stopping.is_set():
            raise Conflict("this engine was stopped and starts nothing more; make another one")


def checked_start(
    workflow: Workflow, inputs: Mapping[str, Any], run_id: str | None
) -> dict[str, Any]:
    """Return all inputs of a run that is to start, after a look at its name. Raises ``Invalid``."""
    resolved = resolve_inputs(workflow, as_object(inputs, "inputs"))
    if run_id is not None:
        _check_run_id(run_id)
    return resolved


def _tier(approve_from: Any) -> RiskTier | None:
    """Return a risk tier that may be named by text too, as on the command line. Raises ``Invalid``."""
    if approve_from is None:
        return None
    if isinstance(approve_from, str) and approve_from.upper() in RiskTier.__members__:
        return RiskTier[approve_from.upper()]
    raise Invalid(
        f"approve_from is {shown(approve_from)}; it is one of {', '.join(RiskTier)}",
        what="approve_from",
    )


def _check_run_id(run_id: str) -> None:
    check_text(run_id, "the run id")
    if not run_id or run_id != run_id.strip() or not run_id.isprintable():
        raise Invalid(
            f"the run id {run_id!r} must be printable text without blanks around it", run_id=run_id
        )
    check_text(run_id, "the run id", characters_max=RUN_ID_CHARACTERS_MAX)

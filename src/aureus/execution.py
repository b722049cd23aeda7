"""Runs workflows on an open database: engine, lease, run log and observers wired together.

The engine knows none of them. Here a run's commits go first into its run log and then to whoever watches, and the lease
gets a connection of its own, so that a busy pool cannot keep it from being renewed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from aureus._database.database import AsyncRunner, Database
from aureus._database.drive import Call, Sources
from aureus._database.opening import open_database
from aureus.config import Settings, SqliteUrl
from aureus.engine.definition import Loaded, load_file
from aureus.engine.observer import Observer, Unobserved
from aureus.engine.parts import EngineStores
from aureus.engine.service import Engine
from aureus.engine.tool_checks import check_tools
from aureus.errors import AureusError
from aureus.model.approvals import Approval
from aureus.model.events import Event
from aureus.model.runs import Run, stream_of
from aureus.runlog import FsyncPolicy, RunLog, Unsettled
from aureus.stores.approvals import AsyncApprovalStore
from aureus.stores.events import AsyncEventStore
from aureus.stores.idempotency_keys import AsyncIdempotencyKeyStore
from aureus.stores.leases import AsyncLeaseStore, LeaseStore
from aureus.stores.runs import AsyncRunStore
from aureus.stores.tasks import AsyncTaskStore
from aureus.stores.workflows import AsyncWorkflowStore
from aureus.task_memories import TaskMemories
from aureus.task_snapshots import TaskSnapshots
from aureus.tools import Tool, Tools
from aureus.upkeep import AsyncNoting, Note

if TYPE_CHECKING:
    from aureus.stores.memories import MemoryOperations

RENEWALS_PER_LEASE = 3
"""Renewals that fit into a lease: one may fail, and another, before anybody else may take over."""

_PAGE = 1000


@asynccontextmanager
async def execution(
    runner: AsyncRunner,
    settings: Settings,
    sources: Sources,
    *,
    tenant_id: str,
    observer: Observer | None = None,
    tools: Iterable[Tool] = (),
    renewing: Database | None = None,
    memories: Callable[[], MemoryOperations],
    note: Note | None = None,
) -> AsyncGenerator[Engine]:
    """Give an engine for one tenant; leaving the block gives its lease back.

    ``runner`` carries out the engine's operations. ``renewing`` is a database for threads to renew the lease on; one
    is opened when none is given, except for a database in memory, which nobody else can reach. What tasks
    remember and recall goes through ``memories``, and ``note`` is told of it.
    """
    call = Call(tenant_id, settings.database.call_deadline_seconds)
    log = _run_log(settings, tenant_id)
    watching: Observer = observer or Unobserved()
    if log is not None:
        logged = _Logged(
            log,
            None if _is_private(settings) else Unsettled(settings.run_log.directory, tenant_id),
            _LogStores(AsyncRunStore(runner, call), AsyncEventStore(runner, call)),
            watching,
        )
        await logged.catch_up()
        watching = logged
    own = (
        None if renewing is not None or _is_private(settings) else _open_renewing(settings, sources)
    )
    renews = renewing or own
    remembering = runner if note is None else AsyncNoting(runner, note)
    finder = Tools(
        tools,
        memories=TaskMemories(remembering, call, sources.clock, memories),
        snapshots=TaskSnapshots(runner, call),
    )
    engine = Engine(
        _stores(runner, call),
        finder,
        settings.engine,
        tenant_id=tenant_id,
        actor=settings.actor,
        renewals=None
        if renews is None
        else LeaseStore(renews, _renewing_call(settings, tenant_id)),
        observer=watching,
        clock=sources.clock,
        ids=sources.ids,
    )
    try:
        yield engine
    finally:
        await engine.close()
        finder.close()
        if log is not None:
            await asyncio.to_thread(log.close)
        if own is not None:
            own.close()


def load_for_running(path: Path) -> tuple[Loaded, Path]:
    """Read a workflow file, check it against the tools there are, and return it with the folder its paths start in.

    Raises ``DefinitionInvalid`` and ``NotFound``.
    """
    tools = Tools()
    loaded = load_file(path, known_tools=tools.names)
    check_tools(loaded.workflow, tools)
    return loaded, path.resolve().parent


class _LogStores(NamedTuple):
    """Where a run log that lags behind is filled up from."""

    runs: AsyncRunStore
    events: AsyncEventStore


class _Logged:
    """Writes what was committed to the run log, then tells the next observer."""

    def __init__(
        self, log: RunLog, unsettled: Unsettled | None, stores: _LogStores, following: Observer
    ) -> None:
        self._log = log
        self._unsettled = unsettled
        self._stores = stores
        self._following = following
        self._noted: set[str] = set()

    async def catch_up(self) -> None:
        """Bring the logs of runs up to date whose process died before it had written all of them.

        A log that cannot be mended keeps nobody else from working; it is reported, and tried again next time.
        """
        for run_id in await asyncio.to_thread(self._unsettled.run_ids) if self._unsettled else ():
            run = await self._stores.runs.find(run_id)
            if run is None:
                continue
            try:
                await self._append(run, ())
            except AureusError as error:
                logging.getLogger("aureus").warning(
                    "the log of run %s lags behind: %s", run_id, error
                )

    async def on_events(self, run: Run, events: Sequence[Event]) -> None:
        """Bring the run log up to these events."""
        if self._unsettled is not None and run.run_id not in self._noted:
            await asyncio.to_thread(self._unsettled.note, run.run_id)
            self._noted.add(run.run_id)
        await self._append(run, events)
        await self._following.on_events(run, events)

    async def _append(self, run: Run, events: Sequence[Event]) -> None:
        loop = asyncio.get_running_loop()

        def read_missing(after_version: int) -> Iterable[Event]:
            while page := asyncio.run_coroutine_threadsafe(read(after_version), loop).result():
                yield from page
                after_version = page[-1].version

        async def read(after_version: int) -> Sequence[Event]:
            read_stream, stream = self._stores.events.read_stream, stream_of(run.run_id)
            return await read_stream(stream, after_version=after_version, limit=_PAGE)

        await asyncio.to_thread(self._log.append, run.run_id, events, read_missing)
        is_let_go = run.status.is_final or run.lease_id is None
        if is_let_go and self._unsettled is not None:
            await asyncio.to_thread(self._unsettled.settle, run.run_id)
            self._noted.discard(run.run_id)

    async def on_resume(self, run: Run, tasks_done: int, tasks_total: int, since: datetime) -> None:
        """Pass it on."""
        await self._following.on_resume(run, tasks_done, tasks_total, since)

    async def on_waiting(self, run: Run, approvals: Sequence[Approval]) -> None:
        """Pass it on."""
        await self._following.on_waiting(run, approvals)


class InlineRunner:
    """A runner for threads, used by the one task of a loop of its own: it blocks, and nobody minds."""

    def __init__(self, runner: Database) -> None:
        self._runner = runner

    async def read(self, make: Any, call: Call) -> Any:
        """Carry out an operation that changes nothing."""
        return self._runner.read(make, call)

    async def write(self, make: Any, call: Call) -> Any:
        """Carry out an operation: all of it, or nothing."""
        return self._runner.write(make, call)


def _stores(runner: AsyncRunner, call: Call) -> EngineStores:
    return EngineStores(
        workflows=AsyncWorkflowStore(runner, call),
        runs=AsyncRunStore(runner, call),
        tasks=AsyncTaskStore(runner, call),
        approvals=AsyncApprovalStore(runner, call),
        leases=AsyncLeaseStore(runner, call),
        idempotency_keys=AsyncIdempotencyKeyStore(runner, call),
    )


def _run_log(settings: Settings, tenant_id: str) -> RunLog | None:
    if settings.run_log.type == "none":
        return None
    policy = FsyncPolicy(settings.run_log.fsync)
    return RunLog(settings.run_log.directory, tenant_id, fsync=policy)


def _is_private(settings: Settings) -> bool:
    return isinstance(settings.database.url, SqliteUrl) and settings.database.url.is_memory


def _open_renewing(settings: Settings, sources: Sources) -> Database:
    return open_database(replace(settings.database, pool_min=0, pool_max=1), sources)


def _renewing_call(settings: Settings, tenant_id: str) -> Call:
    return Call(tenant_id, settings.engine.lease_seconds / RENEWALS_PER_LEASE)

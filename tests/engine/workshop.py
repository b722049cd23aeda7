"""A database, engines on it, and tools of the test's own.

The engines of a workshop share a client, but each stands for a process: it has a lease of its own and may be given the
identity of a process that is dead.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from aureus._database.database import Database
from aureus._database.drive import Call
from aureus._database.opening import open_database
from aureus.client import AsyncAureus, make_sources
from aureus.codec import Json
from aureus.config import Settings
from aureus.engine.definition import hash_of
from aureus.engine.identity import read_identity
from aureus.engine.parts import EngineStores, RunOutcome
from aureus.engine.service import Engine
from aureus.errors import DatabaseUnavailable, NotFound
from aureus.model.approvals import Approval
from aureus.model.events import Event
from aureus.model.leases import ProcessIdentity
from aureus.model.runs import Run, stream_of
from aureus.model.transitions import Advanced, RunStart, Transition
from aureus.model.workflows import InputDefinition, TaskDefinition, Workflow
from aureus.stores.idempotency_keys import AsyncIdempotencyKeyStore
from aureus.stores.leases import AsyncLeaseStore, LeaseStore
from aureus.stores.runs import AsyncRunStore
from aureus.tools import Problem, Tool, ToolCall, WaitForApproval

R = TypeVar("R")

TENANT = "acme"

SECONDS_MAX = 60.0
"""A test that takes longer hangs."""


def task(task_id: str, *needs: str, **more: Any) -> TaskDefinition:
    """Return a task of a workflow."""
    return TaskDefinition(id=task_id, name=task_id, needs=needs, **more)


def workflow(*tasks: TaskDefinition, inputs: Sequence[str] = ()) -> Workflow:
    """Return a workflow with its hash."""
    declared = tuple(InputDefinition(name=name) for name in inputs)
    made = Workflow(id="w", name="W", tasks=tasks, hash="", inputs=declared)
    return replace(made, hash=hash_of(made))


class Scripted:
    """A tool whose every call does what the test says; it notes each call."""

    def __init__(self, name: str, work: Callable[[ToolCall], Awaitable[Json]]) -> None:
        self._name = name
        self._work = work
        self.calls: list[ToolCall] = []
        self.running = 0
        self.most_at_once = 0
        self.stopped = 0
        self.was_stopped = asyncio.Event()

    @property
    def name(self) -> str:
        return self._name

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        return [Problem((), "it needs no 'bad'")] if "bad" in inputs else []

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Accept everything."""

    async def run(self, call: ToolCall) -> Json:
        self.calls.append(call)
        self.running += 1
        self.most_at_once = max(self.most_at_once, self.running)
        try:
            return await self._work(call)
        except asyncio.CancelledError:
            self.stopped += 1
            self.was_stopped.set()
            raise
        finally:
            self.running -= 1


class Toolbox:
    """The tools of a test."""

    def __init__(self, *tools: Tool) -> None:
        self._tools: dict[str, Tool | WaitForApproval] = {tool.name: tool for tool in tools}
        self._tools[WaitForApproval.name] = WaitForApproval()

    def find(self, name: str) -> Tool | WaitForApproval:
        if name not in self._tools:
            raise NotFound(f"there is no tool '{name}'", tool=name)
        return self._tools[name]


class Watcher:
    """An observer that notes what it is told, and fails when the test says so."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.resumed: list[tuple[int, int]] = []
        self.waiting: list[str] = []
        self.fails_at: str | None = None

    async def on_events(self, run: Run, events: Sequence[Event]) -> None:
        self.events += events
        if any(event.type == self.fails_at for event in events):
            raise OSError("no room for the log")

    async def on_resume(self, run: Run, tasks_done: int, tasks_total: int, since: object) -> None:
        assert since is not None
        self.resumed.append((tasks_done, tasks_total))

    async def on_waiting(self, run: Run, approvals: Sequence[Approval]) -> None:
        self.waiting += [approval.name for approval in approvals]


class Workshop:
    """An open database with the stores of one tenant, and the engines on it."""

    def __init__(self, settings: Settings, client: AsyncAureus, directory: Path) -> None:
        self.settings = settings
        self.client = client
        self.directory = directory
        call = Call(TENANT, 30.0)
        stores = client.for_tenant(TENANT)
        runner = client._database
        self.events = stores.events
        self.audit = stores.audit
        self.stores = EngineStores(
            workflows=stores.workflows,
            runs=stores.runs,
            tasks=stores.tasks,
            approvals=stores.approvals,
            leases=AsyncLeaseStore(runner, call),
            idempotency_keys=AsyncIdempotencyKeyStore(runner, call),
        )
        self._engines: list[Engine] = []
        self._databases: list[Database] = []

    def engine(
        self,
        *tools: Tool,
        watcher: Watcher | None = None,
        identity: ProcessIdentity | None = None,
        stores: EngineStores | None = None,
        renewals: LeaseStore | None = None,
        **settings: Any,
    ) -> Engine:
        """Return an engine; without ``renewals`` its lease lasts for the whole test."""
        engine = Engine(
            stores or self.stores,
            Toolbox(*tools),
            replace(self.settings.engine, **settings),
            tenant_id=TENANT,
            actor="tester",
            renewals=renewals,
            observer=watcher,
            identity=identity,
        )
        self._engines.append(engine)
        return engine

    def dying_engine(self, *tools: Tool, at: int, after: bool = True) -> Engine:
        """Return the engine of a process that dies at its n-th commit: what it holds, it gives to nobody."""
        stores = replace(
            self.stores,
            runs=cast(AsyncRunStore, Breaking(self.stores.runs, at, after=after)),
            leases=cast(AsyncLeaseStore, _KeptLeases(self.stores.leases)),
        )
        return self.engine(*tools, identity=dead_identity(), stores=stores)

    async def run(
        self,
        engine: Engine,
        definition: Workflow,
        inputs: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> RunOutcome:
        """Run a workflow, and check that what is returned is what the database holds."""
        outcome = await engine.run(definition, inputs or {}, directory=self.directory, **more)
        await self.check(outcome)
        return outcome

    async def check(self, outcome: RunOutcome) -> None:
        """Compare an outcome with the rows, to the last field."""
        run_id = outcome.run.run_id
        assert outcome.run == await self.stores.runs.get(run_id)
        assert list(outcome.tasks) == list(await self.stores.tasks.list(run_id))
        numbers = sorted(t.finished_no for t in outcome.tasks if t.finished_no is not None)
        assert numbers == list(range(1, len(numbers) + 1))

    async def told(self, run_id: str) -> list[str]:
        """Return the events of a run as short texts."""
        events = await self.events.read_stream(stream_of(run_id))
        assert [event.version for event in events] == list(range(1, len(events) + 1))
        return [
            f"{event.type} {event.payload['taskId']}" if "taskId" in event.payload else event.type
            for event in events
        ]

    def heartbeat_store(self) -> LeaseStore:
        """Return the lease operations for a thread, on a connection of their own; not for a database in memory."""
        database = open_database(self.settings.database, make_sources(self.settings, None, None))
        self._databases.append(database)
        return LeaseStore(database, Call(TENANT, 5.0))

    async def close(self) -> None:
        """Close the engines and the database."""
        for engine in self._engines:
            engine.stop()
            await engine.close()
        for database in self._databases:
            database.close()
        await self.client.close()


@asynccontextmanager
async def opened(settings: Settings, directory: Path) -> AsyncGenerator[Workshop]:
    """Open a database for one test."""
    shop = Workshop(settings, AsyncAureus(settings=settings), directory)
    try:
        yield shop
    finally:
        await shop.close()


def statuses(outcome: RunOutcome) -> dict[str, str]:
    """Return the status of every task by its key."""
    return {str(task.key): task.status.value for task in outcome.tasks}


def dead_identity() -> ProcessIdentity:
    """Return the identity of a process of this host that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return replace(read_identity(), pid=process.pid, process_start="1")


class Breaking:
    """The run store of a process that dies at its n-th commit, before or after the database has carried it out."""

    def __init__(self, runs: AsyncRunStore, at: int, *, after: bool) -> None:
        self._runs = runs
        self._left = at
        self._after = after

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runs, name)

    async def start(self, start: RunStart) -> Advanced:
        return await self._commit(lambda: self._runs.start(start))

    async def advance(self, transition: Transition) -> Advanced:
        return await self._commit(lambda: self._runs.advance(transition))

    async def _commit(self, commit: Callable[[], Awaitable[Advanced]]) -> Advanced:
        self._left -= 1
        if self._left == 0 and not self._after:
            raise DatabaseUnavailable("the process dies before its commit")
        advanced = await commit()
        if self._left == 0:
            raise DatabaseUnavailable("the process dies after its commit")
        return advanced


class _KeptLeases:
    """The lease store of a process that dies before it can give its lease back."""

    def __init__(self, leases: AsyncLeaseStore) -> None:
        self._leases = leases

    def __getattr__(self, name: str) -> Any:
        return getattr(self._leases, name)

    async def release(self, lease_id: str) -> bool:
        raise DatabaseUnavailable("the process is dead")


async def nothing(call: ToolCall) -> Json:
    """Do nothing and return the name of the task."""
    return call.task_id


class Gate:
    """Work that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()

    async def work(self, call: ToolCall) -> Json:
        self.entered.set()
        await self.opened.wait()
        return call.task_id

"""Databases on which transitions of runs are written, from threads and from tasks, gathered and alone.

Every caller has a run of its own, so that nobody waits for a row. A transition starts a task or ends it, and states one
fact. "Alone" is what each write would be without group commit: a transaction of its own, on a connection of the pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Literal, Protocol, TypeVar

from aureus._database.database import AsyncDatabase, Database
from aureus._database.drive import Call
from aureus._database.opening import open_async_database, open_database
from aureus._database.postgres.alone import alone
from aureus._database.postgres.loop import AsyncPostgresDatabase
from aureus._database.postgres.threads import PostgresDatabase
from aureus._database.statement import Op
from aureus.client import make_sources
from aureus.config import Settings
from aureus.ids import RandomIds
from aureus.model.events import EventType
from aureus.model.runs import Run
from aureus.model.states import RunPhase, RunStatus
from aureus.model.transitions import Advanced, RunOrigin, RunStart, Transition
from aureus.stores.leases import LeaseStore
from aureus.stores.runs import AsyncRunStore, RunStore
from aureus.stores.workflows import WorkflowStore
from benchmarks.measuring import Sample, in_tasks, in_threads
from tests.contract.stage import HOLDER, begun, fact, finished

R = TypeVar("R")

Style = Literal["threads", "asyncio"]

STYLES: Final[tuple[Style, ...]] = ("threads", "asyncio")

_CALL: Final = Call("default", 60.0)
_LEASE: Final = "lease-of-the-benchmark"
_IDS: Final = RandomIds()


class Transitions:
    """The transitions of one run, one after the other."""

    def __init__(self, run: Run) -> None:
        self.run_id = run.run_id
        self._epoch = run.epoch
        self._count = 0

    def next(self) -> Transition:
        """Return the transition that starts the next task, or ends the one that was started."""
        number, ends = divmod(self._count, 2)
        self._count += 1
        name = f"task-{number}"
        kind = EventType.TASK_COMPLETED if ends else EventType.TASK_STARTED
        return Transition(
            run_id=self.run_id,
            epoch=self._epoch,
            lease_id=_LEASE,
            transition_id=_IDS.new(),
            status=RunStatus.RUNNING,
            phase=RunPhase.FORWARD,
            changes=[finished(name, '{"ok":true}', number + 1) if ends else begun(name)],
            facts=[fact(self.run_id, kind, name)],
        )


class Writer(Protocol):
    """An open database on which callers of one style advance runs."""

    def new_runs(self, count: int) -> Sequence[Transitions]:
        """Start runs, each with nothing done."""
        ...

    def measure(
        self, runs: Sequence[Transitions], seconds: float, *, is_gathered: bool = True
    ) -> Sample:
        """Advance each run by a caller of its own for some time."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...


class ThreadWriter:
    """Callers are threads."""

    def __init__(self, settings: Settings) -> None:
        self._database = open_database(settings.database, make_sources(settings, None, None))
        _prepare(self._database)
        self._gathered = RunStore(self._database, _CALL)
        self._alone = RunStore(_Alone(self._database), _CALL)

    def new_runs(self, count: int) -> Sequence[Transitions]:
        """Start runs, each with nothing done."""
        return [_start(self._gathered) for _ in range(count)]

    def measure(
        self, runs: Sequence[Transitions], seconds: float, *, is_gathered: bool = True
    ) -> Sample:
        """Advance each run by a thread of its own for some time."""
        store = self._gathered if is_gathered else self._alone

        def advance(run: Transitions) -> Advanced:
            return store.advance(run.next())

        return in_threads([partial(advance, run) for run in runs], seconds)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


class TaskWriter:
    """Callers are tasks of one event loop; it stands still between two measurements."""

    def __init__(self, settings: Settings) -> None:
        sources = make_sources(settings, None, None)
        self._preparing = open_database(settings.database, sources)
        _prepare(self._preparing)
        self._loop = asyncio.Runner()
        self._database = open_async_database(settings.database, sources)
        self._gathered = AsyncRunStore(self._database, _CALL)
        self._alone = AsyncRunStore(_AsyncAlone(self._database), _CALL)

    def new_runs(self, count: int) -> Sequence[Transitions]:
        """Start runs, each with nothing done."""
        store = RunStore(self._preparing, _CALL)
        return [_start(store) for _ in range(count)]

    def measure(
        self, runs: Sequence[Transitions], seconds: float, *, is_gathered: bool = True
    ) -> Sample:
        """Advance each run by a task of its own for some time."""
        store = self._gathered if is_gathered else self._alone

        def advance(run: Transitions) -> Awaitable[Advanced]:
            return store.advance(run.next())

        return self._loop.run(in_tasks([partial(advance, run) for run in runs], seconds))

    def close(self) -> None:
        """Close the database and the loop."""
        self._loop.run(self._database.close())
        self._loop.close()
        self._preparing.close()


def open_writer(settings: Settings, style: Style) -> Writer:
    """Open a database for callers of one style."""
    return ThreadWriter(settings) if style == "threads" else TaskWriter(settings)


class _Alone:
    """Carries out each write in a transaction of its own."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        return self._database.read(make, call)

    def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        database = self._database
        if isinstance(database, PostgresDatabase):
            return database.drive(alone(database.planner, make, call, is_read=False))
        with database.transaction(call) as transaction:
            return transaction.write(make, call)


class _AsyncAlone:
    """Carries out each write in a transaction of its own, awaited."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        return await self._database.read(make, call)

    async def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        database = self._database
        if isinstance(database, AsyncPostgresDatabase):
            return await database.drive(alone(database.planner, make, call, is_read=False))
        async with database.transaction(call) as transaction:
            return await transaction.write(make, call)


def _prepare(database: Database) -> None:
    """Save what runs refer to: a workflow and a lease that outlives the measurement."""
    WorkflowStore(database, _CALL).save_version(
        "digest", "hash-1", name="Digest", definition={"a": 1}
    )
    LeaseStore(database, _CALL).acquire(_LEASE, HOLDER, lease_seconds=3600.0)


def _start(store: RunStore) -> Transitions:
    run_id = f"r_{_IDS.new()}"
    started = store.start(
        RunStart(
            run_id=run_id,
            workflow_id="digest",
            workflow_hash="hash-1",
            lease_id=_LEASE,
            transition_id=_IDS.new(),
            resume_key=None,
            origin=RunOrigin({"folder": "docs"}, directory="."),
            facts=[fact(run_id, EventType.WORKFLOW_STARTED)],
        )
    )
    return Transitions(started.run)

"""The way in: opens a database, wires its parts together, and hands out the stores.

``Aureus`` is for threads, ``AsyncAureus`` has the same names for asyncio. Both keep every noun in one database, so that
one transaction can span them all, and the caller's own tables too.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aureus._database.catalog import Engine as Engines
from aureus._database.database import (
    AsyncDatabase,
    AsyncRunner,
    AsyncTransaction,
    Database,
    Runner,
    Transaction,
)
from aureus._database.drive import Call, Sources
from aureus._database.migrate import read_migrations
from aureus._database.observing import Observing
from aureus._database.opening import open_async_database, open_database
from aureus._database.statement import Row
from aureus.clock import Clock, SystemClock
from aureus.config import Settings, SqliteUrl, load
from aureus.errors import AureusError, Invalid
from aureus.ids import Ids, RandomIds
from aureus.ledger.recorder import Recorder
from aureus.model.health import Health
from aureus.retrieval.embedding import Embedder
from aureus.stores.approvals import ApprovalStore, AsyncApprovalStore
from aureus.stores.events import AsyncEventStore, EventStore
from aureus.stores.health import AsyncHealthStore, HealthStore
from aureus.stores.hypotheses import AsyncHypothesisStore, HypothesisStore
from aureus.stores.memories import AsyncMemoryStore, MemoryOperations, MemoryStore
from aureus.stores.profiles import AsyncProfileStore, ProfileStore
from aureus.stores.runs import AsyncRunStore, RunStore
from aureus.stores.sessions import AsyncSessionStore, SessionStore
from aureus.stores.tasks import AsyncTaskStore, TaskStore
from aureus.stores.workflows import AsyncWorkflowStore, WorkflowStore
from aureus.stores.world_state import AsyncWorldStateStore, WorldStateStore
from aureus.telemetry import Telemetry

if TYPE_CHECKING:
    from aureus.engine.observer import Observer
    from aureus.engine.parts import RunOutcome
    from aureus.engine.service import Engine
    from aureus.tools import Tool

R = TypeVar("R")

TRANSACTION_TRIES_MAX = 5
"""Times that ``run_in_transaction`` calls its function when others get in the way."""

HEALTH_SECONDS_MAX = 5.0
"""How long ``health`` waits: whoever asks decides whether to send work here."""


class Stores:
    """The stores of one tenant."""

    def __init__(
        self, runner: Runner, call: Call, memories: MemoryOperations | None = None
    ) -> None:
        self.workflows = WorkflowStore(runner, call)
        self.runs = RunStore(runner, call)
        self.tasks = TaskStore(runner, call)
        self.approvals = ApprovalStore(runner, call)
        self.events = EventStore(runner, call)
        self.memories = MemoryStore(runner, call, memories)
        self.profiles = ProfileStore(runner, call)
        self.hypotheses = HypothesisStore(runner, call)
        self.sessions = SessionStore(runner, call)
        self.world_state = WorldStateStore(runner, call)


class AsyncStores:
    """The stores of one tenant, awaited."""

    def __init__(
        self, runner: AsyncRunner, call: Call, memories: MemoryOperations | None = None
    ) -> None:
        self.workflows = AsyncWorkflowStore(runner, call)
        self.runs = AsyncRunStore(runner, call)
        self.tasks = AsyncTaskStore(runner, call)
        self.approvals = AsyncApprovalStore(runner, call)
        self.events = AsyncEventStore(runner, call)
        self.memories = AsyncMemoryStore(runner, call, memories)
        self.profiles = AsyncProfileStore(runner, call)
        self.hypotheses = AsyncHypothesisStore(runner, call)
        self.sessions = AsyncSessionStore(runner, call)
        self.world_state = AsyncWorldStateStore(runner, call)


class OpenTransaction(Stores):
    """The stores inside one transaction, and the caller's own SQL beside them."""

    def __init__(
        self, transaction: Transaction, call: Call, memories: MemoryOperations | None = None
    ) -> None:
        super().__init__(transaction, call, memories)
        self._transaction = transaction

    @property
    def connection(self) -> Any:
        """The driver's own connection (apsw or psycopg), inside this transaction; do not commit or close it."""
        return self._transaction.connection

    def execute(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Run SQL on your own tables, with the driver's placeholders (? or %s), and return its rows."""
        return self._transaction.execute(text, parameters)


class AsyncOpenTransaction(AsyncStores):
    """The stores inside one transaction, awaited, and the caller's own SQL beside them."""

    def __init__(
        self, transaction: AsyncTransaction, call: Call, memories: MemoryOperations | None = None
    ) -> None:
        super().__init__(transaction, call, memories)
        self._transaction = transaction

    @property
    def connection(self) -> Any:
        """The driver's own connection (apsw or psycopg), inside this transaction; do not commit or close it."""
        return self._transaction.connection

    async def execute(
        self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[Row]:
        """Run SQL on your own tables, with the driver's placeholders (? or %s), and return its rows."""
        return await self._transaction.execute(text, parameters)


class Aureus(Stores):
    """Durable state of agents, for threads. Use it as a context manager, or close it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        tenant: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        telemetry: Telemetry | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """Open the database that the URL, or else the settings, name; create or upgrade its schema where allowed.

        ``telemetry`` is told of every call of the stores. With an ``embedder`` memories get vectors, and are found by
        meaning too.

        Raises ``ConfigInvalid``, ``DatabaseUnavailable`` and ``MigrationError``. Inside a running event loop it
        raises ``Invalid``: there ``AsyncAureus`` is meant.
        """
        _refuse_loop()
        self.settings = settings or read_settings(url, tenant)
        self._sources = make_sources(self.settings, clock, ids)
        self._observing = None if telemetry is None else Observing(telemetry, self._sources.clock)
        self._embedder = embedder
        self._database: Database = open_database(self.settings.database, self._sources)
        super().__init__(self._database, self._call(self.settings.tenant), self._memories())

    def _call(self, tenant: str) -> Call:
        seconds = self.settings.database.call_deadline_seconds
        return Call(tenant, seconds, observing=self._observing)

    def _memories(self) -> MemoryOperations:
        return MemoryOperations(self.settings.memory.policy, self._embedder)

    def for_tenant(self, tenant: str) -> Stores:
        """Return the stores of another tenant on the same database; it costs nothing and needs no closing."""
        return Stores(self._database, self._call(check_tenant(tenant)), self._memories())

    @contextmanager
    def transaction(self, *, tenant: str | None = None) -> Generator[OpenTransaction]:
        """Open a transaction over all stores and the caller's own tables: all of it, or nothing.

        Raises a retryable ``Conflict`` when others got in the way; ``run_in_transaction`` repeats it for you.
        """
        call = self._call(check_tenant(tenant or self.settings.tenant))
        with self._database.transaction(call) as transaction:
            yield OpenTransaction(transaction, call, self._memories())

    def run_in_transaction(
        self, work: Callable[[OpenTransaction], R], *, tenant: str | None = None
    ) -> R:
        """Call a function inside a transaction, again from its start when others got in the way; at most 5 times."""
        for last_try in _tries():
            try:
                with self.transaction(tenant=tenant) as transaction:
                    return work(transaction)
            except AureusError as error:
                if last_try or not error.retryable:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover - the last try ends the loop

    def run(
        self, file: str | Path, inputs: Mapping[str, Any] | None = None, **options: Any
    ) -> RunOutcome:
        """Run a workflow file, or go on with the unfinished run of the same inputs; return where it then stands.

        ``options`` are those of ``Engine.run``: ``run_id``, ``new``, ``approve_from``, ``accept_changed_definition``,
        ``wait``. Raises ``DefinitionInvalid`` and what ``Engine.run`` raises; a run that fails is an outcome.
        """
        from aureus.execution import InlineRunner, execution, load_for_running

        loaded, folder = load_for_running(Path(file))

        async def work() -> RunOutcome:
            async with execution(
                InlineRunner(self._database),
                self.settings,
                self._sources,
                tenant_id=self.settings.tenant,
                renewing=self._database,
            ) as engine:
                return await engine.run(loaded, inputs or {}, directory=folder, **options)

        _refuse_loop()
        return asyncio.run(work())

    def health(self) -> Health:
        """Look whether the database answers within 5 seconds, how quickly, and how far its schema is.

        Raises nothing: what is wrong is in the answer.
        """
        clock, database = self._sources.clock, self._database
        began = clock.monotonic()
        try:
            call = Call(self.settings.tenant, HEALTH_SECONDS_MAX)
            version = HealthStore(database, call).get_schema_version()
        except AureusError as error:
            return _unhealthy(database, error)
        return _healthy(self.settings, database, version, clock.monotonic() - began)

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return self._database.description

    def close(self) -> None:
        """Close every connection; a second call does nothing."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncAureus(AsyncStores):
    """Durable state of agents, for one event loop. Use it as a context manager, or close it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        tenant: str | None = None,
        settings: Settings | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
        telemetry: Telemetry | None = None,
        embedder: Embedder | None = None,
    ) -> None:
        """Open the database that the URL, or else the settings, name; create or upgrade its schema where allowed.

        ``telemetry`` is told of every call of the stores. With an ``embedder`` memories get vectors, and are found by
        meaning too.

        Raises ``ConfigInvalid``, ``DatabaseUnavailable`` and ``MigrationError``. Checking the schema is a blocking
        matter of milliseconds, done here.
        """
        self.settings = settings or read_settings(url, tenant)
        self._sources = make_sources(self.settings, clock, ids)
        self._observing = None if telemetry is None else Observing(telemetry, self._sources.clock)
        self._embedder = embedder
        self._database: AsyncDatabase = open_async_database(self.settings.database, self._sources)
        super().__init__(self._database, self._call(self.settings.tenant), self._memories())

    def _call(self, tenant: str) -> Call:
        seconds = self.settings.database.call_deadline_seconds
        return Call(tenant, seconds, observing=self._observing)

    def _memories(self) -> MemoryOperations:
        return MemoryOperations(self.settings.memory.policy, self._embedder)

    def for_tenant(self, tenant: str) -> AsyncStores:
        """Return the stores of another tenant on the same database; it costs nothing and needs no closing."""
        return AsyncStores(self._database, self._call(check_tenant(tenant)), self._memories())

    @asynccontextmanager
    async def transaction(
        self, *, tenant: str | None = None
    ) -> AsyncGenerator[AsyncOpenTransaction]:
        """Open a transaction over all stores and the caller's own tables: all of it, or nothing.

        Raises a retryable ``Conflict`` when others got in the way; ``run_in_transaction`` repeats it for you.
        """
        call = self._call(check_tenant(tenant or self.settings.tenant))
        async with self._database.transaction(call) as transaction:
            yield AsyncOpenTransaction(transaction, call, self._memories())

    async def run_in_transaction(
        self, work: Callable[[AsyncOpenTransaction], Awaitable[R]], *, tenant: str | None = None
    ) -> R:
        """Call a function inside a transaction, again from its start when others got in the way; at most 5 times."""
        for last_try in _tries():
            try:
                async with self.transaction(tenant=tenant) as transaction:
                    return await work(transaction)
            except AureusError as error:
                if last_try or not error.retryable:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover - the last try ends the loop

    async def health(self) -> Health:
        """Look whether the database answers within 5 seconds, how quickly, and how far its schema is.

        Raises nothing: what is wrong is in the answer.
        """
        clock, database = self._sources.clock, self._database
        began = clock.monotonic()
        try:
            call = Call(self.settings.tenant, HEALTH_SECONDS_MAX)
            version = await AsyncHealthStore(database, call).get_schema_version()
        except AureusError as error:
            return _unhealthy(database, error)
        return _healthy(self.settings, database, version, clock.monotonic() - began)

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return self._database.description

    async def run(
        self, file: str | Path, inputs: Mapping[str, Any] | None = None, **options: Any
    ) -> RunOutcome:
        """Run a workflow file, or go on with the unfinished run of the same inputs; as ``Aureus.run``."""
        from aureus.execution import load_for_running

        loaded, folder = load_for_running(Path(file))
        async with self.engine() as engine:
            return await engine.run(loaded, inputs or {}, directory=folder, **options)

    @asynccontextmanager
    async def engine(
        self,
        *,
        tenant: str | None = None,
        observer: Observer | None = None,
        tools: Iterable[Tool] = (),
    ) -> AsyncGenerator[Engine]:
        """Give an engine that runs workflows on this database; leaving the block gives its lease back.

        ``observer`` is told of every commit after the run log; ``tools`` are further tools that tasks may call.
        """
        from aureus.execution import execution  # the engine is imported by those who run something

        tenant_id = check_tenant(tenant or self.settings.tenant)
        async with execution(
            self._database,
            self.settings,
            self._sources,
            tenant_id=tenant_id,
            observer=observer,
            tools=tools,
        ) as engine:
            yield engine

    async def close(self) -> None:
        """Close every connection; a second call does nothing."""
        await self._database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def read_settings(url: str | None, tenant: str | None) -> Settings:
    """Return the settings of this process: arguments, environment, ``.env``, ``aureus.toml``, defaults."""
    arguments = {"database.url": url, "tenant": tenant}
    return load(arguments=arguments, environ=os.environ, directory=Path.cwd())


def make_sources(settings: Settings, clock: Clock | None, ids: Ids | None) -> Sources:
    """Return where operations get time, identifiers and the events of their facts from."""
    chosen = ids or RandomIds()
    keeps_routine = settings.events.routine == "on"
    recorder = Recorder(chosen, settings.audit.mode, keeps_routine=keeps_routine)
    return Sources(clock or SystemClock(), chosen, recorder, recorder.prepare)


def _healthy(
    settings: Settings, database: Database | AsyncDatabase, version: int, seconds: float
) -> Health:
    engine: Engines = "sqlite" if isinstance(settings.database.url, SqliteUrl) else "postgres"
    return Health(
        is_healthy=True,
        database=database.description,
        schema_version=version,
        is_current=version >= read_migrations(engine)[-1].number,
        latency_ms=seconds * 1000,
        pool=database.pool_use,
    )


def _unhealthy(database: Database | AsyncDatabase, error: AureusError) -> Health:
    return Health(
        is_healthy=False,
        database=database.description,
        schema_version=None,
        is_current=False,
        latency_ms=None,
        pool=database.pool_use,
        error_code=error.code,
        error=error.message,
    )


def check_tenant(tenant: str) -> str:
    """Return a tenant's name; raises ``Invalid`` for an empty one."""
    if not tenant or "\x00" in tenant:
        raise Invalid("a tenant has a name of at least one character, without NUL", tenant=tenant)
    return tenant


def _refuse_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise Invalid(
        "Aureus blocks, and this is a running event loop: use AsyncAureus, it has the same names"
    )


def _tries() -> Iterator[bool]:
    for number in range(1, TRANSACTION_TRIES_MAX + 1):
        yield number == TRANSACTION_TRIES_MAX

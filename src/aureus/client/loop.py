"""``AsyncAureus``: the same names as ``Aureus``, for one event loop."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aureus._database.bell import Bell, Wake, Watcher
from aureus._database.database import AsyncDatabase, AsyncTransaction
from aureus._database.drive import Call
from aureus._database.observing import Observing
from aureus._database.opening import open_async_database
from aureus.client.awaited import AsyncOpenTransaction, AsyncStores
from aureus.client.opening import (
    CHORES_PACE,
    HEALTH_SECONDS_MAX,
    SEALING_PACE,
    check_parts,
    check_tenant,
    checked_file,
    checked_function,
    chosen_settings,
    chosen_tenant,
    healthy,
    make_keyring,
    make_sources,
    named_embedder,
    sealed,
    tries,
    unhealthy,
)
from aureus.client.wiring import Wiring
from aureus.clock import Clock
from aureus.config import Settings
from aureus.errors import AureusError
from aureus.ids import Ids
from aureus.model.health import Health
from aureus.stores.health import AsyncHealthStore
from aureus.stores.ledger import AsyncLedgerStore
from aureus.telemetry import Telemetry
from aureus.upkeep import WRITES_DUE, Notes
from aureus.upkeep.loop import LoopUpkeep

if TYPE_CHECKING:
    from aureus.engine.observer import Observer
    from aureus.engine.parts import RunOutcome
    from aureus.engine.service import Engine
    from aureus.retrieval.embedding import Embedder
    from aureus.subject_keys import SubjectKeys
    from aureus.subscriptions.loop import AsyncConsumer, AsyncMeans
    from aureus.tools import Tool


R = TypeVar("R")


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
        subject_keys: SubjectKeys | None = None,
    ) -> None:
        """Open the database that the URL, or else the settings, name; create or upgrade its schema where allowed.

        ``telemetry`` is told of every call of the stores. With an ``embedder``, by default the one that the
        settings name, memories get vectors, and are found by meaning too. With ``subject_keys``, or the settings of
        that name, what entries say about people is encrypted.

        Raises ``ConfigInvalid``, ``DatabaseUnavailable`` and ``MigrationError``. Checking the schema is a blocking
        matter of milliseconds, done here.
        """
        check_parts(telemetry, embedder, subject_keys)
        self.settings = chosen_settings(settings, url, tenant)
        embedder = embedder or named_embedder(self.settings)
        self._sealing = LoopUpkeep(self._seal, SEALING_PACE, clock)
        self._bell = Bell(self._watch)
        self._consumers: set[AsyncConsumer[Any]] = set()
        self._keyring = make_keyring(self.settings, subject_keys, clock)
        self._sources = make_sources(
            self.settings, clock, ids, self._sealing.note, self._bell.ring, self._keyring
        )
        self._observing = None if telemetry is None else Observing(telemetry, self._sources.clock)
        self._database: AsyncDatabase = open_async_database(self.settings.database, self._sources)
        self._upkeep = LoopUpkeep(self._do_chores, CHORES_PACE, clock)
        self._note = self._upkeep.note if self.settings.memory.upkeep == "on" else None
        call = self._call(self.settings.tenant)
        self._wiring = Wiring(self.settings, self._note, embedder, self._keyring)
        super().__init__(self._database, call, self._wiring, lambda: self._means_of(call))

    def _watch(self, ring: Wake) -> Watcher | None:
        """Return what rings the bell for commits of other processes."""
        return self._database.watcher(ring)

    def _means_of(self, call: Call) -> AsyncMeans[AsyncOpenTransaction]:
        """Return what consumers of a tenant work with."""
        from aureus.subscriptions.consuming import Patience
        from aureus.subscriptions.loop import AsyncMeans

        patience = Patience.of(self.settings)
        handling = patience.handling(call)
        return AsyncMeans(
            call=call,
            bell=self._bell,
            clock=self._sources.clock,
            open_consumers=self._consumers,
            ids=self._sources.ids,
            patience=patience,
            runner=self._database,
            transact=lambda: self._transacting(handling),
        )

    async def _do_chores(self, tenant_id: str) -> int:
        """Do one step of a tenant's upkeep, unnoted; return 0 when nothing was due."""
        from aureus.retrieval.upkeep import BATCH_MAX
        from aureus.stores.memories import AsyncMemoryStore

        memories = AsyncMemoryStore(self._database, self._call(tenant_id))
        # Small steps, also behind a bulk load: callers write meanwhile.
        step = await memories.index_step(pending_min=WRITES_DUE, batch_max=BATCH_MAX)
        return 0 if step.is_done else max(1, step.indexed_count)

    async def _seal(self, tenant_id: str) -> int:
        """Do one round of a tenant's sealing; return 0 when nothing is left."""
        done = await AsyncLedgerStore(self._database, self._call(tenant_id)).seal()
        if done.sealed_count:
            self._bell.ring()
        return sealed(done)

    def _call(self, tenant: str) -> Call:
        seconds = self.settings.database.call_deadline_seconds
        return Call(tenant, seconds, observing=self._observing)

    def for_tenant(self, tenant: str) -> AsyncStores:
        """Return the stores of another tenant on the same database; it costs nothing and needs no closing."""
        call = self._call(check_tenant(tenant))
        return AsyncStores(self._database, call, self._wiring, lambda: self._means_of(call))

    @asynccontextmanager
    async def transaction(
        self, *, tenant: str | None = None
    ) -> AsyncGenerator[AsyncOpenTransaction]:
        """Open a transaction over all stores and the caller's own tables: all of it, or nothing.

        Raises a retryable ``Conflict`` when others got in the way; ``run_in_transaction`` repeats it for you.
        """
        call = self._call(chosen_tenant(tenant, self.settings))
        async with self._transacting(call) as (tx, _):
            yield tx

    @asynccontextmanager
    async def _transacting(
        self, call: Call
    ) -> AsyncGenerator[tuple[AsyncOpenTransaction, AsyncTransaction]]:
        """Open a transaction, as its user sees it and as operations do."""
        notes = Notes()
        async with self._database.transaction(call) as transaction:
            yield (
                AsyncOpenTransaction(transaction, call, self._wiring.inside(notes.note)),
                transaction,
            )
        if self._note is not None:
            notes.pass_on(self._note)

    async def run_in_transaction(
        self, work: Callable[[AsyncOpenTransaction], Awaitable[R]], *, tenant: str | None = None
    ) -> R:
        """Call a function inside a transaction, again from its start when others got in the way; at most 5 times."""
        checked_function(work)
        for last_try in tries():
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
            return unhealthy(database, error)
        return healthy(self.settings, database, version, clock.monotonic() - began)

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return self._database.description

    async def run(
        self, file: str | Path, inputs: Mapping[str, Any] | None = None, **options: Any
    ) -> RunOutcome:
        """Run a workflow file, or go on with the unfinished run of the same inputs; as ``Aureus.run``."""
        from aureus.execution import load_for_running

        loaded, folder = load_for_running(checked_file(file))
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

        tenant_id = chosen_tenant(tenant, self.settings)
        async with execution(
            self._database,
            self.settings,
            self._sources,
            tenant_id=tenant_id,
            observer=observer,
            tools=tools,
            memories=lambda: self._wiring.memories,
            note=self._note,
        ) as engine:
            yield engine

    async def close(self) -> None:
        """End consumers, do the upkeep and the sealing that are due, and close every connection.

        A second call does nothing.
        """
        try:
            if self._consumers:
                from aureus.subscriptions.loop import close_all

                await close_all(self._consumers)
            self._bell.close()
            await self._upkeep.close()
            await self._sealing.close()
        finally:
            await self._database.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

"""``Aureus``: opens a database for threads, wires its parts together, and hands out the stores."""

from __future__ import annotations

from collections.abc import (
    Callable,
    Generator,
    Mapping,
)
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aureus._database.bell import Bell, Wake, Watcher
from aureus._database.database import Database, Transaction
from aureus._database.drive import Call
from aureus._database.observing import Observing
from aureus._database.opening import open_database
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
    refuse_loop,
    sealed,
    tries,
    unhealthy,
)
from aureus.client.stores import OpenTransaction, Stores
from aureus.client.wiring import Wiring
from aureus.clock import Clock
from aureus.config import Settings
from aureus.errors import AureusError
from aureus.ids import Ids
from aureus.model.health import Health
from aureus.stores.health import HealthStore
from aureus.stores.ledger import LedgerStore
from aureus.telemetry import Telemetry
from aureus.upkeep import WRITES_DUE, Notes, ThreadUpkeep

if TYPE_CHECKING:
    from aureus.engine.parts import RunOutcome
    from aureus.retrieval.embedding import Embedder
    from aureus.subject_keys import SubjectKeys
    from aureus.subscriptions.threads import Consumer, Means


R = TypeVar("R")


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
        subject_keys: SubjectKeys | None = None,
    ) -> None:
        """Open the database that the URL, or else the settings, name; create or upgrade its schema where allowed.

        ``telemetry`` is told of every call of the stores. With an ``embedder``, by default the one that the
        settings name, memories get vectors, and are found by meaning too. With ``subject_keys``, or the settings of
        that name, what entries say about people is encrypted.

        Raises ``ConfigInvalid``, ``DatabaseUnavailable`` and ``MigrationError``. Inside a running event loop it
        raises ``Invalid``: there ``AsyncAureus`` is meant.
        """
        refuse_loop()
        check_parts(telemetry, embedder, subject_keys)
        self.settings = chosen_settings(settings, url, tenant)
        embedder = embedder or named_embedder(self.settings)
        self._sealing = ThreadUpkeep(self._seal, SEALING_PACE, clock)
        self._bell = Bell(self._watch)
        self._consumers: set[Consumer[Any]] = set()
        self._keyring = make_keyring(self.settings, subject_keys, clock)
        self._sources = make_sources(
            self.settings, clock, ids, self._sealing.note, self._bell.ring, self._keyring
        )
        self._observing = None if telemetry is None else Observing(telemetry, self._sources.clock)
        self._database: Database = open_database(self.settings.database, self._sources)
        self._upkeep = ThreadUpkeep(self._do_chores, CHORES_PACE, clock)
        self._note = self._upkeep.note if self.settings.memory.upkeep == "on" else None
        call = self._call(self.settings.tenant)
        self._wiring = Wiring(self.settings, self._note, embedder, self._keyring)
        super().__init__(self._database, call, self._wiring, lambda: self._means_of(call))

    def _watch(self, ring: Wake) -> Watcher | None:
        """Return what rings the bell for commits of other processes."""
        return self._database.watcher(ring)

    def _means_of(self, call: Call) -> Means[OpenTransaction]:
        """Return what consumers of a tenant work with."""
        from aureus.subscriptions.consuming import Patience
        from aureus.subscriptions.threads import Means

        patience = Patience.of(self.settings)
        handling = patience.handling(call)
        return Means(
            call=call,
            bell=self._bell,
            clock=self._sources.clock,
            open_consumers=self._consumers,
            ids=self._sources.ids,
            patience=patience,
            runner=self._database,
            transact=lambda: self._transacting(handling),
        )

    def _do_chores(self, tenant_id: str) -> int:
        """Do one step of a tenant's upkeep, unnoted; return 0 when nothing was due."""
        from aureus.retrieval.upkeep import BATCH_MAX
        from aureus.stores.memories import MemoryStore

        memories = MemoryStore(self._database, self._call(tenant_id))
        # Small steps, also behind a bulk load: callers write meanwhile.
        step = memories.index_step(pending_min=WRITES_DUE, batch_max=BATCH_MAX)
        return 0 if step.is_done else max(1, step.indexed_count)

    def _seal(self, tenant_id: str) -> int:
        """Do one round of a tenant's sealing; return 0 when nothing is left."""
        done = LedgerStore(self._database, self._call(tenant_id)).seal()
        if done.sealed_count:
            self._bell.ring()
        return sealed(done)

    def _call(self, tenant: str) -> Call:
        seconds = self.settings.database.call_deadline_seconds
        return Call(tenant, seconds, observing=self._observing)

    def for_tenant(self, tenant: str) -> Stores:
        """Return the stores of another tenant on the same database; it costs nothing and needs no closing."""
        call = self._call(check_tenant(tenant))
        return Stores(self._database, call, self._wiring, lambda: self._means_of(call))

    @contextmanager
    def transaction(self, *, tenant: str | None = None) -> Generator[OpenTransaction]:
        """Open a transaction over all stores and the caller's own tables: all of it, or nothing.

        Raises a retryable ``Conflict`` when others got in the way; ``run_in_transaction`` repeats it for you.
        """
        with self._transacting(self._call(chosen_tenant(tenant, self.settings))) as (tx, _):
            yield tx

    @contextmanager
    def _transacting(self, call: Call) -> Generator[tuple[OpenTransaction, Transaction]]:
        """Open a transaction, as its user sees it and as operations do."""
        notes = Notes()
        with self._database.transaction(call) as transaction:
            yield (
                OpenTransaction(transaction, call, self._wiring.inside(notes.note)),
                transaction,
            )
        if self._note is not None:
            notes.pass_on(self._note)

    def run_in_transaction(
        self, work: Callable[[OpenTransaction], R], *, tenant: str | None = None
    ) -> R:
        """Call a function inside a transaction, again from its start when others got in the way; at most 5 times."""
        checked_function(work)
        for last_try in tries():
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
        import asyncio

        from aureus.execution import InlineRunner, execution, load_for_running

        loaded, folder = load_for_running(checked_file(file))

        async def work() -> RunOutcome:
            async with execution(
                InlineRunner(self._database),
                self.settings,
                self._sources,
                tenant_id=self.settings.tenant,
                renewing=self._database,
                memories=lambda: self._wiring.memories,
                note=self._note,
            ) as engine:
                return await engine.run(loaded, inputs or {}, directory=folder, **options)

        refuse_loop()
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
            return unhealthy(database, error)
        return healthy(self.settings, database, version, clock.monotonic() - began)

    @property
    def description(self) -> str:
        """One line that says which database this is, without secrets."""
        return self._database.description

    def close(self) -> None:
        """End consumers, do the upkeep and the sealing that are due, and close every connection.

        A second call does nothing.
        """
        try:
            if self._consumers:
                from aureus.subscriptions.threads import close_all

                close_all(self._consumers)
            self._bell.close()
            self._upkeep.close()
            self._sealing.close()
        finally:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

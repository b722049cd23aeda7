"""The stores of one tenant, and the same inside a transaction beside the caller's own SQL."""

from __future__ import annotations

import os
from collections.abc import (
    Callable,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field, replace
from typing import Any

from aureus._database.database import (
    AsyncRunner,
    AsyncTransaction,
    Runner,
    Transaction,
)
from aureus._database.drive import Call
from aureus._database.statement import Row
from aureus.agents import Agent, AgentScope, AsyncAgent, provenance_at_hand
from aureus.erasing import AsyncErasureStore, Beyond, ErasureStore
from aureus.ledger.anchor_log import AnchorLog, AsyncAnchorLog
from aureus.ledger.service import AsyncLedger, Ledger
from aureus.ledger.steps import UNNAMED, Scope
from aureus.ledger.trail import AsyncAuditTrail, AuditTrail
from aureus.model.memories import Provenance
from aureus.model.subscriptions import Start
from aureus.snapshots import AsyncSnapshotStore, SnapshotStore
from aureus.stores.approvals import ApprovalStore, AsyncApprovalStore
from aureus.stores.audit import AuditOperations
from aureus.stores.events import AsyncEventStore, EventStore
from aureus.stores.hypotheses import AsyncHypothesisStore, HypothesisStore
from aureus.stores.memories import AsyncMemoryStore, MemoryOperations, MemoryStore
from aureus.stores.profiles import AsyncProfileStore, ProfileStore
from aureus.stores.runs import AsyncRunStore, RunStore
from aureus.stores.sessions import AsyncSessionStore, SessionStore
from aureus.stores.tasks import AsyncTaskStore, TaskStore
from aureus.stores.workflows import AsyncWorkflowStore, WorkflowStore
from aureus.stores.world_state import AsyncWorldStateStore, WorldStateStore
from aureus.subscriptions import (
    AsyncConsumer,
    AsyncMeans,
    AsyncSubscriptions,
    Consumer,
    Means,
    Subscriptions,
)
from aureus.subscriptions.views import async_consumer, consumer
from aureus.upkeep import AsyncNoting, Note, Noting


@dataclass(frozen=True, slots=True)
class Wiring:
    """What an open database hands to the stores of each tenant."""

    memories: MemoryOperations = field(default_factory=MemoryOperations)
    audit: AuditOperations = field(default_factory=AuditOperations)
    ledger: Scope = UNNAMED
    beyond: Beyond | None = None
    """What an erasure does outside of transactions."""
    note: Note | None = None
    """Who is told of what is remembered; nobody when None."""

    def inside(self, note: Note) -> Wiring:
        """Return it for a transaction, whose end nobody knows yet: nothing beyond it is touched."""
        return replace(self, note=note, beyond=None)


class Stores:
    """The stores of one tenant."""

    def __init__(
        self,
        runner: Runner,
        call: Call,
        wiring: Wiring | None = None,
        means: Means[OpenTransaction] | None = None,
    ) -> None:
        """Carry calls out on a runner, as the wiring says; ``means`` is for consumers."""
        wired = wiring or Wiring()
        operations, note = wired.memories, wired.note
        remembering = runner if note is None else Noting(runner, note)
        self._agent: Callable[[AgentScope], Agent] = lambda scope: Agent(
            remembering, call, scope, operations
        )
        self.workflows = WorkflowStore(runner, call)
        self.runs = RunStore(runner, call)
        self.tasks = TaskStore(runner, call)
        self.approvals = ApprovalStore(runner, call)
        self.events = EventStore(runner, call)
        self.audit = AuditTrail(runner, call, wired.audit, wired.ledger)
        self.memories = MemoryStore(remembering, call, operations)
        self.profiles = ProfileStore(runner, call)
        self.hypotheses = HypothesisStore(runner, call)
        self.sessions = SessionStore(runner, call)
        self.world_state = WorldStateStore(runner, call)
        self.ledger = Ledger(runner, call, wired.ledger)
        self.anchors = AnchorLog(runner, call, wired.ledger)
        self.subscriptions = Subscriptions(runner, call, means)
        self._means = means
        self.erasure = ErasureStore(runner, call, wired.beyond)
        self.snapshots = SnapshotStore(remembering, call)

    def agent(
        self,
        agent_id: str,
        *,
        user: str | None = None,
        session: str | None = None,
        namespace: str | None = None,
        provenance: Provenance | None = None,
    ) -> Agent:
        """Return one agent's view of its memories; it costs nothing.

        ``provenance`` is where memories come from; by default the run and task that this code works for, if any.
        """
        came_from = provenance or provenance_at_hand(os.environ)
        return self._agent(AgentScope(agent_id, user, session, namespace, came_from))

    def subscription(
        self,
        name: str,
        *,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        from_position: Start = "start",
        live: bool = True,
    ) -> Consumer[OpenTransaction]:
        """Return a consumer of a subscription: iterate over it, or call ``handle_each``.

        The subscription is made when there is none; without filters it is the one of this name as it is. One consumer
        at a time: whoever begins last takes over, and the other one gets ``LeaseLost``. With ``live=False`` it ends
        when it has caught up.
        """
        return consumer(
            self._means,
            name,
            stream=stream,
            category=category,
            types=types,
            from_position=from_position,
            live=live,
        )


class AsyncStores:
    """The stores of one tenant, awaited."""

    def __init__(
        self,
        runner: AsyncRunner,
        call: Call,
        wiring: Wiring | None = None,
        means: AsyncMeans[AsyncOpenTransaction] | None = None,
    ) -> None:
        """Carry calls out on a runner, as the wiring says; ``means`` is for consumers."""
        wired = wiring or Wiring()
        operations, note = wired.memories, wired.note
        remembering = runner if note is None else AsyncNoting(runner, note)
        self._agent: Callable[[AgentScope], AsyncAgent] = lambda scope: AsyncAgent(
            remembering, call, scope, operations
        )
        self.workflows = AsyncWorkflowStore(runner, call)
        self.runs = AsyncRunStore(runner, call)
        self.tasks = AsyncTaskStore(runner, call)
        self.approvals = AsyncApprovalStore(runner, call)
        self.events = AsyncEventStore(runner, call)
        self.audit = AsyncAuditTrail(runner, call, wired.audit, wired.ledger)
        self.memories = AsyncMemoryStore(remembering, call, operations)
        self.profiles = AsyncProfileStore(runner, call)
        self.hypotheses = AsyncHypothesisStore(runner, call)
        self.sessions = AsyncSessionStore(runner, call)
        self.world_state = AsyncWorldStateStore(runner, call)
        self.ledger = AsyncLedger(runner, call, wired.ledger)
        self.anchors = AsyncAnchorLog(runner, call, wired.ledger)
        self.subscriptions = AsyncSubscriptions(runner, call, means)
        self._means = means
        self.erasure = AsyncErasureStore(runner, call, wired.beyond)
        self.snapshots = AsyncSnapshotStore(remembering, call)

    def agent(
        self,
        agent_id: str,
        *,
        user: str | None = None,
        session: str | None = None,
        namespace: str | None = None,
        provenance: Provenance | None = None,
    ) -> AsyncAgent:
        """Return one agent's view of its memories; it costs nothing.

        ``provenance`` is where memories come from; by default the run and task that this code works for, if any.
        """
        came_from = provenance or provenance_at_hand(os.environ)
        return self._agent(AgentScope(agent_id, user, session, namespace, came_from))

    def subscription(
        self,
        name: str,
        *,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        from_position: Start = "start",
        live: bool = True,
    ) -> AsyncConsumer[AsyncOpenTransaction]:
        """Return a consumer of a subscription: iterate over it, or call ``handle_each``.

        The subscription is made when there is none; without filters it is the one of this name as it is. One consumer
        at a time: whoever begins last takes over, and the other one gets ``LeaseLost``. With ``live=False`` it ends
        when it has caught up.
        """
        return async_consumer(
            self._means,
            name,
            stream=stream,
            category=category,
            types=types,
            from_position=from_position,
            live=live,
        )


class OpenTransaction(Stores):
    """The stores inside one transaction, and the caller's own SQL beside them."""

    def __init__(
        self,
        transaction: Transaction,
        call: Call,
        wiring: Wiring | None = None,
    ) -> None:
        """Carry calls out in a transaction; the wiring's ``note`` is told of what is remembered, committed or not."""
        super().__init__(transaction, call, wiring)
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
        self,
        transaction: AsyncTransaction,
        call: Call,
        wiring: Wiring | None = None,
    ) -> None:
        """Carry calls out in a transaction; the wiring's ``note`` is told of what is remembered, committed or not."""
        super().__init__(transaction, call, wiring)
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

"""The stores of one tenant for an event loop: what ``stores`` has for threads, awaited."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aureus._database.database import AsyncRunner, AsyncTransaction
from aureus._database.drive import Call
from aureus._database.statement import Row
from aureus.client.wiring import Wiring
from aureus.upkeep import AsyncNoting

if TYPE_CHECKING:
    from aureus.agents import AsyncAgent
    from aureus.erasing import AsyncErasureStore
    from aureus.ledger.anchor_log import AsyncAnchorLog
    from aureus.ledger.service import AsyncLedger
    from aureus.ledger.trail import AsyncAuditTrail
    from aureus.model.memories import Provenance
    from aureus.model.subscriptions import Start
    from aureus.snapshots import AsyncSnapshotStore
    from aureus.stores.approvals import AsyncApprovalStore
    from aureus.stores.events import AsyncEventStore
    from aureus.stores.hypotheses import AsyncHypothesisStore
    from aureus.stores.memories import AsyncMemoryStore
    from aureus.stores.profiles import AsyncProfileStore
    from aureus.stores.runs import AsyncRunStore
    from aureus.stores.sessions import AsyncSessionStore
    from aureus.stores.tasks import AsyncTaskStore
    from aureus.stores.workflows import AsyncWorkflowStore
    from aureus.stores.world_state import AsyncWorldStateStore
    from aureus.subscriptions import AsyncConsumer, AsyncMeans, AsyncSubscriptions


class AsyncStores:
    """The stores of one tenant, awaited."""

    def __init__(
        self,
        runner: AsyncRunner,
        call: Call,
        wiring: Wiring,
        means: Callable[[], AsyncMeans[AsyncOpenTransaction] | None],
    ) -> None:
        """Carry calls out on a runner, as the wiring says; ``means`` is for consumers."""
        self._runner = runner
        self._tenant_call = call
        self._wiring = wiring
        self._means = means
        note = wiring.note
        self._remembering = runner if note is None else AsyncNoting(runner, note)

    @cached_property
    def workflows(self) -> AsyncWorkflowStore:
        """Definitions of workflows."""
        from aureus.stores.workflows import AsyncWorkflowStore

        return AsyncWorkflowStore(self._runner, self._tenant_call)

    @cached_property
    def runs(self) -> AsyncRunStore:
        """Runs of workflows."""
        from aureus.stores.runs import AsyncRunStore

        return AsyncRunStore(self._runner, self._tenant_call)

    @cached_property
    def tasks(self) -> AsyncTaskStore:
        """The journals of runs."""
        from aureus.stores.tasks import AsyncTaskStore

        return AsyncTaskStore(self._runner, self._tenant_call)

    @cached_property
    def approvals(self) -> AsyncApprovalStore:
        """Questions to people, and their answers."""
        from aureus.stores.approvals import AsyncApprovalStore

        return AsyncApprovalStore(self._runner, self._tenant_call)

    @cached_property
    def events(self) -> AsyncEventStore:
        """Streams of events."""
        from aureus.stores.events import AsyncEventStore

        return AsyncEventStore(self._runner, self._tenant_call)

    @cached_property
    def audit(self) -> AsyncAuditTrail:
        """The audit trail."""
        from aureus.ledger.trail import AsyncAuditTrail

        return AsyncAuditTrail(
            self._runner, self._tenant_call, self._wiring.audit, self._wiring.ledger
        )

    @cached_property
    def memories(self) -> AsyncMemoryStore:
        """What agents keep."""
        from aureus.stores.memories import AsyncMemoryStore

        return AsyncMemoryStore(self._remembering, self._tenant_call, self._wiring.memories)

    @cached_property
    def profiles(self) -> AsyncProfileStore:
        """What agents know about users."""
        from aureus.stores.profiles import AsyncProfileStore

        return AsyncProfileStore(self._runner, self._tenant_call)

    @cached_property
    def hypotheses(self) -> AsyncHypothesisStore:
        """What agents believe."""
        from aureus.stores.hypotheses import AsyncHypothesisStore

        return AsyncHypothesisStore(self._runner, self._tenant_call)

    @cached_property
    def sessions(self) -> AsyncSessionStore:
        """Sessions of agents."""
        from aureus.stores.sessions import AsyncSessionStore

        return AsyncSessionStore(self._runner, self._tenant_call)

    @cached_property
    def world_state(self) -> AsyncWorldStateStore:
        """Versioned keys that agents share."""
        from aureus.stores.world_state import AsyncWorldStateStore

        return AsyncWorldStateStore(self._runner, self._tenant_call)

    @cached_property
    def ledger(self) -> AsyncLedger:
        """Sealing, proofs, signatures and verification."""
        from aureus.ledger.service import AsyncLedger

        return AsyncLedger(self._runner, self._tenant_call, self._wiring.ledger)

    @cached_property
    def anchors(self) -> AsyncAnchorLog:
        """The log of heads of all tenants."""
        from aureus.ledger.anchor_log import AsyncAnchorLog

        return AsyncAnchorLog(self._runner, self._tenant_call, self._wiring.ledger)

    @cached_property
    def subscriptions(self) -> AsyncSubscriptions[AsyncOpenTransaction]:
        """Readers of sealed events, and groups of them."""
        from aureus.subscriptions import AsyncSubscriptions

        return AsyncSubscriptions(self._runner, self._tenant_call, self._means())

    @cached_property
    def erasure(self) -> AsyncErasureStore:
        """Removing what is known about a person."""
        from aureus.erasing import AsyncErasureStore

        return AsyncErasureStore(self._runner, self._tenant_call, self._wiring.beyond)

    @cached_property
    def snapshots(self) -> AsyncSnapshotStore:
        """What agents were, and the way back."""
        from aureus.snapshots import AsyncSnapshotStore

        return AsyncSnapshotStore(self._remembering, self._tenant_call)

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
        from aureus.agents import AgentScope, AsyncAgent, provenance_at_hand

        came_from = provenance or provenance_at_hand(os.environ)
        scope = AgentScope(agent_id, user, session, namespace, came_from)
        return AsyncAgent(self._remembering, self._tenant_call, scope, self._wiring.memories)

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
        from aureus.subscriptions.views import async_consumer

        return async_consumer(
            self._means(),
            name,
            stream=stream,
            category=category,
            types=types,
            from_position=from_position,
            live=live,
        )


class AsyncOpenTransaction(AsyncStores):
    """The stores inside one transaction, awaited, and the caller's own SQL beside them."""

    def __init__(
        self,
        transaction: AsyncTransaction,
        call: Call,
        wiring: Wiring,
    ) -> None:
        """Carry calls out in a transaction; the wiring's ``note`` is told of what is remembered, committed or not."""
        super().__init__(transaction, call, wiring, lambda: None)
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

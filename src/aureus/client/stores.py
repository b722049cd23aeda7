"""The stores of one tenant, and the same inside a transaction beside the caller's own SQL.

A store is imported and made when it is first asked for: a program, and each command of the command line, pays for the
nouns that it uses, and opening a transaction for none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from aureus._database.database import Runner, Transaction
from aureus._database.drive import Call
from aureus._database.statement import Row
from aureus.client.wiring import Wiring
from aureus.upkeep import Noting

if TYPE_CHECKING:
    from aureus.agents import Agent
    from aureus.erasing import ErasureStore
    from aureus.ledger.anchor_log import AnchorLog
    from aureus.ledger.service import Ledger
    from aureus.ledger.trail import AuditTrail
    from aureus.model.memories import Provenance
    from aureus.model.subscriptions import Start
    from aureus.snapshots import SnapshotStore
    from aureus.stores.approvals import ApprovalStore
    from aureus.stores.events import EventStore
    from aureus.stores.hypotheses import HypothesisStore
    from aureus.stores.memories import MemoryStore
    from aureus.stores.profiles import ProfileStore
    from aureus.stores.runs import RunStore
    from aureus.stores.sessions import SessionStore
    from aureus.stores.tasks import TaskStore
    from aureus.stores.workflows import WorkflowStore
    from aureus.stores.world_state import WorldStateStore
    from aureus.subscriptions import Consumer, Means, Subscriptions


class Stores:
    """The stores of one tenant."""

    def __init__(
        self,
        runner: Runner,
        call: Call,
        wiring: Wiring,
        means: Callable[[], Means[OpenTransaction] | None],
    ) -> None:
        """Carry calls out on a runner, as the wiring says; ``means`` is for consumers."""
        self._runner = runner
        self._tenant_call = call
        self._wiring = wiring
        self._means = means
        note = wiring.note
        self._remembering = runner if note is None else Noting(runner, note)

    @cached_property
    def workflows(self) -> WorkflowStore:
        """Definitions of workflows."""
        from aureus.stores.workflows import WorkflowStore

        return WorkflowStore(self._runner, self._tenant_call)

    @cached_property
    def runs(self) -> RunStore:
        """Runs of workflows."""
        from aureus.stores.runs import RunStore

        return RunStore(self._runner, self._tenant_call)

    @cached_property
    def tasks(self) -> TaskStore:
        """The journals of runs."""
        from aureus.stores.tasks import TaskStore

        return TaskStore(self._runner, self._tenant_call)

    @cached_property
    def approvals(self) -> ApprovalStore:
        """Questions to people, and their answers."""
        from aureus.stores.approvals import ApprovalStore

        return ApprovalStore(self._runner, self._tenant_call)

    @cached_property
    def events(self) -> EventStore:
        """Streams of events."""
        from aureus.stores.events import EventStore

        return EventStore(self._runner, self._tenant_call)

    @cached_property
    def audit(self) -> AuditTrail:
        """The audit trail."""
        from aureus.ledger.trail import AuditTrail

        return AuditTrail(self._runner, self._tenant_call, self._wiring.audit, self._wiring.ledger)

    @cached_property
    def memories(self) -> MemoryStore:
        """What agents keep."""
        from aureus.stores.memories import MemoryStore

        return MemoryStore(self._remembering, self._tenant_call, self._wiring.memories)

    @cached_property
    def profiles(self) -> ProfileStore:
        """What agents know about users."""
        from aureus.stores.profiles import ProfileStore

        return ProfileStore(self._runner, self._tenant_call)

    @cached_property
    def hypotheses(self) -> HypothesisStore:
        """What agents believe."""
        from aureus.stores.hypotheses import HypothesisStore

        return HypothesisStore(self._runner, self._tenant_call)

    @cached_property
    def sessions(self) -> SessionStore:
        """Sessions of agents."""
        from aureus.stores.sessions import SessionStore

        return SessionStore(self._runner, self._tenant_call)

    @cached_property
    def world_state(self) -> WorldStateStore:
        """Versioned keys that agents share."""
        from aureus.stores.world_state import WorldStateStore

        return WorldStateStore(self._runner, self._tenant_call)

    @cached_property
    def ledger(self) -> Ledger:
        """Sealing, proofs, signatures and verification."""
        from aureus.ledger.service import Ledger

        return Ledger(self._runner, self._tenant_call, self._wiring.ledger)

    @cached_property
    def anchors(self) -> AnchorLog:
        """The log of heads of all tenants."""
        from aureus.ledger.anchor_log import AnchorLog

        return AnchorLog(self._runner, self._tenant_call, self._wiring.ledger)

    @cached_property
    def subscriptions(self) -> Subscriptions[OpenTransaction]:
        """Readers of sealed events, and groups of them."""
        from aureus.subscriptions import Subscriptions

        return Subscriptions(self._runner, self._tenant_call, self._means())

    @cached_property
    def erasure(self) -> ErasureStore:
        """Removing what is known about a person."""
        from aureus.erasing import ErasureStore

        return ErasureStore(self._runner, self._tenant_call, self._wiring.beyond)

    @cached_property
    def snapshots(self) -> SnapshotStore:
        """What agents were, and the way back."""
        from aureus.snapshots import SnapshotStore

        return SnapshotStore(self._remembering, self._tenant_call)

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
        from aureus.agents import Agent, AgentScope, provenance_at_hand

        came_from = provenance or provenance_at_hand(os.environ)
        scope = AgentScope(agent_id, user, session, namespace, came_from)
        return Agent(self._remembering, self._tenant_call, scope, self._wiring.memories)

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
        from aureus.subscriptions.views import consumer

        return consumer(
            self._means(),
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
        wiring: Wiring,
    ) -> None:
        """Carry calls out in a transaction; the wiring's ``note`` is told of what is remembered, committed or not."""
        super().__init__(transaction, call, wiring, lambda: None)
        self._transaction = transaction

    @property
    def connection(self) -> Any:
        """The driver's own connection (apsw or psycopg), inside this transaction; do not commit or close it."""
        return self._transaction.connection

    def execute(self, text: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Run SQL on your own tables, with the driver's placeholders (? or %s), and return its rows."""
        return self._transaction.execute(text, parameters)

"""A tenant that has rows in every table."""

from __future__ import annotations

from typing import Any

from aureus.ledger.keys import SigningKey
from aureus.model.approvals import ApprovalRequest
from aureus.model.audit_modes import AuditMode
from aureus.model.events import NewEvent
from aureus.model.states import RunStatus, TaskStatus
from aureus.model.tasks import TaskChange, TaskKey
from aureus.model.workflows import RiskTier
from tests.contract.stage import Stage, finished
from tests.contract.test_ledger import sealed
from tests.support.consuming import handled, member
from tests.support.person import write_life
from tests.support.toy_embedder import ToyEmbedder

KEY = SigningKey("aureus", bytes(range(32)))

ASK = TaskKey("", "ask")

LEAVES_OF_A_NODE = 256


def write_everything(stage: Stage) -> None:
    """Let a tenant of a backend with keys of people use all there is, and sign and anchor its ledger."""
    stage.backend.use(ToyEmbedder())
    stores = stage.backend.tenant(stage.tenant)
    write_life(stores)
    _run(stage, stores)
    stores.world_state.set("plan", {"a": [1, 2.5, None, True], "é": "ü\U0001f600"})
    stores.world_state.set("plan", "other")
    while not stores.sessions.index_states().is_ready:
        pass
    _erase_eve(stores)
    stores.memories.index()
    stores.memories.add("waits for the index", agent_id="planner")
    stores.audit.set_mode(AuditMode.ALL, actor="officer")
    stores.events.append_all("many", [NewEvent("t", {"n": at}) for at in range(LEAVES_OF_A_NODE)])
    _subscribe(stage, stores)
    _roll_back(stores)
    sealed(stage)
    stage.backend.clock.advance(3600)
    stores.audit.prune(stage.backend.clock.now(), actor="officer", reason="old")
    stores.audit.append("ada", "x", after={"a": 2}, source_event_ids=["e1"])
    sealed(stage)
    stores.ledger.sign(KEY)
    stores.anchors.append()


def _run(stage: Stage, stores: Any) -> None:
    run = stage.start("r1").run
    stores.idempotency_keys.reserve("k", run_id="r1", key=TaskKey("", "read"), input_hash="h")
    long = '"' + "x" * 200_000 + '"'
    stage.advance(run, status=RunStatus.FAILED, keeps_lease=False, changes=[finished("read", long)])
    waiting = TaskChange(ASK, is_new=True, status=TaskStatus.WAITING, attempt=1)
    request = ApprovalRequest(ASK, "delete it?", "HIGH", "engine")
    stage.start("r2", changes=[waiting], approvals=[request])


def _erase_eve(stores: Any) -> None:
    stores.events.append("talks/2", "said", {"text": "by eve"}, subjects=["eve"])
    stores.erasure.erase("eve", reason="request 17", erasure_id="e1", scrub=False)


def _subscribe(stage: Stage, stores: Any) -> None:
    stores.events.append("orders/1", "t", {})

    def refuse(_: Any, __: Any) -> None:
        raise ValueError("cannot handle it")

    handled(stage, "s", refuse, category="orders", attempts=1)
    member(stage, "g", "m1", category="orders").all()


def _roll_back(stores: Any) -> None:
    snapshots = stores.snapshots
    taken = snapshots.create("planner", world_scope="default", risk_tier=RiskTier.LOW)
    snapshots.verify(taken.snapshot_id)
    stores.world_state.set("plan", 3)
    snapshots.restore(taken.snapshot_id)
    snapshots.request_approval(taken.snapshot_id, requested_by="planner", approval_id="a1")

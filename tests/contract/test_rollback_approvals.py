"""Approvals of rollbacks: asked for a snapshot as it is, answered once, used once, over after a while."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from aureus.errors import ApprovalRequired, Forbidden, IllegalTransition, Invalid, NotFound
from aureus.model.rollbacks import RollbackApprovalStatus
from aureus.model.workflows import RiskTier
from tests.contract.stage import Stage


@pytest.fixture
def agent(stage: Stage) -> Any:
    """Give the stores of a tenant whose agent has a key and a memory."""
    stage.stores.world_state.set("plan", 1)
    stage.stores.memories.add("likes tea", agent_id="planner")
    return stage.stores


def taken(stores: Any, **more: Any) -> Any:
    """Return a verified snapshot of the agent and its world state."""
    snapshot = stores.snapshots.create("planner", world_scope="default", **more)
    return stores.snapshots.verify(snapshot.snapshot_id).snapshot


def test_a_high_risk_needs_an_approval_that_is_good_for_it_alone(stage: Stage, agent: Any) -> None:
    snapshots, clock = agent.snapshots, stage.backend.clock
    snapshot = taken(agent, risk_tier=RiskTier.HIGH)
    other = taken(agent, risk_tier=RiskTier.HIGH)
    agent.world_state.set("plan", 3)
    with pytest.raises(ApprovalRequired, match="is a HIGH risk: ask for an approval") as caught:
        snapshots.restore(snapshot.snapshot_id)
    assert caught.value.risk == "HIGH"
    unverified = snapshots.create("planner")
    with pytest.raises(ApprovalRequired, match="because it is not verified"):
        snapshots.restore(unverified.snapshot_id)
    asked = snapshots.request_approval(
        snapshot.snapshot_id, requested_by="planner", reason="it went wrong", approval_id="a1"
    )
    assert (asked.status, asked.risk) == (RollbackApprovalStatus.PENDING, RiskTier.HIGH)
    assert asked.expires_at == clock.now() + timedelta(hours=1)
    again = snapshots.request_approval(
        snapshot.snapshot_id, requested_by="planner", approval_id="a1"
    )
    assert again == asked == snapshots.get_approval("a1")
    with pytest.raises(ApprovalRequired, match="waits for an answer"):
        snapshots.restore(snapshot.snapshot_id, approval_id="a1")
    decided = snapshots.decide_approval("a1", approve=True, decided_by="ada", reason="go")
    assert (decided.status, decided.decided_by, decided.decision_reason) == (
        RollbackApprovalStatus.APPROVED, "ada", "go",
    )  # fmt: skip
    with pytest.raises(IllegalTransition, match="was approved by ada"):
        snapshots.decide_approval("a1", approve=False, decided_by="bob")
    with pytest.raises(Forbidden, match="is for snapshot"):
        snapshots.restore(other.snapshot_id, approval_id="a1")
    assert agent.world_state.get("plan").value == 3
    rollback = snapshots.restore(snapshot.snapshot_id, approval_id="a1")
    assert rollback.approval_id == "a1"
    used = snapshots.get_approval("a1")
    assert (used.status, used.rollback_id) == (
        RollbackApprovalStatus.USED, rollback.rollback_id,
    )  # fmt: skip
    with pytest.raises(IllegalTransition, match="was used for rollback"):
        snapshots.restore(snapshot.snapshot_id, approval_id="a1")
    kinds = [event.type for event in agent.events.read_stream("rollbacks/a1")]
    assert kinds == ["ROLLBACK_APPROVAL_REQUESTED", "ROLLBACK_APPROVAL_GRANTED"]
    with pytest.raises(NotFound, match="no approval 'a9'"):
        snapshots.restore(snapshot.snapshot_id, approval_id="a9")


def test_an_approval_ends_is_denied_or_needs_somebody_else(stage: Stage, agent: Any) -> None:
    snapshots, clock = agent.snapshots, stage.backend.clock
    snapshot = taken(agent, risk_tier=RiskTier.CRITICAL)

    def asked(name: str, **more: Any) -> None:
        snapshots.request_approval(
            snapshot.snapshot_id, requested_by="ada", approval_id=name, **more
        )
        clock.advance(1)

    asked("late", expires_in_seconds=10)
    snapshots.decide_approval("late", approve=True, decided_by="ada")
    asked("unanswered", expires_in_seconds=10)
    clock.advance(60)
    for name in ("late", "unanswered"):
        with pytest.raises(IllegalTransition, match="has expired"):
            snapshots.restore(snapshot.snapshot_id, approval_id=name)
    with pytest.raises(IllegalTransition, match="has expired"):
        snapshots.decide_approval("unanswered", approve=True, decided_by="bob")
    asked("denied")
    snapshots.decide_approval("denied", approve=False, decided_by="bob")
    with pytest.raises(IllegalTransition, match="was denied by bob"):
        snapshots.restore(snapshot.snapshot_id, approval_id="denied")
    asked("eyes", needs_another=True)
    with pytest.raises(Forbidden, match="somebody else has to answer"):
        snapshots.decide_approval("eyes", approve=True, decided_by="ada")
    snapshots.decide_approval("eyes", approve=True, decided_by="bob")
    listed = snapshots.list_approvals(snapshot_id=snapshot.snapshot_id)
    assert [one.approval_id for one in listed] == ["eyes", "denied", "unanswered", "late"]
    assert [
        one.approval_id for one in snapshots.list_approvals(status=RollbackApprovalStatus.DENIED)
    ] == ["denied"]
    place = (listed[1].requested_at, listed[1].approval_id)
    assert snapshots.list_approvals(before=place, limit=1) == [listed[2]]
    with pytest.raises(NotFound, match="no approval"):
        snapshots.decide_approval("nobody", approve=True, decided_by="bob")
    with pytest.raises(NotFound, match="no approval"):
        snapshots.get_approval("nobody")
    with pytest.raises(NotFound, match="no snapshot"):
        snapshots.request_approval("nothing", requested_by="ada")
    with pytest.raises(Invalid, match="between 0 and a year"):
        snapshots.request_approval(snapshot.snapshot_id, requested_by="ada", expires_in_seconds=0)


def test_of_two_rollbacks_and_of_two_answers_at_the_same_time_one_wins(agent: Any) -> None:
    snapshots = agent.snapshots
    snapshot = taken(agent, risk_tier=RiskTier.HIGH)
    agent.world_state.set("plan", 2)

    def outcome(call: Callable[[], Any]) -> str:
        try:
            call()
        except IllegalTransition as error:
            return error.code
        return "done"

    with ThreadPoolExecutor(4) as pool:
        for number in range(3):
            name = f"a{number}"
            snapshots.request_approval(snapshot.snapshot_id, requested_by="ada", approval_id=name)
            answers = [
                pool.submit(
                    outcome, partial(snapshots.decide_approval, name, approve=True, decided_by=who)
                )
                for who in ("ada", "bob")
            ]
            assert sorted(done.result() for done in answers) == ["done", "illegal_transition"]
            backs = [
                pool.submit(
                    outcome, partial(snapshots.restore, snapshot.snapshot_id, approval_id=name)
                )
                for _ in range(3)
            ]
            outcomes = sorted(done.result() for done in backs)
            assert outcomes == ["done", "illegal_transition", "illegal_transition"]
    assert len(snapshots.list_rollbacks()) == 3
    assert agent.world_state.get("plan").version == 3

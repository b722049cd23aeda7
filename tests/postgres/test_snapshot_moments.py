"""Snapshots on PostgreSQL while others write: each is of one moment, and the ledger's size says of which."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from aureus.errors import Conflict
from aureus.model.snapshots import PartKind
from tests.contract.stage import Stage
from tests.contract.test_ledger import events_of, sealed
from tests.postgres.conftest import MakeStage
from tests.postgres.test_lost_replies import FLUSH
from tests.support.elsewhere import elsewhere
from tests.support.fault_proxy import CutAfter, FaultProxy
from tests.support.postgres import PostgresDatabase
from tests.support.waiting import eventually


def told_before(stage: Stage, size: int) -> Counter[tuple[str, str]]:
    """Return how often the first entries of the ledger tell of each key, session and memory of the agent."""
    events = events_of(stage)
    told: Counter[tuple[str, str]] = Counter()
    for position, entry_no, _ in sealed(stage):
        event = events[entry_no]
        if position >= size:
            continue
        if event.type == "world_state_set":
            told["world_state", event.payload["key"]] += 1
        elif event.type == "session_saved":
            told["session", event.payload["sessionId"]] += 1
        elif event.type in {"memory_created", "memory_updated"}:
            told["memory", event.payload["memoryId"]] += 1
    return told


def test_a_snapshot_holds_what_its_part_of_the_ledger_tells_no_more_and_no_less(
    make_stage: MakeStage,
) -> None:
    stages = [make_stage() for _ in range(3)]
    stop = threading.Event()

    def write(number: int) -> None:
        stores = stages[number % 2].stores
        for at in range(12):
            stores.world_state.increment(f"k{number % 3}")
            stores.sessions.save("planner", f"s{number}", at)
            stores.memories.add("text", agent_id="planner", memory_id=f"m{number}-{at}")
            if at % 4 == 3:
                with stages[number % 2].backend.transaction("acme") as tx:
                    tx.world_state.increment("both")
                    tx.memories.update(f"m{number}-{at}", text=f"changed {at}")

    def take(_: int) -> list[Any]:
        taken = []
        while not stop.is_set():
            taken.append(stages[2].stores.snapshots.create("planner", world_scope="default"))
        return taken

    with ThreadPoolExecutor(8) as pool:
        takers = [pool.submit(take, number) for number in range(2)]
        for done in [pool.submit(write, number) for number in range(6)]:
            done.result()
        stop.set()
        taken = [snapshot for taker in takers for snapshot in taker.result()]
    assert len(taken) > 2
    checked = taken[:: max(1, len(taken) // 6)]
    for snapshot in checked:
        parts = stages[0].stores.snapshots.list_parts(snapshot.snapshot_id, limit=1000)
        held = Counter({(part.kind.value, part.name): part.version for part in parts})
        assert held == told_before(stages[0], snapshot.ledger_size)
        assert stages[0].stores.snapshots.verify(snapshot.snapshot_id).is_intact


def test_a_snapshot_waits_for_whoever_seals_and_sees_what_was_committed_meanwhile(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage(**{"ledger.sealing": "off"})
    stage.stores.world_state.set("k", 1)
    stage.stores.ledger.seal()
    stage.stores.world_state.set("k", 2)
    with psycopg.connect(postgres_database.url()) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT * FROM aureus.ledger_heads FOR UPDATE")
        taking = pool.submit(stage.stores.snapshots.create, world_scope="default")
        _wait_for_a_lock(postgres_database)
        assert not taking.done()
        # As a sealing round does: the head is another row afterwards, so that the snapshot begins anew.
        holder.execute("UPDATE aureus.ledger_heads SET sealed_at = now()")
        holder.commit()
        snapshot = taking.result()
    (part,) = stage.stores.snapshots.list_parts(snapshot.snapshot_id)
    assert (part.kind, part.content) == (PartKind.WORLD_STATE, "2")
    assert snapshot.ledger_size == 2


def _wait_for_a_lock(database: PostgresDatabase) -> None:
    eventually(lambda: _waiting_count(database) > 0, "somebody waits for a lock")


def _waiting_count(database: PostgresDatabase) -> int:
    with psycopg.connect(database.url(), autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted").fetchone()
        return int(row[0]) if row else 0


def test_going_back_while_others_write_loses_none_of_their_writes(make_stage: MakeStage) -> None:
    stages = [make_stage() for _ in range(2)]
    world, snapshots = stages[0].stores.world_state, stages[0].stores.snapshots
    for number in range(5):
        world.set(f"k{number}", number)
    snapshot = snapshots.create(world_scope="default", risk_tier="LOW")

    def write(number: int) -> int:
        for _ in range(15):
            stages[1].stores.world_state.increment(f"k{number}", 100)
        return 15

    def go_back(_: int) -> int:
        done = 0
        for _ in range(4):
            try:
                snapshots.restore(snapshot.snapshot_id)
            except Conflict:  # Others got in the way until the call's deadline: nothing happened.
                continue
            done += 1
        return done

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write, number) for number in range(5)]
        backs = pool.submit(go_back, 0)
        assert sum(writer.result() for writer in writers) == 75
        assert backs.result() == len(snapshots.list_rollbacks())
    for number in range(5):
        history = world.history(f"k{number}", limit=1000)[::-1]
        assert [entry.version for entry in history] == list(range(1, len(history) + 1))
        steps = [after.value - before.value for before, after in pairwise(history)]
        assert steps.count(100) == 15, "each increment stands on what was there"
        assert {entry.value for entry in history if entry.value < 100} == {number}
    snapshots.restore(snapshot.snapshot_id)
    assert [world.get(f"k{number}").value for number in range(5)] == list(range(5))


@pytest.mark.parametrize("is_async", [False, True])
def test_lost_replies_leave_one_snapshot_and_one_rollback_each(
    fault_proxy: FaultProxy, make_stage: MakeStage, is_async: bool
) -> None:
    stage = make_stage(port=fault_proxy.port, is_async=is_async, **{"ledger.sealing": "off"})
    snapshots, world = stage.stores.snapshots, stage.stores.world_state
    world.set("k", 1)
    rule = fault_proxy.on(FLUSH, CutAfter(), times=1)
    snapshot = snapshots.create(world_scope="default", risk_tier="HIGH")
    assert rule.fired == 1
    assert [one.snapshot_id for one in snapshots.list()] == [snapshot.snapshot_id]
    world.set("k", 2)
    fault_proxy.clear()
    rule = fault_proxy.on(FLUSH, CutAfter(), times=1)
    asked = snapshots.request_approval(snapshot.snapshot_id, requested_by="ada")
    assert rule.fired == 1
    fault_proxy.clear()
    rule = fault_proxy.on(FLUSH, CutAfter(), times=1)
    snapshots.decide_approval(asked.approval_id, approve=True, decided_by="ada")
    assert rule.fired == 1
    fault_proxy.clear()
    rule = fault_proxy.on(FLUSH, CutAfter(), times=1)
    rollback = snapshots.restore(snapshot.snapshot_id, approval_id=asked.approval_id)
    assert rule.fired == 1
    fault_proxy.clear()
    assert [one.rollback_id for one in snapshots.list_rollbacks()] == [rollback.rollback_id]
    assert (world.get("k").value, world.get("k").version) == (1, 3)
    assert len(snapshots.list(tag="before-rollback")) == 1
    events = stage.stores.events.read_stream(f"rollbacks/{rollback.rollback_id}")
    assert len(events) == 3


def test_who_committed_late_is_no_part_of_the_moment_before(make_stage: MakeStage) -> None:
    """Entry numbers are taken before commits, so that a later position may have a lower number."""
    stage = make_stage(**{"ledger.sealing": "off"})
    with stage.backend.transaction(stage.tenant) as tx:
        tx.world_state.set("late", 1)
        tx.memories.add("late", agent_id="planner", memory_id="m1")
        elsewhere(lambda: stage.stores.world_state.set("quick", 1))
        elsewhere(stage.stores.ledger.seal)
        before = stage.stores.ledger.get_head()
    stage.stores.world_state.set("quick", 2)
    stage.stores.ledger.seal()
    after = stage.stores.ledger.get_head()
    assert (before.size, after.size) == (1, 4)

    def names(size: int) -> list[tuple[str, int]]:
        snapshot = stage.stores.snapshots.reconstruct("planner", world_scope="default", size=size)
        parts = stage.stores.snapshots.list_parts(snapshot.snapshot_id)
        return [(part.name, part.version) for part in parts]

    assert names(1) == [("quick", 1)]
    assert names(2) == [("late", 1), ("quick", 1)]
    assert names(3) == [("late", 1), ("quick", 1), ("m1", 1)]
    assert names(4) == [("late", 1), ("quick", 2), ("m1", 1)]


def test_what_is_erased_while_a_snapshot_is_taken_is_not_in_it(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stores = make_stage(**{"ledger.sealing": "off"}).stores
    stores.world_state.set("phone", "555-1234")
    stores.sessions.save("planner", "s1", {"secret": 1})
    stores.ledger.seal()
    with psycopg.connect(postgres_database.url()) as holder, ThreadPoolExecutor(2) as pool:
        # The snapshot has captured everything, and cannot be kept yet.
        holder.execute("LOCK TABLE aureus.snapshots IN SHARE MODE")
        taking = pool.submit(
            stores.snapshots.create, "planner", world_scope="default", snapshot_id="s"
        )
        _wait_for_a_lock(postgres_database)
        erasing = pool.submit(
            stores.erasure.erase,
            "bob",
            reason="request",
            sessions=[("planner", "s1")],
            world_state=[("default", "phone")],
            scrub=False,
        )
        eventually(
            lambda: erasing.done() or _waiting_count(postgres_database) > 1, "the erasure waits too"
        )
        assert not erasing.done()
        holder.rollback()
        taking.result()
        erasing.result()
    assert [part.content for part in stores.snapshots.list_parts("s")] == [None, None]
    assert sorted(stores.snapshots.verify("s").erased) == ["default/phone", "sessions/s1"]

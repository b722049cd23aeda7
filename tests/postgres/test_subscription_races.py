"""Races of consumers on PostgreSQL: with a reset, with their own deadline, and with a reply that never comes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from aureus._database.drive import Call
from aureus.model.events import Event
from aureus.model.subscriptions import Held
from aureus.stores.subscriptions.consuming import ConsumerStore
from tests.contract.stage import Stage
from tests.postgres.conftest import MakeStage, passes
from tests.support.consuming import consumer_store, handled, reader, seal
from tests.support.elsewhere import elsewhere
from tests.support.fault_proxy import CutAfter, CutBefore, FaultProxy, commit_of
from tests.support.following import handling
from tests.support.postgres import PostgresDatabase
from tests.support.waiting import eventually


def fill(stage: Stage, *streams: str) -> None:
    """Append an event to each of these streams, and seal them."""
    for stream in streams:
        stage.stores.events.append(stream, "t", {})
    seal(stage)


def test_a_reset_forgets_also_what_is_parked_while_it_waits_for_the_bucket(stage: Stage) -> None:
    """Or the stream would be passed over up to there, and handled by a replay only from there on."""
    fill(stage, "a", "b", "a")
    stage.stores.subscriptions.create("s")
    held = consumer_store(stage).claim("s")
    with ThreadPoolExecutor(1) as pool, stage.backend.transaction("acme") as tx:
        ConsumerStore(tx._transaction, Call("acme")).park(
            "s", Held(0, held.epoch, 2), "a", 1, "ValueError", stage.backend.clock.now()
        )
        resetting = pool.submit(stage.stores.subscriptions.reset, "s")
        eventually(lambda: elsewhere(lambda: waits_for_a_lock(stage)), "the reset to wait")
    resetting.result()
    assert list(stage.stores.subscriptions.parked("s")) == []
    assert stage.stores.subscriptions.get("s").position == -1


def waits_for_a_lock(stage: Stage) -> bool:
    """Return whether somebody waits for a lock in this database."""
    with stage.backend.transaction("acme") as tx:
        return bool(
            tx.execute(
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )


@pytest.mark.parametrize("is_async", [False, True])
def test_a_handler_that_takes_longer_than_a_call_may_is_committed(
    make_stage: MakeStage, is_async: bool
) -> None:
    stage = make_stage(is_async=is_async)
    fill(stage, "a", "b")
    calls: list[str] = []

    def slow(tx: Any, event: Event) -> None:
        calls.append(event.stream)
        stage.backend.clock.advance(120)
        tx.world_state.increment("n")

    handled(stage, "s", slow, types=["t"])
    assert calls == ["a", "b"]
    assert stage.stores.world_state.get("n").value == 2


def test_a_commit_whose_reply_is_lost_is_handled_once_and_the_consumer_goes_on(
    make_stage: MakeStage, fault_proxy: FaultProxy
) -> None:
    stage = make_stage(port=fault_proxy.port)
    for stream in "abc":
        stage.stores.events.append(stream, "t", {})
    seal(stage)
    rule = fault_proxy.on(commit_of("flushes"), CutAfter(), times=2)
    handled(stage, "s", lambda tx, _: tx.world_state.increment("n"), types=["t"])
    assert rule.fired == 2
    assert stage.stores.world_state.get("n").value == 3


def test_a_commit_that_nobody_can_tell_about_is_handled_once_when_the_server_is_back(
    make_stage: MakeStage, fault_proxy: FaultProxy, caplog: pytest.LogCaptureFixture
) -> None:
    stage = make_stage(port=fault_proxy.port, **{"subscriptions.handling_seconds_max": 30.0})
    direct = make_stage()
    for stream in "abc":
        stage.stores.events.append(stream, "t", {})
    seal(stage)
    planner = stage.backend.client._database.planner
    planner.options = replace(planner.options, acquire_seconds=0.05)
    away: list[Any] = []

    def count(tx: Any, event: Event) -> None:
        tx.world_state.increment("n")
        if not away:
            lost = fault_proxy.on(commit_of("flushes"), CutAfter(), times=1)
            away.append(lost)
            fault_proxy.on(lambda _: lost.fired > 0 and passes(stage.backend.clock), CutBefore())

    one = reader(stage, "s", types=["t"], live=True)
    with handling(one, count, backoff_seconds=0.05) as thread:
        eventually(lambda: away and away[0].fired, "the lost reply")
        eventually(lambda: "has to wait" in caplog.text, "the outcome to be looked up")
        fault_proxy.clear()
        eventually(
            lambda: direct.stores.subscriptions.get("s").position >= 2 or not thread.is_alive(),
            "all",
        )
    assert direct.stores.world_state.get("n").value == 3
    assert list(direct.stores.subscriptions.parked("s")) == []


def test_a_handler_that_takes_longer_than_it_may_has_failed_and_is_not_tried_for_ever(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    """The server ends a transaction that idles for too long."""
    stage = make_stage()
    fill(stage, "a", "b")
    calls: list[str] = []

    def hang(tx: Any, event: Event) -> None:
        calls.append(event.stream)
        if event.stream == "a":
            ended_by_the_server(postgres_database, tx)
            stage.backend.clock.advance(3600)

    handled(stage, "s", hang, types=["t"], attempts=2)
    assert calls == ["a", "a", "b"]
    (parked,) = stage.stores.subscriptions.parked("s")
    assert "took longer than 300 s" in parked.error


def test_a_connection_that_breaks_under_a_handler_is_no_failure_of_the_event(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage()
    fill(stage, "a", "b")
    calls: list[str] = []

    def unlucky(tx: Any, event: Event) -> None:
        calls.append(event.stream)
        tx.world_state.increment("n")
        if len(calls) < 4:
            ended_by_the_server(postgres_database, tx)

    stage.stores.subscriptions.create("s", types=["t"])
    one = reader(stage, "s", live=True)
    with handling(one, unlucky, attempts=1):
        eventually(lambda: stage.stores.subscriptions.get("s").position >= 1, "both events")
    assert calls == ["a", "a", "a", "a", "b"]
    assert stage.stores.world_state.get("n").value == 2
    assert list(stage.stores.subscriptions.parked("s")) == []


def ended_by_the_server(database: PostgresDatabase, tx: Any) -> None:
    """End the connection of a transaction behind its back."""
    ((pid,),) = tx.execute("SELECT pg_backend_pid()")
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])

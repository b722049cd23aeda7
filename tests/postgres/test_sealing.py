"""Sealing on PostgreSQL: whatever commits late, is rolled back or killed, positions are dense and in order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from aureus import NewEvent
from tests.contract.stage import Stage
from tests.contract.test_ledger import check, sealed
from tests.postgres.conftest import MakeStage
from tests.support.elsewhere import elsewhere
from tests.support.postgres import PostgresDatabase

OFF = {"ledger.sealing": "off"}


@pytest.fixture
def quiet(make_stage: MakeStage) -> Stage:
    """Give a stage on which nothing is sealed beside what the test does."""
    return make_stage(**OFF)


def streams_in_order(stage: Stage) -> list[tuple[str, int]]:
    """Return stream and version of every sealed entry, in the order of positions."""
    events = {event.entry_no: event for event in stage.stores.events.list(limit=1000).events}
    return [(events[entry_no].stream, events[entry_no].version) for _, entry_no, _ in sealed(stage)]


def test_who_commits_late_gets_a_later_position_and_keeps_nobody_waiting(quiet: Stage) -> None:
    with quiet.backend.transaction(quiet.tenant) as tx:
        tx.events.append("slow", "t", {})
        elsewhere(lambda: quiet.stores.events.append("quick", "t", {}))
        assert elsewhere(lambda: streams_in_order(quiet)) == [("quick", 1)]
    quiet.stores.events.append("quick", "t", {})
    assert streams_in_order(quiet) == [("quick", 1), ("slow", 1), ("quick", 2)]
    assert check(quiet) == 3


def test_a_transaction_that_is_rolled_back_leaves_no_gap(quiet: Stage) -> None:
    with quiet.backend.client._database.transaction(quiet.backend.client._call("acme")) as raw:
        raw.execute("SELECT 1")
    with pytest.raises(ZeroDivisionError), quiet.backend.transaction(quiet.tenant) as tx:
        _append_and_fail(tx)
    quiet.stores.events.append("a", "t", {})
    assert check(quiet) == 1


def _append_and_fail(tx: Any) -> None:
    tx.events.append_all("gone", [NewEvent("t", {})] * 3)
    raise ZeroDivisionError


def test_an_idle_transaction_of_another_database_delays_nothing(
    quiet: Stage, postgres_database: PostgresDatabase
) -> None:
    with psycopg.connect(postgres_database.server.url()) as idle:
        idle.execute("CREATE TEMP TABLE held (n int)")
        idle.execute("INSERT INTO held VALUES (1)")
        quiet.stores.events.append("a", "t", {})
        assert check(quiet) == 1


def test_a_round_takes_whole_appends_in_the_order_of_their_lowest_entry(quiet: Stage) -> None:
    for number in range(3):
        quiet.stores.events.append_all(f"s/{number}", [NewEvent("t", {})] * 4)
    assert [quiet.stores.ledger.seal(limit=5).sealed_count for _ in range(3)] == [8, 4, 0]
    assert check(quiet) == 12


def test_only_one_seals_and_the_other_finds_the_right_taken(
    quiet: Stage, postgres_database: PostgresDatabase
) -> None:
    quiet.stores.events.append("a", "t", {})
    assert check(quiet) == 1
    quiet.stores.events.append("a", "t", {})
    with psycopg.connect(postgres_database.url()) as holder:
        holder.execute("SELECT * FROM aureus.ledger_heads FOR UPDATE")
        done = quiet.stores.ledger.seal()
        assert (done.sealed_count, done.is_done) == (0, False)
    assert check(quiet) == 2


def test_many_sealers_and_writers_in_several_clients_seal_each_entry_once(
    make_stage: MakeStage,
) -> None:
    stages = [make_stage(**OFF) for _ in range(3)]
    stop = threading.Event()

    def seal(stage: Stage) -> None:
        while not stop.is_set():
            stage.stores.ledger.seal(limit=3)

    def write(number: int) -> None:
        stage = stages[number % 3]
        for at in range(15):
            if at % 5 == 4:
                with stage.backend.transaction(stage.tenant) as tx:
                    tx.events.append(f"s/{number % 4}", "t", {})
                    tx.events.append_all(f"t/{number % 4}", [NewEvent("t", {})] * 2)
            else:
                stage.stores.events.append(f"s/{number % 4}", "t", {})

    with ThreadPoolExecutor(11) as pool:
        sealers = [pool.submit(seal, stage) for stage in stages]
        for done in [pool.submit(write, number) for number in range(8)]:
            done.result()
        stop.set()
        for sealer in sealers:
            sealer.result()
    assert check(stages[0]) == 8 * (12 + 3 * 3)


def test_a_server_that_is_gone_is_sealed_up_to_date_by_the_next_who_opens(
    make_stage: MakeStage,
) -> None:
    """As after a kill of the process that should have sealed."""
    first = make_stage(**OFF)
    for number in range(5):
        first.stores.events.append("a", "t", {"n": number})
    second = make_stage()
    second.stores.events.append("a", "t", {"n": 5})
    second.backend.close()
    head = first.stores.ledger.get_head()
    assert head.size == 6, "closing seals what its own writes left, and what others left"


def test_anchoring_shows_other_tenants_to_nothing_else_of_its_transaction(
    make_stage: MakeStage,
) -> None:
    stages = [make_stage(tenant=name, **OFF) for name in ("acme", "globex")]
    for stage in stages:
        stage.stores.events.append("a", "t", {})
        sealed(stage)
    query = "SELECT count(*) FROM aureus.ledger_heads"
    with stages[0].backend.transaction("acme") as tx:
        assert len(tx.anchors.append()) == 2
        assert tx.anchors.append() == []
        tx.execute("SET LOCAL ROLE aureus_app")
        assert tx.execute(query) == [(1,)]

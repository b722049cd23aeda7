"""Subscriptions on PostgreSQL: late commits, idle transactions, killed sealers and poolers hide nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import psycopg
import pytest

from aureus.errors import IntegrityFailure
from aureus.model.events import Event
from tests.contract.stage import Stage
from tests.postgres.conftest import MakeStage
from tests.postgres.test_appends import appended_late
from tests.support import programs
from tests.support import subscription_program as program
from tests.support.consuming import reader, seal, told
from tests.support.following import Following, following
from tests.support.pooling_proxy import PoolingProxy
from tests.support.postgres import PostgresDatabase
from tests.support.subscription_program import project_and_kill
from tests.support.traffic import Traffic, all_are_told, check, crowd
from tests.support.waiting import eventually

OFTEN: dict[str, Any] = {"subscriptions.poll_seconds": 0.05}
SELDOM: dict[str, Any] = {"subscriptions.poll_seconds": 3600}


def streams(events: list[Event]) -> list[str]:
    """Return the streams of events."""
    return [event.stream for event in events]


def live(stage: Stage) -> AbstractContextManager[Following]:
    """Let a reader follow for as long as a block lasts."""
    return following(reader(stage, "s", live=True))


@pytest.mark.parametrize("is_async", [False, True])
def test_what_is_committed_late_is_told_late_and_nothing_waits_for_it(
    make_stage: MakeStage, is_async: bool
) -> None:
    """A writer stands between insert and commit, another one rolls back: the numbers they took are no obstacle."""
    stage = make_stage(is_async=is_async)
    with (
        live(stage) as follower,
        appended_late(stage, "late") as late,
        appended_late(stage, "rolled back", keeps=False) as lost,
    ):
        stage.stores.events.append("early", "t", {})
        assert streams(follower.wait(1)) == ["early"]
        lost.end()
        stage.stores.events.append("early", "t", {})
        assert streams(follower.wait(2)) == ["early", "early"]
        late.end()
        found = follower.wait(3)
    assert streams(found) == ["early", "early", "late"]
    assert [event.position for event in found] == [0, 1, 2]
    assert found[2].entry_no < found[0].entry_no


def test_an_open_transaction_elsewhere_delays_nobody(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage()
    with psycopg.connect(postgres_database.server.url()) as idle:
        idle.execute("CREATE TEMPORARY TABLE something (n integer)")
        idle.execute("SELECT pg_current_xact_id()")
        stage.stores.events.append("a", "t", {})
        assert streams(told(stage, "s")) == ["a"]
        idle.rollback()


def test_what_a_killed_writer_left_unsealed_is_told(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage(**OFTEN)
    url = postgres_database.url()
    with live(stage) as follower, program.running("append", url, "a", 3) as writer:
        programs.heard(writer, "appended")
        programs.killed(writer)
        assert streams(follower.wait(3)) == ["a"] * 3


def test_a_sealer_that_is_killed_in_the_middle_is_followed_by_another(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage(**OFTEN, **{"ledger.sealing": "off"})
    stage.stores.events.append("a", "t", {})
    with program.running("seal", postgres_database.url()) as sealer:
        assert programs.heard(sealer, "sealing") == "sealing 1"
        # Opened only now: it seals what others left, and would have come before the one to be killed.
        reading = make_stage(**OFTEN)
        with live(reading) as follower:
            stage.stores.events.append("a", "t", {})
            assert reading.stores.subscriptions.list() is not None
            assert follower.told == []
            programs.killed(sealer)
            found = follower.wait(2)
    assert [event.position for event in found] == [0, 1]


def test_a_reader_is_woken_by_what_another_process_seals(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    """It looks by itself only once in an hour."""
    stage = make_stage(**SELDOM)
    with program.running("append_and_close", postgres_database.url(), "a", 1) as writer:
        programs.heard(writer, "ready")
        with live(stage) as follower:
            eventually(lambda: listening(postgres_database), "a connection that listens")
            for count in range(1, 6):
                programs.tell(writer)
                assert len(follower.wait(count)) == count
        programs.unheard(writer)
    eventually(lambda: not listening(postgres_database), "the end of listening")


def listening(database: PostgresDatabase) -> list[int]:
    """Return the server processes of connections that listen."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        ).fetchall()
    return [row[0] for row in rows]


def test_a_broken_listener_connects_again_and_polling_goes_on_meanwhile(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage, writing = make_stage(**OFTEN), make_stage()
    with live(stage) as follower:
        (first,) = eventually(lambda: listening(postgres_database), "a connection that listens")
        with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", [first])
        writing.stores.events.append("a", "t", {})
        assert streams(follower.wait(1)) == ["a"]
        eventually(lambda: listening(postgres_database) not in ([], [first]), "another connection")


def test_behind_a_pooler_without_a_way_around_it_there_is_polling_and_no_listening(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    server = postgres_database.server
    with PoolingProxy(server.port, server.host, pool_size=3) as proxy:
        direct = {"database.direct_url": None, "database.prepared_statements": "off"}
        stage = make_stage(port=proxy.port, **OFTEN, **direct)
        writing = make_stage()
        with live(stage) as follower:
            writing.stores.events.append("a", "t", {})
            assert streams(follower.wait(1)) == ["a"]
            assert listening(postgres_database) == []
        stage.backend.close()


def test_a_server_that_is_away_for_a_moment_is_waited_for(
    own_stage: Callable[..., Stage], own_postgres_server: Any
) -> None:
    stage = own_stage(**OFTEN)
    stage.stores.events.append("a", "t", {})
    with live(stage) as follower:
        follower.wait(1)
        own_postgres_server.stop("immediate")
        own_postgres_server.start()
        eventually(lambda: stage.backend.client.health().is_healthy, "the server")
        stage.stores.events.append("b", "t", {})
        assert streams(follower.wait(2)) == ["a", "b"]


@pytest.fixture
def own_stage(own_postgres_server: Any, tmp_path: Any) -> Any:
    """Give a function that opens a stage on a server of this test's own, closed at the end."""
    from tests.support.backends import Backend, settings_for
    from tests.support.migrated import migrate_template
    from tests.support.postgres import OWNER

    name = own_postgres_server.create_database()
    migrate_template(own_postgres_server.url(name, user=OWNER))
    opened: list[Backend] = []

    def make(**more: Any) -> Stage:
        opened.append(
            Backend(settings_for(own_postgres_server.url(name), tmp_path, **more), is_async=False)
        )
        return Stage(opened[-1], "acme")

    yield make
    for backend in opened:
        backend.close()


def without_triggers(database: PostgresDatabase, *statements: str) -> None:
    """Change what nobody may change, as a superuser without triggers."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


def test_an_event_whose_content_was_erased_is_told_without_it(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage()
    for number in range(3):
        stage.stores.events.append("a", "t", {"n": number}, metadata={"m": number})
    seal(stage)
    without_triggers(postgres_database, "DELETE FROM aureus.event_payloads WHERE entry_no = 2")
    found = told(stage, "s")
    assert [event.payload for event in found] == [{"n": 0}, {}, {"n": 2}]
    assert [event.is_redacted for event in found] == [False, True, False]
    assert found[1].metadata == {}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM aureus.events WHERE entry_no = 2",
        "DELETE FROM aureus.ledger_batches WHERE first_position = 1",
        "DELETE FROM aureus.ledger_batches WHERE first_position = 2",
    ],
)
def test_what_is_missing_is_an_error_and_never_passed_over(
    make_stage: MakeStage, postgres_database: PostgresDatabase, statement: str
) -> None:
    stage = make_stage(**{"ledger.sealing": "off"})
    for number in range(3):
        stage.stores.events.append("a", "t", {"n": number})
        seal(stage)
    without_triggers(postgres_database, statement)
    with pytest.raises(IntegrityFailure):
        told(stage, "s")


def test_projections_of_a_process_that_is_killed_again_and_again_are_exact(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage()
    url = postgres_database.url()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE seen (n serial, event_id text, stream text, version bigint)"
        )
    committed = [
        stage.stores.events.append(f"s/{number % 5}", "t", {}).event_id for number in range(60)
    ]
    for end in (7, 19, 33):
        with program.running("project", url, "p", "seen") as projecting:
            project_and_kill(projecting, end)
    with program.running("project", url, "p", "seen") as last:
        assert programs.unheard(last)[-1] == "ended"
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT event_id FROM seen ORDER BY n").fetchall()
    assert [row[0] for row in rows] == committed


def test_an_event_that_kills_every_process_is_parked_in_the_end(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage()
    for number in range(6):
        stage.stores.events.append(f"s/{number % 3}", "t", {})
    url = postgres_database.url()
    ends: list[int] = []
    while len(ends) < 6 and 0 not in ends:
        with program.running("perish", url, "p", "s/1") as perishing:
            programs.unheard(perishing)
        ends.append(perishing.returncode)
    assert ends == [-9, -9, -9, -9, 0]
    (parked,) = stage.stores.subscriptions.parked("p")
    assert (parked.stream, parked.position, parked.attempt_count) == ("s/1", 1, 3)
    assert "ended before it was done" in parked.error
    counts = [stage.stores.world_state.find(f"count/s/{number}") for number in range(3)]
    assert [one and one.value for one in counts] == [2, None, 2]


def test_the_buckets_of_a_member_that_is_killed_are_taken_over(
    make_stage: MakeStage, postgres_database: PostgresDatabase
) -> None:
    """At least once: what the killed one was told but had not stored is told again, and nothing is missing."""
    stage = make_stage()
    committed = {
        stage.stores.events.append(f"s/{number}", "t", {}).event_id for number in range(30)
    }
    url = postgres_database.url()
    with program.running("belong", url, "g", "first") as first:
        said = [programs.heard(first, "told"), *programs.killed(first)]
    told_ids = {line.split()[1] for line in said}
    with program.running("belong", url, "g", "second") as second:
        while told_ids < committed:
            told_ids.add(programs.heard(second, "told").split()[1])
    assert told_ids == committed


def test_readers_of_several_processes_worth_of_clients_agree(make_stage: MakeStage) -> None:
    """Writers and readers have clients of their own, as different processes have."""
    writing, others = make_stage(), [make_stage(**OFTEN), make_stage(is_async=True, **OFTEN)]
    traffic = Traffic(writing, seed=7)
    lists: list[list[Event]] = [[], []]
    with crowd() as readers:
        for stage, found in zip(others, lists, strict=True):
            readers.follow(reader(stage, f"of {len(readers._readers)}", live=True), found)
        traffic.run(rounds=10)
        for found in lists:
            all_are_told(found, lambda: len(traffic.committed))
    for found in lists:
        check(found, traffic)

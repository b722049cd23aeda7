"""A consumer group goes on where its bytes go: in a fresh cluster after dump and restore, and on a promoted standby."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from aureus.errors import DatabaseError
from aureus.model.events import Event
from aureus.model.subscriptions import Wanted
from aureus.stores.subscriptions.consuming import ConsumerStore
from tests.contract.stage import Stage
from tests.postgres.conftest import PassingClock
from tests.postgres.test_ledger_copies import WRITERS, readable, write
from tests.support.backends import Backend
from tests.support.consuming import member
from tests.support.migrated import migrate_template
from tests.support.postgres import PostgresHome, PostgresServer
from tests.support.waiting import eventually

TABLE = "CREATE TABLE seen (n serial, event_id text, stream text, version bigint, position bigint)"


def put(tx: Any, event: Event) -> None:
    """Keep an event in a table of one's own."""
    tx.execute(
        "INSERT INTO seen (event_id, stream, version, position) VALUES (%s, %s, %s, %s)",
        (event.event_id, event.stream, event.version, event.position),
    )


def write_all(stage: Stage) -> None:
    """Let all writers write, side by side."""
    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(lambda number: write(stage, number), range(WRITERS)))


def follow(stage: Stage, names: Iterable[str], *, at_least: int) -> None:
    """Let members of a group handle events until there are so many, and leave them as a killed process does."""
    readers = [member(stage, "g", name, live=True, bucket_count=8) for name in names]
    threads = [threading.Thread(target=one.handle, args=(put,)) for one in readers]
    for thread in threads:
        thread.start()
    eventually(lambda: len(seen(stage)) >= at_least, f"{at_least} events to be handled")
    for one, thread in zip(readers, threads, strict=True):
        one.consumer._is_finished = True
        one.consumer._closing.set()
        one.consumer._woken.set()
        thread.join(60)
        assert not thread.is_alive()


def finish(stage: Stage) -> None:
    """Let the members handle what there is: first one, then the other one, until nothing is left."""
    readers = [member(stage, "g", name) for name in ("a", "b")]
    for one in (*readers, *readers):
        one.handle(put, batch_size=20)
    for one in readers:
        one.close()


def seen(stage: Stage) -> list[tuple[Any, ...]]:
    """Return what was handled, in the order in which it was."""
    with stage.backend.transaction("acme") as tx:
        return list(tx.execute("SELECT event_id, stream, version, position FROM seen ORDER BY n"))


def check(stage: Stage) -> int:
    """Fail unless each sealed event was handled once, and those of a stream in their order; return how many."""
    call, backend = stage.backend.client._call("acme"), stage.backend
    store, sealed, after = ConsumerStore(backend.client._database, call), [], -1
    while True:
        page = store.read_sealed(after, Wanted())
        sealed += [event.event_id for event in page.events]
        after = page.reached
        if page.is_at_end:
            break
    rows = seen(stage)
    assert sorted(row[0] for row in rows) == sorted(sealed)
    versions: dict[str, int] = {}
    for _, stream, version, _ in rows:
        assert version == versions.get(stream, 0) + 1
        versions[stream] = version
    return len(rows)


def prepared(server: PostgresServer, opened: Any) -> tuple[str, Stage]:
    """Return the name of a new database with a table of one's own, and its stage."""
    name = server.create_database(server.template(migrate_template))
    with psycopg.connect(server.url(name), autocommit=True) as connection:
        connection.execute(TABLE)
    return name, Stage(opened(server.url(name)), "acme")


def test_a_group_goes_on_after_dump_and_restore_into_a_fresh_cluster(
    own_postgres_server: PostgresServer, postgres_home: PostgresHome, opened: Any
) -> None:
    name, stage = prepared(own_postgres_server, opened)
    write_all(stage)
    follow(stage, ("a", "b"), at_least=40)
    stage.stores.events.append("late", "t", {})
    fresh = postgres_home.new_server(is_durable=False)
    fresh._run("CREATE ROLE {} NOLOGIN", "aureus_app")
    restored = fresh.restore(readable(own_postgres_server.dump(name)))
    other = Stage(opened(fresh.url(restored)), "acme")
    before = len(seen(other))
    assert before >= 40
    write_all(other)
    finish(other)
    assert check(other) > before
    assert other.stores.subscriptions.get("g").parked_count == 0
    other.backend.close()
    fresh.stop("immediate")


def test_a_group_goes_on_when_a_standby_is_promoted(
    own_postgres_server: PostgresServer, postgres_home: PostgresHome, opened: Any
) -> None:
    name, stage = prepared(own_postgres_server, opened)
    standby = postgres_home.new_standby(own_postgres_server)
    write_all(stage)
    follow(stage, ("a", "b"), at_least=40)
    write_all(stage)
    caught_up(own_postgres_server, standby)
    stage.backend.close()
    own_postgres_server.stop("immediate")
    with psycopg.connect(standby.url(name), autocommit=True) as connection:
        connection.execute("SELECT pg_promote()")
    other = Stage(opened(standby.url(name)), "acme")
    write_all(other)
    finish(other)
    assert check(other) > 40
    assert other.stores.ledger.verify().is_intact
    other.backend.close()
    standby.stop("immediate")


def test_a_consumer_of_a_standby_that_does_not_wait_is_told_that_nothing_can_be_stored_there(
    own_postgres_server: PostgresServer, postgres_home: PostgresHome, opened: Any
) -> None:
    """One that waits goes on waiting: a failover may be under way."""
    name, stage = prepared(own_postgres_server, opened)
    stage.stores.events.append("a", "t", {})
    stage.stores.subscriptions.create("s")
    standby = postgres_home.new_standby(own_postgres_server)
    caught_up(own_postgres_server, standby)
    more = {"ledger.sealing": "off", "database.call_deadline_seconds": 2.0}
    copy: Backend = opened(standby.url(name), clock=PassingClock(), **more)
    one = copy.client.subscription("s", live=False)
    with pytest.raises(DatabaseError, match="read-only"):
        next(one)
    one.close()
    copy.close()
    standby.stop("immediate")


def caught_up(primary: PostgresServer, standby: PostgresServer) -> None:
    """Wait until a standby has replayed everything that its primary has committed by now."""
    with psycopg.connect(primary.url("postgres"), autocommit=True) as connection:
        row = connection.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
    assert row is not None

    def has_all() -> bool:
        with psycopg.connect(standby.url("postgres"), autocommit=True) as connection:
            found = connection.execute(
                "SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [row[0]]
            ).fetchone()
        return bool(found and found[0])

    eventually(has_all, "the standby to have everything")

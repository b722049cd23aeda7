"""Readers and groups for as long as one likes, while writers commit late, sealers are killed and members come and go.

`make soak TESTS=tests/soak` runs it for a minute on each engine; SOAK_SECONDS says for how long otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from aureus.clock import SystemClock
from aureus.model.events import Event
from tests.contract.stage import Stage
from tests.support import programs
from tests.support import subscription_program as program
from tests.support.backends import Backend, settings_for
from tests.support.consuming import member, reader
from tests.support.postgres import PostgresDatabase
from tests.support.traffic import Traffic, all_are_told, check, crowd

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))

OFTEN = {"subscriptions.poll_seconds": 0.1, "subscriptions.lease_seconds": 6}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(0)]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database of each engine."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/aureus.db"
    database: PostgresDatabase = request.getfixturevalue("postgres_database")
    return database.url()


@pytest.fixture
def backends(url: str, tmp_path: Path) -> Iterator[list[Backend]]:
    """Give two clients of one database: one for threads, one for an event loop."""
    opened = [
        Backend(settings_for(url, tmp_path, **OFTEN), is_async=is_async, clock=SystemClock())
        for is_async in (False, True)
    ]
    yield opened
    for backend in opened:
        backend.close()


def test_told_is_committed_once_and_in_order(backends: list[Backend], url: str) -> None:
    writing, reading = (Stage(backend, "acme") for backend in backends)
    traffic, clock = Traffic(writing, streams=40), SystemClock()
    told: list[list[Event]] = [[], []]
    of_group: list[Event] = []
    end = clock.monotonic() + SECONDS
    rounds = 0
    with crowd() as readers:
        readers.follow(reader(reading, "async", live=True), told[0])
        readers.follow(reader(writing, "threads", live=True), told[1])
        readers.follow(member(reading, "g", "stays", live=True, bucket_count=16), of_group)
        while clock.monotonic() < end:
            rounds += 1
            passing = member(writing, "g", f"passing {rounds}", live=True)
            readers.follow(passing, of_group)
            with program.running("seal", url) as sealer, suppress(AssertionError):
                programs.heard(sealer, "sealing")
            traffic.run(rounds=25)
            passing.close()
        for found in (*told, of_group):
            all_are_told(found, lambda: len(traffic.committed))
    for found in told:
        check(found, traffic)
    check(of_group, traffic, is_group=True)
    print(f"{len(traffic.committed)} events told to two readers and a group over {rounds} rounds")  # noqa: T201 - what a soak is for


def test_projections_stay_exact_however_often_they_are_killed(
    backends: list[Backend], url: str
) -> None:
    stage, clock = Stage(backends[0], "acme"), SystemClock()
    columns = "event_id text, stream text, version bigint"
    number = "serial" if url.startswith("postgres") else "INTEGER PRIMARY KEY"
    _execute(stage, url, f"CREATE TABLE seen (n {number}, {columns})")
    committed: list[str] = []
    kills = 0
    end = clock.monotonic() + SECONDS
    while clock.monotonic() < end:
        committed += [stage.stores.events.append(f"s/{n % 7}", "t", {}).event_id for n in range(50)]
        kills += 1
        batch = (1, 7, 100)[kills % 3]
        with (
            program.running("project", url, "p", "seen", batch) as projecting,
            suppress(AssertionError),
        ):
            programs.tell(projecting, 1000)
            for _ in range(len(committed) % 37):
                programs.heard(projecting, "put")
    with program.running("project", url, "p", "seen") as last:
        assert programs.unheard(last)[-1] == "ended"
    rows = _execute(stage, url, "SELECT event_id FROM seen ORDER BY n")
    assert [row[0] for row in rows] == committed
    assert list(stage.stores.subscriptions.parked("p")) == []
    print(f"{len(committed)} events handled once over {kills} killed projections")  # noqa: T201 - what a soak is for


def _execute(stage: Stage, url: str, text: str) -> list[tuple[str, ...]]:
    """Carry out SQL on a table that is the test's own."""
    if not url.startswith("postgres"):
        with stage.backend.transaction("acme") as tx:
            return list(tx.execute(text))
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []

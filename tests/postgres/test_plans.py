"""Connections of a pool let their plans go as they grow older, and serve on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aureus import AsyncAureus, Aureus
from aureus._database.postgres.plans import FIRST_SECONDS
from aureus.clock import ManualClock
from tests.support.backends import settings_for
from tests.support.postgres import PostgresDatabase

MARKED = b"SELECT set_config('application_name', 'made anew', false)"


def marked(database: PostgresDatabase) -> int:
    """Return how many connections have carried out what stands for letting plans go."""
    with psycopg.connect(database.url()) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'made anew'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_a_connection_lets_its_plans_go_when_it_is_twice_as_old(
    postgres_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus._database.postgres.threads.LET_GO", MARKED)
    clock = ManualClock()
    with Aureus(settings=settings_for(postgres_database.url(), tmp_path), clock=clock) as db:
        db.sessions.save("a", "s", {"n": 1})
        assert marked(postgres_database) == 0
        clock.advance(FIRST_SECONDS)
        db.sessions.save("a", "s", {"n": 2})
        assert marked(postgres_database) >= 1
        assert db.sessions.load("a", "s").state == {"n": 2}


def test_a_connection_of_a_loop_lets_its_plans_go_too(
    postgres_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus._database.postgres.loop.LET_GO", MARKED)
    settings: Any = settings_for(postgres_database.url(), tmp_path)

    async def main() -> None:
        clock = ManualClock()
        async with AsyncAureus(settings=settings, clock=clock) as db:
            await db.sessions.save("a", "s", {"n": 1})
            assert marked(postgres_database) == 0
            clock.advance(FIRST_SECONDS)
            await db.sessions.save("a", "s", {"n": 2})
            assert marked(postgres_database) >= 1
            assert (await db.sessions.load("a", "s")).state == {"n": 2}

    asyncio.run(main())

"""A schema of any name: nothing in it reaches for the usual one, which need not be there, or belongs to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from aureus.clock import ManualClock
from tests.contract.stage import Stage
from tests.support.everything import write_everything
from tests.support.postgres import PostgresDatabase
from tests.support.subject_keys import subject_keys_in

SCHEMA = 'te"nants'


@pytest.fixture
def elsewhere(postgres_database: PostgresDatabase, opened: Any, tmp_path: Path) -> Stage:
    """Give a stage in a schema of another name, in a database without the usual one."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("DROP SCHEMA aureus CASCADE")
    more = {"database.schema": SCHEMA, **subject_keys_in(tmp_path)}
    return Stage(opened(postgres_database.url(), clock=ManualClock(), **more), "acme")


def rows(postgres_database: PostgresDatabase, text: str) -> list[Any]:
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("SELECT set_config('search_path', %s, false)", ('"te""nants"',))
        return connection.execute(text.encode()).fetchall()


def test_all_there_is_works_in_a_schema_of_another_name(elsewhere: Stage) -> None:
    write_everything(elsewhere)
    stores = elsewhere.backend.tenant(elsewhere.tenant)
    stores.erasure.erase("ada", reason="request 18", erasure_id="e2", scrub=False)
    assert stores.ledger.verify().is_intact


def test_a_deleted_session_leaves_nothing_in_a_schema_of_another_name(
    elsewhere: Stage, postgres_database: PostgresDatabase
) -> None:
    sessions = elsewhere.backend.tenant(elsewhere.tenant).sessions
    while not sessions.index_states().is_ready:
        pass
    sessions.save("a", "s", {"secret": 1})
    sessions.append("a", "s", "user", "hello")
    assert sessions.delete("a", "s")
    for table in ("session_states", "session_messages", "session_facets"):
        assert rows(postgres_database, f"SELECT * FROM {table}") == []


def test_no_function_of_the_schema_names_another_one(
    elsewhere: Stage, postgres_database: PostgresDatabase
) -> None:
    elsewhere.backend.tenant(elsewhere.tenant).sessions.save("a", "s", {})
    found = rows(
        postgres_database,
        "SELECT p.proname, p.prosrc FROM pg_proc AS p WHERE p.pronamespace = current_schema()::regnamespace",
    )
    assert len(found) > 10
    assert [name for name, body in found if "aureus." in body.replace("'aureus.", "")] == []

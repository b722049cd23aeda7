"""Proving and verifying read what they need of the ledger, however long it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from aureus._database.catalog import Catalog
from aureus._database.statement import Query
from tests.plans.test_plans import BUFFERS_MAX, execute, explain, indexes, touched
from tests.support.postgres import PostgresDatabase

ROWS = 50_000
BATCH = 4

SEED = f"""
INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
    commitment, leaf_hash)
SELECT 'big', n, n, 'e' || n, 'runs/r' || n / 10, n % 10 + 1, 't', 'me', now(), sha256('x'), sha256('x')
FROM generate_series(10, {ROWS}) n;
INSERT INTO aureus.event_payloads SELECT 'big', entry_no, sha256('x'), 'x', NULL FROM aureus.events;
INSERT INTO aureus.ledger_batches
SELECT 'big', first, {BATCH}, first + 10, first + 9 + {BATCH},
    (SELECT array_agg(first + 10 + n ORDER BY n) FROM generate_series(0, {BATCH} - 1) n),
    (SELECT string_agg(sha256('x'), '' ORDER BY n) FROM generate_series(0, {BATCH} - 1) n), now()
FROM generate_series(0, {ROWS} - 1000, {BATCH}) first;
INSERT INTO aureus.ledger_nodes SELECT 'big', 8, n, sha256('x') FROM generate_series(0, 9999) n;
INSERT INTO aureus.signed_heads SELECT 'big', 1, n, sha256('x'), 'note', now() FROM generate_series(1, {ROWS}, 10) n;
INSERT INTO aureus.ledger_heads VALUES ('big', 'key', 1, {ROWS}, sha256('x'), '', {ROWS}, now())
"""

HOT: dict[str, tuple[dict[str, Any], list[str]]] = {
    "read_page": (
        {"first": 20_050, "end": 20_060, "bytes_max": 1_000_000},
        ["ledger_batches_pkey", "events_pkey", "event_payloads_pkey"],
    ),
    "list_leaf_hashes": ({"first": 20_050, "end": 20_300}, ["ledger_batches_pkey"]),
    "list_node_hashes": ({"level": 8, "first": 50, "end": 60}, ["ledger_nodes_pkey"]),
    "get_position": ({"entry_no": 20_055}, ["ledger_batches_entries"]),
    "get_entry_no": ({"event_id": "e17"}, ["events_tenant_id_event_id_key"]),
    "get_newest_signed": ({"incarnation": 1}, ["signed_heads_pkey"]),
    "list_signed": ({"limit": 10}, ["signed_heads_pkey"]),
}
"""What runs in proofs and pages, and the indexes that serve it."""


@pytest.fixture
def seeded(postgres_database: PostgresDatabase) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection under the application's role to a database with a long ledger of one tenant."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        for statement in SEED.split(";"):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("SET ROLE aureus_app")
        connection.execute("SELECT set_config('aureus.tenant', 'big', false)")
        yield connection


def test_proofs_and_pages_use_their_indexes_on_postgres(seeded: psycopg.Connection[Any]) -> None:
    for name, (parameters, wanted) in HOT.items():
        plan = explain(seeded, Query("proofs", name), parameters)
        check(name, plan, wanted)


def test_proofs_and_pages_use_their_indexes_in_the_plan_that_a_session_keeps(
    seeded: psycopg.Connection[Any],
) -> None:
    seeded.execute("SET plan_cache_mode = force_generic_plan")
    for name, (parameters, wanted) in HOT.items():
        text = Catalog("postgres").compiled(Query("proofs", name)).texts[0]
        seeded.execute(f"PREPARE {name} AS {text}".encode())
        check(name, execute(seeded, name, parameters, "proofs"), wanted)


def check(name: str, plan: dict[str, Any], wanted: list[str]) -> None:
    found = json.dumps(plan)
    assert [index for index in wanted if index not in found] == [], (name, indexes(plan))
    assert touched(plan) <= BUFFERS_MAX, (name, touched(plan), indexes(plan))

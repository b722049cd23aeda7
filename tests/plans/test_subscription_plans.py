"""What consumers do all the time costs the same however much is stored, also while nothing is known of the tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from aureus._database.catalog import Catalog
from aureus._database.statement import Query
from tests.plans.test_plans import execute, scans, touched
from tests.support.postgres import PostgresDatabase

ENTRIES = 20_000
BATCH = 20

SEED = f"""
INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
    commitment, leaf_hash)
SELECT 'big', n, n, 'e' || n, 's/' || n % 100, n / 100 + 1, CASE WHEN n % 500 = 0 THEN 'rare' ELSE 't' END, 'me', now(),
    sha256('x'), sha256('x')
FROM generate_series(1, {ENTRIES}) n;
INSERT INTO aureus.event_payloads (tenant_id, entry_no, salt, payload)
SELECT 'big', entry_no, sha256('x'), '{{}}' FROM aureus.events;
INSERT INTO aureus.ledger_batches (tenant_id, first_position, size, first_entry_no, last_entry_no, entry_nos,
    leaf_hashes, sealed_at)
SELECT 'big', n * {BATCH}, {BATCH}, n * {BATCH} + 1, (n + 1) * {BATCH},
    (SELECT array_agg(e) FROM generate_series(n * {BATCH} + 1, (n + 1) * {BATCH}) e),
    decode(repeat('ab', 32 * {BATCH}), 'hex'), now()
FROM generate_series(0, {ENTRIES // BATCH} - 1) n;
INSERT INTO aureus.ledger_heads (tenant_id, tenant_key, incarnation, size, root, peaks, last_entry_no, sealed_at)
VALUES ('big', 'k', 1, {ENTRIES}, sha256('x'), sha256('x'), {ENTRIES}, now());
INSERT INTO aureus.subscriptions
SELECT 'big', 'g' || n, NULL, NULL, NULL, true, 64, now() FROM generate_series(1, 300) n;
INSERT INTO aureus.subscription_buckets (tenant_id, name, bucket, position, epoch, updated_at)
SELECT 'big', 'g' || n, b, 0, 1, now() FROM generate_series(1, 300) n, generate_series(0, 63) b
"""

HELD = '[{"bucket": 3, "epoch": 1, "position": 10}, {"bucket": 4, "epoch": 1, "position": 10}]'

READ: dict[str, Any] = {
    "after_position": ENTRIES // 2, "scan": 100, "limit": 50, "bucket_count": 1, "held": "[]", "stream": None,
    "category": None, "types": None, "bytes_max": 8_388_608,
}  # fmt: skip

HOT: list[tuple[str, dict[str, Any], set[str]]] = [
    ("read_sealed", READ, {"events_pkey", "event_payloads_pkey", "ledger_batches_pkey"}),
    ("read_sealed", {**READ, "types": '["rare"]'}, {"events_pkey", "ledger_batches_pkey"}),
    ("read_sealed", {**READ, "bucket_count": 64, "held": HELD}, {"events_pkey", "ledger_batches_pkey"}),
    ("advance_buckets", {"name": "g17", "held": HELD, "is_strict": True, "now": "now"}, {"subscription_buckets_pkey"}),
    ("release_buckets", {"name": "g17", "held": HELD, "now": "now"}, {"subscription_buckets_pkey"}),
    ("get_position", {"name": "g17", "bucket": 3, "epoch": 1}, {"subscription_buckets_pkey"}),
    ("list_parked", {"name": "g17", "after_stream": "", "limit": 9}, set()),
    ("list_buckets", {"name": "g17"}, {"subscription_buckets_pkey"}),
    ("claim_bucket", {"name": "g17"}, {"subscription_buckets_pkey"}),
    ("get_subscription", {"name": "g17"}, {"subscription_buckets_pkey"}),
]  # fmt: skip
"""Statements, and the indexes that they must go into."""

GROWING = {"events", "event_payloads", "ledger_batches", "subscription_buckets"}

BUFFERS_MAX = 900
"""Pages of 8 KB that one of these may touch: 100 events and 50 payloads at 3 or 4 pages each; the table has 600."""


@pytest.fixture
def connection(postgres_database: PostgresDatabase) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection that keeps one plan for all parameters, made before there were any entries."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        for name in {name for name, _, _ in HOT}:
            text = Catalog("postgres").compiled(Query("subscriptions", name)).texts[0]
            connection.execute(f"PREPARE {name} AS {text}".encode())
        yield connection


@pytest.mark.parametrize("is_known", [False, True], ids=["young", "analysed"])
def test_consumers_go_into_their_indexes_on_postgres(
    connection: psycopg.Connection[Any], is_known: bool
) -> None:
    if not is_known:
        for name, parameters, _ in HOT:
            plan_of(connection, name, parameters)  # the plans are made here and kept
        connection.execute("ALTER TABLE aureus.events SET (autovacuum_enabled = off)")
        connection.execute("ALTER TABLE aureus.ledger_batches SET (autovacuum_enabled = off)")
    for statement in SEED.split(";"):
        connection.execute(statement.encode())
    if is_known:
        connection.execute("VACUUM ANALYZE")
    for name, parameters, wanted in HOT:
        plan = plan_of(connection, name, parameters)
        used = {index for index, loops in scans(plan) if loops}
        assert wanted <= used, (name, parameters, used)
        assert touched(plan) <= BUFFERS_MAX, (name, parameters, touched(plan))
        assert not GROWING & read_whole(plan), (name, parameters, read_whole(plan))


def read_whole(plan: dict[str, Any]) -> set[str]:
    """Return the tables that a plan goes through as a whole."""
    here = {str(plan.get("Relation Name"))} if plan["Node Type"] == "Seq Scan" else set()
    return here.union(*(read_whole(child) for child in plan.get("Plans", [])))


def plan_of(connection: psycopg.Connection[Any], name: str, parameters: dict[str, Any]) -> Any:
    """Carry a statement out as a tenant, undo it, and return how that was done."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL ROLE aureus_app")
        connection.execute("SELECT set_config('aureus.tenant', 'big', true)")
        return execute(connection, name, parameters, "subscriptions")

"""Statements of snapshots, and those of others that they bring along, are served by their indexes on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from aureus._database.statement import Query
from aureus.clock import SystemClock
from tests.plans.test_plans import BUFFERS_MAX, explain, indexes, touched
from tests.support.postgres import PostgresDatabase

ROWS = 10_000

SEED = f"""
INSERT INTO aureus.snapshots (tenant_id, snapshot_id, agent_id, world_scope, collection, run_id, task_id, created_at,
    created_by, tags, metadata, ledger_key, ledger_incarnation, ledger_size, ledger_root, state_count, memory_count,
    state_hash, root, is_verified)
SELECT 'big', 's' || n, 'a' || n % 200, 'w', 'sessions', 'r' || n / 5, 't', now() - n * interval '1 s', 'me', '["x"]',
    '{{}}', 'k', 1, n, sha256('x'), 5, 5, sha256('x'), sha256('x'), n % 7 = 0
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.snapshot_parts (tenant_id, snapshot_id, part_no, kind, place, name, version, content_hash, leaf_hash,
    content, created_at)
SELECT 'big', 's' || n, p, CASE WHEN p > 3 THEN 'memory' ELSE 'session' END,
    CASE WHEN p <= 3 THEN 'sessions' ELSE '' END, 'm' || n / 100 || '-' || p, 1,
    sha256('x'), sha256('x'), CASE WHEN p <= 3 THEN '{{}}' END, now() - n * interval '1 s'
FROM generate_series(1, {ROWS}) n, generate_series(1, 10) p;
INSERT INTO aureus.snapshot_parts (tenant_id, snapshot_id, part_no, kind, place, name, version, content_hash, leaf_hash,
    content, created_at)
SELECT 'big', 's' || n, 11, 'world_state', 'w' || n % 50, 'k' || n, 1, sha256('x'), sha256('x'), '1', now()
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.world_state
SELECT 'big', 'w' || n % 50, 'k' || n, 2, '1', false, 'o2', now(), now() FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.rollbacks
SELECT 'big', 'b' || n, 's' || n, 's1', NULL, 'LOW', 'me', NULL, now() - n * interval '1 s', '{{}}', '[]'
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.rollback_approvals (tenant_id, approval_id, snapshot_id, root, risk_tier, status, requested_by,
    requested_at, expires_at, needs_another)
SELECT 'big', 'p' || n, 's' || n, sha256('x'), 'HIGH', 'pending', 'me', now() - n * interval '1 s', now(), false
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.sessions (tenant_id, collection, agent_id, session_id, version, generation, message_count,
    operation_id, created_at, updated_at)
SELECT 'big', 'c', 'a' || n % 40, 's' || n, 1, 1, 0, 'o', now(), now() FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.world_state_versions
SELECT 'big', 'w' || n % 50, 'k' || n, v, '1', 'o' || v, now()
FROM generate_series(1, {ROWS}) n, generate_series(1, 2) v;
INSERT INTO aureus.ledger_batches
SELECT 'big', n * 2, 2, n * 2, n * 2 + 1, ARRAY[n * 2, n * 2 + 1], sha256('x') || sha256('y'), now()
FROM generate_series(0, {ROWS}) n;
INSERT INTO aureus.ledger_nodes SELECT 'big', 8, n, sha256('x') FROM generate_series(0, {ROWS}) n
"""

NOW = SystemClock().now()
_ALWAYS = {
    "since": datetime.min.replace(tzinfo=UTC),
    "until": datetime.max.replace(tzinfo=UTC),
    "before_at": datetime.max.replace(tzinfo=UTC),
    "before_id": "",
}
_PAGE: dict[str, Any] = {
    **_ALWAYS,
    "task_id": None,
    "world_scope": None,
    "tag": None,
    "verified_only": False,
    "agent_id": None,
    "run_id": None,
    "snapshot_id": None,
    "status": None,
    "limit": 20,
}

HOT: dict[Query, tuple[dict[str, Any], str]] = {
    Query("snapshots", "get_snapshot"): ({"snapshot_id": "s17"}, "snapshots_pkey"),
    Query("snapshots", "list_snapshots"): (_PAGE, "snapshots_newest"),
    Query("snapshots", "list_agent_snapshots"): ({**_PAGE, "agent_id": "a17"}, "snapshots_agent"),
    Query("snapshots", "list_run_snapshots"): ({**_PAGE, "run_id": "r17"}, "snapshots_run"),
    Query("snapshots", "list_memory_snapshots"): (
        {**_PAGE, "memory_id": "m17-5"},
        "snapshot_parts_memory",
    ),
    Query("snapshots", "list_snapshot_parts"): (
        {"snapshot_id": "s17", "after_no": 3, "limit": 5},
        "snapshot_parts_pkey",
    ),
    Query("snapshots", "is_session_captured"): (
        {"agent_id": "a17", "collection": "sessions", "session_id": "m17-2"},
        "snapshot_parts_session",
    ),
    Query("snapshots", "is_key_captured"): (
        {"scope": "w17", "key": "k1017"},
        "snapshot_parts_key",
    ),
    Query("snapshots", "list_rollbacks"): (_PAGE, "rollbacks_newest"),
    Query("snapshots", "list_rollback_approvals"): (_PAGE, "rollback_approvals_newest"),
    Query("sessions", "list_documents"): (
        {"collection": "c", "agent_id": "a17", "after_session_id": "s3", "limit": 20, "now": NOW},
        "sessions_pkey",
    ),
    Query("world_state", "list_written_values"): (
        {"scope": "w17", "wanted": '[{"key": "k17", "operation_id": "o1"}]'},
        "world_state_versions_operation",
    ),
    Query("world_state", "list_prunable_versions"): (
        {
            "scope": "w17",
            "keep_newest": 1,
            "before_at": datetime.max.replace(tzinfo=UTC),
            "after_key": "k9",
            "after_version": 1,
            "limit": 20,
        },
        "snapshot_parts_key",
    ),
    Query("world_state", "count_world_state_versions"): (
        {"scope": "w17"},
        "world_state_versions",
    ),
    Query("ledger", "list_nodes"): (
        {"level": 8, "first_no": 17, "end_no": 20},
        "ledger_nodes_pkey",
    ),
    Query("ledger", "find_batches_of_entry"): (
        {"entry_no": ROWS * 2 - 7},
        "ledger_batches_entries",
    ),
}

SNAPSHOT_BUFFERS_MAX = 2 * BUFFERS_MAX
"""Pages that reading a page of snapshots of one agent or memory may touch: rows of one are not side by side."""


@pytest.fixture
def seeded(postgres_database: PostgresDatabase) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection under the application's role to a database with many snapshots of one tenant."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        for statement in SEED.split(";"):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("SET ROLE aureus_app")
        connection.execute("SELECT set_config('aureus.tenant', 'big', false)")
        yield connection


def test_statements_of_snapshots_use_their_indexes(seeded: psycopg.Connection[Any]) -> None:
    for query, (parameters, index) in HOT.items():
        plan = explain(seeded, query, parameters)
        assert index in json.dumps(plan), (query, indexes(plan))
        assert touched(plan) <= SNAPSHOT_BUFFERS_MAX, (query, touched(plan))


def test_a_page_of_a_list_begins_at_its_place(seeded: psycopg.Connection[Any]) -> None:
    """However far back it is, no more than the page is read."""
    place = NOW - timedelta(seconds=ROWS - 100)
    for name in ("list_snapshots", "list_rollbacks", "list_rollback_approvals"):
        plan = explain(seeded, Query("snapshots", name), {**_PAGE, "before_at": place})
        assert touched(plan) <= 150, (name, touched(plan))

"""What the server does by itself with a write, the checks of foreign keys and our triggers, reads by keys too.

Their plans are made with the first write of a session and kept while the tables grow.
"""

from __future__ import annotations

from typing import Any

import psycopg

from aureus._database.postgres.plans import LET_GO
from tests.plans.grown import grow
from tests.support.postgres import PostgresDatabase

WRITES = {
    "workflow_versions, runs, run_inputs, tasks, task_results, approvals": """
        INSERT INTO aureus.workflow_versions VALUES ('big', 'new', 'new', '{}', now());
        INSERT INTO aureus.runs (tenant_id, run_id, workflow_id, workflow_hash, status, phase, version, epoch,
            transition_id, created_at, updated_at)
        VALUES ('big', 'new', 'new', 'new', 'running', 'forward', 1, 1, 't', now(), now());
        INSERT INTO aureus.run_inputs VALUES ('big', 'new', '{}', '');
        INSERT INTO aureus.tasks (tenant_id, run_id, scope, name, occurrence, kind, status, attempt, interruptions,
            epoch, replayed, scheduled_at)
        VALUES ('big', 'new', '', 'a', 0, 'task', 'running', 1, 0, 1, false, now());
        INSERT INTO aureus.task_results VALUES ('big', 'new', '', 'a', 0, '1');
        INSERT INTO aureus.approvals (tenant_id, run_id, scope, name, occurrence, status, message, requested_by,
            requested_at)
        VALUES ('big', 'new', '', 'a', 0, 'pending', 'm', 'me', now());
        DELETE FROM aureus.runs WHERE tenant_id = 'big' AND run_id = 'new'""",
    "profiles, profile_versions": """
        INSERT INTO aureus.profiles VALUES ('big', 'new', '{}', 1, 1, 'a', 'o', now(), now());
        INSERT INTO aureus.profile_versions VALUES ('big', 'new', 1, '{}', 'a', 'o', now(), now());
        DELETE FROM aureus.profile_versions WHERE tenant_id = 'big' AND user_id = 'new';
        DELETE FROM aureus.profiles WHERE tenant_id = 'big' AND user_id = 'new'""",
    "hypotheses, hypothesis_evidence": """
        INSERT INTO aureus.hypotheses (tenant_id, hypothesis_id, agent_id, user_id, statement, initial_confidence,
            confidence, evidence_for_count, evidence_against_count, confidence_change_total, version, operation_id,
            created_at, updated_at)
        VALUES ('big', 'new', 'busy', 'often', 's', 0.5, 0.5, 0, 0, 0, 1, 'o', now(), now());
        INSERT INTO aureus.hypothesis_evidence
        VALUES ('big', 'new', 1, 'new', 'for', 't', NULL, 'busy', 0.5, 0.5, now());
        DELETE FROM aureus.hypothesis_evidence WHERE tenant_id = 'big' AND hypothesis_id = 'new';
        DELETE FROM aureus.hypotheses WHERE tenant_id = 'big' AND hypothesis_id = 'new'""",
    "memories, memory_embeddings": """
        INSERT INTO aureus.memories VALUES ('big', 0, 'new', 1, '', '', 'busy', 'often', 's', 'fact', 0.5, '',
            'english', '', '', '', '', NULL, false, 'hot', now(), NULL, NULL, NULL, NULL, '', 'o', now(), now(), '[]',
            '{}', '[]', 'text');
        INSERT INTO aureus.memory_embeddings
        VALUES ('big', 'model', 'new', 1, '\\x00112233445566778899aabbccddeeff', 1, now(), '\\x00112233');
        DELETE FROM aureus.memories WHERE tenant_id = 'big' AND memory_id = 'new'""",
    "subscriptions, subscription_members, subscription_buckets, subscription_parked": """
        INSERT INTO aureus.subscriptions VALUES ('big', 'new', NULL, NULL, NULL, true, 1, now());
        INSERT INTO aureus.subscription_members VALUES ('big', 'new', 'm', now(), now());
        INSERT INTO aureus.subscription_buckets VALUES ('big', 'new', 0, 1, 1, NULL, NULL, now());
        INSERT INTO aureus.subscription_parked VALUES ('big', 'new', 's', 0, 1, 1, 'e', false, now(), now());
        DELETE FROM aureus.subscriptions WHERE tenant_id = 'big' AND name = 'new'""",
    "snapshots, snapshot_parts": """
        INSERT INTO aureus.snapshots
        SELECT 'big', 'new', 'busy', 'often', NULL, NULL, 'c', NULL, 'r', NULL, now(), 'me', NULL, '[]', '{}', 'k', 1,
            1, sha256('x'), NULL, 1, 1, sha256('x'), sha256('x'), true;
        INSERT INTO aureus.snapshot_parts
        VALUES ('big', 'new', 1, 'session', 'w', 'k', 1, sha256('x'), sha256('x'), 'x', NULL, now());
        DELETE FROM aureus.snapshots WHERE tenant_id = 'big' AND snapshot_id = 'new'""",
    "sessions, session_states, session_messages, session_facets": """
        INSERT INTO aureus.sessions VALUES ('big', 'c', 'busy', 'new', 1, 1, 1, NULL, NULL, 'o', now(), now());
        INSERT INTO aureus.session_states VALUES ('big', 'c', 'busy', 'new', 1, '{}', '{}');
        INSERT INTO aureus.session_messages
        VALUES ('big', 'c', 'busy', 'new', 1, 1, 'user', '"x"', NULL, 1, 'new', true, now());
        INSERT INTO aureus.session_facets VALUES ('big', 'c', 'true@.odd', 'busy', 'new');
        UPDATE aureus.sessions SET generation = 2
        WHERE tenant_id = 'big' AND collection = 'c' AND agent_id = 'busy' AND session_id = 'new'""",
    "events, event_payloads, erasures, erased_entries, destroyed_keys, audit_references": """
        INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
            commitment, leaf_hash)
        VALUES ('big', 0, 0, 'new', 'new', 1, 'payloads_erased', 'me', now(), sha256('x'), sha256('x'));
        INSERT INTO aureus.event_payloads VALUES ('big', 0, sha256('x'), '["k"]', NULL);
        INSERT INTO aureus.audit_references VALUES ('big', 'run', 'r', now(), 0);
        INSERT INTO aureus.erasures VALUES ('big', 'new', 'x', now());
        INSERT INTO aureus.erased_entries VALUES ('big', 0, 'new');
        INSERT INTO aureus.destroyed_keys VALUES ('big', 'new', 'new');
        DELETE FROM aureus.event_payloads WHERE tenant_id = 'big' AND entry_no = 0""",
    "world_state_versions": """
        INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
            commitment, leaf_hash)
        VALUES ('big', 0, 0, 'new', 'new', 1, 'world_state_pruned', 'me', now(), sha256('x'), sha256('x'));
        INSERT INTO aureus.world_state_versions VALUES ('big', 'w', 'new', 1, '1', 'new', now());
        UPDATE aureus.world_state_versions SET value = NULL, erasure_record_id = 'new'
        WHERE tenant_id = 'big' AND scope = 'w' AND state_key = 'new' AND version = 1;
        DELETE FROM aureus.world_state_versions
        WHERE tenant_id = 'big' AND scope = 'w' AND state_key = 'new' AND version = 1""",
}
"""What is written at once, by the tables that are written and looked into."""

ROWS_MAX = 12
"""Rows that the server may read for one of these."""


def test_checks_and_triggers_planned_on_empty_tables_read_a_few_rows_of_grown_ones(
    postgres_database: PostgresDatabase,
) -> None:
    with (
        psycopg.connect(postgres_database.url(), autocommit=True) as owner,
        psycopg.connect(postgres_database.url(), autocommit=True) as session,
    ):
        session.execute("SET plan_cache_mode = force_generic_plan")
        for write in WRITES.values():
            rows_read(session, write)
        grow(owner)
        read = {("kept", tables): rows_read(session, write) for tables, write in WRITES.items()}
        session.execute(LET_GO)
        read |= {("anew", tables): rows_read(session, write) for tables, write in WRITES.items()}
    assert {found: rows for found, rows in read.items() if sum(rows.values()) > ROWS_MAX} == {}


def rows_read(session: psycopg.Connection[Any], write: str) -> dict[str, int]:
    """Carry a write out and undo it; return how many rows of each table were read for it."""
    with session.transaction(force_rollback=True):
        before = counted(session)
        for statement in write.split(";"):
            session.execute(statement.encode())
        after = counted(session)
    return {table: after[table] - before[table] for table in after if after[table] > before[table]}


def counted(session: psycopg.Connection[Any]) -> dict[str, int]:
    """Return how many rows of each table the transaction has read so far."""
    return dict(
        session.execute(
            "SELECT relname::text, (seq_tup_read + coalesce(idx_tup_fetch, 0))::integer"
            " FROM pg_stat_xact_user_tables WHERE schemaname = 'aureus'"
        ).fetchall()
    )


def test_every_foreign_key_is_looked_at(postgres_database: PostgresDatabase) -> None:
    with psycopg.connect(postgres_database.url()) as owner:
        rows = owner.execute(
            "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f'"
            " AND connamespace = 'aureus'::regnamespace"
        ).fetchall()
    named = {f"aureus.{table}" for tables in WRITES for table in tables.split(", ")}
    assert {table for row in rows for table in row} <= named

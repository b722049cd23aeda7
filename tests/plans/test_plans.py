"""Hot statements are served by their indexes on PostgreSQL, however much else is stored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from aureus._database.catalog import Catalog
from aureus._database.statement import Query
from aureus.clock import SystemClock
from aureus.model.memories import MemoryFilter
from aureus.model.world_state import end_of_prefix
from aureus.stores.memories.criteria import page_of
from tests.support.postgres import PostgresDatabase

ROWS = 20_000

SEED = f"""
INSERT INTO aureus.workflow_versions VALUES ('big', 'w', 'h', '{{}}', now());
INSERT INTO aureus.runs (tenant_id, run_id, workflow_id, workflow_hash, status, phase, version, epoch, transition_id,
    resume_key, created_at, updated_at)
SELECT 'big', 'r' || n, 'w', 'h', 'running', 'forward', 1, 1, 't', 'k' || n, now() - n * interval '1 s', now()
FROM generate_series(1, {ROWS}) n;
UPDATE aureus.runs SET status = 'completed' WHERE run_id NOT LIKE '%7';
INSERT INTO aureus.tasks (tenant_id, run_id, scope, name, occurrence, kind, status, attempt, interruptions, epoch,
    replayed, scheduled_at)
SELECT 'big', 'r' || n, '', 'a', 0, 'task', 'running', 1, 0, 1, false, now() FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
    commitment, leaf_hash, action)
SELECT 'big', n, n, 'e' || n, CASE WHEN n % 200 < 10 THEN 'rare' ELSE 'runs' END || '/r' || n / 10, n % 10 + 1,
    CASE WHEN n % 500 = 0 THEN 'rare' ELSE 't' END, 'me', now() - ({ROWS} - n) * interval '1 s',
    sha256('x'), sha256('x'),
    CASE WHEN n % 500 = 0 THEN 'a' END
FROM generate_series(10, {ROWS}) n;
INSERT INTO aureus.event_subjects SELECT 'big', 'u' || n % 1000, n FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.event_payloads SELECT 'big', entry_no, sha256('x'), 'x', NULL FROM aureus.events;
INSERT INTO aureus.streams
SELECT DISTINCT 'big', stream, split_part(stream, '/', 1), 10, now(), now() FROM aureus.events;
INSERT INTO aureus.profiles
SELECT 'big', 'u' || n, '{{}}', 1, 1, 'a', 'o', now(), now(), NULL FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.profile_versions
SELECT 'big', 'u' || n / 10, n % 10 + 1, '{{}}', 'a', 'o' || n, now(), now() FROM generate_series(10, {ROWS}) n;
INSERT INTO aureus.hypotheses (tenant_id, hypothesis_id, agent_id, user_id, statement, initial_confidence, confidence,
    evidence_for_count, evidence_against_count, confidence_change_total, version, operation_id, created_at, updated_at)
SELECT 'big', 'h' || n, 'a' || n % 200, 'u' || n % 200, 's', 0.5, 0.5, 0, 0, 0, 1, 'h' || n,
    now() - n * interval '1 s', now() FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.hypothesis_evidence
SELECT 'big', 'h' || n / 10 + 1, n % 10 + 1, 'e' || n, 'for', 't', NULL, 'a', 0.5, 0.5, now()
FROM generate_series(0, {ROWS} - 1) n;
INSERT INTO aureus.memories (tenant_id, memory_no, memory_id, version, namespace, memory_key, agent_id, user_id,
    session_id, type, confidence, subject, text_language, run_id, task_id, step_id, source_event_id, is_shared, tier,
    occurred_at, expires_at, superseded_by, operation_id, created_at, updated_at, tags, metadata, sources, text)
SELECT 'big', n, 'm' || n, 1, '', CASE WHEN n % 10 = 0 THEN 'k' || n ELSE '' END, 'a' || n % 7, 'u' || n % 300,
    's' || n / 50, 'fact', 0.5, 'about' || n / 10, 'english', 'r' || n / 10, 't' || n / 10, '', 'e' || n, n % 100 = 0,
    'hot', now() - n * interval '1 s', CASE WHEN n % 20 = 0 THEN now() + n * interval '1 s' END, '', 'o', now(),
    now() - interval '2 h', '["x"]', '{{}}', '[]', repeat('text ', 30)
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.memory_versions SELECT m.*, now() - interval '1 h', now() FROM aureus.memories AS m;
UPDATE aureus.memories SET superseded_by = 'm1' WHERE memory_no % 50 = 7;
INSERT INTO aureus.memory_tags SELECT 'big', 't' || n % 500, 'm' || n FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.session_collections VALUES ('big', 'c', true, '', '', now());
INSERT INTO aureus.sessions (tenant_id, collection, agent_id, session_id, version, generation, message_count,
    expires_at, operation_id, created_at, updated_at, deleted_at)
SELECT 'big', 'c', 'a' || n % 40, 's' || n, 1, 1, 0,
    CASE WHEN n % 400 = 3 THEN timestamptz '2026-01-01' WHEN n % 100 = 5 THEN timestamptz '1970-01-01' END, 'o', now(),
    timestamptz '2025-01-01' + n * interval '1 s', CASE WHEN n % 100 = 5 THEN timestamptz '2025-06-01' END
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.session_states SELECT 'big', 'c', 'a' || n % 40, 's' || n, 1,
    json_build_object('n', n, 'odd', n % 2 = 1), '{{}}' FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.session_facets SELECT 'big', 'c', l, agent_id, session_id
FROM aureus.session_states, aureus.state_facets(state::jsonb) l;
INSERT INTO aureus.sessions (tenant_id, collection, agent_id, session_id, version, generation, message_count,
    operation_id, created_at, updated_at) VALUES ('big', 'c', 'long', 'l', 1, 1, {ROWS}, 'o', now(), now());
INSERT INTO aureus.session_messages SELECT 'big', 'c', 'long', 'l', 1, n, 'user', '"x"', NULL, 1, 'o' || n, true, now()
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.world_state SELECT 'big', 'w', 'k' || n, 2, '1', false, 'o', now(), now()
FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.world_state_versions SELECT 'big', 'w', state_key, v, '1', 'o' || v, now()
FROM aureus.world_state, generate_series(1, 2) v;
INSERT INTO aureus.text_index_segments
SELECT 'big', 'memories', n, 'live', (n - 1) * 4000, 4000, 4000, 0, 40000, 0, '[]', '' FROM generate_series(1, 5) n;
INSERT INTO aureus.text_index_documents
SELECT 'big', 'memories', n - 1, 'm' || n, 10, '{{"w": 1}}' FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.text_index_postings
SELECT 'big', 'memories', n % 5 + 1, 'w' || n, 1, sha256('x'), int4send(n) FROM generate_series(1, {ROWS}) n;
INSERT INTO aureus.text_index_pending
SELECT 'big', 'memories', 'm' || n, 10, '{{"w": 1}}' FROM generate_series(1, 20) n;
"""

LATEST = {"before_at": datetime.max.replace(tzinfo=UTC), "before_id": "", "limit": 20}

RECENTLY = datetime.now(UTC) - timedelta(seconds=60)  # noqa: TID251 - the seed is laid out from now, too
NOW = SystemClock().now()

PAGE = {
    **page_of(MemoryFilter(), None, newest_first=True),
    "now": NOW,
    "limit": 20,
}
_THEN = {
    **PAGE,
    "recorded_at": NOW - timedelta(minutes=30),
    "with_superseded": True,
}
_WHO = {"agent_id": "a3", "user_id": "u17"}

SESSION = {"collection": "c", "agent_id": "a17"}

LONG = {"collection": "c", "agent_id": "long", "session_id": "l"}

HOT: dict[Query, tuple[dict[str, Any], str]] = {
    Query("runs", "get_run"): ({"run_id": "r17"}, "runs_pkey"),
    Query("runs", "get_unfinished_run"): ({"resume_key": "k17"}, "runs_unfinished"),
    Query("runs", "list_runs"): (LATEST, "runs_newest"),
    Query("runs", "list_runs_of_workflow"): (
        {**LATEST, "workflow_id": "w", "status": None},
        "runs_workflow",
    ),
    Query("runs", "list_runs_in_status"): ({**LATEST, "status": "running"}, "runs_status"),
    Query("tasks", "list_tasks"): ({"run_id": "r17"}, "tasks_pkey"),
    Query("events", "read_stream"): (
        {"stream": "runs/r17", "after_version": 3, "to_version": 2**62, "limit": 100},
        "events_tenant_id_stream_version_key",
    ),
    Query("events", "list_streams"): (
        {"first_stream": "runs/", "end_stream": "runs0", "after_stream": "runs/r17", "limit": 20},
        "streams_pkey",
    ),
    Query("events", "get_event"): ({"event_id": "e17"}, "events_tenant_id_event_id_key"),
    Query("erasures", "list_subject_entries"): (
        {"subject": "u17", "after_no": 0, "limit": 500},
        "event_subjects_pkey",
    ),
    Query("erasures", "list_stream_entries"): (
        {"stream": "runs/r17", "after_version": 0, "limit": 500},
        "events_tenant_id_stream_version_key",
    ),
    Query("hypotheses", "list_subject_hypotheses"): (
        {"user_id": "u17", "after_id": "", "limit": 250},
        "hypotheses_of_user",
    ),
    Query("events", "find_first_since"): ({"since": RECENTLY}, "events_time"),
    Query("events", "list_new_entries"): (
        {
            "settled_no": ROWS - 30,
            "seen": [ROWS],
            "stream": None,
            "type": None,
            "category": None,
            "limit": 50,
        },
        "events_pkey",
    ),
    Query("memories", "get_memory"): ({"memory_id": "m17"}, "memories_pkey"),
    Query("memories", "get_keyed_memory"): (
        {"agent_id": "a4", "user_id": "u60", "namespace": "", "key": "k60"},
        "memories_key",
    ),
    Query("memories", "list_namespaces"): (
        {
            "agent_id": "a4",
            "user_id": "u60",
            "first_namespace": "",
            "end_namespace": end_of_prefix(""),
            "limit": 20,
            "now": NOW,
        },
        "memories_key",
    ),
    Query("memories", "list_newest_memories"): (PAGE, "memories_newest"),
    Query("memories", "list_oldest_agent_memories"): (
        {
            **PAGE,
            **page_of(MemoryFilter(agent_id="a3"), None, newest_first=False),
        },
        "memories_agent",
    ),
    Query("memories", "list_newest_user_memories"): ({**PAGE, **_WHO}, "memories_user"),
    Query("memories", "list_newest_shared_memories"): (
        {**PAGE, "agent_id": "a3"},
        "memories_shared",
    ),
    Query("memories", "list_newest_chosen_memories"): (
        {**PAGE, "memory_ids": ["m1", "m2"]},
        "memories_pkey",
    ),
    Query("memories", "list_found_memories"): (
        {**PAGE, "memory_ids": ["m17", "m18"]},
        "memories_pkey",
    ),
    Query("memories", "list_neighbours"): (
        {"hits": '[["m99", "a1", "u99", "s1", 99]]', "count": 2, "now": NOW},
        "memories_session",
    ),
    Query("text_index", "find_postings"): (
        {"space": "memories", "terms": ["w17", "w18"], "inline_max": 10},
        "text_index_postings_pkey",
    ),
    Query("text_index", "get_postings"): (
        {"space": "memories", "wanted": '[[3, "w17"], [4, "w18"]]'},
        "text_index_postings_pkey",
    ),
    Query("text_index", "list_documents"): (
        {"space": "memories", "document_nos": [17, 18], "with_terms": True},
        "text_index_documents_pkey",
    ),
    Query("text_index", "list_numbers"): (
        {"space": "memories", "target_ids": ["m17", "m18"]},
        "text_index_documents_tenant_id_target_id_space_key",
    ),
    Query("text_index", "list_pending"): (
        {"space": "memories", "limit": 20},
        "text_index_documents_tenant_id_target_id_space_key",
    ),
    Query("text_index", "drop_documents"): (
        {"space": "memories", "target_ids": ["m17", "m18"]},
        "text_index_documents_tenant_id_target_id_space_key",
    ),
    Query("memories", "count_user_memories"): ({**PAGE, **_WHO}, "memories_user"),
    Query("memories", "find_tagged"): ({"tags": ["t17"], "limit": 2001}, "memory_tags_pkey"),
    Query("memories", "find_by_source_event"): (
        {"value": "e17", "limit": 9},
        "memories_source_event",
    ),
    Query("memories", "find_by_task"): ({"value": "t17", "limit": 9}, "memories_task"),
    Query("memories", "find_by_session"): ({"value": "s17", "limit": 99}, "memories_session"),
    Query("memories", "find_by_subject"): ({"value": "about17", "limit": 99}, "memories_subject"),
    Query("memories", "list_session_before"): (
        {
            **PAGE,
            "agent_id": "a3",
            "user_id": "u17",
            "session_id": "s6",
            "type": None,
            "before_no": 310,
        },
        "memories_session",
    ),
    Query("memories", "get_max_version"): (
        {"agent_id": "a4", "user_id": "u60", "namespace": "", "key": "k60"},
        "memories_key_versions",
    ),
    Query("memories", "lock_expired_memories"): (
        {"now": NOW, "limit": 20},
        "memories_expiring",
    ),
    Query("memories", "list_due_memories"): (
        {**PAGE, "tier": "warm", "created_until": NOW, "access_count": 10},
        "memories_tier",
    ),
    Query("memories", "get_state"): (
        {"memory_id": "m17", "recorded_at": NOW},
        "memory_versions_pkey",
    ),
    Query("memories", "list_newest_states"): (_THEN, "memory_versions_newest"),
    Query("memories", "list_oldest_states"): (
        {**_THEN, **page_of(MemoryFilter(), None, newest_first=False)},
        "memories_superseded",
    ),
    Query("memories", "list_newest_agent_states"): (
        {**_THEN, "agent_id": "a3"},
        "memory_versions_agent",
    ),
    Query("memories", "list_oldest_agent_states"): (
        {**_THEN, **page_of(MemoryFilter(agent_id="a3"), None, newest_first=False)},
        "memories_superseded_agent",
    ),
    Query("leases", "list_notices"): ({"lease_id": "mine"}, "runs_leased"),
    Query("profiles", "get_profile"): ({"user_id": "u17"}, "profiles_pkey"),
    Query("profiles", "list_profiles"): ({"after": "u17", "limit": 20}, "profiles_pkey"),
    Query("profiles", "list_profile_versions"): (
        {"user_id": "u17", "before": 5, "limit": 20},
        "profile_versions_pkey",
    ),
    Query("hypotheses", "list_hypotheses"): ({**LATEST, "status": ""}, "hypotheses_newest"),
    Query("hypotheses", "list_hypotheses_of_agent"): (
        {**LATEST, "agent_id": "a17", "status": "active"},
        "hypotheses_of_agent",
    ),
    Query("hypotheses", "list_hypotheses_of_user"): (
        {**LATEST, "user_id": "u17", "agent_id": "", "status": ""},
        "hypotheses_of_user",
    ),
    Query("hypotheses", "list_hypothesis_evidence"): (
        {"hypothesis_id": "h17", "side": "", "after": 3, "limit": 20},
        "hypothesis_evidence_pkey",
    ),
    Query("hypotheses", "get_hypothesis_statistics"): (
        {"agent_id": "a17", "user_id": ""},
        "hypotheses_of_agent",
    ),
    Query("sessions", "load_session"): (
        {**SESSION, "session_id": "s17", "now": NOW},
        "sessions_pkey",
    ),
    Query("sessions", "list_sessions"): (
        {**SESSION, "now": NOW, "before_at": NOW, "before_id": "", "limit": 20},
        "sessions_newest",
    ),
    Query("sessions", "read_messages"): (
        {**LONG, "now": NOW, "after_position": 9_000, "before_position": 10**9, "limit": 20},
        "session_messages_pkey",
    ),
    Query("sessions", "read_last_messages"): (
        {**LONG, "now": NOW, "after_position": 0, "before_position": 10**9, "limit": 20},
        "session_messages_pkey",
    ),
    Query("sessions", "append_messages"): (
        {
            **LONG, "now": NOW, "count": 1, "expected_version": None, "operation_id": "new",
            "roles": ["user"], "contents": ['"hi"'], "metadatas": [None], "mark": "m",
        },
        "session_messages_appended",
    ),
    Query("sessions", "save_session"): (
        {
            **SESSION, "session_id": "s17", "now": NOW, "state": '{"n":17}', "context": None, "mark": "m",
            "sets_expiry": False, "ttl_ms": None, "expires_at": None, "expected_version": 1, "operation_id": "new",
        },
        "session_facets_session",
    ),
    Query("sessions", "find_states"): (
        {
            "collection": "c", "wanted": '{"n":17,"odd":true}', "through_agent_id": "\U0010ffff", "after_agent_id": "",
            "after_session_id": "", "now": NOW, "limit": 20,
        },
        "session_facets_pkey",
    ),
    Query("sessions", "sweep_sessions"): (
        {"operation_id": "new", "gone_at": NOW, "now": NOW, "limit": 5, "mark": "m"},
        "sessions_expiring",
    ),
    Query("sessions", "prune_sessions"): ({"before_at": NOW, "limit": 5}, "sessions_deleted"),
    Query("world_state", "get_world_state"): ({"scope": "w", "key": "k17"}, "world_state_pkey"),
    Query("world_state", "list_world_state"): (
        {"scope": "w", "after_key": "", "first_key": "k17", "end_key": "k18", "limit": 20},
        "world_state_pkey",
    ),
    Query("world_state", "list_world_state_keys"): (
        {"scope": "w", "after_key": "", "first_key": "k17", "end_key": "k18", "limit": 20},
        "world_state_pkey",
    ),
    Query("world_state", "set_world_state"): (
        {
            "scope": "w", "key": "k17", "value": "1", "expected_version": 2, "operation_id": "new", "now": NOW,
            "mark": "m",
        },
        "world_state_versions_operation",
    ),
    Query("world_state", "increment_world_state"): (
        {"scope": "w", "key": "k17", "amount": 1, "operation_id": "newer", "now": NOW, "mark": "m"},
        "world_state_versions_operation",
    ),
    Query("world_state", "list_versions_of_keys"): (
        {"scope": "w", "keys": ["k17", "k18"]},
        "world_state_pkey",
    ),
}  # fmt: skip

LISTS: list[tuple[dict[str, Any], str]] = [
    ({"path": "newest of all"}, "events_pkey"),
    ({"path": "newest of stream", "stream": "runs/r17"}, "events_tenant_id_stream_version_key"),
    ({"path": "newest of type", "type": "rare"}, "events_type"),
    ({"path": "newest of category", "category": "rare"}, "events_category"),
    ({"path": "oldest of all"}, "events_pkey"),
    ({"path": "oldest of stream", "stream": "runs/r17"}, "events_tenant_id_stream_version_key"),
    ({"path": "oldest of type", "type": "t"}, "events_type"),
    ({"path": "oldest of category", "category": "runs"}, "events_category"),
]
"""Lists of events, and the index that each takes of the four that the statement has branches for."""

BUFFERS_MAX = 250
"""Pages of 8 KB that one of these may touch; reading the table of runs alone takes more."""


@pytest.fixture
def seeded(postgres_database: PostgresDatabase) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection under the application's role to a database with many rows of one tenant."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        for statement in SEED.split(";"):
            connection.execute(statement.encode())
        connection.execute("VACUUM ANALYZE")
        connection.execute("SET ROLE aureus_app")
        connection.execute("SELECT set_config('aureus.tenant', 'big', false)")
        yield connection


def explain(
    connection: psycopg.Connection[Any], query: Query, parameters: dict[str, Any]
) -> dict[str, Any]:
    """Carry a statement out and return how that was done, planned for these parameters."""
    compiled = Catalog("postgres").compiled(query)
    values = [{**parameters, "tenant_id": "big"}[name] for name in compiled.parameters[0]]
    text = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {compiled.texts[0]}"
    row = psycopg.RawCursor(connection).execute(text.encode(), values).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def test_hot_statements_use_their_indexes_on_postgres(seeded: psycopg.Connection[Any]) -> None:
    for query, (parameters, index) in HOT.items():
        plan = explain(seeded, query, parameters)
        assert index in json.dumps(plan), (query, indexes(plan))
        assert touched(plan) <= BUFFERS_MAX, (query, touched(plan))


def test_a_list_of_events_takes_the_index_of_its_branch_on_postgres(
    seeded: psycopg.Connection[Any],
) -> None:
    """In the plan that a long-lived session keeps for all parameters, for a rare type as for a common one."""
    seeded.execute("SET plan_cache_mode = force_generic_plan")
    for name in ("scan_events", "read_stream", "read_stream_backwards"):
        text = Catalog("postgres").compiled(Query("events", name)).texts[0]
        seeded.execute(f"PREPARE {name} AS {text}".encode())
    for given, index in LISTS:
        cursor = 0 if given["path"].startswith("oldest") else 2**62
        parameters = {"cursor": cursor, "scan": 20, "limit": 20, **given}
        plan = execute(seeded, "scan_events", parameters)
        used = [name for name, loops in scans(plan) if loops and "payloads" not in name]
        assert index in used, (given, used)
        assert "Sort" not in nodes(plan, "Append"), given
        assert touched(plan) <= BUFFERS_MAX, (given, touched(plan))
    for name in ("read_stream", "read_stream_backwards"):
        parameters = {"stream": "runs/r17", "after_version": 0, "to_version": 2**62, "limit": 20}
        plan = execute(seeded, name, parameters)
        assert "events_tenant_id_stream_version_key" in [found for found, _ in scans(plan)]
        assert touched(plan) <= BUFFERS_MAX


def execute(
    connection: psycopg.Connection[Any], name: str, parameters: dict[str, Any], noun: str = "events"
) -> dict[str, Any]:
    """Carry a prepared statement out, with NULL for what is not given, and return how that was done."""
    names = Catalog("postgres").compiled(Query(noun, name)).parameters[0]
    values = [{**parameters, "tenant_id": "big"}.get(parameter) for parameter in names]
    places = ", ".join(["%s"] * len(values))
    row = (
        psycopg.ClientCursor(connection)
        .execute(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE {name} ({places})".encode(), values
        )
        .fetchone()
    )
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def nodes(plan: dict[str, Any], below: str, *, is_below: bool = False) -> list[str]:
    """Return the kinds of the nodes of a plan that lie below one of a kind."""
    here = [plan["Node Type"]] if is_below else []
    is_below = is_below or plan["Node Type"] == below
    children = plan.get("Plans", [])
    return here + [kind for child in children for kind in nodes(child, below, is_below=is_below)]


def test_events_are_found_by_their_identifiers_before_the_planner_has_seen_any(
    postgres_database: PostgresDatabase,
) -> None:
    """Of two indexes that begin with the tenant it takes any then, and keeps to it while the table grows."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        connection.execute("SET ROLE aureus_app")
        connection.execute("SELECT set_config('aureus.tenant', 'new', false)")
        for name in ("append_expecting", "get_event"):
            compiled = Catalog("postgres").compiled(Query("events", name))
            connection.execute(f"PREPARE {name} AS {compiled.texts[0]}".encode())
            nothing = ", ".join(["NULL"] * len(compiled.parameters[0]))
            row = connection.execute(
                f"EXPLAIN (FORMAT JSON) EXECUTE {name} ({nothing})".encode()
            ).fetchone()
            assert row is not None
            used = [found for found, _ in scans(row[0][0]["Plan"]) if found.startswith("events_")]
            assert used == ["events_tenant_id_event_id_key"], (name, used)


def touched(plan: dict[str, Any]) -> int:
    """Return how many pages were read."""
    pages: int = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return pages


def scans(plan: dict[str, Any]) -> list[tuple[str, int]]:
    """Return the indexes of a plan, each with how often it was really gone into, if the plan was carried out."""
    name = plan.get("Index Name")
    here = [(name, plan.get("Actual Loops", 0))] if name else []
    return here + [found for child in plan.get("Plans", []) for found in scans(child)]


def indexes(plan: dict[str, Any]) -> list[str]:
    """Return the nodes of a plan with the index or table of each."""
    here = f"{plan['Node Type']} {plan.get('Index Name') or plan.get('Relation Name') or ''}"
    return [here, *(name for child in plan.get("Plans", []) for name in indexes(child))]

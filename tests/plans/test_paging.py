"""A page of a list costs a page on PostgreSQL, the first one and one far back, before the first ANALYZE and after it.

With the plan that is made for the parameters and with the one that is kept for all of them: a planner that knows
nothing of a table, or nothing of the parameters, believes that a page needs all rows of a tenant, gathered and sorted.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg

from aureus._database.catalog import Catalog
from aureus._database.statement import Query
from tests.plans.test_plans import LATEST, NOW, ROWS, SEED, execute, indexes, touched
from tests.plans.test_snapshot_plans import ROWS as SNAPSHOTS
from tests.plans.test_snapshot_plans import SEED as SNAPSHOT_SEED
from tests.support.postgres import PostgresDatabase

LIMIT = 20

BUFFERS_MAX = 900
"""Pages of 8 KB for 20 rows, each with up to seven others that are looked up by their keys; a tenant has thousands."""

COUNTED_MAX = 30_000
"""Pages for ``find_states``: before the first ANALYZE frequencies of a small table are counted by the other index."""

FAR_BACK = {"before_at": NOW - timedelta(seconds=ROWS - 500), "before_id": "x", "limit": LIMIT}

_SNAPSHOTS: dict[str, Any] = {
    **LATEST,
    "since": datetime.min.replace(tzinfo=UTC),
    **dict.fromkeys(
        ("task_id", "world_scope", "tag", "agent_id", "run_id", "snapshot_id", "status")
    ),
    "verified_only": False,
}
_OLD_SNAPSHOTS = {**_SNAPSHOTS, "before_at": NOW - timedelta(seconds=SNAPSHOTS - 500)}
_STATES: dict[str, Any] = {
    "collection": "c", "now": NOW, "after_agent_id": "", "after_session_id": "", "through_agent_id": chr(0x10FFFF),
    "limit": LIMIT,
}  # fmt: skip
_FAR_STATES = {**_STATES, "after_agent_id": "a25", "after_session_id": "s5"}
_AGENT = {**_STATES, "agent_id": "a17"}
_EVENTS: dict[str, Any] = {"scan": LIMIT, "limit": LIMIT}
_PRUNING = {
    "scope": "w", "keep_newest": 1, "before_at": datetime.max.replace(tzinfo=UTC), "after_version": 0, "limit": LIMIT,
}  # fmt: skip

PAGES: list[tuple[str, str, dict[str, Any]]] = [
    ("runs", "list_runs", LATEST),
    ("runs", "list_runs", FAR_BACK),
    ("runs", "list_runs_of_workflow", {**LATEST, "workflow_id": "w"}),
    ("runs", "list_runs_of_workflow", {**FAR_BACK, "workflow_id": "w", "status": "completed"}),
    ("runs", "list_runs_of_workflow", {**LATEST, "workflow_id": "none"}),
    ("runs", "list_runs_in_status", {**LATEST, "status": "completed"}),
    ("runs", "list_runs_in_status", {**FAR_BACK, "status": "completed"}),
    ("runs", "list_runs_in_status", {**LATEST, "status": "failed"}),
    ("profiles", "list_profiles", {"after": "", "limit": LIMIT}),
    ("profiles", "list_profiles", {"after": "u5", "limit": LIMIT}),
    ("hypotheses", "list_hypotheses", {**LATEST, "status": ""}),
    ("hypotheses", "list_hypotheses", {**FAR_BACK, "status": "active"}),
    ("hypotheses", "list_hypotheses_of_agent", {**FAR_BACK, "agent_id": "a17", "status": ""}),
    ("hypotheses", "list_hypotheses_of_user", {**LATEST, "user_id": "u17", "agent_id": "a17", "status": "active"}),
    ("snapshots", "list_snapshots", _SNAPSHOTS),
    ("snapshots", "list_snapshots", {**_OLD_SNAPSHOTS, "task_id": "t", "tag": "x"}),
    ("snapshots", "list_agent_snapshots", {**_OLD_SNAPSHOTS, "agent_id": "a17"}),
    ("snapshots", "list_memory_snapshots", {**_SNAPSHOTS, "memory_id": "m17-5"}),
    ("snapshots", "list_rollbacks", _SNAPSHOTS),
    ("snapshots", "list_rollbacks", _OLD_SNAPSHOTS),
    ("snapshots", "list_rollback_approvals", {**_OLD_SNAPSHOTS, "status": "pending"}),
    ("sessions", "list_states", _STATES),
    ("sessions", "list_states", _FAR_STATES),
    ("sessions", "list_documents", _AGENT),
    ("sessions", "list_documents", {**_AGENT, "after_session_id": "s5"}),
    ("sessions", "find_states", {**_STATES, "wanted": '{"n":17,"odd":true}'}),
    ("sessions", "find_states", {**_FAR_STATES, "wanted": '{"odd":true}'}),
    ("sessions", "find_states", {
        **_STATES, "wanted": '{"n":17}', "after_agent_id": "a16", "through_agent_id": "a16",
    }),
    ("world_state", "list_prunable_versions", {**_PRUNING, "after_key": ""}),
    ("world_state", "list_prunable_versions", {**_PRUNING, "after_key": "k5"}),
    ("memory_embeddings", "list_unembedded", {"model": "m", "after_id": "m5", "limit": LIMIT, "now": NOW}),
    ("events", "scan_events", {**_EVENTS, "path": "oldest of type", "type": "t", "cursor": 0}),
    ("events", "scan_events", {**_EVENTS, "path": "newest of category", "category": "runs", "cursor": 2**62}),
]  # fmt: skip


def test_a_page_of_a_list_costs_a_page_on_postgres(postgres_database: PostgresDatabase) -> None:
    with psycopg.connect(postgres_database.url(), autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        for statement in (*SEED.split(";"), *_snapshots()):
            owner.execute(statement.encode())
        expensive = [("young", *found) for found in _expensive(postgres_database, COUNTED_MAX)]
        owner.execute("VACUUM ANALYZE")
        expensive += [("analysed", *found) for found in _expensive(postgres_database, BUFFERS_MAX)]
    assert expensive == []


def _snapshots() -> list[str]:
    """Return those statements of the other seed whose tables this one leaves empty."""
    tables = (
        "aureus.snapshots",
        "aureus.snapshot_parts",
        "aureus.rollbacks",
        "aureus.rollback_approvals",
    )
    return [one for one in SNAPSHOT_SEED.split(";") if one.split()[2] in tables]


def _expensive(database: PostgresDatabase, counted_max: int) -> list[tuple[Any, ...]]:
    """Return the pages that touch more than they may, under both kinds of plan."""
    found: list[tuple[Any, ...]] = []
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute("SET ROLE aureus_app")
        connection.execute("SELECT set_config('aureus.tenant', 'big', false)")
        for noun, name in {(noun, name) for noun, name, _ in PAGES}:
            text = Catalog("postgres").compiled(Query(noun, name)).texts[0]
            connection.execute(f"PREPARE {name} AS {text}".encode())
        for mode in ("force_generic_plan", "force_custom_plan"):
            connection.execute(f"SET plan_cache_mode = {mode}".encode())
            for noun, name, parameters in PAGES:
                plan = execute(connection, name, parameters, noun)
                if touched(plan) > (counted_max if name == "find_states" else BUFFERS_MAX):
                    found.append((mode, name, parameters, touched(plan), indexes(plan)))
    return found

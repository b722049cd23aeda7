"""The plan that a session keeps of every statement of the catalogue: each look takes the index that knows most.

Asked for under the role and the policies of production, in a database that was just made, in one that has grown without
statistics, and in one that was analysed.
"""

from __future__ import annotations

from typing import Any

import psycopg

from aureus._database.catalog import Catalog, texts
from aureus._database.postgres.plans import LET_GO
from aureus._database.statement import Query
from tests.plans.grown import GROWN, STAYS_SMALL, grow
from tests.plans.reading import Index, Look, indexes, looks, shorter
from tests.support.postgres import PostgresDatabase

MEANT = {
    "anchors.list_unanchored ledger_heads": "looks at the head of every tenant",
    "anchors.list_unanchored anchors": "compares all heads with all anchors",
    "audit.scan_audit_entries audit_references": "an entry refers to a handful of things",
    "ledger_checks.get_incarnation_and_restore event_payloads": "once for each verification",
    "ledger_checks.get_mode_and_change event_payloads": "once for each verification",
    "ledger_checks.get_totals events": "counts every event anyway, for a verification",
    "ledger_checks.get_totals ledger_pending": "counts all that is pending",
    "ledger_checks.list_lost_streams streams": "asks for every stream, for a verification",
    "ledger_checks.list_wrong_references events": "asks for every reference, for a verification",
    "leases.prune_leases runs": "compares all leases with all unfinished runs, now and then",
    "memories.erase_memory_versions memory_versions": "goes through the versions of memories of which some go",
    "memories.list_subject_versions memories": "goes through all memories, for an erasure",
    "memory_embeddings.confirm_embeddings memory_embeddings": "a memory has one vector of each model",
    "memory_embeddings.delete_embeddings memory_embeddings": "a memory has one vector of each model",
    "memory_embeddings.get_embeddings memory_embeddings": "a memory has one vector of each model",
    "memory_embeddings.list_unembedded memory_embeddings": "goes through all memories beside their vectors, in order",
    "proofs.list_records erased_entries": "asks for every entry of a page, for a verification",
    "proofs.read_page event_payloads": "reads whole pages of the ledger, for a verification",
    "proofs.read_page events": "reads whole pages of the ledger, for a verification",
    "runs.advance_run tasks": "a name has a handful of occurrences in its scope",
    "sessions.delete_sessions_of_agent sessions": "deletes all of an agent's",
    "sessions.prune_sessions sessions": "a plan of an empty table, for a batch beside the callers",
    "sessions.rewrite_sessions session_facets": "goes back to a snapshot of all of an agent's sessions",
    "sessions.sweep_sessions sessions": "a plan of an empty table, for a batch beside the callers",
    "snapshots.erase_captured_session snapshot_parts": "a name has a handful of parts, for an erasure",
    "snapshots.erase_captured_session snapshots": "a plan of an empty table, for an erasure",
    "snapshots.is_session_captured snapshot_parts": "a name has a handful of parts, for an erasure",
    "snapshots.is_session_captured snapshots": "a plan of an empty table, for an erasure",
    "snapshots.list_memory_snapshots snapshots": "a plan of an empty table, for a list that people ask for",
    "subscriptions.advance_buckets subscription_buckets": "a group has some dozens of buckets",
    "subscriptions.release_buckets subscription_buckets": "a group has some dozens of buckets",
    "tasks.list_tasks task_results": "reads all of a run",
    "text_index.count_dead text_index_segments": "an index has some dozens of segments",
    "text_index.finish_merge text_index_segments": "an index has some dozens of segments",
}
"""Looks that are meant as they are, by statement and table, each with its reason."""


def test_every_kept_plan_takes_the_index_that_knows_most(
    postgres_database: PostgresDatabase,
) -> None:
    with (
        psycopg.connect(postgres_database.url(), autocommit=True) as owner,
        psycopg.connect(postgres_database.url(), autocommit=True) as session,
    ):
        known = indexes(owner)
        session.execute("SET ROLE aureus_app")
        session.execute("SELECT set_config('aureus.tenant', 'big', false)")
        session.execute("SET plan_cache_mode = force_generic_plan")
        for query in texts("postgres"):
            text = Catalog("postgres").compiled(query).texts[0]
            session.execute(f"PREPARE {query.noun}__{query.name} AS {text}".encode())
        found = wrong_looks(session, known)
        grow(owner)
        session.execute(LET_GO)
        found += wrong_looks(session, known)
        owner.execute("ANALYZE")
        found += wrong_looks(session, known)
    assert [wrong for wrong in found if wrong[0] not in MEANT] == []
    assert {name for name, _, _ in found} == set(MEANT)


def wrong_looks(
    session: psycopg.Connection[Any], known: dict[str, Index]
) -> list[tuple[str, Look, list[str]]]:
    """Return the looks into growing tables that read all of one, or enter an index with less than an index could be."""
    found = []
    for query in texts("postgres"):
        for look in looks(kept_plan(session, query)):
            better = shorter(look, known)
            if look.table not in STAYS_SMALL and (look.index is None or better):
                found.append((f"{query.noun}.{query.name} {look.table}", look, better))
    return found


def kept_plan(session: psycopg.Connection[Any], query: Query) -> dict[str, Any]:
    """Return the plan of a prepared statement for whatever parameters it will be given."""
    count = len(Catalog("postgres").compiled(query).parameters[0])
    given = f" ({', '.join(['NULL'] * count)})" if count else ""
    text = f"EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {query.noun}__{query.name}{given}"
    row = session.execute(text.encode()).fetchone()
    assert row is not None
    plan: dict[str, Any] = row[0][0]["Plan"]
    return plan


def test_every_table_grows_in_these_tests_or_says_why_not(
    postgres_database: PostgresDatabase,
) -> None:
    with psycopg.connect(postgres_database.url()) as owner:
        tables = {
            row[0]
            for row in owner.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'aureus'")
        }
    assert GROWN | STAYS_SMALL.keys() == tables

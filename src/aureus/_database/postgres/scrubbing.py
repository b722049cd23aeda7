"""Writes PostgreSQL's tables anew without what was deleted.

VACUUM alone makes room and leaves the bytes in the gaps of pages until something else is written there; VACUUM FULL
copies what there is into new files, and a checkpoint removes the old ones. Statistics hold samples of values, and those
of a table that became empty stay for ever, so they are deleted first and their own table is written anew as well. The
write-ahead log is not reached: its segments are used again as they are.
"""

from __future__ import annotations

import psycopg
from psycopg import sql as composed

from aureus._database.postgres.opening import options_of
from aureus.config import DatabaseSettings, PostgresUrl
from aureus.model.erasures import Scrub

TABLES = (
    "memories", "memory_versions", "memory_tags", "memory_accesses", "memory_embeddings", "memory_vectors",
    "text_index_pending", "text_index_documents", "text_index_segments", "text_index_postings", "profiles",
    "profile_versions", "hypotheses", "hypothesis_evidence", "sessions", "session_states", "session_messages",
    "session_facets", "world_state", "world_state_versions", "runs", "run_inputs", "tasks", "task_results",
    "approvals", "idempotency_keys", "snapshots", "snapshot_parts", "event_payloads", "event_subjects",
)  # fmt: skip
"""The tables from which an erasure deletes; memory_vectors is there where pgvector is."""

LOCK_TIMEOUT = "10s"
"""How long it waits for each table: whoever comes after it waits as long."""

_WAL = "recycled write-ahead log, archives, backups and the logs of replicas hold old bytes until they are overwritten"

_STATISTICS = composed.SQL("VACUUM (FULL) pg_catalog.pg_statistic")

Statement = composed.SQL | composed.Composed


def scrub(settings: DatabaseSettings, url: PostgresUrl, wanted: bool) -> Scrub:
    """Rewrite the tables one after another, where it is wanted, each locked meanwhile.

    What is not wanted, what others hold and what this user may not do is said in SQL.
    """
    direct = settings.direct_url if isinstance(settings.direct_url, PostgresUrl) else url
    try:
        with psycopg.connect(
            options_of(settings, direct).connection_string(),
            autocommit=True,
            prepare_threshold=None,
        ) as connection:
            there = _tables(connection, settings.schema)
            statements = _statements(settings.schema, there)
            if wanted:
                connection.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_TIMEOUT,))
                connection.execute("SELECT set_config('statement_timeout', '0', false)")
                statements = [one for one in statements if not _done(connection, one)]
    except psycopg.Error as error:
        return Scrub(
            is_done=False, to_do=(f"the tables were not rewritten ({error}); erase again", _WAL)
        )
    if len(statements) > 1 and _STATISTICS not in statements:
        statements.insert(-1, _STATISTICS)  # whatever is done later leaves old samples there
    return Scrub(
        is_done=not statements, to_do=(*(f"{one.as_string(None)};" for one in statements), _WAL)
    )


def _tables(connection: psycopg.Connection[tuple[object, ...]], schema: str) -> list[str]:
    """Return which of the tables there are."""
    rows = connection.execute(
        "SELECT t.tablename FROM pg_tables AS t WHERE t.schemaname = %s AND t.tablename = ANY (%s)",
        (schema, list(TABLES)),
    ).fetchall()
    present = {row[0] for row in rows}
    return [table for table in TABLES if table in present]


def _statements(schema: str, tables: list[str]) -> list[Statement]:
    forget = composed.SQL(
        "DELETE FROM pg_catalog.pg_statistic AS s USING pg_catalog.pg_class AS c, pg_catalog.pg_namespace AS n "
        "WHERE c.oid = s.starelid AND n.oid = c.relnamespace AND n.nspname = {} AND c.relname IN ({})"
    ).format(composed.Literal(schema), composed.SQL(", ").join(map(composed.Literal, tables)))
    rewritten = [
        composed.SQL("VACUUM (FULL, ANALYZE) {}.{}").format(
            composed.Identifier(schema), composed.Identifier(table)
        )
        for table in tables
    ]
    return [forget, *rewritten, _STATISTICS, composed.SQL("CHECKPOINT")]


def _done(connection: psycopg.Connection[tuple[object, ...]], statement: Statement) -> bool:
    """Carry out a statement; return whether it could be. PostgreSQL skips what one may not vacuum, and only warns."""
    warnings: list[str] = []

    def take(notice: psycopg.errors.Diagnostic) -> None:
        warnings.append(notice.severity or "")

    connection.add_notice_handler(take)
    try:
        connection.execute(statement)
    except psycopg.Error:
        return False
    finally:
        connection.remove_notice_handler(take)
    return "WARNING" not in warnings

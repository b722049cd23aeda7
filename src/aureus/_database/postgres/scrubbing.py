"""Writes PostgreSQL's tables anew without what was deleted.

VACUUM alone makes room and leaves the bytes in the gaps of pages until something else is written there; VACUUM FULL
copies what there is into new files, and a checkpoint removes the old ones. Statistics hold samples of values, so that
they are made anew and their own table too. The write-ahead log is not reached: its segments are used again as they are.
"""

from __future__ import annotations

import psycopg
from psycopg import sql as composed

from aureus._database.postgres.opening import options_of
from aureus.config import DatabaseSettings, PostgresUrl
from aureus.model.erasures import Scrub

TABLES = (
    "memories", "memory_versions", "memory_tags", "memory_accesses", "memory_embeddings", "memory_vectors",
    "text_index_pending", "text_index_documents", "text_index_postings", "profiles", "profile_versions", "hypotheses",
    "hypothesis_evidence", "sessions", "session_states", "session_messages", "session_facets", "event_payloads",
    "event_subjects",
)  # fmt: skip
"""The tables from which an erasure deletes; memory_vectors is there where pgvector is."""

LOCK_TIMEOUT = "10s"
"""How long it waits for each table: whoever comes after it waits as long."""

_WAL = "recycled write-ahead log, archives, backups and replicas' logs hold the old bytes until they are overwritten"


def scrub(settings: DatabaseSettings, url: PostgresUrl, wanted: bool) -> Scrub:
    """Rewrite the tables one after another, where it is wanted and the user of the URL owns them; each is locked then.

    What cannot be done is said in SQL.
    """
    schema = composed.Identifier(settings.schema)
    statements = [
        composed.SQL("VACUUM (FULL, ANALYZE) {}.{}").format(schema, composed.Identifier(table))
        for table in TABLES
    ]
    more = [composed.SQL("VACUUM (FULL) pg_catalog.pg_statistic"), composed.SQL("CHECKPOINT")]
    if not wanted:
        present = [one for one in statements if "memory_vectors" not in one.as_string(None)]
        return Scrub(False, (*(f"{one.as_string(None)};" for one in [*present, *more]), _WAL))
    direct = settings.direct_url if isinstance(settings.direct_url, PostgresUrl) else url
    to_do: list[str] = []
    try:
        with psycopg.connect(
            options_of(settings, direct).connection_string(),
            autocommit=True,
            prepare_threshold=None,
        ) as connection:
            connection.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_TIMEOUT,))
            connection.execute("SELECT set_config('statement_timeout', '0', false)")
            owned = _owned(connection, settings.schema)
            for table, statement in zip(TABLES, statements, strict=True):
                if table in owned and not (owned[table] and _done(connection, statement)):
                    to_do.append(f"{statement.as_string(None)};")
            to_do += [f"{one.as_string(None)};" for one in more if not _done(connection, one)]
    except psycopg.Error as error:
        return Scrub(False, (f"the tables could not be rewritten ({error}); erase again", _WAL))
    return Scrub(not to_do, (*to_do, _WAL))


def _owned(connection: psycopg.Connection[tuple[object, ...]], schema: str) -> dict[str, bool]:
    """Return which of the tables there are, and whether this user may rewrite them."""
    rows = connection.execute(
        "SELECT c.relname, pg_has_role(c.relowner, 'USAGE') FROM pg_class AS c "
        "JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = ANY (%s)",
        (schema, list(TABLES)),
    ).fetchall()
    return {str(name): bool(owns) for name, owns in rows}


def _done(
    connection: psycopg.Connection[tuple[object, ...]], statement: composed.SQL | composed.Composed
) -> bool:
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

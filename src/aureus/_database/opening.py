"""Opens the database that the settings name, after looking at its schema.

The engine's modules are imported only here and only when that engine is wanted.
"""

from __future__ import annotations

from typing import Any

from aureus._database.copying import Side
from aureus._database.database import AsyncDatabase, Database
from aureus._database.drive import Sources
from aureus.config import DatabaseSettings, SqliteUrl


def open_database(settings: DatabaseSettings, sources: Sources) -> Database:
    """Open a database for threads. Raises ``DatabaseUnavailable``, ``MigrationError``."""
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.threads import SqliteDatabase

        return SqliteDatabase(
            settings.url.path,
            sources,
            may_migrate=settings.auto_migrate,
            creates=settings.create == "on",
        )
    from aureus._database.postgres.opening import prepare
    from aureus._database.postgres.threads import PostgresDatabase

    return PostgresDatabase(prepare(settings, settings.url), sources)


def open_async_database(settings: DatabaseSettings, sources: Sources) -> AsyncDatabase:
    """Open a database for one event loop. Raises ``DatabaseUnavailable``, ``MigrationError``."""
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.loop import AsyncSqliteDatabase

        return AsyncSqliteDatabase(
            settings.url.path,
            sources,
            may_migrate=settings.auto_migrate,
            creates=settings.create == "on",
        )
    from aureus._database.postgres.loop import AsyncPostgresDatabase
    from aureus._database.postgres.opening import prepare

    return AsyncPostgresDatabase(prepare(settings, settings.url), sources)


def migrate_schema(
    settings: DatabaseSettings, *, creates: bool = True, makes_folders: bool = True
) -> tuple[str, ...]:
    """Bring the schema up to date, also where that is not done in silence; return what was applied.

    Raises ``DatabaseMissing`` where a SQLite file is missing and is not to be made.
    """
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.opening import migrate as migrate_sqlite

        return migrate_sqlite(settings.url.path, creates=creates, makes_folders=makes_folders)
    from aureus._database.postgres.opening import migrate as migrate_postgres

    return migrate_postgres(settings, settings.url)


def open_side(settings: DatabaseSettings) -> Side:
    """Open a database for copying; its schema is there. Raises ``DatabaseUnavailable`` and ``Invalid``."""
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.copying import SqliteSide

        return SqliteSide(settings.url.path)
    from aureus._database.postgres.copying import PostgresSide

    return PostgresSide(settings, settings.url)


def schema_status(settings: DatabaseSettings) -> dict[str, Any]:
    """Return which migrations are applied, missing, and unknown to this program, and how vectors are searched."""
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.opening import status as status_sqlite

        found = status_sqlite(settings.url.path)
    else:
        from aureus._database.postgres.opening import status as status_postgres

        found = status_postgres(settings, settings.url)
    return {
        "applied": [applied.title for applied in found.applied],
        "missing": [missing.title for missing in found.missing],
        "unknown": [newer.title for newer in found.newer],
        "vector_search": found.vector_search,
    }


def schema_sql(settings: DatabaseSettings) -> str:
    """Return the SQL of the whole schema, for those who apply it by hand."""
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.migrations import sql

        return sql()
    from aureus._database.postgres.migrations import script

    return script(settings.schema, settings.role)

"""Opens the database that the settings name, after looking at its schema.

The engine's modules are imported only here and only when that engine is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aureus._database.database import AsyncDatabase, Database
from aureus._database.drive import Sources
from aureus.config import DatabaseSettings, PostgresUrl, SqliteUrl

if TYPE_CHECKING:
    from aureus._database.postgres.options import PostgresOptions


def open_database(settings: DatabaseSettings, sources: Sources) -> Database:
    """Open a database for threads. Raises ``DatabaseUnavailable``, ``MigrationError``."""
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.threads import SqliteDatabase

        return SqliteDatabase(settings.url.path, sources)
    from aureus._database.postgres.threads import PostgresDatabase

    return PostgresDatabase(prepared_options(settings), sources)


def open_async_database(settings: DatabaseSettings, sources: Sources) -> AsyncDatabase:
    """Open a database for one event loop. Raises ``DatabaseUnavailable``, ``MigrationError``."""
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.loop import AsyncSqliteDatabase

        return AsyncSqliteDatabase(settings.url.path, sources)
    from aureus._database.postgres.loop import AsyncPostgresDatabase

    return AsyncPostgresDatabase(prepared_options(settings), sources)


def prepared_options(settings: DatabaseSettings) -> PostgresOptions:
    """Check the schema on a PostgreSQL server, migrate it where that is allowed, and return how to work with it."""
    from aureus._database.postgres.opening import prepare

    assert isinstance(settings.url, PostgresUrl)
    return prepare(settings, settings.url)

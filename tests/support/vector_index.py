"""A database of the tests with the extension for vectors, and our index of them."""

from __future__ import annotations

import psycopg

from aureus._database.opening import migrate_schema
from aureus.config import Settings
from tests.support.postgres import PostgresDatabase


def make_vector_index(database: PostgresDatabase, settings: Settings) -> tuple[str, ...]:
    """Install the extension, as an operator would, and return what the next migration makes of it."""
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    return migrate_schema(settings.database)

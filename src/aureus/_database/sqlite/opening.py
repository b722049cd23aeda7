"""Looks at a SQLite file for the commands that show or change its schema, without using it otherwise."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from aureus._database.migrate import MigrationStatus, compare, read_migrations
from aureus._database.sqlite import migrations
from aureus._database.sqlite.connect import Opener
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.options import SqliteOptions
from aureus.clock import SystemClock
from aureus.ids import RandomIds


def migrate(path: Path | None) -> tuple[str, ...]:
    """Bring a file up to date, make it when it is missing, and return the names of what was applied.

    Raises ``DatabaseError`` and ``MigrationError``.
    """
    with _opened(SqliteOptions(path)) as (connection, options, deadline):
        return migrations.ensure(connection, options.place(), deadline, may_migrate=True)


def status(path: Path | None) -> MigrationStatus:
    """Return what was applied to a file and what is missing; a missing file lacks everything, and is not made."""
    options = SqliteOptions(path, creates=False)
    if path is not None and not path.exists():
        return compare(options.place(), read_migrations("sqlite"), [])
    with _opened(options) as (connection, options, _):
        return migrations.status(connection, options.place())


@contextmanager
def _opened(options: SqliteOptions) -> Generator[tuple[Connection, SqliteOptions, float]]:
    clock = SystemClock()
    deadline = clock.monotonic() + options.open_seconds
    connection = Opener(options, clock, RandomIds()).writer(deadline)
    try:
        yield connection, options, deadline
    finally:
        connection.close()

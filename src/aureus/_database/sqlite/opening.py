"""Looks at a SQLite file for the commands that show or change its schema, without using it otherwise."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from aureus._database.migrate import MigrationStatus
from aureus._database.sqlite import migrations
from aureus._database.sqlite.connect import Opener
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.options import SqliteOptions
from aureus.clock import SystemClock
from aureus.ids import RandomIds


def migrate(
    path: Path | None, *, creates: bool = True, makes_folders: bool = True
) -> tuple[str, ...]:
    """Bring a file up to date, make it when it is missing, and return the names of what was applied.

    Raises ``DatabaseError`` and ``MigrationError``.
    """
    wanted = SqliteOptions(path, creates=creates, makes_folders=makes_folders)
    with _opened(wanted) as (connection, options, deadline):
        return migrations.ensure(connection, options.place(), deadline, may_migrate=True)


def status(path: Path | None) -> MigrationStatus:
    """Return what was applied to a file and what is missing. Raises ``DatabaseMissing`` for one that is not there."""
    with _opened(SqliteOptions(path, creates=False)) as (connection, options, _):
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

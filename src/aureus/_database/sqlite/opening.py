"""Looks at the schema of a file, or brings it up to date, without keeping the database open."""

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


def migrate(path: Path | None) -> tuple[str, ...]:
    """Bring a file up to date, making it if it is missing; return the names of what was applied.

    Raises ``DatabaseError``, ``MigrationError``, and ``DatabaseBusy`` when other processes held it all the time.
    """
    options = SqliteOptions(path)
    with _opened(options) as (connection, deadline):
        return migrations.migrate(connection, options.place(), deadline)


def status(path: Path | None) -> MigrationStatus:
    """Return what was applied to a file and what is missing; makes and applies nothing. Raises as ``migrate``."""
    options = SqliteOptions(path, creates=False)
    with _opened(options) as (connection, _):
        return migrations.status(connection, options.place())


@contextmanager
def _opened(options: SqliteOptions) -> Generator[tuple[Connection, float]]:
    clock = SystemClock()
    deadline = clock.monotonic() + options.open_seconds
    connection = Opener(options, clock, RandomIds()).writer(deadline)
    try:
        yield connection, deadline
    finally:
        connection.close()

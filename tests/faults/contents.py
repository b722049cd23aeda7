"""Everything that a database holds, looked at again and again: before and after each statement that is made to fail."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from aureus.config import SqliteUrl
from tests.contract.stage import Stage

Contents = dict[str, list[Any]]
"""Every row of every table that has any."""


@contextmanager
def looking(stage: Stage, tables: Sequence[str]) -> Generator[Callable[[], Contents]]:
    """Give the function that reads all rows of these tables, of whatever tenant.

    PostgreSQL is asked once for all of them, on a connection that is kept: to learn of so many tables and to plan takes
    it several times as long as to read them.
    """
    url = stage.backend.settings.database.url
    if isinstance(url, SqliteUrl):
        yield lambda: _by_table(_rows_of_sqlite(stage, tables))
        return
    selects = (f"SELECT '{name}', row::text FROM aureus.{name} AS row" for name in tables)
    text = " UNION ALL ".join(selects).encode()
    address = "postgresql://{user}@{host}:{port}/{dbname}".format(**url.connection_parameters())
    with psycopg.connect(address, autocommit=True) as connection:
        yield lambda: _by_table(connection.execute(text, prepare=True).fetchall())


def _rows_of_sqlite(stage: Stage, tables: Sequence[str]) -> list[tuple[str, Any]]:
    with stage.backend.transaction(stage.tenant) as tx:
        return [(name, row) for name in tables for row in tx.execute(f"SELECT * FROM {name}")]


def _by_table(rows: list[tuple[str, Any]]) -> Contents:
    found: Contents = {}
    for name, row in sorted(rows, key=repr):
        found.setdefault(name, []).append(row)
    return found

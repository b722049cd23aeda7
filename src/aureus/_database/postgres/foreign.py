"""Reads another program's table on PostgreSQL, in one snapshot, as the connecting user."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors, sql

from aureus._database.postgres.errors import mapped
from aureus._database.postgres.opening import options_of
from aureus._database.statement import Row
from aureus.config import DatabaseSettings, PostgresUrl
from aureus.errors import NotFound


class PostgresForeignTable:
    """A table inside a transaction that only reads."""

    def __init__(
        self, connection: psycopg.Connection[Any], table: sql.Composable, columns: Sequence[str]
    ) -> None:
        self._connection = connection
        self._table = table
        self._columns = columns

    def count(self) -> int:
        """Return how many rows it has."""
        query = sql.SQL("SELECT count(*) FROM {}").format(self._table)
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def pages(self, size: int) -> Iterator[Sequence[Row]]:
        """Yield its rows, so many at a time; JSON columns as text."""
        query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
            sql.SQL(", ").join(map(_as_read, self._columns)),
            self._table,
            sql.SQL(", ").join(map(sql.Identifier, self._columns[:2])),
        )
        with self._connection.cursor(name="aureus_foreign") as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(size):
                yield rows


def _as_read(column: str) -> sql.Composable:
    """Return a column; a state comes as its text, whatever kind of JSON it is."""
    named = sql.Identifier(column)
    return sql.SQL("CAST({} AS text)").format(named) if column == "state" else named


@contextmanager
def open_table(
    settings: DatabaseSettings, url: PostgresUrl, table: Sequence[str], columns: Sequence[str]
) -> Generator[PostgresForeignTable]:
    """Open a table. Raises ``NotFound`` and ``DatabaseUnavailable``."""
    options = options_of(settings, url)
    try:
        with psycopg.connect(options.connection_string(), prepare_threshold=None) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            named = sql.Identifier(*table)
            probe = sql.SQL("SELECT {} FROM {} LIMIT 0").format(
                sql.SQL(", ").join(map(sql.Identifier, columns)), named
            )
            connection.execute(probe)
            yield PostgresForeignTable(connection, named, columns)
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        raise NotFound(
            f"{options.place()}: there is no table {'.'.join(table)} with the columns {', '.join(columns)}",
            table=".".join(table),
        ) from error
    except psycopg.Error as error:
        raise mapped(error, options.place()) from error

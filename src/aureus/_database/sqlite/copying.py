"""Copies a tenant out of a SQLite file, or into one."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

import apsw

from aureus._database.copying import PAGE_ROWS, TABLES
from aureus._database.sqlite.connect import Opener
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.errors import mapped
from aureus._database.sqlite.foreign import executing, quoted
from aureus._database.sqlite.options import SqliteOptions
from aureus._database.statement import Row
from aureus.clock import SystemClock
from aureus.errors import Conflict, Invalid
from aureus.ids import RandomIds

_COLUMNS = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid"
_KEY = "SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk"
_TENANTS = """WITH RECURSIVE found (tenant_id) AS (
    SELECT min(t.tenant_id) FROM {0} AS t
    UNION ALL
    SELECT (SELECT min(t.tenant_id) FROM {0} AS t WHERE t.tenant_id > f.tenant_id)
    FROM found AS f WHERE f.tenant_id IS NOT NULL
)
SELECT f.tenant_id FROM found AS f WHERE f.tenant_id IS NOT NULL"""
"""One step for each tenant, however many rows it has: every key begins with the tenant."""
_UNSEALED = """SELECT count(*) FROM events AS e WHERE e.tenant_id = ?1 AND e.entry_no > coalesce(
    (SELECT h.last_entry_no FROM ledger_heads AS h WHERE h.tenant_id = ?1), 0)"""
_GATES = """SELECT name, sql FROM sqlite_schema
WHERE type = 'trigger' AND sql LIKE 'CREATE TRIGGER ' || name || ' BEFORE INSERT ON %'"""


class SqliteSide:
    """A file."""

    def __init__(self, path: Path | None) -> None:
        if path is None:
            raise Invalid("a database in memory is this process's own: there is nothing to copy")
        self._opener = Opener(SqliteOptions(path, creates=False), SystemClock(), RandomIds())
        self._connection = self._opener.writer(math.inf)

    @property
    def place(self) -> str:
        """Return which file this is."""
        return self._opener.options.place()

    def tenants(self) -> list[str]:
        """Return the tenants that there is anything of."""
        found: set[str] = set()
        for table in TABLES:
            found.update(
                tenant for (tenant,) in self._connection.run(_TENANTS.format(quoted(table)))
            )
        return sorted(found)

    @contextmanager
    def reading(self, tenant_id: str | None) -> Generator[SqliteReader]:
        """Look at one moment."""
        with closing(self._opener.reader(math.inf)) as connection:
            connection.begin(math.inf, is_write=False)
            yield SqliteReader(connection, tenant_id)

    @contextmanager
    def writing(self, _: str | None) -> Generator[SqliteWriter]:
        """Write in one transaction; other writers of the file wait for it."""
        connection = self._connection
        connection.begin(math.inf)
        try:
            # What guards the beginning of runs and tasks cannot know of those that began elsewhere.
            gates = connection.run(_GATES)
            for name, _ in gates:
                connection.run(f"DROP TRIGGER {quoted(name)}")
            yield SqliteWriter(connection)
            for _, text in gates:
                connection.run(text)
            connection.commit()
        finally:
            connection.roll_back()

    def settle(self) -> None:
        """Do nothing: plans do not depend on statistics here."""

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class SqliteReader:
    """A transaction that reads."""

    def __init__(self, connection: Connection, tenant_id: str | None) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the stored columns of a table."""
        return tuple(name for (name,) in self._connection.run(_COLUMNS, (table,)))

    def pages(self, table: str, columns: Sequence[str]) -> Iterator[list[Row]]:
        """Yield the rows of a table in the order of its key."""
        key = [name for (name,) in self._connection.run(_KEY, (table,))]
        mine = "" if self._tenant_id is None else "WHERE tenant_id = ?"
        text = f"SELECT {_names(columns)} FROM {quoted(table)} {mine} ORDER BY {_names(key)}"  # noqa: S608 - its names are quoted identifiers
        values = () if self._tenant_id is None else (self._tenant_id,)
        rows = iter(executing(self._connection.raw)(text, values))
        while page := [row for _, row in zip(range(PAGE_ROWS), rows, strict=False)]:
            yield page

    def has_rows(self) -> bool:
        """Return whether there is anything of the tenant."""
        queries = (
            f"SELECT EXISTS (SELECT 1 FROM {quoted(table)} WHERE tenant_id = ?)"  # noqa: S608 - as above
            for table in TABLES
        )
        return any(self._connection.run(query, (self._tenant_id,))[0][0] for query in queries)

    def unsealed_count(self) -> int:
        """Return how many entries have no position."""
        return int(self._connection.run(_UNSEALED, (self._tenant_id,))[0][0])


class SqliteWriter:
    """A transaction that writes."""

    def __init__(self, connection: Connection) -> None:
        self._raw = connection.raw

    def put(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows. Raises ``Conflict`` where a number is taken by another tenant of the file."""
        places = ", ".join("?" * len(columns))
        text = f"INSERT INTO {quoted(table)} ({_names(columns)}) VALUES ({places})"  # noqa: S608 - its names are quoted identifiers
        try:
            cast(Any, self._raw).executemany(text, rows)
        except apsw.ConstraintError as error:
            raise Conflict(
                f"{table}: {error}; rows of this tenant, or numbers that it uses, are in the target already. "
                "Copy into a new file",
                table=table,
            ) from error
        except apsw.Error as error:
            raise mapped(error, table, self._raw.system_errno) from error

    def clear_anchor_head(self) -> None:
        """Remove the head of an empty anchor log."""
        executing(self._raw)("DELETE FROM anchor_heads WHERE size = 0")


def _names(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))

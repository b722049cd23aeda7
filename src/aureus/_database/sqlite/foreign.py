"""Reads another program's table in a SQLite file, in one snapshot. Times are made of text or of seconds since 1970."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import apsw

from aureus._database.sqlite.errors import mapped
from aureus._database.statement import Row
from aureus.errors import Invalid, NotFound


class SqliteForeignTable:
    """A table inside a transaction that only reads."""

    def __init__(self, connection: apsw.Connection, table: str, columns: Sequence[str]) -> None:
        self._execute = executing(connection)
        self._table = table
        self._columns = columns

    def count(self) -> int:
        """Return how many rows it has."""
        rows = self._execute(f"SELECT count(*) FROM {self._table}")  # noqa: S608 - its names are quoted identifiers
        return int(next(iter(rows))[0])

    def pages(self, size: int) -> Iterator[Sequence[Row]]:
        """Yield its rows, so many at a time; columns whose name ends in ``_at`` as times."""
        names = ", ".join(map(quoted, self._columns))
        order = ", ".join(map(quoted, self._columns[:2]))
        rows = iter(
            self._execute(f"SELECT {names} FROM {self._table} ORDER BY {order}")  # noqa: S608 - its names are quoted identifiers
        )
        while page := [row for _, row in zip(range(size), rows, strict=False)]:
            yield [self._decoded(row) for row in page]

    def _decoded(self, row: Row) -> Row:
        return tuple(
            _moment(value, name) if name.endswith("_at") else value
            for name, value in zip(self._columns, row, strict=True)
        )


@contextmanager
def open_table(
    path: Path | None, table: Sequence[str], columns: Sequence[str]
) -> Generator[SqliteForeignTable]:
    """Open a table of a file. Raises ``NotFound`` and ``Invalid``."""
    name = ".".join(map(quoted, table))
    if path is None or not path.exists():
        raise NotFound(f"there is no SQLite file {path or 'in memory'} to read {name} from")
    try:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise mapped(error, str(path)) from error
    try:
        execute = executing(connection)
        execute("BEGIN")
        names = ", ".join(map(quoted, columns))
        try:
            execute(f"SELECT {names} FROM {name} LIMIT 0")  # noqa: S608 - its names are quoted identifiers
        except apsw.SQLError as error:
            raise NotFound(
                f"{path}: there is no table {'.'.join(table)} with the columns {', '.join(columns)}",
                table=".".join(table),
            ) from error
        yield SqliteForeignTable(connection, name, columns)
    except apsw.Error as error:
        raise mapped(error, str(path), connection.system_errno) from error
    finally:
        connection.close(force=True)


def executing(connection: apsw.Connection) -> Callable[..., Any]:
    """Return what carries statements out; the driver's stubs cannot name what it takes before Python 3.12."""
    return cast(Callable[..., Any], cast(Any, connection).execute)


def quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'


def _moment(value: Any, column: str) -> datetime:
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid(f"{column} holds {value!r}, which is no time", column=column) from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

"""Reads a table that another program keeps, in pages, with the rights of the user that connects.

The table's name comes from a person: it is one identifier, or two with a dot between them, and reaches SQL only as
quoted identifiers. Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from aureus._database.statement import Row
from aureus.config import DatabaseSettings, SqliteUrl
from aureus.errors import Invalid

_PART = re.compile(r"[^\W\d][\w$-]{0,62}")


class ForeignTable(Protocol):
    """A table as it was at one moment."""

    def count(self) -> int:
        """Return how many rows it has."""
        ...

    def pages(self, size: int) -> Iterator[Sequence[Row]]:
        """Yield its rows, in the order of their columns, so many at a time."""
        ...


def open_table(
    settings: DatabaseSettings, table: str, columns: Sequence[str]
) -> AbstractContextManager[ForeignTable]:
    """Open a table for reading; the first two columns are its key, and give the order.

    Raises ``Invalid`` for a name that is none, ``NotFound`` when there is no such table or column, and
    ``DatabaseUnavailable``.
    """
    parts = check_table(table)
    if isinstance(settings.url, SqliteUrl):
        from aureus._database.sqlite.foreign import open_table as open_sqlite

        return open_sqlite(settings.url.path, parts, columns)
    from aureus._database.postgres.foreign import open_table as open_postgres

    return open_postgres(settings, settings.url, parts, columns)


def check_table(table: str) -> tuple[str, ...]:
    """Return the one or two identifiers of a table's name; raises ``Invalid``."""
    parts = tuple(table.split("."))
    if len(parts) > 2 or not all(_PART.fullmatch(part) for part in parts):
        raise Invalid(
            f"{table[:80]!r} is no name of a table: a letter or an underscore, then letters, digits, _, $ and -, "
            "perhaps behind the name of its schema and a dot",
            table=table[:80],
        )
    return parts

"""Makes the index of vectors where the extension for it is installed; nothing depends on it.

It is no migration: a database without the extension is complete, and one that gets it later is brought further by the
next `aureus db migrate`. The extension itself is never made here: it takes a superuser to restore a dump that has one,
so somebody should have wanted it. What was done is noted at the table, with the checksum of the text that made it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

import psycopg
from psycopg import errors
from psycopg import sql as composed

from aureus._database.catalog import SQL_FOLDER, quote
from aureus._database.statement import Row

EXTENSION = "vector"
"""The name of pgvector inside PostgreSQL."""

TITLE = "memory_vectors"
"""What this step is called where applied steps are listed."""

_OURS = re.compile(r"\baureus\.")
_THEIRS = re.compile(r"\bextension\.")

Run = Callable[..., list[Row]]
"""Carries out a statement of the bookkeeping by its name."""


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """What there is of the extension and of our table."""

    extension_version: str | None
    extension_schema: str | None
    has_base: bool
    """Whether the table is there whose rows it follows."""
    note: str | None
    """The checksum of the text that made our table; None where it was not made."""

    def describe(self) -> str:
        """Return in a few words how the nearest vectors are found."""
        if self.note is None:
            return "exact"
        return f"hnsw (pgvector {self.extension_version})"


def look(run: Run, schema: str) -> VectorIndex:
    """Return what there is, from the catalogues that everybody may read."""
    return VectorIndex(*run("describe_vectors", schema=schema, extension=EXTENSION)[0])


def make(
    connection: psycopg.Connection[Any], run: Run, *, schema: str, role: str | None
) -> str | None:
    """Make the index inside the open transaction, unless it is there or cannot be; return the step when it was made.

    ``role`` is given its grants in either case.
    """
    found = look(run, schema)
    if not found.has_base or found.extension_schema is None:
        return None
    made: str | None = None
    if found.note is None:
        connection.execute(_placed(_content(), schema, found.extension_schema).encode())
        note = composed.SQL("COMMENT ON TABLE {} IS {}").format(
            composed.Identifier(schema, "memory_vectors"), composed.Literal(_checksum())
        )
        connection.execute(note)
        made = TITLE
    if role is not None:
        _grant(connection, schema, found.extension_schema, role)
    return made


def _grant(connection: psycopg.Connection[Any], schema: str, theirs: str, role: str) -> None:
    table = composed.Identifier(schema, "memory_vectors")
    connection.execute(
        composed.SQL("GRANT SELECT, INSERT, UPDATE ON {} TO {}").format(
            table, composed.Identifier(role)
        )
    )
    usage = composed.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(
        composed.Identifier(theirs), composed.Identifier(role)
    )
    try:
        with connection.transaction():
            connection.execute(usage)
    except errors.InsufficientPrivilege:
        return  # A schema of somebody else; where everybody may use it, as usual, nothing is missing.


def _placed(content: str, schema: str, theirs: str) -> str:
    ours = _OURS.sub(lambda _: quote(schema) + ".", content)
    return _THEIRS.sub(lambda _: quote(theirs) + ".", ours)


@cache
def _content() -> str:
    folder = SQL_FOLDER / "optional" / "postgres"
    return (folder / "memory_vectors.sql").read_text("utf-8")


def _checksum() -> str:
    return sha256(_content().encode()).hexdigest()

"""Brings a SQLite file to the newest schema; safe when many processes start at once.

The usual start reads two small tables and takes no lock. A file that is behind is migrated under the writer's lock:
who comes second finds the work done. Each migration and its note are one transaction.
"""

from __future__ import annotations

import re

from aureus._database.catalog import Catalog
from aureus._database.migrate import (
    Applied,
    Migration,
    MigrationStatus,
    bookkeeping,
    compare,
    literals_of,
    note_of,
    read_migrations,
)
from aureus._database.sqlite.codec import Binding
from aureus._database.sqlite.connection import Connection
from aureus._database.statement import Queries, Row

_sql = Queries("migrations")
_catalog = Catalog("sqlite", statements=bookkeeping("sqlite"))


def status(connection: Connection, place: str) -> MigrationStatus:
    """Return what was applied and what is missing; changes nothing. Raises ``MigrationError``."""
    is_ours = _run(connection, "has_table") == [(1,)]
    applied = _run(connection, "list_applied") if is_ours else []
    return compare(place, read_migrations("sqlite"), map(Applied.from_row, applied))


def ensure(
    connection: Connection, place: str, deadline: float, *, may_migrate: bool
) -> tuple[str, ...]:
    """Bring the file up to date, and return the names of what was applied now.

    Raises ``MigrationError`` when the file is behind and may not be migrated, or does not fit this program, and
    ``DatabaseBusy`` when other processes held it until the deadline.
    """
    found = status(connection, place)
    if found.is_current:
        return ()
    if not may_migrate:
        raise found.behind()
    return migrate(connection, place, deadline)


def migrate(connection: Connection, place: str, deadline: float) -> tuple[str, ...]:
    """Apply what is missing, each migration in a transaction of its own; return the names. Raises as ``ensure``."""
    done: list[str] = []
    while True:
        connection.begin(deadline)
        try:
            # Read again: another process may have been here while this one waited for the lock.
            missing = status(connection, place).missing
            if missing:
                _apply(connection, missing[0])
                connection.commit()
                done.append(missing[0].title)
        finally:
            connection.roll_back()
        if len(missing) <= 1:
            return tuple(done)


def sql() -> str:
    """Return everything that ``migrate`` does to an empty file, to be read or carried out by hand."""
    parts = ["BEGIN IMMEDIATE;", *(_text(name) + ";" for name in ("claim_file", "create_table"))]
    for migration in read_migrations("sqlite"):
        parts += [f"-- {migration.title}: {migration.why}", _catalog.script(migration.content)]
        parts.append(_note(migration))
    return "\n\n".join([*parts, "COMMIT;"]) + "\n"


def _apply(connection: Connection, migration: Migration) -> None:
    if migration.number == 1:
        _run(connection, "claim_file")
        _run(connection, "create_table")
    connection.run(_catalog.script(migration.content), what=migration.title)
    _run(
        connection,
        "note_applied",
        **note_of(migration),
    )


def _run(connection: Connection, statement: str, /, **parameters: object) -> list[Row]:
    compiled = _catalog.compiled(getattr(_sql, statement))
    what = f"migrations.{statement}"
    values = Binding(parameters, "", what).values(compiled.parameters[0])
    return connection.fetch(compiled.texts[0], values, what)


def _text(statement: str) -> str:
    return _catalog.compiled(getattr(_sql, statement)).texts[0]


def _note(migration: Migration) -> str:
    """Return the note of a migration with its values written out; all of them are ours and hold no quotes."""
    compiled = _catalog.compiled(_sql.note_applied)
    literals = literals_of(migration)
    places = {f"?{place}": literals[name] for place, name in enumerate(compiled.parameters[0], 1)}
    return re.sub(r"\?\d+", lambda found: places[found[0]], compiled.texts[0]) + ";"

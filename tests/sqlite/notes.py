"""A small catalogue of its own, so that the engine is tested without any noun of the product.

Notes have a unique text, a counter each, and a line in a journal that only companions write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from aureus._database.catalog import Catalog, parse
from aureus._database.drive import Call, Companion, Sources
from aureus._database.sqlite.loop import AsyncSqliteDatabase
from aureus._database.sqlite.threads import SqliteDatabase
from aureus._database.statement import (
    Op,
    Queries,
    Query,
    Recorded,
    Row,
    Statement,
    fetch_all,
    fetch_one,
    last,
    last_all,
    record,
)
from aureus.clock import Clock, SystemClock
from aureus.errors import AlreadyExists, Conflict
from aureus.ids import RandomIds
from aureus.model.events import Fact

R = TypeVar("R")

TABLES: Final = """
CREATE TABLE notes (
    tenant_id TEXT NOT NULL,
    note_id INTEGER NOT NULL,
    body TEXT NOT NULL CHECK (body <> ''),
    count INTEGER NOT NULL DEFAULT 0,
    saved_at INTEGER,
    PRIMARY KEY (tenant_id, note_id)
) STRICT;
CREATE TABLE journal (entry_no INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE parents (parent_id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE children (
    parent_id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED
) STRICT;
CREATE TRIGGER notes_final BEFORE UPDATE OF body ON notes WHEN OLD.body = 'final'
BEGIN
    SELECT RAISE(ABORT, 'AU001: a final note cannot change');
END;
CREATE TRIGGER journal_immutable BEFORE DELETE ON journal
BEGIN
    SELECT RAISE(ABORT, 'AU003: rows of journal are immutable');
END;
"""

STATEMENTS: Final = """
-- name: add_note :one
INSERT INTO aureus.notes (tenant_id, note_id, body, saved_at) VALUES (:tenant_id, :note_id, :body, :now)
ON CONFLICT DO NOTHING
RETURNING note_id, body, saved_at;

-- name: insert_note :one
INSERT INTO aureus.notes (tenant_id, note_id, body, saved_at) VALUES (:tenant_id, :note_id, :body, NULL)
RETURNING note_id;

-- name: change_note :one
UPDATE aureus.notes SET body = :body WHERE tenant_id = :tenant_id AND note_id = :note_id RETURNING note_id;

-- name: count_up :one
UPDATE aureus.notes SET count = count + 1 WHERE tenant_id = :tenant_id AND note_id = :note_id RETURNING count;

-- name: get_note :one
SELECT note_id, body, saved_at FROM aureus.notes WHERE tenant_id = :tenant_id AND note_id = :note_id;

-- name: list_notes :many
SELECT note_id, body, count FROM aureus.notes WHERE tenant_id = :tenant_id ORDER BY rowid;

-- name: count_notes :one
SELECT count(*) FROM aureus.notes WHERE tenant_id = :tenant_id;

-- name: note_journal :one
INSERT INTO journal (text) VALUES (:text) RETURNING entry_no;

-- name: add_pair :one
INSERT INTO aureus.notes (tenant_id, note_id, body) VALUES (:tenant_id, :note_id, :body)
ON CONFLICT DO NOTHING
RETURNING note_id;
INSERT INTO aureus.notes (tenant_id, note_id, body) VALUES (:tenant_id, :note_id + 1, :body);

-- name: add_and_count :one
INSERT INTO aureus.notes (tenant_id, note_id, body) VALUES (:tenant_id, :note_id, :body) RETURNING note_id;
SELECT count(*), :body FROM aureus.notes WHERE tenant_id = :tenant_id;

-- name: add_or_find :one
INSERT INTO aureus.notes (tenant_id, note_id, body) VALUES (:tenant_id, :note_id, :body)
ON CONFLICT DO NOTHING
RETURNING note_id;
INSERT INTO aureus.notes (tenant_id, note_id, body) VALUES (:tenant_id, :note_id + 1, :body);
SELECT note_id, body FROM aureus.notes WHERE tenant_id = :tenant_id AND note_id = :note_id AND body = :body;

-- name: fill :many
INSERT INTO aureus.notes (tenant_id, note_id, body)
WITH RECURSIVE numbers (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM numbers WHERE n < :first + :size)
SELECT :tenant_id, n, :body FROM numbers;

-- name: brood :one
SELECT max(n) FROM (
    WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < :steps) SELECT n FROM numbers
);

-- name: orphan :one
INSERT INTO children (parent_id) VALUES (:parent_id) RETURNING parent_id;

-- name: echo :one
SELECT :value AS value, typeof(:value) AS kind, :mark AS mark, :tenant_id AS tenant_id;

-- name: echo_time :one
SELECT :value AS value_at, :value + 0 AS "a sum_at";
"""

sql: Final = Queries("notes")
CALL: Final = Call("acme", timeout_seconds=30.0)
NOW: Final = datetime(2026, 11, 21, 12, 30, 15, 123456, tzinfo=UTC)

Make = Callable[[], Op[R]]


def catalog() -> Catalog:
    """Return the statements above."""
    return Catalog(
        "sqlite", statements={Query("notes", one.name): one for one in parse("notes", STATEMENTS)}
    )


def journal_facts(facts: Sequence[Recorded], *_: object) -> Sequence[Companion]:
    """Write each fact's type into the journal, together with what brought it about."""
    return [
        Companion(Statement(sql.note_journal, {"text": recorded.fact.type}), lambda rows: None)
        for recorded in facts
    ]


def sources(clock: Clock | None = None) -> Sources:
    """Return real time and randomness, with the journal as the recorder of facts."""
    return Sources(clock or SystemClock(), RandomIds(), journal_facts)


class _HasTransactions(Protocol):
    def transaction(self, call: Call) -> AbstractContextManager[Any]: ...


def make_tables(database: _HasTransactions) -> None:
    """Make the tables of this module in an open database."""
    with database.transaction(CALL) as tx:
        tx.execute(TABLES)


def open_notes(
    path: Path | None, clock: Clock | None = None, *, is_new: bool = True
) -> SqliteDatabase:
    """Open a database with the tables of this module."""
    database = SqliteDatabase(path, sources(clock), catalog=catalog())
    if is_new:
        make_tables(database)
    return database


async def open_notes_async(path: Path | None, clock: Clock | None = None) -> AsyncSqliteDatabase:
    """Open a database with the tables of this module for the running loop."""
    database = AsyncSqliteDatabase(path, sources(clock), catalog=catalog())
    async with database.transaction(CALL) as tx:
        await tx.execute(TABLES)
    return database


# Operations, as stores would make them.


def first(row: Row) -> Any:
    """Return the first value of a row."""
    return row[0]


def whole(row: Row) -> Row:
    """Return a row as it is."""
    return row


def one(name: str, **parameters: Any) -> Make[Any]:
    """Make an operation of one last statement, that returns its row or None."""
    return lambda: last(getattr(sql, name), whole, **parameters)


def every(name: str, **parameters: Any) -> Make[list[Any]]:
    """Make an operation of one last statement, that returns all its rows."""
    return lambda: last_all(getattr(sql, name), whole, **parameters)


def add(note_id: int, body: str = "text") -> Make[int]:
    """Make a write that raises ``AlreadyExists`` when the note is there."""

    def make() -> Op[int]:
        row = yield from last(sql.add_note, first, note_id=note_id, body=body, now=NOW)
        if row is None:
            raise AlreadyExists(f"note {note_id} exists", note_id=note_id)
        return note_id

    return make


def add_with_fact(note_id: int, kind: str) -> Make[int]:
    """Make a write that states a fact, which goes into the journal."""

    def make() -> Op[int]:
        yield from record(Fact("notes", kind, {}, "tester"))
        row = yield from last(sql.add_note, first, note_id=note_id, body="text", now=NOW)
        if row is None:
            raise AlreadyExists(f"note {note_id} exists", note_id=note_id)
        return note_id

    return make


def change_with_fact(note_id: int, kind: str) -> Make[int | None]:
    """Make a write that states a fact, and returns None when there was nothing to change."""

    def make() -> Op[int | None]:
        yield from record(Fact("notes", kind, {}, "tester"))
        return (yield from last(sql.count_up, first, note_id=note_id))

    return make


def find_with_fact(note_id: int, body: str) -> Make[tuple[int, str] | None]:
    """Make a write that states a fact, and returns the note that it, or an earlier one like it, wrote."""

    def make() -> Op[tuple[int, str] | None]:
        yield from record(Fact("notes", body, {}, "tester"))
        return (
            yield from last(
                sql.add_or_find, lambda row: (row[0], row[1]), note_id=note_id, body=body
            )
        )

    return make


def add_orphan(note_id: int) -> Make[int]:
    """Make a write whose COMMIT fails: a foreign key that is only checked then leads nowhere."""

    def make() -> Op[int]:
        yield from fetch_one(sql.insert_note, first, note_id=note_id, body="text")
        yield from last(sql.orphan, first, parent_id=note_id)
        return note_id

    return make


def add_two(
    first_id: int, second_id: int, between: Callable[[], None] = lambda: None
) -> Make[list[int]]:
    """Make a write of two statements, with something that happens between them."""

    def make() -> Op[list[int]]:
        one_id = yield from fetch_one(sql.insert_note, first, note_id=first_id, body="text")
        between()
        two_id = yield from last(sql.insert_note, first, note_id=second_id, body="text")
        if one_id is None or two_id is None:
            raise Conflict("no row")
        return [one_id, two_id]

    return make


def count_up(note_id: int) -> Make[int | None]:
    """Make a write that returns the counter after adding one."""
    return lambda: last(sql.count_up, first, note_id=note_id)


def fill(first_id: int, size: int) -> Make[list[int]]:
    """Make a write of many rows in one statement."""
    return lambda: last_all(sql.fill, first, first=first_id, size=size, body="x" * 100)


def note_ids() -> Make[list[int]]:
    """Make a read of all notes, in the order in which they were written."""
    return lambda: fetch_all(sql.list_notes, first)


def stored(database: SqliteDatabase) -> list[int]:
    """Return the notes of a database, in the order in which they were written."""
    return database.read(note_ids(), CALL)


def journal(database: SqliteDatabase) -> list[str]:
    """Return the journal of a database."""
    with database.transaction(CALL) as tx:
        return [row[0] for row in tx.execute("SELECT text FROM journal ORDER BY entry_no")]

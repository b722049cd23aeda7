"""A SQLite file is brought to the newest schema once, whoever comes at the same time, and never behind its back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from aureus._database import migrate
from aureus._database.migrate import Migration, read_chain, read_migrations
from aureus._database.sqlite import migrations, opening
from aureus._database.sqlite.connect import APPLICATION_ID
from aureus.errors import DatabaseError, MigrationError
from tests.migrations.program import all_at_once, start

WITHOUT_TENANT = {"schema_migrations", "anchor_heads", "anchors", "anchor_nodes", "sqlite_sequence"}
"""Tables that belong to no tenant, each for its own reason."""

HALF = f"{len(read_migrations('sqlite')) + 1:04d}_half"
"""A migration that this program learns of in a test."""

WHOLE = "-- why: a test\n-- breaking: no\n\nCREATE TABLE aureus.half (a integer);\n"
BROKEN = WHOLE + "CREATE TABLE aureus.half (a integer);\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a file that is not there yet."""
    return tmp_path / "aureus.db"


@pytest.fixture
def file(path: Path) -> Iterator[apsw.Connection]:
    """Give a plain connection to a file that is up to date."""
    opening.migrate(path)
    connection = apsw.Connection(str(path))
    yield connection
    connection.close()


def follow_with(monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    """Let the program know one more migration."""
    known = {f"{one.title}.sql": one.content for one in read_migrations("sqlite")}
    more = read_chain({**known, f"{HALF}.sql": content})

    def chain(_: str) -> tuple[Migration, ...]:
        return more

    monkeypatch.setattr(migrations, "read_migrations", chain)


def test_twenty_processes_that_start_at_once_migrate_once(path: Path) -> None:
    programs = [start("tests.sqlite.program", "open", str(path)) for _ in range(20)]
    assert all_at_once(programs) == ["opened"] * 20
    found = opening.status(path)
    assert found.is_current
    assert len(found.applied) == len(read_migrations("sqlite"))


def test_a_new_file_is_marked_as_ours(file: apsw.Connection) -> None:
    assert file.pragma("application_id") == APPLICATION_ID
    assert file.pragma("journal_mode") == "wal"


def test_a_start_that_finds_the_schema_current_takes_no_lock(
    path: Path, file: apsw.Connection
) -> None:
    file.execute("BEGIN IMMEDIATE")
    assert opening.status(path).is_current
    connection = migrations_connection(path)
    assert migrations.ensure(connection, "here", 0.0, may_migrate=True) == ()
    connection.close()
    file.execute("ROLLBACK")


def migrations_connection(path: Path) -> Any:
    """Open the file as the program does."""
    from aureus._database.sqlite.connect import Opener
    from aureus._database.sqlite.options import SqliteOptions
    from aureus.clock import SystemClock
    from aureus.ids import RandomIds

    return Opener(SqliteOptions(path), SystemClock(), RandomIds()).writer(10**9)


def test_a_changed_file_is_named(path: Path, file: apsw.Connection) -> None:
    file.execute("UPDATE schema_migrations SET checksum = 'changed'")
    with pytest.raises(MigrationError, match=r"0001_initial\.sql differs"):
        opening.migrate(path)


@pytest.mark.parametrize("is_breaking", [0, 1])
def test_a_newer_file_is_taken_unless_it_breaks_this_program(
    path: Path, file: apsw.Connection, is_breaking: int
) -> None:
    number = len(read_migrations("sqlite")) + 1
    file.execute(
        "INSERT INTO schema_migrations VALUES (?, 'later', 'x', ?, 0, '9.9.9')",
        (number, is_breaking),
    )
    if is_breaking:
        with pytest.raises(MigrationError, match=r"newer than this program.*9\.9\.9"):
            opening.status(path)
    else:
        found = opening.status(path)
        assert (found.is_current, [one.name for one in found.newer]) == (True, ["later"])


def test_a_migration_that_fails_leaves_nothing_and_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening.migrate(path)
    follow_with(monkeypatch, BROKEN)
    with pytest.raises(DatabaseError, match=HALF):
        opening.migrate(path)
    assert [one.title for one in opening.status(path).missing] == [HALF]
    follow_with(monkeypatch, WHOLE)
    assert opening.migrate(path) == (HALF,)
    assert opening.migrate(path) == ()


def test_a_file_that_is_behind_is_not_migrated_where_that_is_not_allowed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening.migrate(path)
    follow_with(monkeypatch, WHOLE)
    connection = migrations_connection(path)
    with pytest.raises(MigrationError, match=f"lacks {HALF}; run `aureus db migrate`"):
        migrations.ensure(connection, "here", 0.0, may_migrate=False)
    connection.close()


def test_postings_of_an_older_file_are_still_there_and_segments_have_identities(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = read_migrations("sqlite")
    before = next(one.number for one in chain if one.name == "postings") - 1
    monkeypatch.setattr(migrations, "read_migrations", lambda _: chain[:before])
    opening.migrate(path)
    file = apsw.Connection(str(path))
    for number in (1, 2):
        file.execute(
            "INSERT INTO text_index_segments VALUES ('acme', 's', ?, 'live', 0, 5, 5, 1, 9, 2, '[]', 'z')",
            (number,),
        )
        file.execute(
            "INSERT INTO text_index_postings VALUES ('acme', 's', ?, 'tide', 2, x'0102030405', ?)",
            (number, b"postings"),
        )
    rows = "SELECT * FROM text_index_postings ORDER BY segment_no"
    held = file.execute(rows).fetchall()
    monkeypatch.setattr(migrations, "read_migrations", lambda _: chain)
    opening.migrate(path)
    assert file.execute(rows).fetchall() == held
    segments = file.execute("SELECT * FROM text_index_segments ORDER BY segment_no").fetchall()
    assert [row[2:-1] for row in segments] == [
        (number, "live", 0, 5, 5, 1, 9, 2, "[]", "") for number in (1, 2)
    ]
    assert len({row[-1] for row in segments} - {""}) == 2
    file.close()


def test_what_is_printed_makes_the_same_schema(
    path: Path, file: apsw.Connection, tmp_path: Path
) -> None:
    other = apsw.Connection(str(tmp_path / "printed.db"))
    other.execute(migrations.sql())
    query = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
    assert other.execute(query).fetchall() == file.execute(query).fetchall()
    other.close()
    assert opening.status(tmp_path / "printed.db").is_current


def test_every_key_begins_with_the_tenant(file: apsw.Connection) -> None:
    """The named exception is the row number of events, which SQLite hands out itself."""
    tables = [
        name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    ]
    assert set(tables) > WITHOUT_TENANT
    for table in set(tables) - WITHOUT_TENANT:
        for _, index, is_unique, *_ in file.execute(f"PRAGMA index_list({table})").fetchall():
            columns = [row[2] for row in file.execute(f"PRAGMA index_info({index})")]
            assert not is_unique or columns[0] == "tenant_id", index
        keys = file.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        assert all(row[3] == "tenant_id" for row in keys if row[1] == 0), table


def test_the_bookkeeping_is_no_part_of_the_chain() -> None:
    assert all("schema_migrations (" not in one.content for one in read_migrations("sqlite"))
    assert "bookkeeping" not in {one.name for one in migrate.read_migrations("sqlite")}

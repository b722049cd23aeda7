"""The chain of migrations is read, checked and compared with what a database has noted, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus._database.catalog import CatalogError, Engine
from aureus._database.migrate import (
    Applied,
    Migration,
    bookkeeping,
    compare,
    literals_of,
    note_of,
    read_chain,
    read_migrations,
)
from aureus.errors import MigrationError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def content(why: str = "a reason", breaking: str = "no") -> str:
    """Return the text of a migration."""
    return f"-- why: {why}\n-- breaking: {breaking}\n\nCREATE TABLE aureus.a (b integer);\n"


def chain(count: int) -> tuple[Migration, ...]:
    """Return a chain of so many migrations."""
    return read_chain(
        {f"{number:04d}_step_{number}.sql": content() for number in range(1, count + 1)}
    )


def noted(*migrations: Migration, **changes: Any) -> list[Applied]:
    """Return what a database notes about migrations."""
    return [
        replace(
            Applied(one.number, one.name, one.checksum, one.is_breaking, NOW, "0.1.0"), **changes
        )
        for one in migrations
    ]


def test_a_file_says_its_number_name_reason_and_whether_it_breaks() -> None:
    text = content("jobs get tags", "yes")
    (migration,) = read_chain({"0001_add_tags.sql": text, "bookkeeping.sql": "SELECT 1"})
    assert (migration.number, migration.name, migration.why, migration.is_breaking) == (
        1,
        "add_tags",
        "jobs get tags",
        True,
    )
    assert migration.title == "0001_add_tags"
    assert migration.checksum == sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "CREATE TABLE aureus.a (b integer);",
        "-- why: x\n\nSELECT 1;",
        "-- breaking: no\n\nSELECT 1;",
        "-- why: x\n-- breaking: perhaps\n\nSELECT 1;",
        "SELECT 1;\n\n-- why: too late\n-- breaking: no\n",
    ],
)
def test_a_file_without_its_header_is_a_bug(text: str) -> None:
    with pytest.raises(CatalogError, match="0001_x"):
        read_chain({"0001_x.sql": text})


@pytest.mark.parametrize(
    "names", [["0002_a.sql"], ["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"]]
)
def test_a_chain_counts_from_one_without_gaps(names: list[str]) -> None:
    with pytest.raises(CatalogError, match="count from 1"):
        read_chain(dict.fromkeys(names, content()))


@given(known=st.integers(0, 6), done=st.integers(0, 6))
def test_what_is_missing_and_what_is_newer(known: int, done: int) -> None:
    everything = chain(6)
    found = compare("here", everything[:known], noted(*everything[:done]))
    assert list(found.missing) == list(everything[done:known])
    assert [one.number for one in found.newer] == list(range(known + 1, done + 1))
    assert found.is_current == (done >= known)
    assert found.is_new == (done == 0)
    assert len(found.applied) == done


@pytest.mark.parametrize("change", [{"checksum": "0" * 64}, {"name": "other"}])
def test_a_file_that_changed_after_it_was_applied_is_named(change: dict[str, Any]) -> None:
    everything = chain(2)
    rows = [*noted(everything[0]), *noted(everything[1], **change)]
    with pytest.raises(MigrationError, match=r"0002_step_2\.sql differs") as caught:
        compare("here", everything, rows)
    assert caught.value.file == "0002_step_2.sql"


def test_one_that_was_left_out_is_named() -> None:
    everything = chain(3)
    with pytest.raises(
        MigrationError, match="0002_step_2 was never applied, although 0003_step_3 was"
    ):
        compare("here", everything, noted(everything[0], everything[2]))


def test_a_database_that_is_newer_in_a_breaking_way_is_refused_with_the_version_needed() -> None:
    everything = chain(3)
    rows = noted(*everything[:2]) + noted(
        everything[2], is_breaking=True, applied_by_version="2.0.0"
    )
    with pytest.raises(
        MigrationError, match=r"newer than this program: 0003_step_3 .* 2\.0\.0; upgrade"
    ):
        compare("here", everything[:2], rows)
    assert compare("here", everything, rows).is_current, "who knows it may use it"


def test_a_database_that_is_behind_names_the_command() -> None:
    everything = chain(2)
    assert "aureus db init" in compare("here", everything, []).behind().message
    behind = compare("here", everything, noted(everything[0])).behind()
    assert "it lacks 0002_step_2; run `aureus db migrate`" in behind.message


def test_a_note_as_literals_needs_no_quoting() -> None:
    (migration,) = chain(1)
    literals = literals_of(migration)
    assert set(literals) == set(note_of(migration))
    assert literals["number"] == "1"
    assert literals["is_breaking"] == "false"
    assert literals["name"] == "'step_1'"
    assert all(value.count("'") in (0, 2) for value in literals.values())


def test_both_engines_have_the_same_chain() -> None:
    sqlite, postgres = read_migrations("sqlite"), read_migrations("postgres")
    assert [(one.number, one.name, one.is_breaking) for one in sqlite] == [
        (one.number, one.name, one.is_breaking) for one in postgres
    ]
    assert sqlite


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_each_engine_can_note_what_it_applied(engine: Engine) -> None:
    names = {query.name for query in bookkeeping(engine)}
    assert {"create_table", "list_applied", "note_applied"} <= names

"""Databases that cannot be used, each answered with what is wrong and what to do; none is overwritten."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg
import pytest

from aureus.client import Aureus
from aureus.config import load
from aureus.errors import AureusError, DatabaseUnavailable, MigrationError
from tests.support.postgres import PostgresDatabase


def opened(url: str, folder: Path) -> AureusError:
    """Return the error of opening a database."""
    with pytest.raises(AureusError) as caught:
        Aureus(settings=load(arguments={"database.url": url}, environ={}, directory=folder))
    return caught.value


def test_a_directory_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.db").mkdir()
    assert "directory" in str(opened("sqlite:///x.db", tmp_path))


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path: Path) -> None:
    content = b"important notes, not a database " * 100
    (tmp_path / "x.db").write_bytes(content)
    error = opened("sqlite:///x.db", tmp_path)
    assert "not a" in str(error)
    assert (tmp_path / "x.db").read_bytes() == content


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (id)")
    connection.close()
    assert "x.db" in str(opened("sqlite:///x.db", tmp_path))
    with sqlite3.connect(path) as connection:
        names = connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()
    assert names == [("theirs",)]


def test_a_schema_of_another_program_on_postgres_is_left_alone(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA theirs")
        connection.execute("CREATE TABLE theirs.runs (id int)")
    settings = {"database.url": postgres_database.url(), "database.schema": "theirs"}
    loaded = load(arguments=settings, environ={}, directory=tmp_path)
    with pytest.raises(MigrationError), Aureus(settings=loaded):
        pass


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_schema_that_is_newer_than_the_program_is_refused(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    table = "schema_migrations"
    if engine == "postgres":
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url, table = database.url(), "aureus.schema_migrations"
    settings = load(arguments={"database.url": url}, environ={}, directory=tmp_path)
    values = "(9999, 'of_the_future', 'x', TRUE, {}, '9.9')"
    now = "0" if engine == "sqlite" else "now()"
    with Aureus(settings=settings) as db, db.transaction() as tx:
        tx.execute(f"INSERT INTO {table} VALUES {values.format(now)}")
    error = opened(url, tmp_path)
    assert isinstance(error, MigrationError)
    assert "9999" in str(error)


def test_an_older_or_missing_schema_is_not_made_in_silence_where_that_is_not_meant(
    postgres_database: PostgresDatabase, tmp_path: Path
) -> None:
    """A URL from the environment's general name, for a host that is not this one: told, not done."""
    settings = load(
        environ={"DATABASE_URL": postgres_database.url(), "AUREUS_DATABASE_SCHEMA": "fresh"},
        directory=tmp_path,
    )
    assert settings.database.auto_migrate, "this host is local"
    from dataclasses import replace

    remote = replace(settings, database=replace(settings.database, auto_migrate=False))
    with pytest.raises(MigrationError, match="aureus db init"), Aureus(settings=remote):
        pass


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    error = opened("postgresql://ada:s3cret@127.0.0.1:1/x", tmp_path)
    assert isinstance(error, DatabaseUnavailable)
    assert "s3cret" not in str(error)
    assert "s3cret" not in repr(error.__cause__)

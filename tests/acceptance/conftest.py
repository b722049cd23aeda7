"""A project folder with a database, and the command line run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.project import Project
from tests.support.command_server import CommandServer
from tests.support.postgres import PostgresDatabase


@pytest.fixture(scope="session")
def command_server() -> Iterator[CommandServer]:
    """Give what runs commands without importing anew what they need."""
    with CommandServer() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """Give an empty project on each engine; on SQLite each command is started as users do."""
    if request.param == "postgres":
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        server: CommandServer = request.getfixturevalue("command_server")
        opened = Project(tmp_path, database.url(), server)
    else:
        opened = Project(tmp_path, None)
    yield opened
    opened.end_all()

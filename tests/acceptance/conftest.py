"""A project folder with a database, and the command line run in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.project import Project
from tests.support.postgres import PostgresDatabase


@pytest.fixture(params=["sqlite", "postgres"])
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Project]:
    """Give an empty project on each engine."""
    url = None
    if request.param == "postgres":
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = database.url()
    opened = Project(tmp_path, url)
    yield opened
    opened.end_all()

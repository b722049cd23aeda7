"""Databases of these tests: a file, one in memory, and the lane kept busy while callers gather."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aureus._database.sqlite.threads import SqliteDatabase
from tests.sqlite.notes import open_notes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a database that does not exist yet."""
    return tmp_path / "notes.db"


@pytest.fixture
def database(path: Path) -> Iterator[SqliteDatabase]:
    """Give an open database in a file."""
    opened = open_notes(path)
    yield opened
    opened.close()


@pytest.fixture(params=["file", "memory"])
def either(request: pytest.FixtureRequest, path: Path) -> Iterator[SqliteDatabase]:
    """Give an open database in a file, and one in memory."""
    opened = open_notes(path if request.param == "file" else None)
    yield opened
    opened.close()


@pytest.fixture(params=["file", "memory"])
def place(request: pytest.FixtureRequest, path: Path) -> Path | None:
    """Give the path of a file, and the place in memory."""
    return path if request.param == "file" else None

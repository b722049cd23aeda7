"""The backends that faults are tried on: each engine, for threads and for asyncio."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.stage import Stage
from tests.support.backends import Backend, settings_for
from tests.support.migrated import migrated_file
from tests.support.postgres import PostgresDatabase


@pytest.fixture(params=["sqlite-file", "sqlite-file-async", "postgres", "postgres-async"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """Give the stores of a tenant on each kind of database; nothing is sealed beside what a test does."""
    name: str = request.param
    if name.startswith("sqlite"):
        url = migrated_file(tmp_path)
    else:
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = database.url()
    settings = settings_for(url, tmp_path, **{"ledger.sealing": "off"})
    backend = Backend(settings, is_async=name.endswith("-async"))
    yield Stage(backend, "acme")
    backend.close()

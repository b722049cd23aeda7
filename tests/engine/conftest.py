"""The databases that the engine is tested on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from aureus.config import Settings
from tests.engine.workshop import SECONDS_MAX, Workshop, opened
from tests.support.backends import settings_for
from tests.support.migrated import migrated_file, migrated_memory
from tests.support.postgres import PostgresDatabase

SHARED = pytest.mark.parametrize("database_url", ["sqlite-file", "postgres"], indirect=True)

Perform = Callable[[Callable[[Workshop], Awaitable[None]]], None]
"""Runs the body of a test in an event loop, on an open workshop."""


@pytest.fixture(params=["sqlite-file", "sqlite-memory", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database of each kind; ``SHARED`` are the kinds that several processes can reach."""
    name: str = request.param
    if name == "postgres":
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        return database.url()
    if name == "sqlite-file":
        return migrated_file(tmp_path)
    request.getfixturevalue("memory")
    return "sqlite://"


@pytest.fixture
def memory() -> Iterator[None]:
    """Let databases in memory be copies of one."""
    with migrated_memory():
        yield


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """Give the settings of a database of each kind."""
    return settings_for(database_url, tmp_path)


@pytest.fixture
def perform(settings: Settings, tmp_path: Path) -> Perform:
    """Give the function that runs the body of a test."""

    def run(body: Callable[[Workshop], Awaitable[None]]) -> None:
        async def in_time() -> None:
            async with asyncio.timeout(SECONDS_MAX), opened(settings, tmp_path) as shop:
                await body(shop)
                left = [one for one in asyncio.all_tasks() if "r_" in one.get_name()]
                assert not left, "work of a run is left"

        work: Coroutine[Any, Any, None] = in_time()
        asyncio.run(work)

    return run

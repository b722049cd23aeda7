"""What the tests of the documents share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import PostgresDatabase, PostgresServer


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    """Give a database without a schema."""
    name = postgres_server.create_database()
    yield PostgresDatabase(postgres_server, name)
    postgres_server.discard_database(name)

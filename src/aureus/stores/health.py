"""Health: whether the database answers, and how far its schema is."""

from __future__ import annotations

from aureus._database.operation import AsyncStore, Operations, Store, read
from aureus._database.statement import Op, Queries, fetch_one

sql = Queries("health")


class HealthOperations(Operations):
    """What is asked to see whether the database answers."""

    @read
    def get_schema_version(self) -> Op[int]:
        """Return the number of the last migration that was applied."""
        version = yield from fetch_one(sql.get_schema_version, lambda row: int(row[0] or 0))
        return version or 0


class HealthStore(Store, HealthOperations):
    """The look at a database."""


class AsyncHealthStore(AsyncStore, HealthOperations):
    """The look at a database, awaited."""

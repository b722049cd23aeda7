"""How an open database is: reachable, current, quick, and how busy its pool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aureus.model.plain import plain_record


@dataclass(frozen=True, slots=True)
class PoolUse:
    """The connections of a pool, and the calls that wait for one."""

    size: int
    available: int
    waiting: int
    size_max: int

    @classmethod
    def from_statistics(cls, statistics: Mapping[str, int]) -> PoolUse:
        """Return what the statistics of a psycopg pool say; they leave out what is 0."""
        names = ("pool_size", "pool_available", "requests_waiting", "pool_max")
        return cls(*(statistics.get(name, 0) for name in names))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class Health:
    """What a look at the database found.

    ``latency_ms`` is how long a small read took, waiting included; None when there was no answer. ``schema_version``
    is the number of the last migration that was applied. ``error`` and ``error_code`` say what went wrong, without
    secrets.
    """

    is_healthy: bool
    database: str
    schema_version: int | None
    is_current: bool
    latency_ms: float | None
    pool: PoolUse | None
    error_code: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain JSON values."""
        return plain_record(self)

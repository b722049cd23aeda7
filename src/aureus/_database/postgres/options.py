"""What a PostgreSQL database is opened with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_KEEPALIVE = {
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 4,
    "tcp_user_timeout": 15_000,
}
"""A silent peer is noticed within 15 s, also when it vanished without a word."""


@dataclass(frozen=True, slots=True)
class PostgresOptions:
    """Where the server is, and the limits that this process keeps to. Durations in seconds."""

    conninfo: str = field(repr=False)
    direct_conninfo: str | None = field(default=None, repr=False)
    """How to reach the same database around a pooler, where that was said."""
    schema: str = "aureus"
    role: str | None = "aureus_app"
    """The role that every flush drops to; None in single-role mode."""
    pool_min: int = 2
    pool_max: int = 20
    acquire_seconds: float = 10.0
    idle_seconds: float = 600.0
    lifetime_seconds: float = 3600.0
    connect_seconds: float = 10.0
    statement_seconds: float = 60.0
    idle_in_transaction_seconds: float = 300.0
    application_name: str = "aureus"
    prepares: bool = True
    """Whether statements are prepared; off behind a transaction pooler that cannot keep them."""
    lock_ms: int = 30
    """How long a gathered write waits for a row; then it leaves the flush and waits alone."""

    def connection_string(self) -> str:
        """Return the connection string with this process's defaults where it names none."""
        given: dict[str, Any] = conninfo_to_dict(self.conninfo)
        defaults: dict[str, Any] = {
            **_KEEPALIVE,
            "connect_timeout": max(2, round(self.connect_seconds)),
            "application_name": self.application_name,
        }
        return make_conninfo(**{**defaults, **given})

    def direct(self) -> PostgresOptions | None:
        """Return how to connect around a pooler; None when there is one and no way around it is known."""
        if self.direct_conninfo is not None:
            return replace(self, conninfo=self.direct_conninfo)
        return self if self.prepares else None

    def place(self) -> str:
        """Return host, port and database for messages: nothing secret."""
        given = conninfo_to_dict(self.conninfo)
        host = given.get("host") or given.get("hostaddr") or "local socket"
        port = f":{given['port']}" if given.get("port") else ""
        return f"PostgreSQL {host}{port}/{given.get('dbname') or ''}".rstrip("/")

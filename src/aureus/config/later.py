"""Names of the four systems that Aureus knows and this release does not use.

They are never errors: an environment may be shared with the system it was written for. Those that ask for a
protection are warned about, because somebody would otherwise believe to have it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Later(NamedTuple):
    """Names with one meaning; ``*`` stands for any ending."""

    names: tuple[str, ...]
    meaning: str
    protects: bool = False
    """True when leaving it unheeded takes away a protection that its owner counts on."""


LATER: tuple[Later, ...] = (
    Later(("ENABLE_MULTITENANCY",), "tenants are always kept apart here; there is nothing to turn on"),
    Later(("ARAGORA_POSTGRES_PRIMARY_DSN", "ARAGORA_POSTGRES_PRIMARY",
           "ARAGORA_POSTGRES_REPLICA_DSNS", "ARAGORA_POSTGRES_REPLICAS", "ARAGORA_REPLICA_*"), "read replicas"),
    Later(("ARAGORA_<STORE>_STORE_BACKEND", "ARAGORA_<STORE>_BACKEND", "SNAPSHOT_STORAGE_TYPE"),
          "a backend per store: here all stores share one database, so that they share transactions"),
    Later(("ARAGORA_DB_MODE", "ARAGORA_DB_TIMEOUT", "ARAGORA_SQLITE_*"),
          "layout, lock wait and pool of Aragora's own SQLite files; a call here waits for a lock until its deadline"),
    Later(("ARAGORA_PG_*", "ARAGORA_POSTGRESQL_*", "ARAGORA_USE_SHARED_POOL"),
          "Aragora's second set of names for the address and the pool; give ARAGORA_POSTGRES_DSN"),
    Later(("SUPABASE_URL", "SUPABASE_KEY", "SUPABASE_DB_PASSWORD", "SUPABASE_POOL_*"),
          "Supabase's HTTP interface; give SUPABASE_POSTGRES_DSN"),
    Later(("ARAGORA_ENV", "ARAGORA_ENVIRONMENT", "NODE_ENV"), "the kind of deployment; no guard here depends on it"),
    Later(("ARAGORA_USE_SECRETS_MANAGER",), "a secrets manager; secrets come from files here (`*_FILE`)"),
    Later(("ARAGORA_REQUIRE_DISTRIBUTED", "ARAGORA_MULTI_INSTANCE"), "refusing a store that is not shared",
          protects=True),
    Later(("ARAGORA_ENCRYPTION_KEY",), "encryption of fields"),
    Later(("ARAGORA_ENCRYPTION_REQUIRED",), "refusing to store fields unencrypted", protects=True),
    Later(("MAX_RETRY_ATTEMPTS",), "attempts of every task; here a task sets its own (`retry.maxAttempts`)"),
    Later(("MAX_WORKFLOW_SIZE",), "the largest workflow file; here its bound is fixed"),
    Later(("BACKUP_ENABLED",), "backups on a schedule", protects=True),
    Later(("BACKUP_INTERVAL_HOURS",), "how often to back up"),
    Later(("ENABLE_AUTH", "JWT_*", "SESSION_SECRET", "BCRYPT_ROUNDS", "CORS_*", "RATE_LIMIT_*", "MAX_REQUEST_SIZE",
           "HOST", "PORT"), "the HTTP server"),
    Later(("ENABLE_METRICS", "METRICS_PORT", "METRICS_PATH", "ENABLE_TRACING", "OTLP_ENDPOINT", "LOG_FORMAT"),
          "telemetry"),
    Later(("ARAGORA_ELO_*", "ELO_*"), "ratings of agents"),
    Later(("ARAGORA_DECISION_*",), "retention of decisions"),
    Later(("ARAGORA_WEBHOOK_*",), "webhooks"),
)  # fmt: skip


def unmet_protections(variable: Callable[[str], str | None]) -> list[str]:
    """Return a warning for each protection that somebody turned on and this release does not give."""
    asked = (
        (name, later.meaning)
        for later in LATER
        if later.protects
        for name in later.names
        if (variable(name) or "").strip().lower() in {"1", "true", "yes", "on"}
    )
    return [
        f"{name} is set, but this release does not do that: {meaning}" for name, meaning in asked
    ]

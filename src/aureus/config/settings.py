"""The settings of one process: immutable, typed, complete, and safe to print.

Times are seconds; None is "no limit". Every default is resolved, so that no reader of a setting decides
anything. Which names fill which field is said in ``table.py``, and how they are found in ``loading.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from aureus.config.url import DatabaseUrl
from aureus.errors import ConfigInvalid

if TYPE_CHECKING:
    from pathlib import Path

    from aureus.model.memories import MemoryPolicy


class Shown(NamedTuple):
    """One line of ``aureus config show``; the value is masked."""

    setting: str
    value: str
    origin: str


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Which database, how to reach it, and how patient to be with it."""

    url: DatabaseUrl
    direct_url: DatabaseUrl | None
    create: Literal["on", "off"]
    schema: str
    role: str
    role_mode: Literal["auto", "separate", "single"]
    pool_min: int
    pool_max: int
    acquire_timeout_seconds: float
    idle_timeout_seconds: float | None
    lifetime_seconds: float | None
    connect_timeout_seconds: float
    statement_timeout_seconds: float | None
    idle_in_transaction_timeout_seconds: float | None
    call_deadline_seconds: float
    application_name: str
    prepared_statements: bool
    auto_migrate: bool
    """Whether opening the database may create or upgrade its schema without being asked to."""
    auto_migrate_reason: str
    """Why it may, or what to do because it may not; one sentence for a message."""

    @property
    def description(self) -> str:
        """Return one line that names the store in logs, without user and password."""
        return self.url.describe(self.schema)


@dataclass(frozen=True, slots=True)
class RunLogSettings:
    """Where the JSON lines of runs go."""

    type: Literal["filesystem", "none"]
    directory: Path
    fsync: Literal["always", "interval", "never"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Limits of workers and runs."""

    lease_seconds: float
    parallel_tasks_max: int
    concurrent_runs_max: int
    task_timeout_seconds: float | None
    workflow_timeout_seconds: float | None


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Which events are audit entries too."""

    mode: Literal["decisions", "all", "off"]


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """What seals, how the ledger is called, and where keys and last heads are."""

    sealing: Literal["on", "off"]
    name: str
    heads: str | None
    key_file: str | None
    public_keys: str | None


@dataclass(frozen=True, slots=True)
class SubjectKeySettings:
    """Where the keys of people are, and the master key that wraps them; both or none."""

    folder: str | None
    key_file: str | None


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """What is accepted as a memory, what embeds it, and who keeps the index of memories."""

    types: str | None
    require_provenance: Literal["on", "off"]
    embedder: str
    kept_bytes_max: int
    upkeep: Literal["on", "off"]

    @property
    def policy(self) -> MemoryPolicy:
        """Return the policy that these settings say."""
        from aureus.model.memories import MemoryPolicy

        names = (name.strip() for name in (self.types or "").split(","))
        return MemoryPolicy(
            types=frozenset(name for name in names if name),
            requires_provenance=self.require_provenance == "on",
        )


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Which writes become events."""

    routine: Literal["on", "off"]


@dataclass(frozen=True, slots=True)
class SubscriptionSettings:
    """How patient consumers of subscriptions are."""

    poll_seconds: float
    lease_seconds: float
    handling_seconds_max: float


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What is logged."""

    level: Literal["debug", "info", "warning", "error", "critical"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that was configured, with where each value came from."""

    tenant: str
    actor: str
    database: DatabaseSettings
    run_log: RunLogSettings
    engine: EngineSettings
    audit: AuditSettings
    ledger: LedgerSettings
    subject_keys: SubjectKeySettings
    memory: MemorySettings
    events: EventSettings
    subscriptions: SubscriptionSettings
    log: LogSettings
    warnings: tuple[str, ...]
    """What was obeyed although it looks like a mistake, and what was not obeyed; for people, without secrets."""
    rows: Sequence[Shown] = field(repr=False)

    def origin(self, key: str) -> str:
        """Return who said a setting: ``environment DATABASE_URL``, ``aureus.toml line 3``, ``default``.

        ``not used`` is the answer for parts of an address that the store in use does not have.
        """
        from aureus.config.table import BY_KEY  # readers of settings need no table

        if key not in BY_KEY:
            raise ConfigInvalid(
                f"there is no setting {key!r}; `aureus config show` lists them", setting=key
            )
        return next((row.origin for row in self.rows if row.setting == key), "not used")

    def shown(self) -> Sequence[Shown]:
        """Return each setting in use with its value and origin, in the order of the table; secrets as ``***``."""
        return self.rows

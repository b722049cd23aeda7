"""The table of settings: one row per setting, and nothing about settings is said anywhere else.

The loader walks it, ``docs/reference/settings.md`` is generated from it, and the precedence tests are generated from
it, so that a name cannot be accepted without being documented and tested. It holds no logic beyond derived names.
The order of ``aliases`` is the order of precedence: names that carry a product's name come before general ones,
and libpq's own ``PG*`` come last.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["text", "name", "secret", "url", "path", "choice", "integer", "seconds"]


class Alias(NamedTuple):
    """Another name for a setting, in the environment or inside a database URL."""

    name: str
    unit: str = ""
    """Unit of a plain number under this name, where it differs from the setting's own: ``ms``."""
    plus: str = ""
    """A second variable whose number is added: the overflow that some systems count on top of the pool."""


class Setting(NamedTuple):
    """One row: what a setting is called everywhere, what it accepts, and what it is for."""

    key: str
    """``section.name``; the section is the table in aureus.toml. Settings of the whole program have no section."""
    kind: Kind
    default: str | int | float | None
    description: str
    least: float | None = None
    most: float | None = None
    may_be_none: bool = False
    """``0`` and ``none`` mean: no limit."""
    choices: tuple[str, ...] = ()
    synonyms: tuple[tuple[str, str], ...] = ()
    aliases: tuple[Alias, ...] = ()
    url_options: tuple[Alias, ...] = ()
    flags: tuple[str, ...] = ()
    is_part: bool = False
    """True for what is used up in finding the database; the result is ``database.url``."""

    @property
    def variable(self) -> str:
        """Return Aureus's own name of the setting in the environment."""
        return "AUREUS_" + self.key.upper().replace(".", "_")

    @property
    def is_secret(self) -> bool:
        """Return whether the value must never be shown, and may stand in a file (``*_FILE``)."""
        return self.kind in {"secret", "url"}


def _names(*names: str) -> tuple[Alias, ...]:
    return tuple(Alias(name) for name in names)


_ON_OFF = (
    ("true", "on"),
    ("false", "off"),
    ("1", "on"),
    ("0", "off"),
    ("yes", "on"),
    ("no", "off"),
)
_TLS_WORDS = tuple(
    (word, mode)
    for mode, words in (
        ("verify-full", ("true", "1", "on", "yes")),
        ("disable", ("false", "0", "off", "no")),
    )
    for word in words
)
_YEAR_SECONDS = 366 * 86_400
_DAY_SECONDS = 86_400

TENANT = Setting(
    "tenant", "text", "default", "Whose data a client reads and writes unless it says otherwise.",
    most=255, flags=("--tenant",),
)  # fmt: skip
ACTOR = Setting(
    "actor", "text", None, "Who acts, as audit entries name it. Default: the login name, or `unknown`.",
    most=255, flags=("--actor",),
)  # fmt: skip

DATABASE: tuple[Setting, ...] = (
    Setting(
        "database.url", "url", None,
        "Where everything is stored. Default: the SQLite file `aureus.db` in `database.directory`.",
        aliases=_names(
            "SUPABASE_POSTGRES_DSN", "ARAGORA_POSTGRES_DSN", "ARAGORA_DATABASE_URL", "AUREN_DB_DSN", "DATABASE_URL",
        ),
        flags=("--database-url", "--dsn"),
    ),
    Setting(
        "database.direct_url", "url", None,
        "A URL of the same PostgreSQL database that goes around a pooler, for migrating and listening.",
    ),
    Setting(
        "database.backend", "choice", "auto",
        "The kind of store; `auto` follows the URL. What wins when it and the URL disagree is listed below.",
        choices=("auto", "sqlite", "postgresql", "supabase", "memory"),
        synonyms=(("postgres", "postgresql"), ("in-memory", "memory")),
        aliases=_names("ARAGORA_DB_BACKEND", "STATE_STORE_TYPE"), flags=("--state-store-type",), is_part=True,
    ),
    Setting(
        "database.directory", "path", "var", "Directory of the SQLite file `aureus.db` when no URL names another.",
        aliases=_names("ARAGORA_DATA_DIR"), is_part=True,
    ),
    Setting(
        "database.create", "choice", "on",
        "Whether opening a SQLite file that is missing makes it, with the folders above it. With `off` that is an "
        "error, as it always is for commands that only look or change what is there.",
        choices=("on", "off"), synonyms=_ON_OFF,
    ),
    Setting(
        "database.host", "text", "localhost", "Host, or directory of the Unix socket, when no URL names one.",
        aliases=_names("DATABASE_HOST", "PGHOST"), is_part=True,
    ),
    Setting(
        "database.port", "integer", 5432, "Port, when no URL names one.", least=1, most=65_535,
        aliases=_names("DATABASE_PORT", "PGPORT"), is_part=True,
    ),
    Setting(
        "database.name", "text", "aureus", "Database on the server, when no URL names one.",
        aliases=_names("DATABASE_NAME", "PGDATABASE"), is_part=True,
    ),
    Setting(
        "database.user", "text", "aureus", "User, when no URL names one.",
        aliases=_names("DATABASE_USER", "PGUSER"), is_part=True,
    ),
    Setting(
        "database.password", "secret", None, "Password, when no URL holds one.",
        aliases=_names("DATABASE_PASSWORD", "PGPASSWORD"), is_part=True,
    ),
    Setting(
        "database.service", "text", None, "Section of libpq's service file that says where the database is.",
        aliases=_names("PGSERVICE"), is_part=True,
    ),
    Setting(
        "database.passfile", "path", None, "libpq's password file.", aliases=_names("PGPASSFILE"), is_part=True,
    ),
    Setting(
        "database.sslmode", "choice", None,
        "TLS to the server. Default: `verify-full` to other hosts, libpq's own default on this one.",
        choices=("disable", "allow", "prefer", "require", "verify-ca", "verify-full"), synonyms=_TLS_WORDS,
        aliases=_names("DATABASE_SSL", "PGSSLMODE"), url_options=_names("sslmode", "ssl"), is_part=True,
    ),
    Setting(
        "database.schema", "name", "aureus", "PostgreSQL schema that holds the tables; any name, always quoted.",
        flags=("--schema",),
    ),
    Setting(
        "database.role", "name", "aureus_app", "PostgreSQL role that owns nothing, to which every transaction drops.",
    ),
    Setting(
        "database.role_mode", "choice", "auto",
        "`separate` demands the role; `single` works as the connecting user, whom row level security may not "
        "bind; `auto` is `separate` where the role exists or can be made.",
        choices=("auto", "separate", "single"),
    ),
    Setting(
        "database.pool_min", "integer", 2, "Connections kept open. Lowered to `pool_max` when only that is set.",
        least=0, most=1000,
        aliases=_names("ARAGORA_POSTGRES_POOL_MIN", "DATABASE_POOL_MIN", "DATABASE_MIN_CONNECTIONS"),
        url_options=_names("pool_min", "pool_min_conns"),
    ),
    Setting(
        "database.pool_max", "integer", 20, "Connections at most, of one process.", least=1, most=1000,
        aliases=(
            Alias("ARAGORA_POSTGRES_POOL_MAX"),
            Alias("ARAGORA_DB_POOL_SIZE", plus="ARAGORA_DB_POOL_OVERFLOW"),
            Alias("AUREN_DB_POOL_SIZE", plus="AUREN_DB_MAX_OVERFLOW"),
            Alias("DATABASE_POOL_MAX"),
            Alias("DATABASE_MAX_CONNECTIONS"),
        ),
        url_options=_names("pool_max", "pool_max_conns"),
    ),
    Setting(
        "database.acquire_timeout_seconds", "seconds", 10, "How long a call waits for a free connection.",
        least=0.001, most=3600, aliases=_names("ARAGORA_DB_POOL_TIMEOUT"), url_options=_names("pool_timeout"),
    ),
    Setting(
        "database.idle_timeout_seconds", "seconds", 600, "After how long an unused connection is closed.",
        least=0.001, most=_DAY_SECONDS, may_be_none=True,
        aliases=(Alias("DATABASE_IDLE_TIMEOUT", unit="ms"),), url_options=_names("pool_max_conn_idle_time"),
    ),
    Setting(
        "database.lifetime_seconds", "seconds", 3600, "After how long a connection is replaced, used or not.",
        least=1, most=_DAY_SECONDS, may_be_none=True,
        aliases=_names("ARAGORA_DB_POOL_RECYCLE"), url_options=_names("pool_max_conn_lifetime"),
    ),
    Setting(
        "database.connect_timeout_seconds", "seconds", 10, "How long opening one connection may take.",
        least=0.001, most=3600,
        aliases=(Alias("DATABASE_TIMEOUT", unit="ms"), Alias("CONNECTION_TIMEOUT"), Alias("PGCONNECT_TIMEOUT")),
        url_options=_names("connect_timeout"),
    ),
    Setting(
        "database.statement_timeout_seconds", "seconds", 60, "After how long the server stops a statement.",
        least=0.001, most=_DAY_SECONDS, may_be_none=True,
        aliases=_names("ARAGORA_DB_STATEMENT_TIMEOUT"), url_options=(Alias("statement_timeout", unit="ms"),),
    ),
    Setting(
        "database.idle_in_transaction_timeout_seconds", "seconds", 300,
        "After how long the server ends a transaction that its client forgot.",
        least=0.001, most=_DAY_SECONDS, may_be_none=True,
        url_options=(Alias("idle_in_transaction_session_timeout", unit="ms"),),
    ),
    Setting(
        "database.call_deadline_seconds", "seconds", 30,
        "How long one call may take, with its waiting and its retries.",
        least=0.001, most=_DAY_SECONDS, aliases=_names("ARAGORA_DB_COMMAND_TIMEOUT"),
    ),
    Setting(
        "database.application_name", "text", "aureus",
        "What the server's activity view calls the connections.", most=63,
        aliases=_names("PGAPPNAME"), url_options=_names("application_name"),
    ),
    Setting(
        "database.prepared_statements", "choice", "auto",
        "`auto` is `off` behind a transaction pooler: port 6543 or 6432, `pgbouncer=true`, a host named `…-pooler`.",
        choices=("auto", "on", "off"), synonyms=_ON_OFF, url_options=_names("prepared_statements"),
    ),
)  # fmt: skip

RUN_LOG: tuple[Setting, ...] = (
    Setting(
        "run_log.type", "choice", "filesystem", "Where the JSON lines of a run go besides the database.",
        choices=("filesystem", "none"), aliases=_names("EVENT_LOG_TYPE"), flags=("--event-log-type",),
    ),
    Setting(
        "run_log.directory", "path", "var/run", "Root of the run logs: one directory per run below it.",
        aliases=_names("EVENT_LOG_DIR", "EVENT_LOG_BASE_DIR"), flags=("--event-log-dir",),
    ),
    Setting(
        "run_log.fsync", "choice", "always",
        "When lines are forced to disk: before a write returns, about once a second, or when the system likes. "
        "The database is the truth in each case.",
        choices=("always", "interval", "never"),
    ),
)  # fmt: skip

ENGINE: tuple[Setting, ...] = (
    Setting(
        "engine.lease_seconds", "seconds", 15,
        "How long a worker owns a run without a sign of life; another host takes over after it.", least=1, most=3600,
    ),
    Setting(
        "engine.parallel_tasks_max", "integer", 10, "Tasks of one run that work at the same time.", least=1, most=1000,
    ),
    Setting(
        "engine.concurrent_runs_max", "integer", 100, "Runs that one process works on at the same time.",
        least=1, most=10_000, aliases=_names("MAX_CONCURRENT_WORKFLOWS"),
    ),
    Setting(
        "engine.task_timeout_seconds", "seconds", None, "Time limit of a task that sets no `timeoutMs` of its own.",
        least=0.001, most=_YEAR_SECONDS, may_be_none=True, aliases=(Alias("TASK_TIMEOUT", unit="ms"),),
    ),
    Setting(
        "engine.workflow_timeout_seconds", "seconds", None, "Time limit of a whole run, waiting for people included.",
        least=0.001, most=10 * _YEAR_SECONDS, may_be_none=True, aliases=(Alias("WORKFLOW_TIMEOUT", unit="ms"),),
    ),
)  # fmt: skip

AUDIT = Setting(
    "audit.mode", "choice", "decisions", "Which events are audit entries too, for tenants without a mode of their own.",
    choices=("decisions", "all", "off"),
)  # fmt: skip
LEDGER: tuple[Setting, ...] = (
    Setting(
        "ledger.sealing", "choice", "on",
        "Whether an open database seals what it appends by itself: on SQLite in the commit, on PostgreSQL soon after "
        "it and when it is closed. With `off` positions are given by others only, such as `aureus ledger seal`.",
        choices=("on", "off"), synonyms=_ON_OFF,
    ),
    Setting(
        "ledger.name", "text", "aureus",
        "What heads call this ledger, before a slash and the tenant's key, and what a key that signs them is called: "
        "a name of your own, such as `ledger.example.com`, tells your heads from everybody else's.", most=200,
    ),
    Setting(
        "ledger.heads", "path", None,
        "Folder outside the database for the last head seen of each ledger, so that an older state of the database is "
        "noticed. Without it `$XDG_STATE_HOME/aureus/heads`, or `~/.local/state/aureus/heads`.",
    ),
    Setting(
        "ledger.key_file", "path", None,
        "File with the private key that signs heads, made by `aureus ledger keygen`. Only its owner may read it.",
    ),
    Setting(
        "ledger.public_keys", "path", None,
        "File with public keys of whom you trust to sign heads, one a line. `aureus ledger verify` asks for their "
        "signatures.",
    ),
    Setting(
        "subject_keys.folder", "path", None,
        "Folder for the keys of people: what entries say about somebody is encrypted under that person's key, so that "
        "erasing the person makes older copies of the database unreadable too. Outside of the database and of its "
        "backups. Without it nothing is encrypted.",
    ),
    Setting(
        "subject_keys.key_file", "path", None,
        "File with the master key that wraps the keys in that folder, made by `aureus subject-keys keygen`. Only its "
        "owner may read it.",
    ),
)  # fmt: skip
MEMORY: tuple[Setting, ...] = (
    Setting(
        "memory.types", "text", None, "Memory types beside those that every client knows, separated by commas.",
    ),
    Setting(
        "memory.require_provenance", "choice", "off",
        "Whether a memory without the task and the step that it came from is refused.",
        choices=("on", "off"), synonyms=_ON_OFF,
    ),
    Setting(
        "memory.embedder", "text", "none",
        "What makes vectors of memories, so that they are found by meaning too: `none`; `packaged`, the model of the "
        "extra `embed`; or `module:name`, an `Embedder` of yours or a function without parameters that returns one. "
        "An embedder that the program gives to its client comes before it.",
        most=500,
    ),
    Setting(
        "memory.kept_bytes_max", "integer", 64 * 1024 * 1024,
        "Bytes of the text index that a client keeps in memory, so that common words are not read again for every "
        "search; 0 keeps none. A million memories have about 4 MB for a word that every one of them contains.",
        least=0, most=1 << 40,
    ),
    Setting(
        "memory.upkeep", "choice", "on",
        "Whether an open database brings the index of memories up to date by itself, between calls and when it is "
        "closed; with `off` only `memories.index()` does.",
        choices=("on", "off"), synonyms=_ON_OFF,
    ),
)  # fmt: skip
EVENTS = Setting(
    "events.routine", "choice", "on",
    "Whether routine writes become events too: saving a session, appending to it, setting a key of the world state. "
    "Deleting and resetting always do. `off` makes these writes cheaper.",
    choices=("on", "off"), synonyms=_ON_OFF,
)  # fmt: skip
SUBSCRIPTIONS = (
    Setting(
        "subscriptions.poll_seconds", "seconds", 1,
        "How often a consumer that waits looks for events by itself, whether or not it is woken; behind a transaction "
        "pooler without `database.direct_url` nothing wakes it for what other processes append.",
        least=0.01, most=3600,
    ),
    Setting(
        "subscriptions.lease_seconds", "seconds", 15,
        "How long a member of a consumer group keeps its buckets without a sign of life; a handler may take longer.",
        least=1, most=3600,
    ),
    Setting(
        "subscriptions.handling_seconds_max", "seconds", 300,
        "How long a handler may take for one event, or one batch, before it counts as failed when it cannot be "
        "committed any more, and before other members of a group take its buckets over.",
        least=1, most=86_400,
    ),
)  # fmt: skip
LOG = Setting(
    "log.level", "choice", "info", "The least important message that the command line logs, on standard error.",
    choices=("debug", "info", "warning", "error", "critical"),
    synonyms=(("trace", "debug"), ("warn", "warning"), ("fatal", "critical")),
    aliases=_names("LOG_LEVEL"), flags=("--log-level",),
)  # fmt: skip

SETTINGS: tuple[Setting, ...] = (
    TENANT,
    ACTOR,
    *DATABASE,
    *RUN_LOG,
    *ENGINE,
    AUDIT,
    *LEDGER,
    *MEMORY,
    EVENTS,
    *SUBSCRIPTIONS,
    LOG,
)
BY_KEY: dict[str, Setting] = {setting.key: setting for setting in SETTINGS}
BY_FLAG: dict[str, Setting] = {flag: setting for setting in SETTINGS for flag in setting.flags}
URL_OPTIONS: dict[str, Setting] = {
    option.name: setting for setting in SETTINGS for option in setting.url_options
}

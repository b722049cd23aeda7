"""What opening a database takes, for threads and for event loops alike."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aureus._database.catalog import Engine as Engines
from aureus._database.database import (
    AsyncDatabase,
    Database,
)
from aureus._database.drive import Sources
from aureus._database.kept import Kept
from aureus._database.migrate import read_migrations
from aureus.clock import Clock, SystemClock
from aureus.codec import check_name, check_text, shown
from aureus.config import Settings, SqliteUrl, read_here
from aureus.errors import AureusError, ConfigInvalid, Invalid
from aureus.ids import Ids, RandomIds
from aureus.ledger.audit_modes import AuditModes
from aureus.ledger.recorder import Recorder
from aureus.ledger.sealing import CLOSING_SECONDS_MAX, SEALING_PAUSE_SECONDS, Sealing
from aureus.model.audit_modes import AuditMode
from aureus.model.health import Health
from aureus.model.ledger import SealingRound
from aureus.upkeep import BUSY, Pace

if TYPE_CHECKING:
    from aureus.retrieval.embedding import Embedder
    from aureus.subject_keys import SubjectKeys
    from aureus.subject_keys.folder import KeyFolder
    from aureus.subject_keys.keyring import Keyring

TRANSACTION_TRIES_MAX = 5
"""Times that ``run_in_transaction`` calls its function when others get in the way."""

TENANT_BYTES_MAX = 255
"""Bytes of a tenant's name: it begins every key."""

HEALTH_SECONDS_MAX = 5.0
"""How long ``health`` waits: whoever asks decides whether to send work here."""


def chosen_settings(settings: Settings | None, url: str | None, tenant: str | None) -> Settings:
    """Return the settings that a client was given, for the tenant it was given, or else those of this process.

    Raises ``ConfigInvalid``, also for a URL beside settings: they say already which database is meant.
    """
    given: Any = settings
    if given is None:
        return read_settings(url, tenant)
    if not isinstance(given, Settings):
        raise ConfigInvalid(
            f"settings is {given!r:.60}; it must be what `aureus.config.load` returns",
            setting="settings",
        )
    if url is not None:
        raise ConfigInvalid(
            "a URL was given beside settings, which name a database themselves; give one of the two, or the URL to "
            "`aureus.config.load` as the argument database.url",
            setting="database.url",
        )
    return given if tenant is None else replace(given, tenant=check_tenant(tenant))


def check_parts(telemetry: Any, embedder: Any, subject_keys: Any) -> None:
    """Raise ``Invalid`` for what a client cannot work with; an object of any class will do that has the names."""
    for what, part, names, remedy in (
        ("telemetry", telemetry, ("count", "measure"), ""),
        ("embedder", embedder, ("name", "dimensions", "embed"), "; FunctionEmbedder makes one of a function"),
        ("subject_keys", subject_keys, ("get_or_create", "get", "find", "retire", "destroy"), ""),
    ):  # fmt: skip
        missing = [name for name in names if not hasattr(part, name)]
        if part is not None and missing:
            raise Invalid(
                f"{what} is {shown(part)} ({type(part).__name__}); it lacks {', '.join(missing)}{remedy}",
                what=what,
            )


def checked_function(work: Any) -> None:
    """Raise ``Invalid`` unless this can be called with a transaction."""
    if not callable(work):
        raise Invalid(
            f"work is {work!r:.60}; it must be a function that takes a transaction", what="work"
        )


def checked_file(file: Any) -> Path:
    """Return the path of a workflow file. Raises ``Invalid``."""
    if not isinstance(file, str | Path):
        raise Invalid(f"file is {file!r:.60}; it must be the path of a workflow file", what="file")
    return Path(file)


def read_settings(url: str | None, tenant: str | None) -> Settings:
    """Return the settings of this process: arguments, environment, ``.env``, ``aureus.toml``, defaults."""
    arguments = {"database.url": url, "tenant": tenant}
    return read_here(arguments=arguments)


CHORES_PACE = Pace(rests=True)
"""The index is brought up to date in parts of some 10 ms; writers get their turn between them."""

SEALING_PACE = Pace(
    writes_due=1, pause_seconds=SEALING_PAUSE_SECONDS, closing_seconds=CLOSING_SECONDS_MAX
)
"""Sealing is due after every append; rounds are spread so that many appends share one."""


def make_sources(
    settings: Settings,
    clock: Clock | None,
    ids: Ids | None,
    note: Callable[[str], None] | None = None,
    ring: Callable[[], None] | None = None,
    keyring: Keyring | None = None,
) -> Sources:
    """Return where operations get time, identifiers and the events of their facts from.

    ``note`` is told of tenants that have something to be sealed, where that is not done in the commit; ``ring`` is
    called after a commit that has sealed. With a ``keyring`` what entries say about people is
    encrypted.
    """
    chosen, clock = ids or RandomIds(), clock or SystemClock()
    modes = AuditModes(clock, AuditMode(settings.audit.mode))
    recorder = Recorder(chosen, modes, keeps_routine=settings.events.routine == "on")
    sealing = Sealing(note) if settings.ledger.sealing == "on" else None
    return Sources(
        clock,
        chosen,
        recorder,
        recorder.prepare,
        sealer=sealing,
        kept=Kept(settings.memory.kept_bytes_max),
        keyring=keyring,
        before_write=modes.due,
        ring=ring,
    )


def named_embedder(settings: Settings) -> Embedder | None:
    """Return the embedder that the settings name, None for none; raises ``ConfigInvalid`` when it cannot be there."""
    if settings.memory.embedder == "none":
        return None  # and what an embedder is need not be imported
    from aureus.retrieval.chosen_embedder import chosen_embedder

    return chosen_embedder(settings.memory.embedder)


def make_keyring(
    settings: Settings, keys: SubjectKeys | None, clock: Clock | None
) -> Keyring | None:
    """Return the keys of people from a caller's key store, or else that of the settings; None where there is none."""
    chosen = keys or key_folder(settings)
    if chosen is None:
        return None  # and what a key is need not be imported
    from aureus.subject_keys.keyring import Keyring

    return Keyring(chosen, clock or SystemClock())


def key_folder(settings: Settings) -> KeyFolder | None:
    """Return the folder with the keys of people; None where the settings name none. Raises ``ConfigInvalid``."""
    folder, key_file = settings.subject_keys.folder, settings.subject_keys.key_file
    if folder is None and key_file is None:
        return None
    if folder is None or key_file is None:
        raise ConfigInvalid(
            "subject_keys.folder and subject_keys.key_file belong together: keys of people lie in the one, wrapped "
            "under the master key in the other; set both, or none",
            setting="subject_keys.key_file" if key_file is None else "subject_keys.folder",
        )
    from aureus.subject_keys.folder import KeyFolder
    from aureus.subject_keys.master import MasterFile

    return KeyFolder(Path(folder), MasterFile(Path(key_file)))


def sealed(done: SealingRound) -> int:
    """Return what a round of sealing says to the upkeep: how much it did, or that another process is at it."""
    if done.is_done:
        return 0
    return done.sealed_count or BUSY


def healthy(
    settings: Settings, database: Database | AsyncDatabase, version: int, seconds: float
) -> Health:
    """Return the health of a database that answered."""
    engine: Engines = "sqlite" if isinstance(settings.database.url, SqliteUrl) else "postgres"
    return Health(
        is_healthy=True,
        database=database.description,
        schema_version=version,
        is_current=version >= read_migrations(engine)[-1].number,
        latency_ms=seconds * 1000,
        pool=database.pool_use,
    )


def unhealthy(database: Database | AsyncDatabase, error: AureusError) -> Health:
    """Return the health of a database that did not answer as it should."""
    return Health(
        is_healthy=False,
        database=database.description,
        schema_version=None,
        is_current=False,
        latency_ms=None,
        pool=database.pool_use,
        error_code=error.code,
        error=error.message,
    )


def check_tenant(tenant: str) -> str:
    """Return a tenant's name of 1 to 255 bytes. Raises ``Invalid``, and ``LimitExceeded`` for a longer one."""
    check_text(tenant, "tenant")
    return check_name(tenant, "tenant", bytes_max=TENANT_BYTES_MAX)


def chosen_tenant(tenant: str | None, settings: Settings) -> str:
    """Return the tenant of a call that may name one; only None stands for that of the client. As ``check_tenant``."""
    return settings.tenant if tenant is None else check_tenant(tenant)


def refuse_loop() -> None:
    """Raise ``Invalid`` inside a running event loop, which a blocking call would hold up."""
    if "asyncio" not in sys.modules:
        return  # no loop runs, and the import would take longer than opening a database
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise Invalid(
        "Aureus blocks, and this is a running event loop: use AsyncAureus, it has the same names"
    )


def tries() -> Iterator[bool]:
    """Yield once for each try of a transaction: whether it is the last one."""
    for number in range(1, TRANSACTION_TRIES_MAX + 1):
        yield number == TRANSACTION_TRIES_MAX

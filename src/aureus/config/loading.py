"""Loads the settings: asks the sources for every row of the table and puts the answers together.

It reads ``.env``, ``aureus.toml`` and files of secrets, and nothing else: no clock, no network, no state of the
process beyond the ``environ`` it is given. The same input gives the same settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aureus.config.address import Address, settle_address
from aureus.config.found import Found, check_own, find_all, section
from aureus.config.later import unmet_protections
from aureus.config.settings import (
    AuditSettings,
    DatabaseSettings,
    EngineSettings,
    EventSettings,
    LedgerSettings,
    LogSettings,
    MemorySettings,
    RunLogSettings,
    Settings,
    Shown,
    SubjectKeySettings,
    SubscriptionSettings,
)
from aureus.config.sources import Sources, UrlOptions
from aureus.config.store import choose_store
from aureus.config.table import SETTINGS
from aureus.config.url import PostgresUrl
from aureus.config.values import refuse, shown

if TYPE_CHECKING:
    from pathlib import Path


def load(
    *,
    arguments: Mapping[str, object] | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str],
    directory: Path,
) -> Settings:
    """Return the settings that arguments, flags, environment and the files of a directory make together.

    ``arguments`` and ``flags`` are keyed by setting (``database.url``), flags also as typed (``--dsn``). None means
    not given. Relative paths are taken from ``directory``. Raises ``ConfigInvalid``, which names the setting and where
    it was said, and never quotes a secret.
    """
    sources = Sources(
        arguments=arguments or {}, flags=flags or {}, environ=environ, directory=directory
    )
    check_own(sources)
    store = choose_store(sources)
    options = UrlOptions(store.options, store.said)
    address = settle_address(sources, store, options)
    found = find_all(sources, options)
    database = _database(found, address)
    run_log = _run_log(sources, found)
    sources.warnings.extend(unmet_protections(sources.variable))
    return Settings(
        tenant=str(found["tenant"].value),
        actor=str(found["actor"].value),
        database=database,
        run_log=run_log,
        engine=EngineSettings(**section(found, "engine")),
        audit=AuditSettings(**section(found, "audit")),
        ledger=LedgerSettings(**section(found, "ledger")),
        subject_keys=SubjectKeySettings(**section(found, "subject_keys")),
        memory=MemorySettings(**section(found, "memory")),
        events=EventSettings(**section(found, "events")),
        subscriptions=SubscriptionSettings(**section(found, "subscriptions")),
        log=LogSettings(**section(found, "log")),
        warnings=tuple(dict.fromkeys(sources.warnings)),
        rows=_rows(found, address),
    )


def _database(found: dict[str, Found], address: Address) -> DatabaseSettings:
    values = section(found, "database")
    asked = values.pop("prepared_statements")
    pooled = isinstance(address.url, PostgresUrl) and address.url.is_pooled
    use_prepared = asked == "on" or (asked == "auto" and not pooled)
    key = "database.prepared_statements"
    found[key] = found[key]._replace(value="on" if use_prepared else "off")
    return DatabaseSettings(
        url=address.url,
        direct_url=address.direct_url,
        prepared_statements=use_prepared,
        auto_migrate=address.auto_migrate,
        auto_migrate_reason=address.auto_migrate_reason,
        **values,
    )


def _run_log(sources: Sources, found: dict[str, Found]) -> RunLogSettings:
    key = "run_log.directory"
    path = sources.directory / str(found[key].value)
    if path.exists() and not path.is_dir():
        raise refuse(key, found[key].where, f"names the file {path}; it has to be a directory")
    found[key] = found[key]._replace(value=str(path))
    values = section(found, "run_log")
    values["directory"] = path
    return RunLogSettings(**values)


def _rows(found: Mapping[str, Found], address: Address) -> tuple[Shown, ...]:
    rows = address.rows | {
        setting.key: Shown(
            setting.key, shown(setting, found[setting.key].value), found[setting.key].where
        )
        for setting in SETTINGS
        if setting.key in found
    }
    return tuple(rows[setting.key] for setting in SETTINGS if setting.key in rows)

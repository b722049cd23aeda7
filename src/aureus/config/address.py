"""The address of the database as the program uses it: TLS settled, a way around the pooler, leave to migrate.

The schema is created without being asked for only on SQLite, on this machine, or where the database was named to
Aureus by argument, flag or an ``AUREUS_*`` variable. A ``DATABASE_URL`` that happens to stand in somebody's
environment may belong to another program, and a file may have come with a checkout.
"""

from __future__ import annotations

from typing import NamedTuple

from aureus.config import libpq, tls
from aureus.config.found import warn_of_overruled
from aureus.config.settings import Shown
from aureus.config.sources import Said, Sources, UrlOptions
from aureus.config.store import Store, fill_blanks, read_said_url
from aureus.config.table import BY_KEY
from aureus.config.url import DatabaseUrl, PostgresUrl
from aureus.config.values import parse, quoted, refuse

_URL = BY_KEY["database.url"]
_DIRECT = BY_KEY["database.direct_url"]
_SSLMODE = BY_KEY["database.sslmode"]
_CHOOSING = (BY_KEY["database.backend"], BY_KEY["database.directory"])


class Address(NamedTuple):
    """Where the database is, whether its schema may be created there unasked, and the lines to show."""

    url: DatabaseUrl
    direct_url: PostgresUrl | None
    auto_migrate: bool
    auto_migrate_reason: str
    rows: dict[str, Shown]


class _Migrated(NamedTuple):
    """The URL over which the schema is created, who gave it, and whether it was named to Aureus alone."""

    url: PostgresUrl
    where: str
    is_meant: bool


def settle_address(sources: Sources, store: Store, options: UrlOptions) -> Address:
    """Return the address of the chosen store; adds to the warnings of the sources."""
    if store.said is not None:
        text = parse(_URL, sources.read(_URL, store.said), store.said.where)
        warn_of_overruled(sources, _URL, store.said, text)
    sources.warnings.extend(store.warnings)
    said_direct = next(iter(sources.say(_DIRECT)), None)
    rows = {_URL.key: Shown(_URL.key, store.url.masked, store.where)}
    for setting in _CHOOSING:
        for said in sources.say(setting)[:1]:
            rows[setting.key] = Shown(setting.key, quoted(said.written).strip("'"), said.where)
    if not isinstance(store.url, PostgresUrl):
        if said_direct is not None:
            sources.warnings.append(f"{said_direct.where} is not used: the store is SQLite")
        return Address(
            store.url,
            None,
            auto_migrate=True,
            auto_migrate_reason="a SQLite database belongs to whoever opens it",
            rows=rows,
        )
    url = _with_tls(sources, store.url, options)
    rows |= {_URL.key: Shown(_URL.key, url.masked, store.where)} | _part_rows(
        sources, store, url, options
    )
    if said_direct is None:
        may, why = _leave_to_migrate(_Migrated(url, store.where, store.is_meant))
        return Address(url, None, may, why, rows)
    direct = _direct(sources, said_direct, url)
    rows[_DIRECT.key] = Shown(_DIRECT.key, direct.url.masked, direct.where)
    may, why = _leave_to_migrate(direct)
    return Address(url, direct.url, may, why, rows)


def _with_tls(sources: Sources, url: PostgresUrl, options: UrlOptions) -> PostgresUrl:
    said = next(iter(sources.say(_SSLMODE, options)), None)
    settled = tls.settle(url, said, sources.environ)
    sources.warnings.extend(settled.warnings)
    return settled.url


def _direct(sources: Sources, said: Said, url: PostgresUrl) -> _Migrated:
    read = read_said_url(sources, _DIRECT.key, said)
    if not isinstance(read.url, PostgresUrl):
        raise refuse(
            _DIRECT.key,
            said.where,
            "is no PostgreSQL URL; give the one that goes around the pooler",
        )
    filled = fill_blanks(sources, read.url, said)
    direct = _with_tls(sources, filled.url, UrlOptions(read.options, said))
    if direct.is_pooled:
        sources.warnings.append(
            f"{said.where} leads to a pooler itself; migrating and listening need the server"
        )
    if direct.get("dbname") != url.get("dbname"):
        sources.warnings.append(
            f"{said.where} names another database than database.url; it is the one that is migrated"
        )
    return _Migrated(direct, said.where, filled.is_meant)


def _leave_to_migrate(migrated: _Migrated) -> tuple[bool, str]:
    if migrated.url.is_local:
        return True, "the server runs on this machine"
    if migrated.is_meant:
        return True, f"the database was named to Aureus ({migrated.where})"
    return False, (
        f"{migrated.url.describe()} is another machine and was not named to Aureus alone ({migrated.where}), so its "
        "schema is not created in silence; run `aureus db init` once, or give the URL with --dsn or AUREUS_DATABASE_URL"
    )


def _part_rows(
    sources: Sources, store: Store, url: PostgresUrl, options: UrlOptions
) -> dict[str, Shown]:
    rows: dict[str, Shown] = {}
    for keyword, key in libpq.PARTS.items():
        if url.has(keyword):
            rows[key] = Shown(key, str(url.get(keyword)), store.parts.get(keyword, store.where))
    if url.has("sslmode"):
        said = next(iter(sources.say(_SSLMODE, options)), None)
        rows[_SSLMODE.key] = Shown(
            _SSLMODE.key, str(url.get("sslmode")), "default" if said is None else said.where
        )
    return rows

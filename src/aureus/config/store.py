"""Decides which database is meant when several names speak about it.

Three kinds of statement select a store: a URL, a backend word (``STATE_STORE_TYPE`` and its like), and a host under
Aureus's own name. The strongest one wins; ``Said.strength`` compares level first, then Aureus's own names before
names that other programs read too. Two statements of the same strength that contradict each other are refused,
except in the environment and ``.env`` under foreign names, where ``memory`` yields to a URL because forgetting is
worse, and any other word overrules a URL because that is how Aragora documents its way back to SQLite.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aureus.config import libpq
from aureus.config.sources import Level, Said, Sources
from aureus.config.table import BY_KEY
from aureus.config.url import DatabaseUrl, PostgresUrl, SqliteUrl
from aureus.config.url_reader import ReadUrl, kind_of, read_url
from aureus.config.values import parse, refuse
from aureus.errors import ConfigInvalid

_URL = BY_KEY["database.url"]
_BACKEND = BY_KEY["database.backend"]
_HOST = BY_KEY["database.host"]
_SERVICE = BY_KEY["database.service"]
_DIRECTORY = BY_KEY["database.directory"]

FILE_NAME = "aureus.db"

_NOTHING: Mapping[str, str] = {}


class Store(NamedTuple):
    """The database that was chosen, before TLS is settled."""

    url: DatabaseUrl
    where: str
    """Who chose it, for people."""
    said: Said | None = None
    """The URL's own statement; None when the URL was built from parts or by default."""
    options: Mapping[str, str] = _NOTHING
    parts: Mapping[str, str] = _NOTHING
    """Which of libpq's parameters did not come from the URL, and who said them."""
    is_meant: bool = False
    """True when a server was named to Aureus: by argument, flag or an ``AUREUS_*`` variable."""
    warnings: tuple[str, ...] = ()


class Filled(NamedTuple):
    """A URL with its blanks filled, who filled them, and whether it still leads where it was meant to."""

    url: PostgresUrl
    parts: Mapping[str, str]
    is_meant: bool
    """False where a foreign name chose the host."""
    warnings: tuple[str, ...]


def choose_store(sources: Sources) -> Store:
    """Return the store that the strongest statement selects; raises ``ConfigInvalid`` when two contradict."""
    said_urls = sources.say(_URL)
    url = said_urls[0] if said_urls else None
    address = _address_said(sources)
    word_said = next(iter(sources.say(_BACKEND)), None)
    selecting = min(
        (said for said in (url, address) if said is not None),
        key=lambda said: said.strength,
        default=None,
    )
    if word_said is None or (selecting is not None and selecting.strength < word_said.strength):
        return _follow(sources, url, selecting)
    word = str(parse(_BACKEND, word_said.written, word_said.where))
    if word == "auto":
        return _follow(sources, url, selecting)
    kind = {"memory": "memory", "sqlite": "sqlite"}.get(word, "postgresql")
    warnings: tuple[str, ...] = ()
    if (
        selecting is not None
        and selecting.strength == word_said.strength
        and _contradicts(sources, kind, selecting)
    ):
        if word_said.is_own:
            raise refuse(
                _BACKEND.key,
                word_said.where,
                f"contradicts {selecting.where}; take one of the two away",
            )
        loser, winner = (word_said, selecting) if kind == "memory" else (selecting, word_said)
        warnings = (f"{loser.where} is not obeyed: {winner.where} contradicts it and wins",)
        if winner is selecting:
            return _with_warnings(_follow(sources, url, selecting), warnings)
    return _with_warnings(_obey(sources, kind, word, word_said, said_urls, address), warnings)


def _follow(sources: Sources, url: Said | None, selecting: Said | None) -> Store:
    """Return what the strongest URL or host says, whatever backend words say."""
    if url is not None and selecting is url:
        return _from_url(sources, url)
    if selecting is not None:
        return _from_parts(sources)
    idle = next((said for said in sources.say(_HOST) if not said.name.startswith("PG")), None)
    store = _sqlite_file(sources, "default")
    if idle is None:
        return store
    hint = f"{idle.where} selects no database by itself; set AUREUS_DATABASE_BACKEND=postgresql to use it"
    return _with_warnings(store, (hint,))


def _obey(
    sources: Sources,
    kind: str,
    word: str,
    word_said: Said,
    said_urls: list[Said],
    address: Said | None,
) -> Store:
    """Return a store of the kind a backend word asks for: its strongest URL, else parts, else its default."""
    matching = next((said for said in said_urls if not _contradicts(sources, kind, said)), None)
    if matching is not None and (
        kind != "postgresql" or address is None or matching.strength <= address.strength
    ):
        return _from_url(sources, matching)
    if kind == "memory":
        return Store(SqliteUrl(None), word_said.where)
    if kind == "sqlite":
        return _sqlite_file(sources, word_said.where)
    if word == "supabase" and not sources.say(_HOST):
        raise refuse(
            _BACKEND.key,
            word_said.where,
            "is supabase, but no URL is given; set SUPABASE_POSTGRES_DSN",
        )
    return _from_parts(sources)


def _contradicts(sources: Sources, kind: str, said: Said) -> bool:
    if said.name in {_HOST.key, _HOST.variable, _SERVICE.key, _SERVICE.variable}:
        return kind != "postgresql"
    text = str(sources.read(_URL, said)).strip()
    if kind == "memory":
        return text not in {"sqlite://", "sqlite:///:memory:"}
    return kind_of(text) != kind


def _address_said(sources: Sources) -> Said | None:
    """Return the strongest host or service that was named to Aureus itself."""
    said = [item for setting in (_HOST, _SERVICE) for item in sources.say(setting) if item.is_own]
    return min(said, key=lambda item: item.strength, default=None)


def _from_url(sources: Sources, said: Said) -> Store:
    read = read_said_url(sources, _URL.key, said)
    if isinstance(read.url, SqliteUrl):
        return Store(_resolved(sources, read.url, said.where), said.where, said)
    filled = fill_blanks(sources, read.url, said)
    store = Store(
        filled.url, said.where, said, read.options, filled.parts, filled.is_meant, filled.warnings
    )
    if said.level is not Level.FLAG or not read.url.has("password"):
        return store
    warning = (
        f"{said.where} holds a password, which every user of this machine can see in the process list; "
        "set AUREUS_DATABASE_URL or AUREUS_DATABASE_PASSWORD_FILE instead"
    )
    return _with_warnings(store, (warning,))


def read_said_url(sources: Sources, key: str, said: Said) -> ReadUrl:
    """Read a URL that somebody gave; errors name the setting and where it was given, never the URL."""
    setting = BY_KEY[key]
    text = parse(setting, sources.read(setting, said), said.where)
    try:
        return read_url(str(text))
    except ConfigInvalid as error:
        raise refuse(key, said.where, error.message) from None


def is_meant(said: Said) -> bool:
    """Return whether something was said to Aureus, and to this command or environment."""
    # aureus.toml may have come with a checkout: it names a database, but nobody named it to this command.
    return said.is_own and said.level is not Level.TOML


def _sqlite_file(sources: Sources, where: str) -> Store:
    said = next(iter(sources.say(_DIRECTORY)), None)
    written = _DIRECTORY.default if said is None else said.written
    origin = "default" if said is None else said.where
    path = sources.directory / str(parse(_DIRECTORY, written, origin)) / FILE_NAME
    return Store(_resolved(sources, SqliteUrl(path), origin), where if said is None else origin)


def _resolved(sources: Sources, url: SqliteUrl, where: str) -> SqliteUrl:
    if url.path is None:
        return url
    path = sources.directory / url.path
    if path.is_dir():
        raise refuse(_URL.key, where, f"names the directory {path}; it has to be a file")
    return SqliteUrl(path)


def _part(sources: Sources, key: str, usable: tuple[str, ...]) -> tuple[str, Said] | None:
    """Return one part of the address from the strongest name that may speak here."""
    setting = BY_KEY[key]
    for said in sources.say(setting):
        if said.is_own or said.name.startswith(usable):
            return str(parse(setting, sources.read(setting, said), said.where)), said
    return None


def fill_blanks(sources: Sources, url: PostgresUrl, said: Said) -> Filled:
    """Add what the URL leaves out, from Aureus's own names and from libpq's.

    ``DATABASE_PASSWORD`` and its like belong to ``DATABASE_URL``: they complete no other URL, so that a password
    never goes to another server than the one it was set beside. A service file is not overruled by libpq's variables.
    """
    family = ("DATABASE_",) if said.name.startswith("DATABASE_URL") else ()
    usable = family if url.has("service") else (*family, "PG")
    found = {keyword: _part(sources, key, usable) for keyword, key in libpq.PARTS.items()}
    known = {keyword: part for keyword, part in found.items() if part is not None}
    warnings = [
        f"{item.where} is not used: the URL of {said.where} says otherwise"
        for keyword, (value, item) in known.items()
        if item.is_own and url.differs(keyword, value)
    ]
    blanks = {keyword: part for keyword, part in known.items() if not url.has(keyword)}
    filled = url.filled({keyword: value for keyword, (value, _) in blanks.items()})
    complete = filled.filled(_libpq_environment(sources))
    led_by_own = all(
        blanks[keyword][1].is_own for keyword in ("host", "service") if keyword in blanks
    )
    return Filled(
        complete,
        {keyword: item.where for keyword, (_, item) in blanks.items()},
        is_meant=is_meant(said) and led_by_own and complete.get("hostaddr") == url.get("hostaddr"),
        warnings=tuple(warnings),
    )


def _from_parts(sources: Sources) -> Store:
    found = {
        keyword: _part(sources, key, ("DATABASE_", "PG")) for keyword, key in libpq.PARTS.items()
    }
    parts = {keyword: part for keyword, part in found.items() if part is not None}
    address = found["host"] or found["service"]
    if address is not None and ("://" in address[0] or "@" in address[0][1:]):
        raise refuse(_HOST.key, address[1].where, "is a URL; give it as AUREUS_DATABASE_URL")
    defaults = () if "service" in parts else ("host", "port", "dbname", "user")
    parameters = {keyword: str(BY_KEY[libpq.PARTS[keyword]].default) for keyword in defaults}
    parameters |= {keyword: value for keyword, (value, _) in parts.items()}
    said_where = {keyword: said.where for keyword, (_, said) in parts.items()}
    return Store(
        PostgresUrl(parameters).filled(_libpq_environment(sources)),
        f"built from {'; '.join(dict.fromkeys(said_where.values())) or 'defaults'}",
        parts=dict.fromkeys(defaults, "default") | said_where,
        is_meant=address is not None
        and is_meant(address[1])
        and sources.variable("PGHOSTADDR") is None,
    )


def _libpq_environment(sources: Sources) -> dict[str, str]:
    found = {keyword: sources.variable(name) for keyword, name in libpq.ENVIRONMENT.items()}
    return {keyword: value for keyword, value in found.items() if value is not None}


def _with_warnings(store: Store, warnings: tuple[str, ...]) -> Store:
    return store._replace(warnings=(*store.warnings, *warnings))

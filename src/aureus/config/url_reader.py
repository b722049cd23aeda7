"""Reads database URLs and libpq's keyword strings.

Text that cannot be read is never quoted, because the place where reading stops is usually the middle of a password;
for the same reason an ``@`` or ``/`` behind the host is refused and not interpreted. Options that are settings of
Aureus are taken out of the URL; what neither libpq nor Aureus knows is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from aureus.config import libpq
from aureus.config.table import URL_OPTIONS
from aureus.config.url import DatabaseUrl, PostgresUrl, SqliteUrl
from aureus.config.values import CONTROL_CHARACTERS, did_you_mean
from aureus.errors import ConfigInvalid

IGNORED_OPTIONS = frozenset(
    {"pool_health_check_period", "pool_max_conn_lifetime_jitter", "pool_min_idle_conns"}
)
"""Pool options of other drivers that change nothing a caller can see: taken out and not obeyed."""

_HINTS = {
    "schema": "name the schema in AUREUS_DATABASE_SCHEMA",
    "currentschema": "name the schema in AUREUS_DATABASE_SCHEMA",
    "search_path": "name the schema in AUREUS_DATABASE_SCHEMA",
    "connection_limit": "it is called pool_max here",
    "statement_cache_size": "it is called prepared_statements=off here",
    "preparethreshold": "it is called prepared_statements=off here",
    "client_encoding": "Aureus always speaks UTF-8",
    "replication": "no store works over a replication connection",
}
_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9.-]*)(?:\+[a-zA-Z0-9_]+)?:(//)?")
_BAD_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")
_ENCODE = "if it comes from the password, write it percent-encoded (@ is %40, / is %2F, ? is %3F, % is %25)"
_PLAIN = re.compile(
    r"\s*([a-zA-Z_]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|\Z)", re.DOTALL
)


class ReadUrl(NamedTuple):
    """A URL, and the options that were written into it but are settings of their own."""

    url: DatabaseUrl
    options: dict[str, str]

    def __repr__(self) -> str:
        return f"ReadUrl({self.url!r}, {sorted(self.options)!r})"


def read_url(text: str) -> ReadUrl:
    """Read a database URL, or a keyword string such as ``host=db dbname=app``.

    Raises ``ConfigInvalid`` without quoting the text. A relative SQLite path stays relative.
    """
    match = _SCHEME.match(text)
    if match is None or (
        match[2] is None and match[1].lower() not in {"sqlite", "postgresql", "postgres"}
    ):
        if "=" not in text:
            raise ConfigInvalid(
                "is no database URL; write sqlite:///path/to/file.db or postgresql://user@host:5432/database"
            )
        return _from_parameters(_read_keywords(text))
    kind = kind_of(text)
    if kind is None:
        raise ConfigInvalid(
            f"has the scheme {match[1].lower()!r}; Aureus stores in sqlite:///… and postgresql://…. "
            "If the URL belongs to another program, name Aureus's own in AUREUS_DATABASE_URL"
        )
    if match[2] is None:
        raise ConfigInvalid(f"lacks the two slashes after the colon; write {match[1].lower()}://…")
    rest = text[match.end() :]
    return ReadUrl(_read_sqlite(rest), {}) if kind == "sqlite" else _read_postgres(rest)


def kind_of(text: str) -> str | None:
    """Return ``sqlite`` or ``postgresql``, without looking further than the scheme; None for anything else."""
    match = _SCHEME.match(text)
    if match is None or (match[2] is None and "=" in text):
        return "postgresql" if "=" in text else None
    return {"sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql"}.get(
        match[1].lower()
    )


def _read_sqlite(rest: str) -> SqliteUrl:
    if rest in {"", "/:memory:"}:
        return SqliteUrl(None)
    if not rest.startswith("/"):
        raise ConfigInvalid(
            "has two slashes before the path; write three for a relative path (sqlite:///var/aureus.db) "
            "and four for an absolute one (sqlite:////var/lib/aureus.db)"
        )
    path, question_mark, _ = rest[1:].partition("?")
    if question_mark:
        raise ConfigInvalid(
            "has options after the ?; a SQLite URL takes none (a ? in a file name is %3F)"
        )
    path = _decode(path)
    if not path or path.endswith("/"):
        raise ConfigInvalid(
            "names no file; write sqlite:///path/to/file.db, or sqlite:// for a database in memory"
        )
    if path.startswith("~"):
        raise ConfigInvalid("starts with ~, which only a shell expands; write the path out")
    if CONTROL_CHARACTERS.search(path):
        raise ConfigInvalid("has a control character in the file name; remove it")
    from pathlib import Path

    return SqliteUrl(Path(path))


def _read_postgres(rest: str) -> ReadUrl:
    front, _, query = rest.partition("?")
    authority, _, database = front.partition("/")
    if "@" in database or "/" in database or "@" in query:
        raise ConfigInvalid(f"has an @ or / behind the host and port; {_ENCODE}")
    user_part, at, host_part = authority.rpartition("@")
    parameters: dict[str, str] = {}
    if at:
        user, colon, password = user_part.partition(":")
        parameters["user"] = _decode(user)
        if colon:
            parameters["password"] = _decode(password)
    hosts, ports = _split_hosts(host_part)
    parameters["host"], parameters["port"], parameters["dbname"] = hosts, ports, _decode(database)
    parameters = {key: value for key, value in parameters.items() if value}
    seen: set[str] = set()
    for pair in filter(None, query.split("&")):
        key, equals, value = pair.partition("=")
        key = _decode(key)
        if not equals or "=" in value:
            raise ConfigInvalid(f"has an option that is not written name=value; {_ENCODE}")
        if key in seen:
            raise ConfigInvalid(f"gives the option {key} twice")
        seen.add(key)
        if key == "host":  # the address before the slash is then a placeholder, its port with it
            parameters.pop("port", None)
    for pair in filter(None, query.split("&")):
        key, _, value = pair.partition("=")
        parameters[_decode(key)] = _decode(value)
    return _from_parameters(parameters)


def _split_hosts(text: str) -> tuple[str, str]:
    hosts: list[str] = []
    ports: list[str] = []
    for item in text.split(","):
        if item.startswith("["):
            host, bracket, after = item[1:].partition("]")
            if not bracket or (after and not after.startswith(":")):
                raise ConfigInvalid(f"has an address in brackets that does not end; {_ENCODE}")
            port = after[1:]
        else:
            host, _, port = item.partition(":")
            host = _decode(host)
        hosts.append(host)
        ports.append(port)
    return ",".join(hosts), "" if not any(ports) else ",".join(ports)


def _read_keywords(text: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _PLAIN.match(text, position)
        if match is None:
            raise ConfigInvalid(
                "is neither a URL nor a list of name=value; values with blanks or quotes stand in '…', "
                "and a quote or backslash inside is written \\' or \\\\"
            )
        value = match[2] if match[2] is not None else match[3]
        parameters[match[1]] = re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)
        position = match.end()
    return parameters


def _from_parameters(parameters: Mapping[str, str]) -> ReadUrl:
    """Sort what a URL says into libpq's parameters and our settings, and refuse what neither knows."""
    kept: dict[str, str] = {}
    options: dict[str, str] = {}
    pooled = False
    for key, value in parameters.items():
        if "\x00" in value:
            raise ConfigInvalid("contains a NUL character; remove it")
        if key in URL_OPTIONS:
            options[key] = value
        elif key == "pgbouncer":
            pooled = value.lower() in {"true", "1", "on", "yes"}
        elif key in libpq.KEYWORDS:
            if key not in libpq.SECRETS and CONTROL_CHARACTERS.search(value):
                raise ConfigInvalid(f"has a control character in {key}; remove it")
            if value:
                kept[key] = value
        elif key not in IGNORED_OPTIONS:
            raise ConfigInvalid(
                f"has the option {key!r}, which neither PostgreSQL nor Aureus knows{_suggest(key)}"
            )
    _check_ports(kept)
    return ReadUrl(PostgresUrl(kept, said_to_be_pooled=pooled), options)


def _check_ports(parameters: Mapping[str, str]) -> None:
    ports = parameters.get("port", "").split(",")
    for port in ports:
        if port and not (
            port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535
        ):
            raise ConfigInvalid(f"has a port that is not a number from 1 to 65535; {_ENCODE}")
    hosts = (parameters.get("host") or parameters.get("hostaddr", "")).split(",")
    if len(ports) not in {1, len(hosts)}:
        raise ConfigInvalid(
            f"has {len(hosts)} hosts and {len(ports)} ports; give one port, or one for each host"
        )


def _suggest(key: str) -> str:
    if hint := _HINTS.get(key.lower()):
        return f"; {hint}"
    return (
        did_you_mean(key.lower(), libpq.KEYWORDS | set(URL_OPTIONS) | {"pgbouncer"})
        or "; take it out"
    )


def _decode(text: str) -> str:
    if _BAD_PERCENT.search(text):
        raise ConfigInvalid(
            "has a % that is not followed by two hexadecimal digits; write %25 for a % itself"
        )
    from urllib.parse import unquote_to_bytes

    try:
        return unquote_to_bytes(text).decode()
    except UnicodeError:
        raise ConfigInvalid("is not valid UTF-8 once its %-codes are resolved") from None

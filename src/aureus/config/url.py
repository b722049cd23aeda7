"""Where a database is, and showing it without its secrets.

Both kinds are immutable and mask themselves in ``repr`` and ``str``, so that a log, a traceback or a debugger shows
``***``; only ``connection_parameters`` gives the password. Nothing here reads a file or the environment; how the
text of a URL becomes one of these is in ``url_reader.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aureus.config import libpq

if TYPE_CHECKING:  # whoever has a Path has loaded pathlib; whoever reads --version need not
    from pathlib import Path

MASK = "***"

POOLER_PORTS = frozenset({"6543", "6432"})
"""Ports on which transaction poolers listen: Supabase's, and PgBouncer's own default."""


class SqliteUrl:
    """A SQLite database: a file, or memory that is gone with the process."""

    __slots__ = ("_path",)

    def __init__(self, path: Path | None) -> None:
        self._path = path

    @property
    def path(self) -> Path | None:
        """Return the file, absolute once it is part of the settings; None for a database in memory."""
        return self._path

    @property
    def is_memory(self) -> bool:
        """Return whether nothing is kept."""
        return self.path is None

    @property
    def masked(self) -> str:
        """Return the URL as it may be shown."""
        return "sqlite://" if self.path is None else f"sqlite:///{_quote(self.path.as_posix())}"

    def describe(self, schema: str | None = None) -> str:  # noqa: ARG002 - SQLite has no schemas
        """Return one line for logs."""
        return "SQLite in memory" if self.path is None else f"SQLite {self.path}"

    def __repr__(self) -> str:
        return f"SqliteUrl({self.masked!r})"

    def __str__(self) -> str:
        return self.masked

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SqliteUrl) and other.path == self.path

    def __hash__(self) -> int:
        return hash(self.path)


class PostgresUrl:
    """A PostgreSQL database: libpq's connection parameters, of which some are secret."""

    __slots__ = ("_parameters", "_said_to_be_pooled")

    def __init__(self, parameters: Mapping[str, str], *, said_to_be_pooled: bool = False) -> None:
        self._parameters = dict(parameters)
        self._said_to_be_pooled = said_to_be_pooled

    def connection_parameters(self) -> dict[str, str]:
        """Return the parameters for libpq, the password in clear among them: to connect with, never to show.

        ``application_name`` and ``connect_timeout`` are settings and not among them. The encoding is always UTF-8,
        whatever ``PGCLIENTENCODING`` says.
        """
        return {**self._parameters, "client_encoding": "UTF8"}

    def get(self, keyword: str) -> str | None:
        """Return one parameter, ``***`` for a secret; None when the URL does not say."""
        value = self._parameters.get(keyword)
        return MASK if value is not None and keyword in libpq.SECRETS else value

    def has(self, keyword: str) -> bool:
        """Return whether the URL says something about a parameter."""
        return keyword in self._parameters

    def differs(self, keyword: str, value: str) -> bool:
        """Return whether the URL says something else about a parameter; a way to compare what may not be shown."""
        return self._parameters.get(keyword, value) != value

    def filled(self, blanks: Mapping[str, str]) -> PostgresUrl:
        """Return the URL with parameters added where it leaves them out."""
        return PostgresUrl(
            {**blanks, **self._parameters}, said_to_be_pooled=self._said_to_be_pooled
        )

    @property
    def hosts(self) -> tuple[tuple[str, str], ...]:
        """Return each host with its port; an empty host is libpq's default, a Unix socket of this machine."""
        hosts = (self._parameters.get("host") or self._parameters.get("hostaddr", "")).split(",")
        ports = self._parameters.get("port", "").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        return tuple((host, port or "5432") for host, port in zip(hosts, ports, strict=False))

    @property
    def is_local(self) -> bool:
        """Return whether every host is this machine; a service file may name any host, so it is not."""
        addresses = self._parameters.get("hostaddr", "")
        if addresses:
            return all(_is_loopback(address) for address in addresses.split(","))
        if "service" in self._parameters and not self._parameters.get("host"):
            return False
        return all(_is_local_host(host) for host, _ in self.hosts)

    @property
    def is_pooled(self) -> bool:
        """Return whether a transaction pooler stands in between: no prepared statements, no LISTEN."""
        return self._said_to_be_pooled or any(
            port in POOLER_PORTS or host.partition(".")[0].endswith("-pooler")
            for host, port in self.hosts
        )

    @property
    def masked(self) -> str:
        """Return the URL as it may be shown: with ``***`` for each secret."""
        shown = {
            key: MASK if key in libpq.SECRETS else _quote(value)
            for key, value in self._parameters.items()
        }
        hosts, sockets = self.hosts, any(host.startswith(("/", "@")) for host, _ in self.hosts)
        address = "" if sockets else ",".join(_address(host, port) for host, port in hosts if host)
        user = shown.get("user", "") + (f":{MASK}" if "password" in shown else "")
        inside = {"user", "password", "dbname"}
        if not sockets:
            inside |= {"host", "port"}
        options = "&".join(f"{key}={value}" for key, value in shown.items() if key not in inside)
        text = f"postgresql://{user}{'@' if user else ''}{address}/{shown.get('dbname', '')}"
        return f"{text}?{options}" if options else text

    def describe(self, schema: str | None = None) -> str:
        """Return one line for logs, without user and password."""
        if "service" in self._parameters and not self._parameters.get("host"):
            place = f"service {self._parameters['service']}"
        else:
            place = ",".join(_address(host or "local socket", port) for host, port in self.hosts)
            place = f"{place}/{self._parameters.get('dbname', '')}".rstrip("/")
        return f"PostgreSQL {place}" + (f" schema {schema}" if schema else "")

    def __repr__(self) -> str:
        return f"PostgresUrl({self.masked!r})"

    def __str__(self) -> str:
        return self.masked

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, PostgresUrl)
            and other._parameters == self._parameters
            and other._said_to_be_pooled == self._said_to_be_pooled
        )

    def __hash__(self) -> int:
        return hash(frozenset(self._parameters.items()))


DatabaseUrl = SqliteUrl | PostgresUrl


def _quote(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="/:,")


def _address(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_local_host(host: str) -> bool:
    if not host or host.startswith(("/", "@")):
        return True
    return host.lower().rstrip(".") == "localhost" or _is_loopback(host)


def _is_loopback(address: str) -> bool:
    from ipaddress import ip_address  # 1 ms, and most addresses are names

    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False

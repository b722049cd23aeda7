"""Settles TLS for one database URL: full verification to other hosts unless somebody asked for less.

``prefer`` and ``allow`` are refused for other hosts: both fall back to plain text when an attacker asks for it, and
look safe. ``require`` and ``disable`` are obeyed and warned about. A service file is not read here: a service counts
as another host, and its ``sslmode`` is overruled by the setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from aureus.config.sources import Said
from aureus.config.table import BY_KEY
from aureus.config.url import PostgresUrl
from aureus.config.values import parse, refuse

BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where operating systems keep the certificates they trust: Debian and Arch, Red Hat, SUSE, Alpine and macOS."""

_SSLMODE = BY_KEY["database.sslmode"]
_WEAK = {
    "require": "encrypts, but does not check who answers",
    "disable": "sends everything, the password's proof included, in the clear",
}


class Settled(NamedTuple):
    """A URL with its ``sslmode``, and what to warn about."""

    url: PostgresUrl
    warnings: tuple[str, ...] = ()


def settle(url: PostgresUrl, said: Said | None, environ: Mapping[str, str]) -> Settled:
    """Return the URL with the ``sslmode`` that applies; raises ``ConfigInvalid`` for modes that only look safe."""
    if said is None:
        return Settled(url if url.is_local else _with_mode(url, "verify-full", environ))
    mode = str(parse(_SSLMODE, said.written, said.where))
    settled = _with_mode(url, mode, environ)
    if url.is_local:
        return Settled(settled)
    host = url.describe()
    if mode in {"prefer", "allow"}:
        raise refuse(
            _SSLMODE.key, said.where,
            f"is {mode}, which gives way to plain text whenever the other side asks; {host} is not this machine. "
            "Take it out for verify-full, or ask for require or disable openly",
        )  # fmt: skip
    if mode in _WEAK:
        warning = f"{said.where}: sslmode={mode} to {host} {_WEAK[mode]}; verify-full does"
        return Settled(settled, (warning,))
    return Settled(settled)


def _with_mode(url: PostgresUrl, mode: str, environ: Mapping[str, str]) -> PostgresUrl:
    roots = {} if url.has("service") else _roots(mode, environ)
    return url.filled({"sslmode": mode} | roots)


def _roots(mode: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the trusted certificates for full verification, where libpq's own place for them is empty.

    libpq looks into the home directory only, and its ``sslrootcert=system`` asks the OpenSSL it was built with, which
    in psycopg's wheels looks into a directory that no operating system has.
    """
    if mode != "verify-full":
        return {}
    from pathlib import Path

    home = environ.get("HOME")
    if home and (Path(home) / ".postgresql" / "root.crt").exists():
        return {}
    for bundle in (environ.get("SSL_CERT_FILE"), *BUNDLES):
        if bundle and Path(bundle).is_file():
            return {"sslrootcert": bundle}
    return {}

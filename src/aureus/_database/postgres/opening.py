"""Looks at a PostgreSQL database before it is used: reachable, current, and which role to work as."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import make_conninfo

from aureus._database.migrate import MigrationStatus
from aureus._database.postgres.errors import mapped
from aureus._database.postgres.migrations import Migrator, Target
from aureus._database.postgres.options import PostgresOptions
from aureus.clock import SystemClock
from aureus.config import DatabaseSettings, PostgresUrl
from aureus.errors import Forbidden
from aureus.ids import RandomIds

T = TypeVar("T")

_FOREVER_SECONDS = 10.0 * 366 * 86_400


def prepare(settings: DatabaseSettings, url: PostgresUrl) -> PostgresOptions:
    """Check the schema, migrate it where that is allowed, and return how to work with the database.

    Raises ``DatabaseUnavailable``, ``MigrationError`` and ``Forbidden``.
    """
    options = options_of(settings, url)
    with _migrator(settings, url) as (migrator, connection):
        prepared = migrator.ensure(may_migrate=settings.auto_migrate)
        single = prepared.single_role
        if settings.role_mode == "single":
            _refuse_bypass(connection, options)
            single = True
        elif settings.role_mode == "separate" and single:
            raise Forbidden(
                f"{options.place()}: the user cannot become the role {settings.role}; "
                f"grant it, or set database.role_mode to auto",
                role=settings.role,
            )
    return options_of(settings, url, role=None if single else settings.role)


def migrate(settings: DatabaseSettings, url: PostgresUrl) -> tuple[str, ...]:
    """Bring the schema up to date and return the names of what was applied, and made besides."""
    with _migrator(settings, url) as (migrator, _):
        prepared = migrator.migrate()
    return (*prepared.applied, *prepared.steps)


def status(settings: DatabaseSettings, url: PostgresUrl) -> MigrationStatus:
    """Return what was applied and what is missing."""
    with _migrator(settings, url) as (migrator, _):
        return migrator.status()


def options_of(
    settings: DatabaseSettings, url: PostgresUrl, role: str | None = None
) -> PostgresOptions:
    """Return the options that settings make."""
    return PostgresOptions(
        conninfo=make_conninfo(**url.connection_parameters()),
        direct_conninfo=_direct(settings),
        schema=settings.schema,
        role=role,
        pool_min=settings.pool_min,
        pool_max=settings.pool_max,
        acquire_seconds=settings.acquire_timeout_seconds,
        idle_seconds=_or_forever(settings.idle_timeout_seconds),
        lifetime_seconds=_or_forever(settings.lifetime_seconds),
        connect_seconds=_or_forever(settings.connect_timeout_seconds),
        statement_seconds=_or_forever(settings.statement_timeout_seconds),
        idle_in_transaction_seconds=_or_forever(settings.idle_in_transaction_timeout_seconds),
        application_name=settings.application_name,
        prepares=settings.prepared_statements,
    )


@contextmanager
def _migrator(
    settings: DatabaseSettings, url: PostgresUrl
) -> Generator[tuple[Migrator, psycopg.Connection[Any]]]:
    """Open a connection that goes around a pooler where one is named, and close it again."""
    direct = settings.direct_url if isinstance(settings.direct_url, PostgresUrl) else url
    options = options_of(settings, direct)
    target = Target(options.place(), settings.schema, settings.role)
    connection = _reached(
        lambda: psycopg.connect(
            options.connection_string(), autocommit=True, prepare_threshold=None
        ),
        options,
    )
    try:
        yield Migrator(connection, target, SystemClock(), RandomIds()), connection
    finally:
        connection.close()


def _reached(connect: Callable[[], T], options: PostgresOptions) -> T:
    try:
        return connect()
    except psycopg.Error as error:
        raise mapped(error, options.place()) from error


def _refuse_bypass(connection: psycopg.Connection[Any], options: PostgresOptions) -> None:
    query = "SELECT rolname, rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    row = connection.execute(query).fetchone()
    if row is not None and row[1]:
        raise Forbidden(
            f"{options.place()}: the user {row[0]} bypasses row level security, so database.role_mode single "
            "would let tenants see each other; connect as a plain user, or let the mode be auto",
            user=row[0],
        )


def _direct(settings: DatabaseSettings) -> str | None:
    direct = settings.direct_url
    if not isinstance(direct, PostgresUrl):
        return None
    return make_conninfo(**direct.connection_parameters())


def _or_forever(seconds: float | None) -> float:
    return _FOREVER_SECONDS if seconds is None else seconds

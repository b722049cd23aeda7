"""What commands share: the flags that name a database, opening it, and where messages go meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from aureus.cli.output import mark, note

if TYPE_CHECKING:
    from aureus.client import Aureus
    from aureus.config import DatabaseSettings, Settings

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

_DATABASE = (
    click.option(
        "--database-url",
        "--dsn",
        "database_url",
        metavar="URL",
        help="sqlite:///FILE, sqlite:// (memory) or postgresql://…; default ./var/aureus.db",
    ),
    click.option(
        "--state-store-type",
        metavar="TYPE",
        help="sqlite, postgresql or in-memory, when no URL says it.",
    ),
    click.option("--schema", metavar="NAME", help="PostgreSQL schema that holds the tables."),
    click.option("--tenant", metavar="NAME", help="Whose data; default `default`."),
    click.option(
        "--log-level",
        metavar="LEVEL",
        help="debug, info, warning, error or critical: the least that is logged; default info.",
    ),
)

_RUN_LOG = (
    click.option("--event-log-type", metavar="TYPE", help="filesystem, or none for no run log."),
    click.option("--event-log-dir", metavar="DIR", help="Root of the run logs; default ./var/run"),
)

_FLAGS = {
    name: f"--{name.replace('_', '-')}"
    for name in (
        *("database_url", "state_store_type", "schema", "tenant", "log_level"),
        *("event_log_type", "event_log_dir", "actor"),
    )
}
"""The flags that are settings, by the parameters that click makes of them; the table of settings knows them all."""


def database_options(command: F) -> F:
    """Add the flags that name a database and a tenant."""
    return _add(_DATABASE, command)


def run_log_options(command: F) -> F:
    """Add the flags that say where run logs go."""
    return _add(_RUN_LOG, command)


def json_option(command: F) -> F:
    """Add ``--json``: one JSON value on stdout, errors as JSON on stderr."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def actor_option(command: F) -> F:
    """Add ``--actor``: who is named in events and audit entries."""
    return click.option("--actor", metavar="NAME", help="Who acts; default the login name.")(
        command
    )


def _add(options: tuple[Callable[[F], F], ...], command: F) -> F:
    for option in reversed(options):
        command = option(command)
    return command


def settings_of(flags: Mapping[str, Any]) -> Settings:
    """Return the settings with these flags over everything else."""
    from aureus.config import read_here

    given = {_FLAGS[name]: value for name, value in flags.items() if name in _FLAGS}
    return read_here(flags=given)


def announce(settings: Settings, *, creates: bool = False) -> None:
    """Say on stderr which database is meant, and what looks like a mistake in the settings; messages go there too.

    With ``creates`` also whether it is made now.
    """
    _configure_logging(settings.log.level)
    for warning in settings.warnings:
        note(f"{mark('warning', 'yellow')}: {warning}")
    note(f"database: {described(settings.database, creates=creates)}")


def described(database: DatabaseSettings, *, creates: bool) -> str:
    """Return which database this is, and whether a command that makes a missing one makes it now."""
    path = getattr(database.url, "path", None)
    if not creates or not makes_file(database) or path is None:
        return database.description
    return f"{database.description} (made now{_folders_made(path.parent)})"


def makes_file(database: DatabaseSettings) -> bool:
    """Return whether opening this database would make its file."""
    path = getattr(database.url, "path", None)
    return path is not None and database.create == "on" and not path.exists()


def _folders_made(folder: Path) -> str:
    if folder.exists():
        return ""
    if folder.parent.exists():
        return ", with its folder"
    while not folder.parent.exists():
        folder = folder.parent
    return f", with the folders from {folder} on"


def only_existing(settings: Settings) -> Settings:
    """Return the settings of a command that makes no database: a missing file is ``DatabaseMissing``."""
    return replace(settings, database=replace(settings.database, create="off"))


def _configure_logging(level: str) -> None:
    import logging  # `aureus --help` does without

    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=level.upper())
    if level != "debug":  # a pool tells of each failed try; our own error says what is wrong
        logging.getLogger("psycopg").setLevel(logging.CRITICAL)


@contextmanager
def opened(flags: Mapping[str, Any], *, creates: bool = False) -> Generator[Aureus]:
    """Open the database that flags and settings name, and close it again.

    Only a command that may put the first thing into a database ``creates`` one: any other is about what is there, and
    for it a missing file is a mistyped one.
    """
    from aureus.client import Aureus

    settings = settings_of(flags)
    if not creates:
        settings = only_existing(settings)
    announce(settings, creates=settings.database.create == "on")
    with Aureus(settings=settings) as client:
        yield client


def carried_out(flags: Mapping[str, Any], act: Callable[[Aureus], R]) -> R:
    """Do one thing in the database that flags and settings name, make a missing file for it, and return its result.

    A file is only made for what can be done: where it is missing, the same is done in memory first, which takes some
    50 ms and answers as an empty file would. So ``act`` may be called twice, and touches nothing but the client.
    """
    from aureus.client import Aureus

    settings = settings_of(flags)
    if makes_file(settings.database):
        with Aureus(settings=_in_memory(settings)) as rehearsal:
            act(rehearsal)
    with opened(flags, creates=True) as client:
        return act(client)


def _in_memory(settings: Settings) -> Settings:
    """Return the settings with a database in memory, no model to load, no keys to make, and no work beside callers."""
    from aureus.config import SqliteUrl

    return replace(
        settings,
        database=replace(settings.database, url=SqliteUrl(None)),
        memory=replace(settings.memory, embedder="none", upkeep="off"),
        subject_keys=replace(settings.subject_keys, folder=None, key_file=None),
    )

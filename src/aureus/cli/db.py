"""``aureus db``: the schema of the database."""

from __future__ import annotations

from typing import Any

import click

from aureus.cli.output import note, show_json
from aureus.cli.session import announce, database_options, json_option, settings_of


@click.group()
def db() -> None:
    """Create, upgrade and look at the database schema."""


@db.command()
@database_options
def init(**flags: Any) -> None:
    """Create the schema; on an existing one, as migrate."""
    _migrate(flags)


@db.command()
@database_options
def migrate(**flags: Any) -> None:
    """Bring the schema up to date. Safe from several processes at once; repeating it changes nothing."""
    _migrate(flags)


@db.command()
@database_options
@json_option
def status(*, as_json: bool, **flags: Any) -> None:
    """Show which migrations are applied and which are missing; exit code 1 when some are missing."""
    from aureus._database.opening import schema_status

    settings = settings_of(flags)
    announce(settings)
    found = schema_status(settings.database)
    if as_json:
        show_json(found)
    else:
        for name in found["applied"]:
            click.echo(f"applied  {name}")
        for name in found["missing"]:
            click.echo(f"missing  {name}")
        for name in found["unknown"]:
            click.echo(f"unknown  {name}  (this database is newer than this program)")
        click.echo(f"vectors  {found['vector_search']}")
    if found["missing"]:
        note("next: aureus db migrate")
        raise click.exceptions.Exit(1)


@db.command()
@database_options
def sql(**flags: Any) -> None:
    """Print the SQL of the whole schema, for those who apply it by hand."""
    from aureus._database.opening import schema_sql

    click.echo(schema_sql(settings_of(flags).database), nl=False)


def _migrate(flags: dict[str, Any]) -> None:
    from aureus._database.opening import migrate_schema

    settings = settings_of(flags)
    announce(settings)
    applied = migrate_schema(settings.database)
    for name in applied:
        click.echo(f"applied {name}")
    note(
        "the schema is up to date"
        if not applied
        else f"{len(applied)} applied; the schema is up to date"
    )

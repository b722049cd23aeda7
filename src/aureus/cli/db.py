"""``aureus db``: the schema of the database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import EXIT_INTEGRITY, note, plain_text, show_json
from aureus.cli.session import announce, database_options, described, json_option, settings_of

if TYPE_CHECKING:
    from aureus.model.copies import TenantCopy


@click.group()
def db() -> None:
    """Create, upgrade and look at the database schema."""


@db.command()
@database_options
def init(**flags: Any) -> None:
    """Create the database file and the schema; on an existing one, as migrate."""
    _migrate(flags, creates=True)


@db.command()
@database_options
def migrate(**flags: Any) -> None:
    """Bring the schema up to date. Safe from several processes at once; repeating it changes nothing."""
    _migrate(flags, creates=False)


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


@db.command()
@click.argument("target", metavar="TARGET-URL")
@click.option(
    "--only",
    "tenants",
    multiple=True,
    metavar="TENANT",
    help="Copy this tenant alone; may be given often. Default: all of them, and the anchor log.",
)
@database_options
@json_option
def copy(*, target: str, tenants: tuple[str, ...], as_json: bool, **flags: Any) -> None:
    """Copy this database into another one, and verify the copy; between SQLite and PostgreSQL too.

    Every tenant is one transaction there. Stop the writers first. A copy that was interrupted goes on when it is
    repeated. Exit code 5 when a ledger in the copy is not intact.
    """
    from aureus.client.opening import read_settings
    from aureus.transfer import copy_database

    settings = settings_of(flags)
    announce(settings)
    destination = read_settings(target, None)
    note(f"to: {described(destination.database, creates=True)}")
    done = copy_database(
        settings, destination, tenants=tenants, told=None if as_json else _show_tenant_copy
    )
    if as_json:
        show_json(done.to_dict())
    elif not done.tenants:
        note(f"there is nothing in {done.source} to copy")
    else:
        note(f"copied to {done.target}; use it with --database-url or AUREUS_DATABASE_URL")
    if not done.is_intact:
        raise click.exceptions.Exit(EXIT_INTEGRITY)


def _show_tenant_copy(done: TenantCopy) -> None:
    what = "was there" if done.was_there else "copied"
    click.echo(
        f"{plain_text(done.tenant_id)}: {what}, {done.row_count:,} rows, the same in both; {done.verification.summary}"
    )


def _migrate(flags: dict[str, Any], *, creates: bool) -> None:
    from aureus._database.opening import migrate_schema

    settings = settings_of(flags)
    announce(settings, creates=creates)
    applied = migrate_schema(settings.database, creates=creates)
    for name in applied:
        click.echo(f"applied {name}")
    note(
        "the schema is up to date"
        if not applied
        else f"{len(applied)} applied; the schema is up to date"
    )

"""``aureus version``: what is installed, for bug reports."""

from __future__ import annotations

import platform

import click

from aureus._version import __version__
from aureus.cli.output import show_json
from aureus.cli.session import json_option


@click.command()
@json_option
def version(*, as_json: bool) -> None:
    """Show the versions of Aureus and of what it stands on."""
    from aureus._database.versions import engine_versions

    found = {"aureus": __version__, "python": platform.python_version(), **engine_versions()}
    if as_json:
        show_json(found)
        return
    for name, number in found.items():
        click.echo(f"{name} {number}")

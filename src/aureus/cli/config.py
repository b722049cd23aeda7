"""``aureus config``: the settings and where they come from."""

from __future__ import annotations

from typing import Any

import click

from aureus.cli.output import mark, note, show_json, show_table
from aureus.cli.session import database_options, json_option, run_log_options, settings_of


@click.group()
def config() -> None:
    """Show the settings and where they come from."""


@config.command()
@database_options
@run_log_options
@json_option
def show(*, as_json: bool, **flags: Any) -> None:
    """Show every setting with its value and its origin; secrets as ***."""
    settings = settings_of(flags)
    for warning in settings.warnings:
        note(f"{mark('warning', 'yellow')}: {warning}")
    if as_json:
        show_json([row._asdict() for row in settings.shown()])
        return
    show_table(("SETTING", "VALUE", "ORIGIN"), settings.shown())

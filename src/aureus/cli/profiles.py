"""``aureus profiles``: list, show and delete what agents know about users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import ago, day_time, note, plain_text, show_json, show_table, utc_now
from aureus.cli.session import actor_option, database_options, json_option, opened, settings_of
from aureus.codec import encode_text

if TYPE_CHECKING:
    from aureus.model.profiles import Profile


@click.group()
def profiles() -> None:
    """List, show and delete what agents know about users."""


@profiles.command("list")
@click.option("--after", metavar="USER", default="", help="Only users behind this one.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_options
@json_option
def list_profiles(*, after: str, limit: int, as_json: bool, **flags: Any) -> None:
    """List profiles in the order of user ids."""
    with opened(flags) as client:
        found = client.profiles.list(after=after, limit=limit)
    if as_json:
        show_json([profile.to_dict() for profile in found])
        return
    now = utc_now()
    show_table(
        ("USER", "SECTIONS", "VERSION", "CHANGED", "BY"),
        [
            (
                profile.user_id,
                " ".join(profile.sections) or "-",
                str(profile.version),
                ago(profile.updated_at, now),
                profile.updated_by,
            )
            for profile in found
        ],
    )
    if not found:
        note("no profiles")


@profiles.command()
@click.argument("user_id", metavar="USER")
@click.option("--version", type=click.IntRange(1), help="As it was at this version.")
@database_options
@json_option
def show(*, user_id: str, version: int | None, as_json: bool, **flags: Any) -> None:
    """Show one profile: every key of every section."""
    with opened(flags) as client:
        profile = client.profiles.get(user_id, version=version)
    if as_json:
        show_json(profile.to_dict())
    else:
        _show(profile)


@profiles.command()
@click.argument("user_id", metavar="USER")
@database_options
@actor_option
@json_option
def delete(*, user_id: str, as_json: bool, **flags: Any) -> None:
    """Empty a profile and all its versions for good."""
    actor = settings_of(flags).actor
    with opened(flags) as client:
        was_there = client.profiles.delete(user_id, agent_id=actor)
    if as_json:
        show_json({"user_id": user_id, "deleted": was_there})
    else:
        what = "deleted the profile of" if was_there else "there was no profile of"
        note(plain_text(f"{what} {user_id}"))


def _show(profile: Profile) -> None:
    click.echo(plain_text(f"user      {profile.user_id}"))
    click.echo(plain_text(f"version   {profile.version}, by {profile.updated_by}"))
    click.echo(f"changed   {day_time(profile.updated_at)}")
    click.echo()
    show_table(
        ("SECTION", "KEY", "VALUE"),
        [
            (section, key, encode_text(value))
            for section, keys in profile.sections.items()
            for key, value in keys.items()
        ],
    )

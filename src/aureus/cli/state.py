"""``aureus state``: the versioned keys that agents share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import ago, note, plain_text, show_json, show_table, utc_now
from aureus.cli.session import (
    actor_option,
    carried_out,
    database_options,
    json_option,
    opened,
    settings_of,
)
from aureus.codec import decode, encode_text
from aureus.errors import Invalid, NotFound
from aureus.model.world_state import DEFAULT_SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from aureus.model.world_state import WorldStateEntry

_scope_option: Callable[[Any], Any] = click.option(
    "--scope", metavar="NAME", default=DEFAULT_SCOPE, show_default=True
)

_VALUE_CHARACTERS = 60
"""Characters of a value that a list shows."""


@click.group()
def state() -> None:
    """Read and set the world state: versioned keys that agents share."""


@state.command()
@click.argument("key", metavar="KEY")
@click.option("--version", type=click.IntRange(1), help="The value that it had at this version.")
@_scope_option
@database_options
@json_option
def get(*, key: str, version: int | None, scope: str, as_json: bool, **flags: Any) -> None:
    """Print the value of a key as JSON; with --json its version and time too."""
    with opened(flags) as client:
        world = client.world_state.scope(scope)
        entry = world.get(key) if version is None else world.read_version(key, version)
    show_json(entry.to_dict() if as_json else entry.value)


@state.command("set")
@click.argument("key", metavar="KEY")
@click.argument("value", metavar="VALUE")
@click.option(
    "--expected-version",
    type=click.IntRange(0),
    help="Only when the key is at this version; 0 is a key that is not there.",
)
@_scope_option
@actor_option
@database_options
@json_option
def set_key(
    *,
    key: str,
    value: str,
    expected_version: int | None,
    scope: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Give a key a value: JSON, or text where it is none. Prints the new version."""
    actor = settings_of(flags).actor
    meant = _value(value)
    entry = carried_out(
        flags,
        lambda client: client.world_state.scope(scope).set(
            key, meant, expected_version=expected_version, actor=actor
        ),
    )
    if as_json:
        show_json(entry.to_dict())
    else:
        click.echo(str(entry.version))


@state.command("list")
@click.argument("prefix", metavar="[PREFIX]", default="")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@_scope_option
@database_options
@json_option
def list_keys(*, prefix: str, limit: int, scope: str, as_json: bool, **flags: Any) -> None:
    """List keys with their values, in order; with PREFIX those that begin so."""
    with opened(flags) as client:
        entries = client.world_state.scope(scope).list(prefix=prefix, limit=limit)
    _show(entries, "KEY", as_json=as_json)


@state.command()
@click.argument("key", metavar="KEY")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@_scope_option
@database_options
@json_option
def history(*, key: str, limit: int, scope: str, as_json: bool, **flags: Any) -> None:
    """List the values that a key had, newest first."""
    with opened(flags) as client:
        entries = client.world_state.scope(scope).history(key, limit=limit)
    if not entries:
        raise NotFound(
            f"there is no key {key!r} in the scope {scope}, and never was", key=key, scope=scope
        )
    _show(entries, "KEY", as_json=as_json)


@state.command()
@click.option(
    "--keep",
    "keep_newest",
    type=click.IntRange(1),
    help="Keep so many of the newest versions of a key.",
)
@click.option("--before", metavar="TIME", help="Only versions that are older than this time.")
@click.option("--reason", metavar="TEXT", default="", help="Why; it is kept with the event.")
@_scope_option
@actor_option
@database_options
@json_option
def prune(
    *,
    keep_newest: int | None,
    before: str | None,
    reason: str,
    scope: str,
    as_json: bool,
    **flags: Any,
) -> None:
    """Remove old versions of keys, on record; what a snapshot names stays."""
    moment = None if before is None else _moment(before)
    if keep_newest is None and moment is None:
        raise Invalid("say what may go: --keep N, --before TIME, or both")
    actor = settings_of(flags).actor
    with opened(flags) as client:
        done = client.world_state.scope(scope).prune(
            keep_newest=keep_newest, before=moment, actor=actor, reason=reason
        )
    if as_json:
        show_json(done.to_dict())
    else:
        click.echo(f"{done.version_count} versions")


def _show(entries: Sequence[WorldStateEntry], heading: str, *, as_json: bool) -> None:
    if as_json:
        show_json([entry.to_dict() for entry in entries])
        return
    now = utc_now()
    show_table(
        (heading, "VERSION", "CHANGED", "VALUE"),
        [
            (entry.key, str(entry.version), ago(entry.updated_at, now), _shown(entry))
            for entry in entries
        ],
    )
    if not entries:
        note("nothing there")


def _shown(entry: WorldStateEntry) -> str:
    if entry.is_deleted:
        return "(deleted)"
    text = plain_text(encode_text(entry.value))
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[: _VALUE_CHARACTERS - 1]}…"


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(
            f"{text!r} is no time, such as 2026-05-01 or 2026-05-01T12:00:00Z",
            param_hint="--before",
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _value(text: str) -> Any:
    try:
        return decode(text)
    except Invalid as error:
        if text.lstrip()[:1] in {"{", "["}:
            raise click.UsageError(
                f"VALUE begins like JSON and is {error.message}; mend it, or give the text in quotes as JSON"
            ) from error
        return text

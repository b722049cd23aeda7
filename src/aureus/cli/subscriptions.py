"""``aureus subscriptions`` and ``aureus events subscribe``: readers of events that remember how far they have come."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn, Self

import click

from aureus.cli.output import (
    EXIT_TERMINATED,
    ago,
    day_time,
    note,
    plain_text,
    show_json,
    show_table,
    utc_now,
)
from aureus.cli.session import actor_option, database_options, json_option, opened, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from aureus.client import OpenTransaction
    from aureus.model.subscriptions import ParkedStream, Start, Subscription, Tried
    from aureus.subscriptions import Consumer

_ERROR_CHARACTERS = 60
"""Characters of an error that a list shows."""

_from_option: Callable[[Any], Any] = click.option(
    "--from",
    "start",
    metavar="start|now|POSITION",
    default="start",
    show_default=True,
    help="Where it begins: at the first event, behind what there is now, or at a position.",
)


@click.group()
def subscriptions() -> None:
    """List and show subscriptions, and decide about what they could not handle."""


@subscriptions.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@database_options
@json_option
def list_subscriptions(*, limit: int, as_json: bool, **flags: Any) -> None:
    """List subscriptions: how far each has come, and what is parked."""
    with opened(flags) as client:
        found = client.subscriptions.list(limit=limit)
    if as_json:
        show_json([one.to_dict() for one in found])
        return
    now = utc_now()
    show_table(
        ("NAME", "KIND", "POSITION", "LAG", "PARKED", "MOVED"),
        [
            (
                one.name,
                _kind(one),
                str(one.position),
                str(one.lag),
                str(one.parked_count),
                ago(one.updated_at, now),
            )
            for one in found
        ],
    )
    if not found:
        note("nothing there; `aureus events subscribe NAME` makes one")


@subscriptions.command()
@click.argument("name", metavar="NAME")
@database_options
@json_option
def show(*, name: str, as_json: bool, **flags: Any) -> None:
    """Show a subscription: its filters, its members, and how far each of its buckets has come."""
    with opened(flags) as client:
        found = client.subscriptions.get(name)
        members = client.subscriptions.members(name)
        buckets = client.subscriptions.buckets(name)
    if as_json:
        show_json(
            {
                **found.to_dict(),
                "members": [member.to_dict() for member in members],
                "buckets": [bucket.to_dict() for bucket in buckets],
            }
        )
        return
    rows = [
        ("name", found.name),
        ("kind", _kind(found)),
        ("stream", found.stream or "any"),
        ("category", found.category or "any"),
        ("types", ", ".join(found.types) or "any"),
        ("position", f"{found.position} of {found.size} sealed, {found.lag} to go"),
        ("parked", f"{found.parked_count} streams"),
        ("created", day_time(found.created_at)),
        ("moved", day_time(found.updated_at)),
    ]
    rows += [
        (
            f"member {member.member_id}",
            f"{sum(bucket.member_id == member.member_id for bucket in buckets)} buckets",
        )
        for member in members
    ]
    rows += [("trying", _trying(bucket.bucket, bucket.tried)) for bucket in buckets if bucket.tried]
    for label, text in rows:
        click.echo(plain_text(f"{label:<10} {text}"))


@subscriptions.command()
@click.argument("name", metavar="NAME")
@actor_option
@database_options
def delete(*, name: str, **flags: Any) -> None:
    """Forget a subscription, how far it has come, and what is parked."""
    from aureus.stores.subscriptions import missing

    actor = settings_of(flags).actor
    with opened(flags) as client:
        if not client.subscriptions.delete(name, actor=actor):
            raise missing(name)
    note(plain_text(f"{name} is deleted"))


@subscriptions.command()
@click.argument("name", metavar="NAME")
@_from_option
@actor_option
@database_options
def reset(*, name: str, start: str, **flags: Any) -> None:
    """Let a subscription begin anew; what is parked is forgotten."""
    actor = settings_of(flags).actor
    with opened(flags) as client:
        position = client.subscriptions.reset(name, from_position=_start(start), actor=actor)
    note(plain_text(f"{name} goes on at position {position + 1}"))


@subscriptions.command()
@click.argument("name", metavar="NAME")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@database_options
@json_option
def parked(*, name: str, limit: int, as_json: bool, **flags: Any) -> None:
    """List the streams that wait because an event could not be handled."""
    with opened(flags) as client:
        client.subscriptions.get(name)
        found = client.subscriptions.parked(name, limit=limit)
    if as_json:
        show_json([one.to_dict() for one in found])
        return
    now = utc_now()
    show_table(
        ("STREAM", "POSITION", "TRIES", "LAST", "ERROR"),
        [
            (
                one.stream,
                str(one.position),
                str(one.attempt_count),
                ago(one.last_failed_at, now),
                ("(to be replayed) " if one.is_replaying else "") + one.error[:_ERROR_CHARACTERS],
            )
            for one in found
        ],
    )
    if not found:
        note("nothing is parked")


@subscriptions.command()
@click.argument("name", metavar="NAME")
@click.argument("stream", metavar="STREAM")
@actor_option
@database_options
@json_option
def replay(*, name: str, stream: str, as_json: bool, **flags: Any) -> None:
    """Let the consumer try a parked stream again, from the event that failed."""
    actor = settings_of(flags).actor
    with opened(flags) as client:
        _decided(client.subscriptions.replay(name, stream, actor=actor), as_json=as_json)


@subscriptions.command()
@click.argument("name", metavar="NAME")
@click.argument("stream", metavar="STREAM")
@click.argument("position", metavar="POSITION", type=click.IntRange(0))
@click.option("--reason", metavar="TEXT", required=True, help="Why; kept in the audit entry.")
@actor_option
@database_options
@json_option
def skip(
    *, name: str, stream: str, position: int, reason: str, as_json: bool, **flags: Any
) -> None:
    """Give up the event at which a stream is parked, and let the consumer go on behind it."""
    actor = settings_of(flags).actor
    with opened(flags) as client:
        left = client.subscriptions.skip(name, stream, position, reason=reason, actor=actor)
        _decided(left, as_json=as_json)


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--stream", metavar="NAME", help="Only events of this stream.")
@click.option("--category", metavar="NAME", help="Only streams of this category.")
@click.option(
    "--type", "types", metavar="TYPE", multiple=True, help="Only this type; may be repeated."
)
@_from_option
@click.option("--group", "in_group", is_flag=True, help="Join the consumer group of this name.")
@click.option("--member", metavar="NAME", help="Who joins; default a name of its own.")
@click.option(
    "--buckets",
    type=click.IntRange(1, 1024),
    default=64,
    show_default=True,
    help="Buckets of a group that has to be made.",
)
@click.option("--no-wait", is_flag=True, help="End when everything is told, instead of waiting.")
@click.option("--limit", type=click.IntRange(1), help="End after so many events.")
@database_options
def subscribe(
    *,
    name: str,
    stream: str | None,
    category: str | None,
    types: tuple[str, ...],
    start: str,
    in_group: bool,
    member: str | None,
    buckets: int,
    no_wait: bool,
    limit: int | None,
    **flags: Any,
) -> None:
    """Print events as JSON lines in their sealed order, each once, and go on there the next time.

    Ctrl-C and SIGTERM end it. After a crash a few lines may come again.
    """
    if member is not None and not in_group:
        raise click.UsageError("--member is for --group")
    wanted: dict[str, Any] = {"stream": stream, "category": category, "types": types}
    with opened(flags) as client:
        wanted["from_position"] = _start(start)
        if in_group:
            group = client.subscriptions.group(name, bucket_count=buckets, **wanted)
            consumer = group.join(member, live=not no_wait)
        else:
            consumer = client.subscription(name, live=not no_wait, **wanted)
        with consumer, _Stopping() as stopping:
            _print(consumer, limit, stopping)


def _print(consumer: Consumer[OpenTransaction], limit: int | None, stopping: _Stopping) -> None:
    """Print events; one that is written to the pipe counts as handled."""
    for count, event in enumerate(consumer, 1):
        with stopping.later():
            show_json(event.to_dict())
            consumer.acknowledge()
        if count == limit:
            return


class _Stopping:
    """Ctrl-C and SIGTERM, which do not come between a line and its being handled.

    Asked for a second time they come at once: whoever reads the lines may not read any more.
    """

    def __init__(self) -> None:
        self._is_busy = False
        self._asked: int | None = None

    @contextmanager
    def later(self) -> Generator[None]:
        """Let a wish to stop wait until the block is over."""
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False
        if self._asked is not None:
            _stop(self._asked)

    def _hear(self, number: int, _: object) -> None:
        was_asked, self._asked = self._asked is not None, number
        if was_asked or not self._is_busy:
            _stop(number)

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)


def _stop(number: int) -> NoReturn:
    """End from wherever this thread is; no ``Exception``, or a statement that is interrupted would be retried."""
    if number == signal.SIGTERM:
        raise SystemExit(EXIT_TERMINATED)
    raise KeyboardInterrupt


def _decided(left: ParkedStream, *, as_json: bool) -> None:
    if as_json:
        show_json(left.to_dict())
    else:
        note(
            plain_text(f"{left.stream} goes on at position {left.position} with the next consumer")
        )


def _trying(bucket: int, tried: Tried) -> str:
    since, error = day_time(tried.first_at), tried.error[:_ERROR_CHARACTERS]
    return (
        f"position {tried.position} of bucket {bucket}, {tried.count} tries since {since}: {error}"
    )


def _kind(found: Subscription) -> str:
    if not found.is_group:
        return "one consumer"
    return f"{found.member_count} members, {found.bucket_count} buckets"


def _start(text: str) -> Start:
    if text == "start":
        return "start"
    if text == "now":
        return "now"
    if text.isascii() and text.isdigit():
        return int(text)
    raise click.BadParameter(
        f"{text!r} is none of start and now, and no position", param_hint="--from"
    )

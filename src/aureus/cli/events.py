"""``aureus events``: append to streams, read them, and follow what is committed.

``tail`` shows what is committed at once and remembers nothing; ``subscribe`` waits for it to be sealed, and goes on the
next time where it had come to.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast

import click

from aureus.cli.given import object_given
from aureus.cli.output import (
    clock_time,
    day_time,
    mark,
    note,
    plain_text,
    show_json,
    show_table,
)
from aureus.cli.session import (
    actor_option,
    carried_out,
    database_options,
    json_option,
    opened,
    run_log_options,
    settings_of,
)
from aureus.cli.subscriptions import subscribe
from aureus.model.events import category_of
from aureus.model.plain import plain
from aureus.model.runs import stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aureus.client import Aureus
    from aureus.model.events import Event, EventFilters, ExpectedVersion

_COLOURS = {
    "COMPLETED": "green",
    "FAILED": "red",
    "TIMEOUT": "red",
    "RETRY": "yellow",
    "PAUSED": "yellow",
    "CANCELLED": "yellow",
    "DENIED": "red",
    "REQUESTED": "yellow",
}

_PAGE = 1000

_PAYLOAD_CHARACTERS_MAX = 200
"""Characters of a payload that are shown to people."""

IDLE_SECONDS = 1.0
"""The rest between two looks of a tail when nothing happens; a fifth of it right after something did."""


class _Events(click.Group):
    """A group in which anything that is no command is the name of what to read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read ``events NAME …`` as ``events read NAME …``."""
        if args and args[0] not in {*self.commands, *ctx.help_option_names}:
            args = ["read", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Events)
def events() -> None:
    """Append to streams of events, list them, read them, follow them.

    `aureus events NAME` is short for `aureus events read NAME`.
    """


@events.command()
@click.argument("name", metavar="NAME")
@click.option("--after", type=click.IntRange(0), default=0, help="Only events behind this version.")
@click.option("--log", "from_log", is_flag=True, help="Read the run log instead of the database.")
@database_options
@run_log_options
@json_option
def read(*, name: str, after: int, from_log: bool, as_json: bool, **flags: Any) -> None:
    """Show the events of a run or of a stream, oldest first; --json gives one object a line."""
    if from_log:
        _show_log(name, after, flags, as_json=as_json)
        return
    with opened(flags) as client:
        for event in read_all(client, stream_named(client, name), after):
            _show(event, as_json=as_json)


@events.command()
@click.argument("prefix", metavar="[PREFIX]", default="")
@click.option("--after", metavar="STREAM", default="", help="Only streams behind this one.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@database_options
@json_option
def streams(*, prefix: str, after: str, limit: int, as_json: bool, **flags: Any) -> None:
    """List the streams that have events, by name; with PREFIX those that begin so."""
    with opened(flags) as client:
        found = client.events.list_streams(prefix=prefix, after=after, limit=limit)
    if as_json:
        show_json([one.to_dict() for one in found])
        return
    show_table(
        ("STREAM", "EVENTS", "UPDATED"),
        [(one.stream, str(one.version), day_time(one.updated_at)) for one in found],
    )
    if not found:
        note("no streams")


@events.command()
@click.argument("stream", metavar="STREAM")
@click.argument("type_", metavar="TYPE")
@click.argument("payload", metavar="PAYLOAD")
@click.option(
    "--expected-version",
    "expected",
    default="any",
    metavar="VERSION",
    help="any (the default), no-stream, exists, or the version that the stream must have.",
)
@click.option("--event-id", metavar="ID", help="Appending the same event again changes nothing.")
@click.option("--metadata", metavar="JSON", help="A JSON object beside the payload, or @FILE.")
@click.option("--correlation-id", metavar="ID", help="What the event belongs to.")
@database_options
@actor_option
@json_option
def append(
    *,
    stream: str,
    type_: str,
    payload: str,
    expected: str,
    event_id: str | None,
    metadata: str | None,
    correlation_id: str | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Append an event to a stream; PAYLOAD is a JSON object, @FILE, or - for standard input."""
    actor = settings_of(flags).actor
    said = object_given(payload, "PAYLOAD", reads_stdin=True)
    beside = None if metadata is None else object_given(metadata, "--metadata")
    expectation = _expectation(expected)
    event = carried_out(
        flags,
        lambda client: client.events.append(
            stream,
            type_,
            said,
            expected_version=expectation,
            metadata=beside,
            event_id=event_id,
            actor=actor,
            correlation_id=correlation_id,
        ),
    )
    if as_json:
        show_json(plain(event))
    else:
        click.echo(plain_text(f"{event.stream} {event.version} {event.event_id}"))


@events.command()
@click.argument("stream", metavar="[STREAM]", required=False)
@click.option("--type", "type_", metavar="TYPE", help="Only events of this type.")
@click.option("--category", metavar="NAME", help="Only streams of this category.")
@click.option(
    "-n", "--lines", type=click.IntRange(0, 1000), default=10, show_default=True,
    help="Show so many that are there already.",
)  # fmt: skip
@database_options
@json_option
def tail(
    *,
    stream: str | None,
    type_: str | None,
    category: str | None,
    lines: int,
    as_json: bool,
    **flags: Any,
) -> None:
    """Follow what is committed, from now on; Ctrl-C ends it."""
    with opened(flags) as client:
        if stream is not None:
            stream = stream_named(client, stream, must_exist=False)
        wanted: EventFilters = {"stream": stream, "type": type_, "category": category}
        for event in follow(client, wanted, lines):
            _show(event, as_json=as_json, with_stream=stream is None)


events.add_command(subscribe)


def follow(client: Aureus, wanted: EventFilters, lines: int) -> Iterator[Event]:
    """Yield the last events that there are, and then for ever those that are committed."""
    found = client.events.tail()
    newest = client.events.list(limit=lines, **wanted).events if lines else ()
    yield from (
        event
        for event in reversed(newest)
        if event.entry_no <= found.settled_no or event.entry_no in found.seen
    )
    rest = threading.Event()
    seconds = IDLE_SECONDS
    told = False
    while True:
        if not found.has_more:
            rest.wait(seconds)
        found = client.events.tail(
            found,
            stream=wanted.get("stream"),
            type=wanted.get("type"),
            category=wanted.get("category"),
        )
        yield from found.events
        seconds = IDLE_SECONDS / 5 if found.events else min(IDLE_SECONDS, 2 * seconds)
        if found.may_have_skipped and not told:
            told = True
            note(
                "a transaction has been open for very long; events that it may commit will not be shown here, "
                "`aureus events NAME` has them"
            )


def stream_named(client: Aureus, name: str, *, must_exist: bool = True) -> str:
    """Return the stream that a name on the command line means: that of a run, or the one of this name.

    Raises ``NotFound``, unless a stream that is yet to come is meant too.
    """
    from aureus.errors import NotFound

    if client.runs.find(name) is not None:
        return stream_of(name)
    if must_exist and not client.events.stream_version(name):
        raise NotFound(
            f"there is no run and no stream {name!r}; `aureus runs list` shows runs, "
            "`aureus events streams` streams",
            name=name,
        )
    return name


def _show(event: Event, *, as_json: bool, with_stream: bool = False) -> None:
    if as_json:
        show_json(plain(event))
    else:
        click.echo(event_line(event, with_stream=with_stream))


def _expectation(text: str) -> ExpectedVersion:
    from aureus.model.events import Expectation

    if text in {member.value for member in Expectation}:
        return Expectation(text)
    if text.isascii() and text.isdigit():
        return int(text)
    raise click.BadParameter(
        f"{text!r} is none of any, no-stream, exists, and no version",
        param_hint="--expected-version",
    )


def _show_log(run_id: str, after: int, flags: dict[str, Any], *, as_json: bool) -> None:
    """Show the lines of a run log; the database is not asked, so this works while it is away."""
    from aureus.runlog import RunLogReader, TornTail

    settings = settings_of(flags)
    reader = RunLogReader(settings.run_log.directory, settings.tenant)

    def tell(tail: TornTail) -> None:
        note(f"{tail.path} ends in a torn line of {tail.size_bytes} bytes; the next write mends it")

    for record in reader.read(run_id, on_torn_tail=tell):
        if (record.get("version") or 0) <= after:
            continue
        if as_json:
            show_json(record)
        else:
            parts = (record["timestamp"], f"{record['type']:<22}", record.get("taskId") or "")
            click.echo(plain_text(" ".join(parts)).rstrip())


def read_all(client: Aureus, stream: str, after: int = 0) -> Iterator[Event]:
    """Yield the events of a stream behind a version, page by page."""
    while page := client.events.read_stream(stream, after_version=after, limit=_PAGE):
        yield from page
        after = page[-1].version


def event_line(event: Event, *, with_stream: bool = False) -> str:
    """Return an event as one line for people."""
    colour = next((c for word, c in _COLOURS.items() if word in event.type), "cyan")
    parts = [clock_time(event.occurred_at)]
    if with_stream:
        parts.append(plain_text(f"{event.stream} {event.version}"))
    parts.append(mark(plain_text(f"{event.type:<22}"), colour))
    task = event.payload.get("taskId")
    if event.is_redacted:
        parts.append("(erased)")
    elif task is not None:
        parts.append(plain_text(str(task)))
    elif category_of(event.stream) != "runs":
        parts.append(plain_text(_shortened(event.payload)))
    if details := _details(event):
        parts.append(mark(plain_text(details), "bright_black"))
    return " ".join(parts).rstrip()


def _shortened(payload: dict[str, Any]) -> str:
    from aureus.codec import encode_text

    text = encode_text(payload)
    return text if len(text) <= _PAYLOAD_CHARACTERS_MAX else f"{text[:_PAYLOAD_CHARACTERS_MAX]}…"


def _details(event: Event) -> str:
    metadata = event.metadata
    found: list[str] = []
    if metadata.get("attempt", 1) != 1:
        found.append(f"attempt {metadata['attempt']}")
    if "duration" in metadata:
        found.append(f"{metadata['duration']} ms")
    if metadata.get("replayed"):
        found.append("replayed")
    if "error" in metadata:
        found.append(_first_line(metadata["error"]))
    return ", ".join(part for part in found if part)


def _first_line(error: Any) -> str:
    """Return the first line of an error: a message, or an object that holds one."""
    if isinstance(error, dict):
        error = cast(dict[str, Any], error).get("message", "")
    return next(iter(str(error).splitlines()), "")

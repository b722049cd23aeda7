"""``aureus events``: what a run recorded, in the order of its stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from aureus.cli.output import clock_time, mark, note, plain_text, show_json
from aureus.cli.session import (
    database_options,
    json_option,
    opened,
    run_log_options,
    settings_of,
)
from aureus.model.plain import plain
from aureus.model.runs import stream_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aureus.client import Aureus
    from aureus.model.events import Event

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


@click.command()
@click.argument("run_id", metavar="RUN")
@click.option("--after", type=click.IntRange(0), default=0, help="Only events behind this version.")
@click.option("--log", "from_log", is_flag=True, help="Read the run log instead of the database.")
@database_options
@run_log_options
@json_option
def events(*, run_id: str, after: int, from_log: bool, as_json: bool, **flags: Any) -> None:
    """Show the events of a run, oldest first; --json gives one object a line."""
    if from_log:
        _show_log(run_id, after, flags, as_json=as_json)
        return
    with opened(flags) as client:
        client.runs.get(run_id)
        for event in read_all(client, run_id, after):
            if as_json:
                show_json(plain(event))
            else:
                click.echo(event_line(event))


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


def read_all(client: Aureus, run_id: str, after: int = 0) -> Iterator[Event]:
    """Yield the events of a run behind a version, page by page."""
    while page := client.events.read_stream(stream_of(run_id), after_version=after, limit=_PAGE):
        yield from page
        after = page[-1].version


def event_line(event: Event) -> str:
    """Return an event as one line for people."""
    colour = next((c for word, c in _COLOURS.items() if word in event.type), "cyan")
    task = event.payload.get("taskId")
    parts = [clock_time(event.occurred_at), mark(f"{event.type:<22}", colour)]
    if task is not None:
        parts.append(plain_text(str(task)))
    if details := _details(event):
        parts.append(mark(plain_text(details), "bright_black"))
    return " ".join(parts).rstrip()


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

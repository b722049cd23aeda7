"""What the command line prints: data, notes, tables and errors, without what could steer a terminal."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from aureus.codec import encode_text
from aureus.errors import (
    ApprovalRequired,
    AureusError,
    Conflict,
    DefinitionInvalid,
    Forbidden,
    IntegrityFailure,
    Invalid,
    NotFound,
    RunCancelled,
)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_NOT_ASCII = re.compile(r"[^\x00-\x7f]")

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_WAITING = 3
EXIT_FORBIDDEN = 4
EXIT_INTEGRITY = 5
EXIT_CONFLICT = 6
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

_EXIT_CODES: Sequence[tuple[type[AureusError], int]] = (
    (Invalid, EXIT_USAGE),
    (ApprovalRequired, EXIT_WAITING),
    (Forbidden, EXIT_FORBIDDEN),
    (IntegrityFailure, EXIT_INTEGRITY),
    (NotFound, EXIT_CONFLICT),
    (Conflict, EXIT_CONFLICT),
    (RunCancelled, EXIT_FAILED),
)


def exit_code_of(error: AureusError) -> int:
    """Return the exit code for an error; 1 for those without one of their own."""
    return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), EXIT_FAILED)


def show_error(error: AureusError, *, as_json: bool) -> None:
    """Print an error to stderr: what, where and what to do."""
    if as_json:
        click.echo(encode_text(error.to_dict()), err=True)
    elif isinstance(error, DefinitionInvalid):
        click.echo(plain_text(str(error)), err=True)
    else:
        click.echo(f"{mark('error', 'red')}: {plain_text(str(error))}", err=True)


def note(text: str) -> None:
    """Print a line about the work to stderr; what was stored goes through ``plain_text`` first."""
    click.echo(text, err=True)


def mark(text: str, colour: str) -> str:
    """Return text in a colour; click takes it away again where there is no terminal."""
    return click.style(text, fg=colour)


def show_json(value: Any) -> None:
    """Print one JSON value to stdout; all in ASCII where the terminal takes another encoding than UTF-8."""
    text = encode_text(value)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text if encoding.lower().startswith("utf") else _NOT_ASCII.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    """Return a character as JSON escapes it, in the units of UTF-16."""
    units = found[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def show_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to stdout: columns as wide as their longest cell, no frame."""
    lines = [list(headings), *([plain_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        click.echo(click.style(text.rstrip(), bold=number == 0))


def plain_text(text: str) -> str:
    """Return text without control characters, so that what is stored cannot steer the terminal."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago something was, in its largest unit."""
    seconds = max(0.0, (now - moment).total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"


def duration(seconds: float) -> str:
    """Return how long something took."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min"


def clock_time(moment: datetime) -> str:
    """Return the local time of day with milliseconds."""
    return moment.astimezone().strftime("%H:%M:%S.%f")[:-3]


def day_time(moment: datetime | None) -> str:
    """Return local date and time to the second; a dash for none."""
    return "-" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def utc_now() -> datetime:
    """Return the time for "ago"; nothing is stored."""
    from aureus.clock import SystemClock

    return SystemClock().now().astimezone(UTC)


def is_terminal() -> bool:
    """Return whether a person reads stderr as it comes."""
    return sys.stderr.isatty()

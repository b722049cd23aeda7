"""What the steps of a flush ask of whoever carries them out: connections, exchanges, rests.

The steps themselves (``flush``, ``alone``, ``transaction``) are generators without I/O, the same for threads and event
loops. They never see a socket, so that every branch (a broken connection, a blocked row, a lost reply) can be tested
without one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from aureus._database.drive import Companion, Drive, Request
from aureus._database.statement import Rows

R = TypeVar("R")


class Sent(NamedTuple):
    """One statement as the driver takes it."""

    text: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Acquire:
    """Ask for a connection; the answer is one, or an error that says that none was had."""

    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class Release:
    """Give a connection back; a broken one is thrown away."""

    connection: Any
    is_broken: bool


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send statements in one pipeline with one Sync and wait for all answers.

    A server that says nothing at all is given up a moment after the deadline, by the clock of the steps.
    """

    connection: Any
    statements: Sequence[Sent]
    deadline: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait before the next try."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Compute:
    """Do work that takes the processor for milliseconds, where it keeps no event loop waiting."""

    work: Callable[[], Any]


@dataclass(slots=True)
class Reply:
    """What came back: rows for each statement that was carried out, and the error that ended the pipeline."""

    rows: list[Rows]
    error: BaseException | None = None

    @property
    def failed(self) -> int:
        """Return the index of the statement that failed: the first one without rows."""
        return len(self.rows)


Io = Acquire | Release | Exchange | Pause | Compute
Steps = Generator[Io, Any, R]


class NoConnection(Exception):
    """No connection was had in time; the reason is the cause. Nothing was sent."""


def feed(drive: Drive[Any], rows: Rows) -> Steps[Request | None]:
    """Hand an operation the rows of its statement, and return what it asks for next."""
    if drive.is_lengthy:
        request: Request | None = yield Compute(lambda: drive.feed(rows))
        return request
    return drive.feed(rows)


def hand_over(companions: Sequence[Companion], rows: Rows, answers: Sequence[Rows]) -> None:
    """Give each companion its rows, when it is a read or the write that it travelled with happened."""
    for companion, answer in zip(companions, answers, strict=True):
        if companion.is_read or (rows and answer):
            companion.receive(answer)

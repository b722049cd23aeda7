"""What a consumer asks of its driver: the loop is written once, and carried out by threads or by an event loop."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from aureus._database.statement import Op
from aureus.errors import AureusError
from aureus.model.events import Event
from aureus.subscriptions.membership import Membership

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ask:
    """Carry an operation out, and answer with what it returns; its errors are thrown into the loop."""

    make: Callable[[], Op[Any]]
    is_read: bool


@dataclass(frozen=True, slots=True)
class Work:
    """Let the handler handle events one by one, and carry an operation out behind them, all in one transaction.

    The answer is None, or what the handler raised; then nothing of it happened. Other errors are thrown.
    """

    events: tuple[Event, ...]
    guard: Callable[[], Op[None]]


@dataclass(frozen=True, slots=True)
class Deliver:
    """Hand an event to whoever iterates; the answer comes when it asks for the next one."""

    event: Event


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait until the bell has rung since the last rest, or so many seconds; the answer is whether it rang."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds, whatever rings."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Keep:
    """Renew a membership beside the loop from now on, until the loop ends."""

    membership: Membership


Effect = Ask | Work | Deliver | Rest | Pause | Keep
Steps = Generator[Effect, Any, R]


def until_delivery(
    steps: Steps[None], is_closing: Callable[[], bool]
) -> Generator[Effect, Any, Event | None]:
    """Go on to the next event that is to be handed out, and return it; None at the end, or when it is to close."""
    answer: Any = None
    error: AureusError | None = None
    while not is_closing():
        try:
            effect = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration:
            return None
        if isinstance(effect, Deliver):
            return effect.event
        answer = error = None
        try:
            answer = yield effect
        except AureusError as found:
            error = found
    return None

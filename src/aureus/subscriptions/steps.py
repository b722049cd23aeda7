"""What a consumer asks of its driver: the loop is written once, and carried out by threads or by an event loop."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from aureus._database.statement import Op
from aureus.model.events import Event

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Ask:
    """Carry an operation out, and answer with what it returns; its errors are thrown into the loop."""

    make: Callable[[], Op[Any]]
    is_read: bool


@dataclass(frozen=True, slots=True)
class Work:
    """Let the handler handle an event, and carry an operation out behind it, both in one transaction.

    The answer is None, or what the handler raised; then nothing of either happened. Other errors are thrown.
    """

    event: Event
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


Effect = Ask | Work | Deliver | Rest | Pause
Steps = Generator[Effect, Any, R]

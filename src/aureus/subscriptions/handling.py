"""Handling an event inside a transaction: a bounded number of tries, and then its stream is parked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from aureus._database.statement import Op
from aureus.clock import Clock
from aureus.errors import AureusError, DatabaseError, Invalid, LimitExceeded
from aureus.model.events import Event
from aureus.model.subscriptions import (
    ERROR_CHARACTERS_MAX,
    PARKED_STREAMS_MAX,
    ParkedStream,
    retry_seconds,
)
from aureus.subscriptions.steps import Pause, Steps, Work

ATTEMPTS_DEFAULT = 5
"""Times that a handler is called for one event before its stream is parked."""

BACKOFF_SECONDS_DEFAULT = 0.2
"""The rest before the second call; before each further one it is twice as long, 30 seconds at most."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How often an event failed, since when, and with what at last."""

    attempt_count: int
    since: datetime
    error: str

    def parked(self, stream: str, bucket: int, position: int, now: datetime) -> ParkedStream:
        """Return the stream, parked at the event."""
        return ParkedStream(
            stream=stream,
            bucket=bucket,
            position=position,
            attempt_count=self.attempt_count,
            error=self.error,
            is_replaying=False,
            first_failed_at=self.since,
            last_failed_at=now,
        )

    def again(self, before: ParkedStream, position: int, now: datetime) -> ParkedStream:
        """Return the stream, parked still or again; the tries of one event are added up."""
        earlier = before.attempt_count if before.position == position else 0
        return replace(
            before,
            position=position,
            attempt_count=earlier + self.attempt_count,
            error=self.error,
            is_replaying=False,
            last_failed_at=now,
        )


@dataclass(frozen=True, slots=True)
class Handling:
    """How patient a consumer is with its handler."""

    clock: Clock
    attempts: int = ATTEMPTS_DEFAULT
    backoff_seconds: float = BACKOFF_SECONDS_DEFAULT

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise Invalid(f"attempts is {self.attempts}; an event is tried once at least")
        if self.backoff_seconds < 0:
            raise Invalid(f"backoff_seconds is {self.backoff_seconds}; no rest is negative")

    def attempt(self, event: Event, guard: Callable[[], Op[None]]) -> Steps[Failure | None]:
        """Have an event handled, and return how it failed for the last time, or None.

        A database that is away, or another transaction that was in the way, is no failure of the event: that is waited
        for, and not counted. Raises ``LeaseLost`` when the bucket was taken over.
        """
        failed_count = away_count = 0
        since = self.clock.now()
        while True:
            error: Exception | None
            try:
                error = yield Work(event, guard)
            except AureusError as found:
                if not found.retryable:
                    raise
                error, is_away = found, True
            else:
                is_away = isinstance(error, DatabaseError) and error.retryable
            if error is None:
                return None
            if is_away:
                away_count += 1
                yield Pause(retry_seconds(self.backoff_seconds, away_count))
                continue
            failed_count += 1
            if failed_count == 1:
                since = self.clock.now()
            if failed_count >= self.attempts:
                return Failure(failed_count, since, _worded(error))
            yield Pause(retry_seconds(self.backoff_seconds, failed_count))

    def check_room(self, parked_count: int) -> None:
        """Raise ``LimitExceeded`` when so much is parked that it is not the events that are wrong."""
        if parked_count >= PARKED_STREAMS_MAX:
            raise LimitExceeded(
                f"{parked_count:,} streams are parked already; the handler fails for whatever it gets. Mend it, and "
                "replay them with `aureus subscriptions replay`",
                limit=PARKED_STREAMS_MAX,
            )


def _worded(error: Exception) -> str:
    """Return an error as it is kept: no NUL, which no engine holds, no lone surrogate, and not too long."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode(errors="replace").decode()[:ERROR_CHARACTERS_MAX]

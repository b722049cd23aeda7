"""Handling events inside of transactions: a bounded number of tries, and then the stream of what fails is parked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from aureus._database.statement import Op
from aureus.clock import Clock
from aureus.errors import (
    AureusError,
    DatabaseError,
    DatabaseUnavailable,
    Invalid,
    LeaseLost,
    LimitExceeded,
    OutcomeUnknown,
)
from aureus.model.events import Event
from aureus.model.subscriptions import (
    ERROR_CHARACTERS_MAX,
    PARKED_STREAMS_MAX,
    ParkedStream,
    Tried,
    retry_seconds,
)
from aureus.subscriptions.steps import Pause, Steps, Work

ATTEMPTS_DEFAULT = 5
"""Times that a handler is called for one event before its stream is parked."""

BACKOFF_SECONDS_DEFAULT = 0.2
"""The rest before the second call; before each further one it is twice as long, 30 seconds at most."""

BATCH_MAX = 500
"""Events of one transaction: what one look brings at most."""

AWAY_SECONDS_FIRST = 0.2
"""The rest before the next try when a database was away, or a transaction in the way."""

ENDED = "the process that handled it ended before it was done"
"""What is known of an event that was tried and left no other trace."""


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
    batch_size: int = 1
    """Events that are handled in one transaction at most."""
    seconds_max: float = 300.0
    """How long the handler may take; when it then cannot be committed, that is a failure of the event."""
    is_patient: bool = True
    """Whether a database that is away is waited for."""

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise Invalid(f"attempts is {self.attempts}; an event is tried once at least")
        if self.backoff_seconds < 0:
            raise Invalid(f"backoff_seconds is {self.backoff_seconds}; no rest is negative")
        if not 1 <= self.batch_size <= BATCH_MAX:
            raise Invalid(f"batch_size is {self.batch_size}; a batch has 1 to {BATCH_MAX} events")

    def attempt(
        self,
        event: Event,
        guard: Callable[[], Op[None]],
        *,
        note: Callable[[Tried], Steps[None]] | None = None,
        settle: Callable[[], Steps[bool]] | None = None,
        tried: Tried | None = None,
        is_careful: bool = False,
    ) -> Steps[Failure | None]:
        """Have an event handled, and return how it failed for the last time, or None.

        ``tried`` is what is known of earlier tries, by other processes too, and counts. ``note`` keeps what is tried:
        after each failure, and before each try of what has failed before, or ``is_careful``: it may end the process.
        """
        count = 0 if tried is None else tried.count
        since = None if tried is None else tried.first_at
        error = "" if tried is None else tried.error
        position = event.position or 0
        while count < self.attempts:
            if since is None:
                since = self.clock.now()
            if is_careful and note is not None:
                yield from note(Tried(position, count + 1, ended_worded(error), since))
            failure = yield from self._work((event,), guard, settle)
            if failure is None:
                return None
            count, error, is_careful = count + 1, _worded(failure), True
            if count == 1:
                since = self.clock.now()
            if count < self.attempts:
                if note is not None:
                    yield from note(Tried(position, count, error, since))
                yield Pause(retry_seconds(self.backoff_seconds, count))
        return Failure(count, since or self.clock.now(), error)

    def attempt_together(
        self,
        events: tuple[Event, ...],
        guard: Callable[[], Op[None]],
        settle: Callable[[], Steps[bool]],
    ) -> Steps[bool]:
        """Have several events handled in one transaction; return whether they were, or are to be tried one by one."""
        try:
            return (yield from self._work(events, guard, settle)) is None
        except LeaseLost:  # of one of the buckets: one by one shows which
            return False

    def _work(
        self,
        events: tuple[Event, ...],
        guard: Callable[[], Op[None]],
        settle: Callable[[], Steps[bool]] | None,
    ) -> Steps[Exception | None]:
        """Have events handled once, and return what that failed with, or None.

        A database that is away, or another transaction that was in the way of the commit, is no failure of the event:
        that is waited for, and not counted. A commit whose outcome is open is settled before anything is repeated.
        Raises ``LeaseLost`` when a bucket was taken over.
        """
        away_count = 0
        while True:
            begun_at = self.clock.monotonic()
            try:
                error: Exception | None = yield Work(events, guard)
            except OutcomeUnknown:
                if settle is not None and (yield from settle()):
                    return None
            except DatabaseError as found:
                if self.clock.monotonic() - begun_at > self.seconds_max:
                    return _TooLong(f"took longer than {self.seconds_max:g} s: {found}")
                if not (found.retryable and (self.is_patient or not _is_away(found))):
                    raise
            except AureusError as found:
                if not found.retryable:
                    raise
            else:
                if error is None or not _is_away(error):
                    return error
                if self.clock.monotonic() - begun_at > self.seconds_max:
                    return error
                if not self.is_patient:
                    raise error
            away_count += 1
            yield Pause(retry_seconds(max(self.backoff_seconds, AWAY_SECONDS_FIRST), away_count))

    def check_room(self, parked_count: int) -> None:
        """Raise ``LimitExceeded`` when so much is parked that it is not the events that are wrong."""
        if parked_count >= PARKED_STREAMS_MAX:
            raise LimitExceeded(
                f"{parked_count:,} streams are parked already; the handler fails for whatever it gets. Mend it, and "
                "replay them with `aureus subscriptions replay`",
                limit=PARKED_STREAMS_MAX,
            )


class _TooLong(Exception):
    """A handler took so long that its transaction was ended."""


def _is_away(error: Exception) -> bool:
    return isinstance(error, DatabaseUnavailable)


def ended_worded(before: str) -> str:
    """Return the error that an event keeps while it is tried by one who may be ended by it."""
    if before.startswith(ENDED):
        return before
    return f"{ENDED}; before that {before}"[:ERROR_CHARACTERS_MAX] if before else ENDED


def _worded(error: Exception) -> str:
    """Return an error as it is kept: no NUL, which no engine holds, no lone surrogate, and not too long."""
    text = f"{type(error).__name__}: {error}".replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode(errors="replace").decode()[:ERROR_CHARACTERS_MAX]

"""The only module that reads the time.

Wall time orders and labels what is stored; monotonic time measures how long something took and is never stored.
Lease deadlines use neither: they are computed and compared in SQL with the database's own clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def has_place(moment: datetime) -> bool:
    """Return whether a time with a zone is one in UTC too: at either end of the years it may not be."""
    if 1 < moment.year < 9999:
        return True
    try:
        moment.astimezone(UTC)
    except OverflowError:
        return False
    return True


class Clock(Protocol):
    """A source of time."""

    def now(self) -> datetime:
        """Return the wall time in UTC, in whole microseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never goes back."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Return the wall time in UTC, in whole microseconds."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never goes back."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to move; for tests and simulations."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Return the moment the clock stands at."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds the clock was moved by so far."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds


def to_micros(moment: datetime) -> int:
    """Return microseconds since 1970 UTC, the form in which SQLite stores time; exact."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Return the UTC moment that lies this many microseconds after 1970; the inverse of ``to_micros``."""
    return _EPOCH + timedelta(microseconds=micros)


def to_rfc3339(moment: datetime) -> str:
    """Return the moment as RFC 3339 text in UTC with six digits and ``Z``, so that text order is time order."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")

"""When a lease is renewed, and when it is over for its holder. Pure: moments are seconds of the holder's own clock."""

from __future__ import annotations

from dataclasses import dataclass, field

STATEMENT_PAUSE_SECONDS = 1.0
"""Seconds between two statements beside the work at least; under a lease of less than 6 s they come closer."""

RENEWALS_PER_LEASE = 3
"""Renewals that fit into a lease: two may fail before it is lost."""

SAFE_PART = 0.9
"""Part of the lease after which its process considers it over, so that its work is stopped before others begin."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often things are done for a lease of some seconds."""

    lease_seconds: float

    @property
    def renewal_seconds(self) -> float:
        """Return the seconds between two renewals."""
        return self.lease_seconds / RENEWALS_PER_LEASE

    @property
    def pause_seconds(self) -> float:
        """Return the seconds between two statements at least; something else fits between two renewals."""
        return min(STATEMENT_PAUSE_SECONDS, self.renewal_seconds / 2)

    @property
    def look_seconds(self) -> float:
        """Return the seconds from one look whether something is due to the next."""
        return self.pause_seconds / 4

    @property
    def silence_seconds_max(self) -> float:
        """Return how long the event loop may not answer before nothing is renewed any more."""
        return self.renewal_seconds

    def deadline(self, sent_at: float) -> float:
        """Return when a lease is over for this process, whose acquisition was sent at a moment of its own clock."""
        return sent_at + self.lease_seconds * SAFE_PART


@dataclass(slots=True)
class Renewal:
    """What is known of one lease: when it was sent for last, and when something was sent at all."""

    rhythm: Rhythm
    renewed_at: float
    """When the renewal that succeeded last was sent."""
    statement_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.statement_at = self.renewed_at

    @property
    def deadline(self) -> float:
        """Return when the lease is over for its process."""
        return self.rhythm.deadline(self.renewed_at)

    def may_speak(self, now: float) -> bool:
        """Return whether the last statement is long enough ago."""
        return now >= self.statement_at + self.rhythm.pause_seconds

    def is_due(self, now: float) -> bool:
        """Return whether it is time for a renewal."""
        return now >= self.renewed_at + self.rhythm.renewal_seconds

    def renewed(self, sent_at: float) -> None:
        """Take note of a renewal that succeeded."""
        self.renewed_at = self.statement_at = sent_at

    def spoke(self, now: float) -> None:
        """Take note of another statement, or of a renewal that failed."""
        self.statement_at = now

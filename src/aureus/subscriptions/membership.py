"""How long a member of a group stays one while its handler works: the rule, and what is known for it.

The loop renews the membership whenever it looks at its share. While it cannot, because an event is in somebody's hands,
a thread or a task beside it does, but for one piece of work no longer than a bound: a handler that hangs must not keep
its buckets for ever. Nothing that was wrongly renewed, or wrongly not, makes a position wrong: epochs see to that.
"""

from __future__ import annotations

from collections.abc import Callable

from aureus._database.statement import Op
from aureus.clock import Clock
from aureus.model.renewal import Renewal, Rhythm


class Membership:
    """One member's lease as its process knows it; used by the loop and by what renews beside it."""

    def __init__(
        self,
        clock: Clock,
        *,
        lease_seconds: float,
        handling_seconds_max: float,
        extend: Callable[[], Op[bool]],
    ) -> None:
        self.extend = extend
        """The operation that renews it."""
        self.look_seconds = Rhythm(lease_seconds).look_seconds
        self._clock = clock
        self._renewal = Renewal(Rhythm(lease_seconds), clock.monotonic())
        self._handling_seconds_max = handling_seconds_max
        self._busy_since: float | None = None

    def now(self) -> float:
        """Return this moment, as it is to be handed back when something was sent at it."""
        return self._clock.monotonic()

    def busy(self) -> None:
        """Take note that somebody has an event in hand from now on."""
        self._busy_since = self._clock.monotonic()

    def free(self) -> None:
        """Take note that nobody has an event in hand."""
        self._busy_since = None

    def is_due(self) -> bool:
        """Return whether to renew now; the answer is no to one who has had an event in hand for too long."""
        now, since = self._clock.monotonic(), self._busy_since
        if since is not None and now - since > self._handling_seconds_max:
            return False
        return self._renewal.is_due(now) and self._renewal.may_speak(now)

    def renewed(self, sent_at: float) -> None:
        """Take note of a renewal that succeeded."""
        self._renewal.renewed(sent_at)

    def failed(self, sent_at: float) -> None:
        """Take note of a renewal that did not; the next one comes after a pause."""
        self._renewal.spoke(sent_at)

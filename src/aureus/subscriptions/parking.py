"""Streams that wait because an event of theirs could not be handled: parking them, and trying them again.

A stream is passed over by whoever holds its bucket, and by nobody else is it let go.
"""

from __future__ import annotations

import logging
from functools import partial

from aureus._database.statement import Op
from aureus.clock import Clock
from aureus.errors import LeaseLost, VersionConflict
from aureus.model.events import Event
from aureus.model.subscriptions import Held, ParkedStream, SealedPage, Wanted
from aureus.subscriptions.handling import ENDED, Failure, Handling, ended_worded
from aureus.subscriptions.holding import Holding
from aureus.subscriptions.progress import position_of
from aureus.subscriptions.steps import Deliver, Steps

_log = logging.getLogger("aureus.subscriptions")


class Parking:
    """The parked streams of the buckets that one consumer holds."""

    def __init__(self, holding: Holding, clock: Clock) -> None:
        self.handling: Handling | None = None
        """How events are handled inside of transactions; None when they are handed out."""
        self._holding = holding
        self._name = holding.plan.name
        self._clock = clock
        self._parked: dict[str, ParkedStream] = {}
        self._looked_at = clock.monotonic()

    def holds(self, stream: str) -> bool:
        """Return whether a stream waits."""
        return stream in self._parked

    def load(self) -> Steps[None]:
        """See what is parked of the buckets that are held."""
        found: list[ParkedStream] = yield from self._holding.ask(
            lambda: self._holding.consumer.list_parked(self._name), is_read=True
        )
        self._looked_at = self._clock.monotonic()
        progress = self._holding.progress
        self._parked = {one.stream: one for one in found if progress.holds(one.bucket)}

    def park(self, event: Event, held: Held, failure: Failure, handling: Handling) -> Steps[None]:
        """Let the stream of an event wait that could not be handled."""
        handling.check_room(len(self._parked))
        parked = failure.parked(event.stream, held.bucket, held.position, self._clock.now())
        yield from self._holding.ask(
            lambda: self._holding.consumer.park(
                self._name,
                held,
                event.stream,
                parked.attempt_count,
                parked.error,
                parked.first_failed_at,
            )
        )
        self._parked[event.stream] = parked
        _log.warning(
            "subscription %s: stream %s is parked at position %s after %s tries: %s",
            self._name,
            event.stream,
            parked.position,
            parked.attempt_count,
            parked.error,
        )

    def look(self, *, is_idle: bool) -> Steps[bool]:
        """See whether somebody wants parked streams to be tried again, and do so; return whether any was."""
        elapsed = self._clock.monotonic() - self._looked_at
        if not self._parked or not (is_idle or elapsed >= self._holding.plan.poll_seconds):
            return False
        yield from self.load()
        wanted = [one for one in self._parked.values() if one.is_replaying]
        for parked in wanted:
            try:
                yield from self._replay(parked)
            except LeaseLost:
                self._holding.lose(parked.bucket)
            except VersionConflict:
                continue  # somebody has decided to skip meanwhile; the next look sees it
        return bool(wanted)

    def _replay(self, parked: ParkedStream) -> Steps[None]:
        """Have everything handled that a parked stream has missed, and let it go."""
        progress, consumer = self._holding.progress, self._holding.consumer
        if not progress.holds(parked.bucket):
            return
        name, held = self._name, progress.reached(parked.bucket)
        filters = self._holding.wanted
        wanted = Wanted(parked.stream, filters.category, filters.types)
        is_careful = self.handling is not None and progress.is_careful(parked.bucket, 1)
        after = parked.position - 1
        while after < held.position:
            page: SealedPage = yield from self._holding.ask(
                partial(consumer.read_sealed, after, wanted), is_read=True
            )
            for event in page.events:
                if position_of(event) > held.position:
                    break
                if is_careful:
                    yield from self._note_last_try(parked, event, held)
                    is_careful = False
                if not (yield from self._try_again(event, held)):
                    return
            after = page.reached
        yield from self._holding.ask(lambda: consumer.unpark(name, held, parked.stream))
        progress.store([held])
        del self._parked[parked.stream]

    def _note_last_try(self, parked: ParkedStream, event: Event, held: Held) -> Steps[None]:
        """Take the wish to replay back before the event is tried that may end the process, as it did before.

        When it is handled, the wish stands again. When it does end the process, the stream is parked as it was, and
        says why.
        """
        _log.warning("subscription %s: %s: %s", self._name, parked.stream, ENDED)
        failure = Failure(1, self._clock.now(), ended_worded(parked.error))
        noted = failure.again(parked, position_of(event), self._clock.now())
        yield from self._holding.ask(
            lambda: self._holding.consumer.keep_parked(self._name, held, noted)
        )

    def _try_again(self, event: Event, held: Held) -> Steps[bool]:
        """Have an event of a parked stream handled; return whether the next one may follow."""
        name, position, consumer = self._name, position_of(event), self._holding.consumer

        def moved(*, is_strict: bool) -> Op[None]:
            return consumer.move_parked(name, held, event.stream, position, is_strict=is_strict)

        if self.handling is None:
            yield Deliver(event)
            yield from self._holding.ask(lambda: moved(is_strict=False))
            return True
        failure = yield from self.handling.attempt(event, lambda: moved(is_strict=True))
        if failure is None:
            return True
        before = self._parked[event.stream]
        parked = failure.again(before, position, self._clock.now())
        yield from self._holding.ask(lambda: consumer.keep_parked(name, held, parked))
        self._parked[event.stream] = parked
        return False

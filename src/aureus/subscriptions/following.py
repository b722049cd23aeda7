"""The loop of a consumer: catch up, then live. Decisions only; a driver carries out what they ask for.

What makes it sound: only sealed entries are read, and they are dense, so that nothing is skipped; a bucket's position
is moved only under the epoch that was taken with it, so that a consumer who was taken over moves nothing; a stream that
is parked is passed over by whoever holds its bucket, and by nobody else is it let go.
"""

from __future__ import annotations

import logging
from functools import partial

from aureus._database.statement import Op
from aureus.clock import Clock
from aureus.errors import LeaseLost, VersionConflict
from aureus.model.events import Event
from aureus.model.subscriptions import Held, ParkedStream, SealedPage, Wanted, bucket_of
from aureus.stores.subscriptions import rewound
from aureus.subscriptions.handling import Handling
from aureus.subscriptions.holding import SEALING_PAUSE_SECONDS, SEALING_TRIES_MAX, Holding, Plan
from aureus.subscriptions.steps import Deliver, Pause, Rest, Steps

_log = logging.getLogger("aureus.subscriptions")


class Following:
    """One consumer's loop and what it knows."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self.handling: Handling | None = None
        """How events are handled inside of transactions; None when they are handed out."""
        self._holding = Holding(plan, clock)
        self.progress = self._holding.progress
        self._clock = clock
        self._parked: dict[str, ParkedStream] = {}
        self._looked_at = self._settled_at = clock.monotonic()
        self._in_hand: tuple[int, int] | None = None
        """Bucket and position of the event that was handed out, until the next one is asked for."""

    def steps(self) -> Steps[None]:
        """Follow, for ever, or until everything that is there is handled."""
        self._in_hand = None
        yield from self._holding.begin()
        yield from self._load_parked()
        tries, was_woken = 0, False
        while True:
            if self._holding.is_share_due:
                yield from self._holding.store(everything=True)
                if (yield from self._holding.share()):
                    yield from self._load_parked()
            if self.progress.is_empty:
                if not self.plan.is_live:
                    return
                yield Rest(self._holding.share_interval)
                continue
            page = yield from self._read()
            was_cut = yield from self._tell_all(page)
            if was_cut or not page.is_at_end:
                if self._holding.is_store_due:
                    yield from self._holding.store()
                yield from self._look_at_parked(is_idle=False)
                continue
            if self._is_to_seal(page, was_woken=was_woken) and tries < SEALING_TRIES_MAX:
                tries += 1
                sealed = yield from self._holding.seal()
                if sealed.is_done or sealed.sealed_count:
                    continue  # by this one, or by somebody else since the page was read
                if not self.plan.is_live:
                    yield Pause(SEALING_PAUSE_SECONDS)
                    continue
            tries = 0
            yield from self._holding.store(everything=not self.plan.is_live)
            if (yield from self._look_at_parked(is_idle=True)) or self._holding.is_share_due:
                continue
            if not self.plan.is_live:
                return
            yield from self._holding.check()
            was_woken = yield Rest(self._holding.rest_seconds)

    def finish(self) -> Steps[None]:
        """Store what is handled, and leave a group."""
        yield from self._holding.finish()

    @property
    def has_joined(self) -> bool:
        """Return whether it is a member of a group."""
        return self._holding.has_joined

    def acknowledge(self) -> None:
        """Count the event that was handed out last as handled, before the next one is asked for."""
        if self._in_hand is not None:
            bucket, position = self._in_hand
            if self.progress.holds(bucket):
                self.progress.passed(bucket, position, is_handled=True)

    # Reading.

    def _is_to_seal(self, page: SealedPage, *, was_woken: bool) -> bool:
        """Return whether to seal what is left unsealed.

        One who is woken leaves that to the writers, who gather many appends into a round, unless they have left
        something for long: a writer may have been killed, while others go on ringing.
        """
        now = self._clock.monotonic()
        if not (page.has_unsealed and self.plan.seals):
            self._settled_at = now
            return False
        return not was_woken or now - self._settled_at >= self.plan.poll_seconds

    def _read(self) -> Steps[SealedPage]:
        after = self.progress.first
        page: SealedPage = yield from self._holding.ask(
            lambda: self._holding.consumer.read_sealed(
                after,
                self._holding.wanted,
                bucket_count=self._holding.bucket_count,
                held=self.progress.all_reached(),
            ),
            is_read=True,
        )
        furthest = self.progress.furthest
        if furthest >= page.size:
            raise rewound(self.plan.name, furthest, page.size)
        return page

    def _tell_all(self, page: SealedPage) -> Steps[bool]:
        """Have the events of a page handled; return whether the rest of it is to be read again."""
        for event in page.events:
            bucket = bucket_of(event.stream, self._holding.bucket_count)
            if not self.progress.holds(bucket):
                continue
            is_told = event.stream not in self._parked
            if is_told:
                try:
                    yield from self._tell(event, bucket)
                except LeaseLost:
                    self._holding.lose(bucket)
                    continue
            self.progress.passed(
                bucket, _position(event), is_handled=is_told and self.handling is None
            )
            if self._holding.is_store_due:
                yield from self._holding.store()
            if self._holding.is_share_due:
                return True
        self.progress.all_passed(page.reached)
        return False

    def _tell(self, event: Event, bucket: int) -> Steps[None]:
        """Have one event handled."""
        if self.handling is None:
            self._in_hand = (bucket, _position(event))
            yield Deliver(event)
            self._in_hand = None
            self._holding.told()
            return
        held = self.progress.at(bucket, _position(event))
        failure = yield from self.handling.attempt(
            event, lambda: self._holding.consumer.handled(self.plan.name, held)
        )
        if failure is None:
            self.progress.store([held])
            return
        self.handling.check_room(len(self._parked))
        parked = failure.parked(event.stream, bucket, _position(event), self._clock.now())
        yield from self._holding.ask(
            lambda: self._holding.consumer.park(
                self.plan.name,
                held,
                event.stream,
                parked.attempt_count,
                parked.error,
                parked.first_failed_at,
            )
        )
        self.progress.store([held])
        self._parked[event.stream] = parked
        _log.warning(
            "subscription %s: stream %s is parked at position %s after %s tries: %s",
            self.plan.name,
            event.stream,
            parked.position,
            parked.attempt_count,
            parked.error,
        )

    # Parked streams.

    def _load_parked(self) -> Steps[None]:
        found: list[ParkedStream] = yield from self._holding.ask(
            lambda: self._holding.consumer.list_parked(self.plan.name), is_read=True
        )
        self._looked_at = self._clock.monotonic()
        self._parked = {one.stream: one for one in found if self.progress.holds(one.bucket)}

    def _look_at_parked(self, *, is_idle: bool) -> Steps[bool]:
        """See whether somebody wants parked streams to be tried again, and do so; return whether any was."""
        elapsed = self._clock.monotonic() - self._looked_at
        if not self._parked or not (is_idle or elapsed >= self.plan.poll_seconds):
            return False
        yield from self._load_parked()
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
        if not self.progress.holds(parked.bucket):
            return
        name, held = self.plan.name, self.progress.reached(parked.bucket)
        wanted = Wanted(parked.stream, self._holding.wanted.category, self._holding.wanted.types)
        after = parked.position - 1
        while after < held.position:
            page: SealedPage = yield from self._holding.ask(
                partial(self._holding.consumer.read_sealed, after, wanted), is_read=True
            )
            for event in page.events:
                if _position(event) > held.position:
                    break
                if not (yield from self._try_again(event, held)):
                    return
            after = page.reached
        yield from self._holding.ask(
            lambda: self._holding.consumer.unpark(name, held, parked.stream)
        )
        self.progress.store([held])
        del self._parked[parked.stream]

    def _try_again(self, event: Event, held: Held) -> Steps[bool]:
        """Have an event of a parked stream handled; return whether the next one may follow."""
        name, position = self.plan.name, _position(event)

        def moved(*, is_strict: bool) -> Op[None]:
            return self._holding.consumer.move_parked(
                name, held, event.stream, position, is_strict=is_strict
            )

        if self.handling is None:
            yield Deliver(event)
            yield from self._holding.ask(lambda: moved(is_strict=False))
            return True
        failure = yield from self.handling.attempt(event, lambda: moved(is_strict=True))
        if failure is None:
            return True
        before = self._parked[event.stream]
        parked = failure.again(before, position, self._clock.now())
        yield from self._holding.ask(lambda: self._holding.consumer.keep_parked(name, held, parked))
        self._parked[event.stream] = parked
        return False


def _position(event: Event) -> int:
    """Return the position of a sealed event."""
    if event.position is None:
        raise AssertionError("a sealed event has a position")
    return event.position

"""The loop of a consumer: catch up, then live. Decisions only; a driver carries out what they ask for.

What makes it sound: only sealed entries are read, and they are dense, so that nothing is skipped; a bucket's position
is moved only under the epoch that was taken with it, so that a consumer who was taken over moves nothing.
"""

from __future__ import annotations

from aureus.clock import Clock
from aureus.model.subscriptions import SealedPage
from aureus.stores.subscriptions import rewound
from aureus.stores.subscriptions.consuming import READ_MAX, SCAN_MAX
from aureus.subscriptions.handling import Handling
from aureus.subscriptions.holding import SEALING_PAUSE_SECONDS, SEALING_TRIES_MAX, Holding, Plan
from aureus.subscriptions.membership import Membership
from aureus.subscriptions.parking import Parking
from aureus.subscriptions.steps import Pause, Rest, Steps
from aureus.subscriptions.telling import Telling


class Following:
    """One consumer's loop and what it knows."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self._holding = Holding(plan, clock)
        self.progress = self._holding.progress
        self._parking = Parking(self._holding, clock)
        self._telling = Telling(self._holding, self._parking)
        self._clock = clock
        self._settled_at = clock.monotonic()
        self._scan = READ_MAX

    def handle_by(self, handling: Handling | None) -> None:
        """Have events handled inside of transactions from now on; None when they are handed out."""
        self._parking.handling = handling

    def steps(self) -> Steps[None]:
        """Follow, for ever, or until everything that is there is handled."""
        self._telling.forget()
        yield from self._holding.begin()
        yield from self._parking.load()
        tries, was_woken = 0, False
        while True:
            yield from self._share_when_due()
            if self.progress.is_empty:
                if not self.plan.is_live:
                    return
                if not (yield from self._holding.check()):
                    yield Rest(self._holding.rest_seconds)
                continue
            page = yield from self._read()
            was_cut = yield from self._telling.tell_all(page.events, self._share_when_due)
            if not was_cut:
                self.progress.all_passed(page.reached)
            if was_cut or not page.is_at_end:
                if self._holding.is_store_due:
                    yield from self._holding.store()
                yield from self._parking.look(is_idle=False)
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
            if (yield from self._parking.look(is_idle=True)) or self._holding.is_share_due:
                continue
            if not self.plan.is_live:
                return
            if (yield from self._holding.check()):
                continue
            was_woken = yield Rest(self._holding.rest_seconds)

    def finish(self) -> Steps[None]:
        """Store what is handled, and leave a group."""
        yield from self._holding.finish()

    @property
    def has_joined(self) -> bool:
        """Return whether it is a member of a group."""
        return self._holding.has_joined

    @property
    def membership(self) -> Membership:
        """Return what is known of its membership in a group."""
        return self._holding.membership

    def acknowledge(self) -> None:
        """Count the event that was handed out last as handled, before the next one is asked for."""
        self._telling.acknowledge()

    def _share_when_due(self) -> Steps[bool]:
        """Look at a member's share when it is time to; return whether something else is held now."""
        if not self._holding.is_share_due:
            return False
        yield from self._holding.store(everything=True)
        has_changed = yield from self._holding.share()
        if has_changed:
            yield from self._parking.load()
        return has_changed

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
                scan=self._scan,
            ),
            is_read=True,
        )
        self._scan = next_scan(len(page.events), page.reached - after)
        furthest = self.progress.furthest
        if furthest >= page.size:
            raise rewound(self.plan.name, furthest, page.size)
        return page


def next_scan(told_count: int, passed_count: int) -> int:
    """Return through how many positions the next look goes, when the last one told so many on so many positions.

    As many as bring a full page: what lies behind the last event of one would be looked up for nothing.
    """
    if not told_count:
        return SCAN_MAX
    return max(READ_MAX, min(SCAN_MAX, READ_MAX * passed_count // told_count))

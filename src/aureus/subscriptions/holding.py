"""What a consumer holds: how it takes its buckets, stores how far they have come, and gives them up. Decisions only."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aureus._database.statement import Op
from aureus.clock import Clock
from aureus.errors import (
    AlreadyExists,
    DatabaseError,
    DeadlineExceeded,
    LeaseLost,
    OutcomeUnknown,
)
from aureus.model.ledger import SealingRound
from aureus.model.subscriptions import (
    Bucket,
    Held,
    Start,
    Subscription,
    Wanted,
    retry_seconds,
)
from aureus.stores.ledger import LedgerOperations
from aureus.stores.subscriptions import SubscriptionOperations, check_same, missing
from aureus.stores.subscriptions.consuming import ConsumerOperations, lost
from aureus.stores.subscriptions.sharing import SharingOperations
from aureus.subscriptions.membership import Membership
from aureus.subscriptions.progress import Progress
from aureus.subscriptions.steps import Ask, Keep, Pause, Steps

UNSTORED_EVENTS_MAX = 100
"""Events after which positions are stored: as many at most are handled again after a crash."""

UNSTORED_SECONDS_MAX = 1.0
"""How long a position waits to be stored while events keep coming; when none come it is stored at once."""

SEALING_TRIES_MAX = 250
"""How often one who wants all that is committed looks whether another process has finished sealing."""

SEALING_PAUSE_SECONDS = 0.02
"""The rest between two such looks: some 5 seconds for all of them."""

RETRY_SECONDS_FIRST = 0.2
"""The rest before the first retry of a database that is away; the next ones are longer."""

_log = logging.getLogger("aureus.subscriptions")


@dataclass(frozen=True, slots=True)
class Plan:
    """What a consumer is to follow, and how."""

    name: str
    wanted: Wanted | None
    """None for the subscription that is there with whatever filters, and if there is none, for all events."""
    from_position: Start = "start"
    bucket_count: int | None = None
    """The buckets of a group, if it has to be made; None for a subscription of one consumer."""
    member_id: str = ""
    joining_id: str = ""
    """Tells this consumer from others that use the same member's name."""
    is_live: bool = True
    """Whether it waits for what is yet to come; otherwise it ends when it has caught up."""
    poll_seconds: float = 1.0
    lease_seconds: float = 15.0
    handling_seconds_max: float = 300.0
    """How long one event may be in hand while the membership is renewed, and a transaction stays open."""
    seals: bool = True
    """Whether it seals what others have left unsealed."""


def ask_to_seal() -> Steps[SealingRound]:
    """Do one round of sealing."""
    sealed: SealingRound = yield Ask(lambda: LedgerOperations().seal(), is_read=False)
    return sealed


def sealed_before(
    start: Start, *, seals: bool, seal: Callable[[], Steps[SealingRound]] = ask_to_seal
) -> Steps[None]:
    """Seal what is committed before a beginning that is now, so that it lies behind that; wait for others at it."""
    for _ in range(SEALING_TRIES_MAX if start == "now" and seals else 0):
        sealed = yield from seal()
        if sealed.is_done:
            return
        if not sealed.sealed_count:
            yield Pause(SEALING_PAUSE_SECONDS)


class Holding:
    """The buckets of one consumer."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self.progress = Progress()
        self.consumer = ConsumerOperations()
        self.wanted = plan.wanted or Wanted()
        self.bucket_count = 1
        self.has_joined = False
        """Whether it is a member of a group."""
        self._clock = clock
        self._unstored = 0
        self._stored_at = self._checked_at = clock.monotonic()
        self._shared_at = -plan.lease_seconds
        self.membership = Membership(
            clock,
            lease_seconds=plan.lease_seconds,
            handling_seconds_max=plan.handling_seconds_max,
            extend=lambda: SharingOperations().extend(
                plan.name, plan.member_id, plan.joining_id, lease_seconds=plan.lease_seconds
            ),
        )

    def begin(self) -> Steps[None]:
        """Find the subscription or make it, and take what there is to hold."""
        plan = self.plan
        yield from self.store(everything=True)
        found = yield from self._find()
        if found is None:
            try:
                found = yield from self._create()
            except AlreadyExists:  # another member was faster, and made it with other buckets
                found = yield from self._find()
        if found is None:
            raise missing(plan.name)
        buckets = found.bucket_count if found.is_group and plan.bucket_count else plan.bucket_count
        check_same(found, plan.wanted or found.wanted, buckets)
        self.wanted, self.bucket_count = found.wanted, found.bucket_count
        if found.is_group:
            yield from self.share()
            yield Keep(self.membership)
        else:
            held: Held | None = yield from self.ask(lambda: self.consumer.claim(plan.name))
            if held is None:
                raise missing(plan.name)
            self.progress.hold([held])

    def _find(self) -> Steps[Subscription | None]:
        found: Subscription | None = yield from self.ask(
            lambda: SubscriptionOperations().find(self.plan.name), is_read=True
        )
        return found

    def _create(self) -> Steps[Subscription]:
        """Make the subscription; one that begins now begins behind all that is committed."""
        plan, wanted = self.plan, self.plan.wanted or Wanted()
        yield from sealed_before(plan.from_position, seals=plan.seals, seal=self.seal)
        made: Subscription = yield from self.ask(
            lambda: SubscriptionOperations().create(
                plan.name,
                stream=wanted.stream,
                category=wanted.category,
                types=wanted.types,
                from_position=plan.from_position,
                bucket_count=plan.bucket_count,
            )
        )
        return made

    # Sharing.

    def share(self) -> Steps[bool]:
        """Renew the membership and take the share that is due; return whether something else is held now."""
        plan, is_joining = self.plan, not self.has_joined
        sent_at = self._clock.monotonic()
        try:
            held: list[Held] | None = yield from self.ask(
                lambda: SharingOperations().share(
                    plan.name,
                    plan.member_id,
                    plan.joining_id,
                    lease_seconds=plan.lease_seconds,
                    is_joining=is_joining,
                )
            )
        except LeaseLost:  # another consumer has its name: it is no member any more
            self.has_joined = False
            self.progress.hold(())
            raise
        if held is None:
            raise missing(plan.name)
        self.has_joined = True
        self.membership.renewed(sent_at)
        self._shared_at = self._clock.monotonic()
        before = {one.bucket: one.epoch for one in self.progress.all_reached()}
        self.progress.hold(held)
        return before != {one.bucket: one.epoch for one in held}

    @property
    def is_share_due(self) -> bool:
        """Return whether a member is to look at its share again."""
        return self.has_joined and (
            self._clock.monotonic() - self._shared_at >= self.share_interval
        )

    @property
    def share_interval(self) -> float:
        """Return the seconds between two looks of a member at its share."""
        return self.plan.lease_seconds / 3

    @property
    def rest_seconds(self) -> float:
        """Return how long one waits at most before looking by itself."""
        if not self.has_joined:
            return self.plan.poll_seconds
        return min(self.plan.poll_seconds, self.share_interval)

    # Storing.

    def told(self) -> None:
        """Count an event that was handed out and handled."""
        self._unstored += 1

    @property
    def is_store_due(self) -> bool:
        """Return whether so much is handled that it is worth a write."""
        if self._unstored >= UNSTORED_EVENTS_MAX:
            return True
        if self._clock.monotonic() - self._stored_at < UNSTORED_SECONDS_MAX:
            return False
        return self._unstored > 0 or bool(self.progress.unstored(everything=False))

    def store(self, *, everything: bool = False) -> Steps[None]:
        """Store how far buckets have come. Raises ``LeaseLost`` for one that a lone consumer lost."""
        held = self.progress.unstored(everything=everything)
        self._unstored = 0
        self._stored_at = self._clock.monotonic()
        if not held:
            return
        moved: set[int] = yield from self.ask(lambda: self.consumer.advance(self.plan.name, held))
        self.progress.store(one for one in held if one.bucket in moved)
        for one in held:
            if one.bucket not in moved:
                self.lose(one.bucket)

    def lose(self, bucket: int) -> None:
        """Give up a bucket that was taken over; a member of a group goes on with the others."""
        self.progress.lose(bucket)
        if not self.has_joined:
            raise lost(self.plan.name, bucket)
        self._shared_at = self._clock.monotonic() - self.share_interval
        _log.info("subscription %s: bucket %s was taken over", self.plan.name, bucket)

    def check(self) -> Steps[bool]:
        """See from time to time whether an idle consumer was taken over or reset; return whether a bucket is free.

        A member is to look at its share at once then: otherwise a bucket that somebody gave back would be unserved for
        up to a third of a lease. Looking at its share also tells a member what it lost.
        """
        if self._clock.monotonic() - self._checked_at < self.plan.poll_seconds:
            return False
        self._checked_at = self._clock.monotonic()
        found: list[Bucket] = yield from self.ask(
            lambda: SubscriptionOperations().buckets(self.plan.name), is_read=True
        )
        if self.has_joined:
            is_free = any(one.member_id is None for one in found)
            if is_free:
                self._shared_at = self._clock.monotonic() - self.share_interval
            return is_free or self.is_share_due
        epochs = {one.bucket: one.epoch for one in found}
        for one in self.progress.all_reached():
            if epochs.get(one.bucket) != one.epoch:
                self.lose(one.bucket)
        return False

    def finish(self) -> Steps[None]:
        """Store what is handled, and leave a group."""
        held, plan = self.progress.all_reached(), self.plan
        if held:
            yield Ask(lambda: self.consumer.release(plan.name, held), is_read=False)
            self.progress.hold(())
        if self.has_joined:
            self.has_joined = False
            yield Ask(
                lambda: SharingOperations().leave(plan.name, plan.member_id, plan.joining_id),
                is_read=False,
            )

    # Asking.

    def seal(self) -> Steps[SealingRound]:
        """Do one round of sealing."""
        sealed: SealingRound = yield from self.ask(lambda: LedgerOperations().seal())
        return sealed

    def ask(self, make: Callable[[], Op[Any]], *, is_read: bool = False) -> Steps[Any]:
        """Have an operation carried out; one who waits for events also waits for a database that is away.

        All that is asked for may be repeated, so that one whose outcome is open is.
        """
        failed_count = 0
        while True:
            try:
                return (yield Ask(make, is_read))
            except DatabaseError as error:
                is_away = error.retryable or isinstance(error, DeadlineExceeded | OutcomeUnknown)
                if not (is_away and self.plan.is_live):
                    raise
                failed_count += 1
                if failed_count == 1:
                    _log.warning("subscription %s has to wait: %s", self.plan.name, error)
            yield Pause(retry_seconds(RETRY_SECONDS_FIRST, failed_count))

"""The loop of a consumer: catch up, then live. Decisions only; a driver carries out what they ask for.

What makes it sound: only sealed entries are read, and they are dense, so that nothing is skipped; a bucket's position
is moved only under the epoch that was taken with it, so that a consumer who was taken over moves nothing; a stream that
is parked is passed over by whoever holds its bucket, and by nobody else is it let go.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from aureus._database.statement import Op
from aureus.clock import Clock
from aureus.errors import AlreadyExists, DatabaseError, LeaseLost
from aureus.model.events import Event
from aureus.model.ledger import SealingRound
from aureus.model.subscriptions import (
    Bucket,
    Held,
    ParkedStream,
    SealedPage,
    Start,
    Subscription,
    Wanted,
    bucket_of,
    retry_seconds,
)
from aureus.stores.ledger import LedgerOperations
from aureus.stores.subscriptions import (
    SubscriptionOperations,
    check_same,
    missing,
    rewound,
)
from aureus.stores.subscriptions.consuming import ConsumerOperations, lost
from aureus.stores.subscriptions.sharing import SharingOperations
from aureus.subscriptions.handling import Handling
from aureus.subscriptions.progress import Progress
from aureus.subscriptions.steps import Ask, Deliver, Pause, Rest, Steps

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
    is_live: bool = True
    """Whether it waits for what is yet to come; otherwise it ends when it has caught up."""
    poll_seconds: float = 1.0
    lease_seconds: float = 15.0
    seals: bool = True
    """Whether it seals what others have left unsealed."""


class Following:
    """One consumer's loop and what it knows."""

    def __init__(self, plan: Plan, clock: Clock) -> None:
        self.plan = plan
        self.progress = Progress()
        self.handling: Handling | None = None
        """How events are handled inside of transactions; None when they are handed out."""
        self._clock = clock
        self._consumer = ConsumerOperations()
        self._wanted = plan.wanted or Wanted()
        self._bucket_count = 1
        self._parked: dict[str, ParkedStream] = {}
        self._unstored = 0
        self._stored_at = clock.monotonic()
        self._shared_at = -plan.lease_seconds
        self._looked_at = self._checked_at = clock.monotonic()
        self._has_joined = False
        self._in_hand: tuple[int, int] | None = None
        """Bucket and position of the event that was handed out, until the next one is asked for."""

    def steps(self) -> Steps[None]:
        """Follow, for ever, or until everything that is there is handled."""
        yield from self._begin()
        tries, was_woken = 0, False
        while True:
            if self._is_share_due():
                yield from self._store(everything=True)
                yield from self._share()
            if self.progress.is_empty:
                if not self.plan.is_live:
                    return
                yield Rest(self._share_interval())
                continue
            page = yield from self._read()
            was_cut = yield from self._tell_all(page)
            if was_cut or not page.is_at_end:
                yield from self._look_at_parked(is_idle=False)
                continue
            # One who is woken leaves sealing to the writers, who gather many appends into a round.
            if (
                page.has_unsealed
                and self.plan.seals
                and not was_woken
                and tries < SEALING_TRIES_MAX
            ):
                tries += 1
                sealed = yield from self._seal()
                if sealed.is_done or sealed.sealed_count:
                    continue  # by this one, or by somebody else since the page was read
                if not self.plan.is_live:
                    yield Pause(SEALING_PAUSE_SECONDS)
                    continue
            tries = 0
            yield from self._store(everything=not self.plan.is_live)
            if (yield from self._look_at_parked(is_idle=True)) or self._is_share_due():
                continue
            if not self.plan.is_live:
                return
            yield from self._check_held()
            was_woken = yield Rest(self._rest_seconds())

    def acknowledge(self) -> None:
        """Count the event that was handed out last as handled, before the next one is asked for."""
        if self._in_hand is not None:
            bucket, position = self._in_hand
            if self.progress.holds(bucket):
                self.progress.passed(bucket, position, is_handled=True)

    def finish(self) -> Steps[None]:
        """Store what is handled, and leave a group."""
        held = self.progress.unstored(everything=True)
        if held:
            yield Ask(lambda: self._consumer.advance(self.plan.name, held), is_read=False)
            self.progress.store(held)
        if self._has_joined:
            self._has_joined = False
            name, member_id = self.plan.name, self.plan.member_id
            yield Ask(lambda: SharingOperations().leave(name, member_id), is_read=False)
            self.progress.hold(())

    # Beginning.

    def _begin(self) -> Steps[None]:
        plan = self.plan
        self._in_hand = None
        yield from self._store(everything=True)
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
        self._wanted, self._bucket_count = found.wanted, found.bucket_count
        if found.is_group:
            yield from self._share()
        else:
            held: Held | None = yield from self._ask(lambda: self._consumer.claim(plan.name))
            if held is None:
                raise missing(plan.name)
            self.progress.hold([held])
        yield from self._load_parked()

    def _find(self) -> Steps[Subscription | None]:
        found: Subscription | None = yield from self._ask(
            lambda: SubscriptionOperations().find(self.plan.name), is_read=True
        )
        return found

    def _create(self) -> Steps[Subscription]:
        """Make the subscription; one that begins now begins behind all that is committed."""
        plan, wanted = self.plan, self.plan.wanted or Wanted()
        for _ in range(SEALING_TRIES_MAX if plan.from_position == "now" and plan.seals else 0):
            sealed = yield from self._seal()
            if sealed.is_done:
                break
            if not sealed.sealed_count:
                yield Pause(SEALING_PAUSE_SECONDS)
        made: Subscription = yield from self._ask(
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

    def _share(self) -> Steps[None]:
        plan = self.plan
        held: list[Held] | None = yield from self._ask(
            lambda: SharingOperations().share(
                plan.name, plan.member_id, lease_seconds=plan.lease_seconds
            )
        )
        if held is None:
            raise missing(plan.name)
        self._has_joined = True
        self._shared_at = self._clock.monotonic()
        before = {one.bucket: one.epoch for one in self.progress.all_reached()}
        self.progress.hold(held)
        if before != {one.bucket: one.epoch for one in held}:
            yield from self._load_parked()

    def _is_share_due(self) -> bool:
        return self._has_joined and (
            self._clock.monotonic() - self._shared_at >= self._share_interval()
        )

    def _share_interval(self) -> float:
        return self.plan.lease_seconds / 3

    def _rest_seconds(self) -> float:
        if not self._has_joined:
            return self.plan.poll_seconds
        return min(self.plan.poll_seconds, self._share_interval())

    # Reading.

    def _read(self) -> Steps[SealedPage]:
        after = self.progress.first
        page: SealedPage = yield from self._ask(
            lambda: self._consumer.read_sealed(
                after,
                self._wanted,
                bucket_count=self._bucket_count,
                held=self.progress.all_reached(),
            ),
            is_read=True,
        )
        furthest = self.progress.furthest
        if furthest >= page.size:
            raise rewound(self.plan.name, furthest, page.size)
        return page

    def _seal(self) -> Steps[SealingRound]:
        sealed: SealingRound = yield from self._ask(lambda: LedgerOperations().seal())
        return sealed

    def _tell_all(self, page: SealedPage) -> Steps[bool]:
        """Have the events of a page handled; return whether the rest of it is to be read again."""
        for event in page.events:
            bucket = bucket_of(event.stream, self._bucket_count) if self._bucket_count > 1 else 0
            if not self.progress.holds(bucket):
                continue
            is_told = event.stream not in self._parked
            if is_told:
                try:
                    yield from self._tell(event, bucket)
                except LeaseLost:
                    self._lose(bucket)
                    continue
            self.progress.passed(
                bucket, _position(event), is_handled=is_told and self.handling is None
            )
            if self._is_store_due():
                yield from self._store()
            if self._is_share_due():
                return True
        self.progress.all_passed(page.reached)
        return False

    def _tell(self, event: Event, bucket: int) -> Steps[None]:
        """Have one event handled."""
        if self.handling is None:
            self._in_hand = (bucket, _position(event))
            yield Deliver(event)
            self._in_hand = None
            self._unstored += 1
            return
        held = self.progress.at(bucket, _position(event))
        failure = yield from self.handling.attempt(
            event, lambda: self._consumer.handled(self.plan.name, held)
        )
        if failure is None:
            self.progress.store([held])
            return
        self.handling.check_room(len(self._parked))
        parked = failure.parked(event.stream, bucket, _position(event), self._clock.now())
        yield from self._ask(
            lambda: self._consumer.park(
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

    # Storing.

    def _is_store_due(self) -> bool:
        if self._unstored >= UNSTORED_EVENTS_MAX:
            return True
        elapsed = self._clock.monotonic() - self._stored_at
        return elapsed >= UNSTORED_SECONDS_MAX and self._unstored > 0

    def _store(self, *, everything: bool = False) -> Steps[None]:
        """Store how far buckets have come. Raises ``LeaseLost`` for one that a lone consumer lost."""
        held = self.progress.unstored(everything=everything)
        self._unstored = 0
        self._stored_at = self._clock.monotonic()
        if not held:
            return
        moved: set[int] = yield from self._ask(lambda: self._consumer.advance(self.plan.name, held))
        self.progress.store(one for one in held if one.bucket in moved)
        for one in held:
            if one.bucket not in moved:
                self._lose(one.bucket)

    def _lose(self, bucket: int) -> None:
        """Give up a bucket that was taken over; a member of a group goes on with the others."""
        self.progress.lose(bucket)
        if not self._has_joined:
            raise lost(self.plan.name, bucket)
        self._shared_at = self._clock.monotonic() - self._share_interval()
        _log.info("subscription %s: bucket %s was taken over", self.plan.name, bucket)

    def _check_held(self) -> Steps[None]:
        """See from time to time whether an idle consumer was taken over, or reset; members share for that."""
        if self._has_joined or self._clock.monotonic() - self._checked_at < self.plan.poll_seconds:
            return
        self._checked_at = self._clock.monotonic()
        found: list[Bucket] = yield from self._ask(
            lambda: SubscriptionOperations().buckets(self.plan.name), is_read=True
        )
        epochs = {one.bucket: one.epoch for one in found}
        for one in self.progress.all_reached():
            if epochs.get(one.bucket) != one.epoch:
                self._lose(one.bucket)

    # Parked streams.

    def _load_parked(self) -> Steps[None]:
        found: list[ParkedStream] = yield from self._ask(
            lambda: self._consumer.list_parked(self.plan.name), is_read=True
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
                self._lose(parked.bucket)
        return bool(wanted)

    def _replay(self, parked: ParkedStream) -> Steps[None]:
        """Have everything handled that a parked stream has missed, and let it go."""
        if not self.progress.holds(parked.bucket):
            return
        name, held = self.plan.name, self.progress.reached(parked.bucket)
        wanted = Wanted(parked.stream, self._wanted.category, self._wanted.types)
        after = parked.position - 1
        while after < held.position:
            page: SealedPage = yield from self._ask(
                partial(self._consumer.read_sealed, after, wanted), is_read=True
            )
            for event in page.events:
                if _position(event) > held.position:
                    break
                if not (yield from self._try_again(event, held)):
                    return
            after = page.reached
        yield from self._ask(lambda: self._consumer.unpark(name, held, parked.stream))
        self.progress.store([held])
        del self._parked[parked.stream]

    def _try_again(self, event: Event, held: Held) -> Steps[bool]:
        """Have an event of a parked stream handled; return whether the next one may follow."""
        name, position = self.plan.name, _position(event)

        def moved(*, is_strict: bool) -> Op[None]:
            return self._consumer.move_parked(
                name, held, event.stream, position, is_strict=is_strict
            )

        if self.handling is None:
            yield Deliver(event)
            yield from self._ask(lambda: moved(is_strict=False))
            return True
        failure = yield from self.handling.attempt(event, lambda: moved(is_strict=True))
        if failure is None:
            return True
        before = self._parked[event.stream]
        parked = failure.again(before, position, self._clock.now())
        yield from self._ask(lambda: self._consumer.keep_parked(name, held, parked))
        self._parked[event.stream] = parked
        return False

    # Asking.

    def _ask(self, make: Callable[[], Op[Any]], *, is_read: bool = False) -> Steps[Any]:
        """Have an operation carried out; one who waits for events also waits for a database that is away."""
        failed_count = 0
        while True:
            try:
                return (yield Ask(make, is_read))
            except DatabaseError as error:
                if not (error.retryable and self.plan.is_live):
                    raise
                failed_count += 1
                if failed_count == 1:
                    _log.warning("subscription %s has to wait: %s", self.plan.name, error)
            yield Pause(retry_seconds(RETRY_SECONDS_FIRST, failed_count))


def _position(event: Event) -> int:
    """Return the position of a sealed event."""
    if event.position is None:
        raise AssertionError("a sealed event has a position")
    return event.position

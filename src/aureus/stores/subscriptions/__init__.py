"""Subscriptions: readers of sealed events that remember how far they have come.

What people do to them is here; what their consumers do is in ``consuming`` and ``sharing``. A position counts the
sealed entries of the tenant from 0, and that of a subscription is the last one that is handled, -1 before the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    current_time,
    fetch_all,
    fetch_one,
    last,
    new_id,
    record,
)
from aureus.codec import check_text
from aureus.errors import (
    AlreadyExists,
    Conflict,
    HistoryRewound,
    Invalid,
    NotFound,
    VersionConflict,
)
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.subscriptions import (
    ACTIONS,
    DECISIONS,
    Bucket,
    Member,
    ParkedStream,
    Start,
    Subscription,
    Wanted,
    first_epoch,
)
from aureus.stores.subscriptions.rows import (
    bucket_of_row,
    checked_bucket_count,
    checked_name,
    checked_position,
    checked_start,
    checked_wanted,
    member_of,
    parameters_of,
    parked_of,
    subscription_of,
)

sql = Queries("subscriptions")

PAGE_MAX = 1000
"""Subscriptions, or parked streams, of one page."""

REASON_CHARACTERS_MAX = 2000
"""Characters of the reason for which an event is skipped."""

Subscriptions = list[Subscription]
"""A type, for a class that has an operation of the name ``list``."""


class SubscriptionOperations(Operations):
    """Operations on subscriptions."""

    @write
    def create(
        self,
        name: str,
        *,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        from_position: Start = "start",
        bucket_count: int | None = None,
    ) -> Op[Subscription]:
        """Make a subscription and return it; with ``bucket_count`` it is a consumer group. Atomic.

        It is told of the events that all filters let through: of a ``stream``, of a ``category``, of one of some
        ``types``. ``from_position`` is the position of the first one, ``"start"`` for 0, or ``"now"`` for what is
        sealed from now on. Repeating it with the same filters and buckets returns the subscription as it now stands.

        Raises ``AlreadyExists`` when there is one of this name with others, and ``HistoryRewound`` when
        ``from_position`` is beyond what is sealed.
        """
        checked_name(name)
        wanted = checked_wanted(stream, category, types)
        buckets = checked_bucket_count(bucket_count)
        first = checked_start(from_position)
        operation = yield from new_id()
        now = yield from current_time()
        yield from fetch_one(
            sql.create_subscription,
            bool,
            name=name,
            is_group=bucket_count is not None,
            bucket_count=buckets,
            from_position=first,
            first_epoch=first_epoch(operation),
            now=now,
            **parameters_of(wanted),
        )
        found = yield from fetch_one(sql.get_subscription, subscription_of, name=name)
        if found is None:
            raise (yield from self._beyond(name, first or 0))
        check_same(found, wanted, bucket_count)
        return found

    @read
    def get(self, name: str) -> Op[Subscription]:
        """Return a subscription and how far it has come. Raises ``NotFound``."""
        found = yield from self.find(name)
        if found is None:
            raise missing(name)
        return found

    @read
    def find(self, name: str) -> Op[Subscription | None]:
        """Return a subscription and how far it has come, or None."""
        return (
            yield from fetch_one(sql.get_subscription, subscription_of, name=checked_name(name))
        )

    @read
    def list(self, *, after_name: str = "", limit: int = 100) -> Op[Subscriptions]:
        """Return subscriptions in the order of their names; at most 1,000. ``after_name`` is the last one seen."""
        return (
            yield from fetch_all(
                sql.list_subscriptions,
                subscription_of,
                after_name=after_name,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )

    @read
    def members(self, name: str) -> Op[Sequence[Member]]:
        """Return the members of a group, in the order of their names; one that has ended may still be among them."""
        return (yield from fetch_all(sql.list_members, member_of, name=checked_name(name)))

    @read
    def buckets(self, name: str) -> Op[Sequence[Bucket]]:
        """Return the buckets of a subscription: how far each has come, and which member holds it."""
        return (yield from fetch_all(sql.list_buckets, bucket_of_row, name=checked_name(name)))

    @write
    def delete(self, name: str, *, actor: str = "aureus") -> Op[bool]:
        """Forget a subscription, its positions and what is parked; return whether there was one. Atomic.

        A consumer of it gets ``LeaseLost``. Repeating it is harmless.
        """
        checked_name(name)
        yield from record(_fact(EventType.SUBSCRIPTION_DELETED, name, actor))
        return (yield from last(sql.delete_subscription, bool, name=name)) is not None

    @write
    def reset(self, name: str, *, from_position: Start = "start", actor: str = "aureus") -> Op[int]:
        """Let a subscription begin anew at a position, and return what then is its last handled one. Atomic.

        What is parked is forgotten: it is handled again, or lies behind the new beginning. A consumer that is at work
        ends with ``LeaseLost``; members of a group go on from there. Raises ``NotFound``, and ``HistoryRewound``
        when the position is beyond what is sealed.
        """
        checked_name(name)
        first = checked_start(from_position)
        operation = yield from new_id()
        now = yield from current_time()
        yield from fetch_all(sql.lock_buckets, bool, name=name)
        yield from record(
            _fact(EventType.SUBSCRIPTION_RESET, name, actor, fromPosition=from_position)
        )
        position = yield from last(
            sql.reset_subscription,
            lambda row: int(row[0]),
            name=name,
            from_position=first,
            operation_id=operation,
            now=now,
        )
        if position is None:
            raise Refused(lambda: self._why_not_moved(name, first or 0, None))
        return position

    @write
    def advance(self, name: str, position: int, *, expected_position: int | None = None) -> Op[int]:
        """Say that everything up to a position is handled, and return it. Atomic.

        For a projection of your own: in the transaction that writes its rows (``tx.subscriptions.advance``), the rows
        and the position are committed together or not at all. A position only rises: raises ``VersionConflict`` when
        it is there or further already, or is not ``expected_position``, so that nothing is counted twice. A group has
        many positions, which its members move: ``Conflict``. Raises ``NotFound``, and ``HistoryRewound`` when the
        position is beyond what is sealed.
        """
        checked_name(name)
        checked_position(position)
        operation = yield from new_id()
        now = yield from current_time()
        reached = yield from last(
            sql.advance_subscription,
            lambda row: int(row[0]),
            name=name,
            position=position,
            expected_position=expected_position,
            operation_id=operation,
            now=now,
        )
        if reached is None:
            raise Refused(lambda: self._why_not_moved(name, position + 1, position))
        return reached

    @read
    def parked(
        self, name: str, *, after_stream: str = "", limit: int = 100
    ) -> Op[Sequence[ParkedStream]]:
        """Return the streams that wait because an event could not be handled; at most 1,000, in order."""
        return (
            yield from fetch_all(
                sql.list_parked,
                parked_of,
                name=checked_name(name),
                after_stream=after_stream,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )

    @write
    def replay(self, name: str, stream: str, *, actor: str = "aureus") -> Op[ParkedStream]:
        """Let the consumer try a parked stream again, from the event that failed; return what is parked. Atomic.

        The stream stays parked until all that it missed is handled. Repeating it is harmless. Raises ``NotFound``.
        """
        checked_name(name)
        yield from record(_fact(EventType.SUBSCRIPTION_REPLAYED, name, actor, stream=stream))
        yield from fetch_one(sql.replay_parked, bool, name=name, stream=stream)
        return (yield from self._parked(name, stream))

    @write
    def skip(
        self, name: str, stream: str, position: int, *, reason: str, actor: str = "aureus"
    ) -> Op[ParkedStream]:
        """Give up the event at which a stream is parked, and let the consumer go on behind it. Atomic.

        A decision, with its reason in the ledger. ``position`` is that of the event, which must be the one at which the
        stream is parked: raises ``VersionConflict`` otherwise, and ``NotFound`` when it is not parked.
        """
        checked_name(name)
        checked_position(position)
        if not reason.strip():
            raise Invalid("reason is empty; say why the event is given up", what="reason")
        check_text(reason, "reason", characters_max=REASON_CHARACTERS_MAX)
        operation = yield from new_id()
        fact = _fact(
            EventType.SUBSCRIPTION_EVENT_SKIPPED,
            name,
            actor,
            stream=stream,
            position=position,
            reason=reason,
        )
        yield from record(fact)
        yield from fetch_one(
            sql.skip_parked,
            bool,
            name=name,
            stream=stream,
            position=position,
            operation_id=operation,
        )
        found = yield from fetch_one(
            sql.get_parked, lambda row: (parked_of(row), row[8]), name=name, stream=stream
        )
        if found is None:
            raise not_parked(name, stream)
        parked, written_by = found
        if written_by != operation:
            raise VersionConflict(
                f"stream {stream!r} of {name!r} is parked at position {parked.position}, not {position}",
                name=name,
                stream=stream,
                expected_position=position,
                position=parked.position,
            )
        return parked

    # What they are made of.

    def _parked(self, name: str, stream: str) -> Op[ParkedStream]:
        found = yield from fetch_one(sql.get_parked, parked_of, name=name, stream=stream)
        if found is None:
            raise not_parked(name, stream)
        return found

    def _beyond(self, name: str, first: int) -> Op[HistoryRewound]:
        size = yield from fetch_one(sql.get_size, lambda row: int(row[0]))
        return rewound(name, first - 1, size or 0)

    def _why_not_moved(self, name: str, first: int, position: int | None) -> Op[None]:
        """Raise the error of a position that did not move."""
        found = yield from self.get(name)
        if first > found.size:
            raise rewound(name, first - 1, found.size)
        if position is not None and found.is_group:
            raise Conflict(
                f"{name!r} is a group: each of its buckets has a position, which its members move",
                name=name,
            )
        if position is not None:
            raise VersionConflict(
                f"subscription {name!r} is at position {found.position}; it cannot be moved to {position}",
                name=name,
                position=position,
                actual_position=found.position,
            )


class SubscriptionStore(SubscriptionOperations, Store):
    """Subscriptions of one tenant."""


class AsyncSubscriptionStore(SubscriptionOperations, AsyncStore):
    """Subscriptions of one tenant, awaited."""


def check_same(found: Subscription, wanted: Wanted, bucket_count: int | None) -> None:
    """Raise ``AlreadyExists`` when a subscription is not the one that is meant."""
    buckets = checked_bucket_count(bucket_count)
    is_same = found.wanted == wanted and found.bucket_count == buckets
    if is_same and found.is_group == (bucket_count is not None):
        return
    kind = f"a group of {found.bucket_count} buckets" if found.is_group else "no group"
    raise AlreadyExists(
        f"there is a subscription {found.name!r} already; it is {kind} and wants {found.wanted}. "
        "Give another one another name, or delete it",
        name=found.name,
    )


def missing(name: str) -> NotFound:
    """Return the error of a subscription that is not there."""
    return NotFound(f"there is no subscription {name!r}", name=name)


def not_parked(name: str, stream: str) -> NotFound:
    """Return the error of a stream that is not parked."""
    return NotFound(
        f"no event of stream {stream!r} is parked for subscription {name!r}",
        name=name,
        stream=stream,
    )


def rewound(name: str, position: int, size: int) -> HistoryRewound:
    """Return the error of a position that lies beyond what is sealed."""
    return HistoryRewound(
        f"subscription {name!r} would be at position {position}, but only {size} entries are sealed: it was made from "
        "another history than this one. Was an older copy of the database restored? `aureus subscriptions reset` "
        "begins anew",
        name=name,
        position=position,
        size=size,
    )


def _fact(kind: EventType, name: str, actor: str, **payload: Any) -> Fact:
    audit = AuditPoint(ACTIONS[kind], f"subscriptions/{name}", is_decision=kind in DECISIONS)
    return Fact(f"subscriptions/{name}", kind, {"name": name, **payload}, actor, audit=audit)

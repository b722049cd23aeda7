"""Subscriptions: what a reader of sealed events wants, how far it has come, and what it could not handle.

Pure: which bucket a stream belongs to, how buckets are shared out among members, and how long to rest between tries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Literal

from aureus.model.events import Event, EventType
from aureus.model.plain import plain_record

NAME_BYTES_MAX = 128
"""Bytes of the name of a subscription, and of a member."""

TYPES_MAX = 100
"""Event types of one subscription."""

BUCKETS_DEFAULT = 64
"""Buckets of a consumer group that names no number: as many members at most have something to do."""

BUCKETS_MAX = 1024
"""Buckets of a consumer group: each is a row that its holder writes."""

PARKED_STREAMS_MAX = 1000
"""Streams of one subscription that may be parked; more than these are no poison, but a broken handler."""

ERROR_CHARACTERS_MAX = 2000
"""Characters of the error that a parked stream keeps."""

RETRY_SECONDS_MAX = 30.0
"""The longest rest between two tries of a handler, or of a database that is away."""

Start = int | Literal["start", "now"]
"""Where a subscription begins: at a position, at the first event, or behind what is sealed now."""

ACTIONS = {
    EventType.SUBSCRIPTION_RESET: "subscription.reset",
    EventType.SUBSCRIPTION_DELETED: "subscription.delete",
    EventType.SUBSCRIPTION_EVENT_SKIPPED: "subscription.skip",
    EventType.SUBSCRIPTION_REPLAYED: "subscription.replay",
}
"""What an audit entry calls each thing that a person can do to a subscription."""

DECISIONS = frozenset(
    {
        EventType.SUBSCRIPTION_RESET,
        EventType.SUBSCRIPTION_DELETED,
        EventType.SUBSCRIPTION_EVENT_SKIPPED,
    }
)
"""What is an audit entry also where only decisions are: after it, events are not handled, or handled again."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events a subscription is told of; all that is given must hold."""

    stream: str | None = None
    category: str | None = None
    types: tuple[str, ...] = ()
    """Event types, one of which it must be; empty for any."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription, and how far it has come.

    ``position`` is the last one that is handled, by the slowest bucket of a group; -1 before the first. ``size`` is how
    many entries were sealed when this was read, so that ``lag`` is what lies before it.
    """

    name: str
    stream: str | None
    category: str | None
    types: tuple[str, ...]
    is_group: bool
    bucket_count: int
    created_at: datetime
    position: int
    updated_at: datetime
    """When a position was last written; an idle subscription writes none."""
    parked_count: int
    member_count: int
    size: int

    @property
    def wanted(self) -> Wanted:
        """Return which events it is told of."""
        return Wanted(self.stream, self.category, self.types)

    @property
    def lag(self) -> int:
        """Return how many sealed entries it has not come past yet, wanted or not."""
        return self.size - 1 - self.position

    def to_dict(self) -> dict[str, Any]:
        """Return the subscription as plain JSON values."""
        return {**plain_record(self), "lag": self.lag}


@dataclass(frozen=True, slots=True)
class Tried:
    """An event that was tried and is not handled yet: how often, since when, and with what at last."""

    position: int
    count: int
    error: str
    first_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return what is known of the tries as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class Held:
    """A bucket that a consumer holds, and up to where it is handled."""

    bucket: int
    epoch: int
    position: int
    is_suspect: bool = False
    """Whether the one who held it before did not end in order: perhaps the event in its hands ended it."""
    tried: Tried | None = None
    """What was tried last, if anything; past when the position has come to it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of a group: who holds it, and how far it has come."""

    bucket: int
    epoch: int
    position: int
    is_suspect: bool
    tried: Tried | None
    """The event that is tried again and again, if one is."""
    member_id: str | None
    updated_at: datetime

    @property
    def held(self) -> Held:
        """Return the bucket as its holder knows it."""
        return Held(self.bucket, self.epoch, self.position, self.is_suspect, self.tried)

    def to_dict(self) -> dict[str, Any]:
        """Return the bucket as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group; ``expires_at`` is time of the database's clock."""

    member_id: str
    joined_at: datetime
    expires_at: datetime
    joining_id: str
    """Which consumer it is that has this name: another one that joins under it takes over."""

    def to_dict(self) -> dict[str, Any]:
        """Return the member as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class ParkedStream:
    """A stream of which an event could not be handled: that one, at ``position``, and what follows it there wait."""

    stream: str
    bucket: int
    position: int
    attempt_count: int
    error: str
    """What the handler raised last."""
    is_replaying: bool
    """Whether somebody has asked for it to be tried again, and no consumer has yet come to its end."""
    first_failed_at: datetime
    last_failed_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """Return the parked stream as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class SealedPage:
    """What a bounded look at sealed entries found."""

    events: tuple[Event, ...]
    reached: int
    """The last position that was looked at."""
    size: int
    """How many entries are sealed."""
    has_unsealed: bool
    """Whether something is committed that has no position yet."""

    @property
    def is_at_end(self) -> bool:
        """Return whether everything that is sealed was looked at."""
        return self.reached >= self.size - 1


def bucket_of(stream: str, bucket_count: int) -> int:
    """Return the bucket of a stream: the first four bytes of its name's SHA-256, modulo the number of buckets.

    Both engines compute the same in SQL; it must never change for a group that is there.
    """
    return stream_hash(stream) % bucket_count if bucket_count > 1 else 0


def stream_hash(stream: str) -> int:
    """Return the number by which streams are spread over buckets."""
    return int.from_bytes(sha256(stream.encode()).digest()[:4])


def first_epoch(operation_id: str) -> int:
    """Return the epoch with which a subscription begins, from an identifier that nobody else has.

    One that is made anew under a name thus shares no epoch with the one that was deleted: its consumers move nothing.
    48 bits, so that there is room to rise and for JSON.
    """
    return int.from_bytes(sha256(operation_id.encode()).digest()[:6])


def retry_seconds(first_seconds: float, failed_count: int) -> float:
    """Return the rest before the next try after so many have failed: twice as long each time."""
    return min(RETRY_SECONDS_MAX, first_seconds * 2.0 ** min(failed_count - 1, 30))


@dataclass(frozen=True, slots=True)
class Sharing:
    """What one member takes, and what it gives back."""

    take: tuple[int, ...]
    give: tuple[int, ...]


def share_out(member_id: str, members: Sequence[str], holders: Mapping[int, str | None]) -> Sharing:
    """Return what a member takes of a group's buckets, and what it gives back, for all to have their share.

    ``holders`` says who has each bucket. Shares differ by one at most; who has one more is decided by the order of
    names. A bucket is free when nobody holds it, or somebody who is no member. Nothing is taken from a member: it gives
    back what it has too many of when its own turn comes.
    """
    ordered = sorted(members)
    fair, rest = divmod(len(holders), len(ordered))
    share = fair + (1 if ordered.index(member_id) < rest else 0)
    own = sorted(bucket for bucket, holder in holders.items() if holder == member_id)
    free = sorted(bucket for bucket, holder in holders.items() if holder not in members)
    missing = max(0, share - len(own))
    return Sharing(take=tuple(free[:missing]), give=tuple(own[share:]))

"""Rows of subscriptions, and what is checked before one is made."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from aureus._database.statement import Row
from aureus.codec import check_name, decode, encode_text, shown
from aureus.errors import Invalid, LimitExceeded
from aureus.model.events import STREAM_CHARACTERS_MAX, Event
from aureus.model.subscriptions import (
    BUCKETS_MAX,
    NAME_BYTES_MAX,
    TYPES_MAX,
    Bucket,
    Held,
    Member,
    ParkedStream,
    Start,
    Subscription,
    Tried,
    Wanted,
)
from aureus.subject_keys.opening import event_of

_FILTER_BYTES_MAX = 4 * STREAM_CHARACTERS_MAX

LAST_POSITION = 2**62
"""Behind every position."""


def checked_name(name: str, what: str = "name") -> str:
    """Return the name of a subscription or a member. Raises ``Invalid`` and ``LimitExceeded``."""
    return check_name(name, what, bytes_max=NAME_BYTES_MAX)


def checked_wanted(stream: str | None, category: str | None, types: Sequence[str]) -> Wanted:
    """Return filters in their one form. Raises ``Invalid`` and ``LimitExceeded``."""
    given: Any = types
    if isinstance(given, str) or not isinstance(given, Collection):
        raise Invalid(f"types is {types!r}; it is a list of event types", what="types")
    if len(types) > TYPES_MAX:
        raise LimitExceeded(f"{len(types)} event types; the limit is {TYPES_MAX}", what="types")
    for what, text in (
        ("stream", stream),
        ("category", category),
        *(("type", one) for one in types),
    ):
        if text is not None:
            check_name(text, what, bytes_max=_FILTER_BYTES_MAX)
    return Wanted(stream, category, tuple(sorted(set(types))))


def checked_start(start: Start) -> int | None:
    """Return the first position that is wanted, None for what is sealed from now on. Raises ``Invalid``."""
    if start == "now":
        return None
    if start == "start":
        return 0
    given: Any = start
    if isinstance(given, str):
        raise Invalid(
            f"from_position is {shown(given)}; it is a position, 'start' or 'now'",
            what="from_position",
        )
    return checked_position(start, "from_position")


def checked_position(position: Any, what: str = "position") -> int:
    """Return a position. Raises ``Invalid``."""
    if not isinstance(position, int) or isinstance(position, bool):
        raise Invalid(f"{what} is {position!r}; it is a whole number", what=what)
    if not 0 <= position < LAST_POSITION:
        raise Invalid(f"{what} is {position}; positions count from 0", what=what)
    return position


def checked_bucket_count(bucket_count: int | None) -> int:
    """Return the number of buckets. Raises ``Invalid``."""
    if bucket_count is None:
        return 1
    if not 1 <= bucket_count <= BUCKETS_MAX:
        raise Invalid(f"bucket_count is {bucket_count}; a group has 1 to {BUCKETS_MAX:,} buckets")
    return bucket_count


def parameters_of(wanted: Wanted) -> dict[str, Any]:
    """Return filters as statements take them."""
    types = encode_text(list(wanted.types)) if wanted.types else None
    return {"stream": wanted.stream, "category": wanted.category, "types": types}


def held_json(held: Iterable[Held]) -> str:
    """Return buckets as statements take them."""
    return encode_text(
        [{"bucket": one.bucket, "epoch": one.epoch, "position": one.position} for one in held]
    )


def subscription_of(row: Row) -> Subscription:
    """Return the subscription of a row."""
    name, stream, category, types, is_group, bucket_count, created_at, *rest = row
    position, updated_at, parked_count, member_count, size = rest
    return Subscription(
        name=name,
        stream=stream,
        category=category,
        types=() if types is None else tuple(decode(types)),
        is_group=bool(is_group),
        bucket_count=bucket_count,
        created_at=created_at,
        position=position,
        updated_at=updated_at,
        parked_count=parked_count,
        member_count=member_count,
        size=size,
    )


def held_of(row: Row) -> Held:
    """Return the bucket of a row as its holder knows it."""
    bucket, epoch, position, takeover_count, *tried = row[:8]
    return Held(bucket, epoch, position, takeover_count > 1, _tried_of(tried))


def bucket_of_row(row: Row) -> Bucket:
    """Return the bucket of a row; what was tried in it only while that is not past."""
    held = held_of(row)
    tried = held.tried if held.tried and held.tried.position > held.position else None
    return Bucket(held.bucket, held.epoch, held.position, held.is_suspect, tried, *row[8:])


def _tried_of(columns: Sequence[Any]) -> Tried | None:
    position, count, error, first_at = columns
    return None if position is None else Tried(position, count, error or "", first_at)


def member_of(row: Row) -> Member:
    """Return the member of a row."""
    return Member(*row)


def parked_of(row: Row) -> ParkedStream:
    """Return the parked stream of a row."""
    stream, bucket, position, attempt_count, error, is_replaying, first_at, last_at = row[:8]
    return ParkedStream(
        stream, bucket, position, attempt_count, error, bool(is_replaying), first_at, last_at
    )


def sealed_event_of(row: Row) -> Event:
    """Return the event of a row of sealed entries, which begins with its position."""
    return event_of(row[1:], row[0])

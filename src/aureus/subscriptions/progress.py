"""How far a consumer has come in each bucket that it holds: what it has passed, and what of that is stored. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from aureus.model.events import Event
from aureus.model.subscriptions import Held, Tried

UNSTORED_POSITIONS_MAX: Final = 1000
"""Positions without a wanted event after which a bucket is stored all the same: so many are looked at again at most."""


@dataclass(slots=True)
class _Place:
    """A bucket: what is stored of it, and what it has passed since."""

    stored: Held
    reached: int
    is_touched: bool = False
    """Whether something that it was told is handled, and not stored."""
    handled_count: int = 0
    """Events that were handled in transactions since it was taken."""


class Progress:
    """The buckets of one consumer. What lies up to ``reached`` of a bucket is handled, or not wanted."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}

    def hold(self, held: Iterable[Held]) -> None:
        """Hold these buckets and no others; one that is held already under the same epoch stays as far as it is."""
        found: dict[int, _Place] = {}
        for one in held:
            known = self._places.get(one.bucket)
            if known is not None and known.stored.epoch == one.epoch:
                found[one.bucket] = known
            else:
                found[one.bucket] = _Place(one, one.position)
        self._places = found

    def lose(self, bucket: int) -> None:
        """Hold a bucket no more."""
        self._places.pop(bucket, None)

    def holds(self, bucket: int) -> bool:
        """Return whether a bucket is held."""
        return bucket in self._places

    @property
    def is_empty(self) -> bool:
        """Return whether no bucket is held."""
        return not self._places

    @property
    def first(self) -> int:
        """Return the position behind which reading goes on: that of the bucket that is furthest behind."""
        return min(place.reached for place in self._places.values())

    @property
    def furthest(self) -> int:
        """Return the highest position of any bucket."""
        return max(place.reached for place in self._places.values())

    def reached(self, bucket: int) -> Held:
        """Return a bucket with what it has passed."""
        place = self._places[bucket]
        return replace(place.stored, position=place.reached)

    def at(self, bucket: int, position: int) -> Held:
        """Return a bucket as it is to be stored when it has come to a position."""
        return replace(self._places[bucket].stored, position=position)

    def tried(self, bucket: int, position: int) -> Tried | None:
        """Return what is known of earlier tries of the event at a position."""
        tried = self._places[bucket].stored.tried
        return tried if tried is not None and tried.position == position else None

    def is_careful(self, bucket: int, count: int) -> bool:
        """Return whether a bucket was taken from one who may have been killed by one of the next so many events."""
        place = self._places[bucket]
        return place.stored.is_suspect and place.handled_count < count

    def handled(self, held: Held) -> None:
        """Note that an event was handled, in the transaction that stored this."""
        place = self._places[held.bucket]
        place.handled_count += 1
        place.reached = max(place.reached, held.position)
        self.store([held])

    def all_reached(self) -> list[Held]:
        """Return every bucket with what it has passed."""
        return [self.reached(bucket) for bucket in sorted(self._places)]

    def passed(self, bucket: int, position: int, *, is_handled: bool = False) -> None:
        """Note that a bucket has come to a position, perhaps because the event there is handled."""
        place = self._places[bucket]
        place.reached = max(place.reached, position)
        place.is_touched = place.is_touched or is_handled

    def all_passed(self, position: int) -> None:
        """Note that every bucket has come to a position."""
        for bucket in self._places:
            self.passed(bucket, position)

    def unstored(self, *, everything: bool) -> list[Held]:
        """Return the buckets that have come further than what is stored; those worth a write, or all of them."""
        found: list[Held] = []
        for bucket, place in sorted(self._places.items()):
            ahead = place.reached - place.stored.position
            if ahead >= UNSTORED_POSITIONS_MAX or (ahead and (everything or place.is_touched)):
                found.append(self.reached(bucket))
        return found

    def store(self, held: Iterable[Held]) -> None:
        """Note that this is stored now."""
        for one in held:
            place = self._places.get(one.bucket)
            if place is not None and place.stored.epoch == one.epoch:
                place.stored = one
                place.is_touched = place.reached > one.position and place.is_touched


def position_of(event: Event) -> int:
    """Return the position of a sealed event."""
    if event.position is None:
        raise AssertionError("a sealed event has a position")
    return event.position

"""How the events of a page are told: handed out one by one, or handled in transactions, several in one if so wished."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from aureus.errors import LeaseLost
from aureus.model.events import Event
from aureus.model.subscriptions import Held, Tried, bucket_of
from aureus.subscriptions.handling import Handling
from aureus.subscriptions.holding import Holding
from aureus.subscriptions.parking import Parking
from aureus.subscriptions.progress import position_of
from aureus.subscriptions.steps import Deliver, Steps


@dataclass(frozen=True, slots=True)
class Turn:
    """An event whose turn has come, and its bucket; one of a parked stream is passed over."""

    event: Event
    bucket: int
    is_told: bool

    @property
    def position(self) -> int:
        """Return the position of the event."""
        return position_of(self.event)


class Telling:
    """One consumer's telling; a driver hands out and handles."""

    def __init__(self, holding: Holding, parking: Parking) -> None:
        self._holding = holding
        self._progress = holding.progress
        self._parking = parking
        self._in_hand: tuple[int, int] | None = None
        """Bucket and position of the event that was handed out, until the next one is asked for."""

    def acknowledge(self) -> None:
        """Count the event that was handed out last as handled, before the next one is asked for."""
        if self._in_hand is not None:
            bucket, position = self._in_hand
            if self._progress.holds(bucket):
                self._progress.passed(bucket, position, is_handled=True)

    def forget(self) -> None:
        """Know of no event that is in anybody's hands."""
        self._in_hand = None

    def tell_all(self, events: Sequence[Event], share: Callable[[], Steps[bool]]) -> Steps[bool]:
        """Have events told; return whether the rest of them is to be read again.

        ``share`` looks at the share when that is due, and says whether something else is held now.
        """
        handling = self._parking.handling
        size = 1 if handling is None else handling.batch_size
        left = list(reversed(events))
        while left:
            turns: list[Turn] = []
            told_count = 0
            while left and told_count < size:
                event = left.pop()
                bucket = bucket_of(event.stream, self._holding.bucket_count)
                if self._progress.holds(bucket):
                    is_told = not self._parking.holds(event.stream)
                    turns.append(Turn(event, bucket, is_told))
                    told_count += is_told
            if handling is None or not (yield from self._handle_together(turns, handling)):
                yield from self._tell_each(turns)
            if self._holding.is_store_due:
                yield from self._holding.store()
            if (yield from share()):
                return True
        return False

    def _tell_each(self, turns: Sequence[Turn]) -> Steps[None]:
        for turn in turns:
            if not self._progress.holds(turn.bucket):
                continue
            handling = self._parking.handling
            # A stream may be parked by what came before it in its batch.
            if not turn.is_told or self._parking.holds(turn.event.stream):
                self._progress.passed(turn.bucket, turn.position)
            elif handling is None:
                yield from self._hand_out(turn)
            else:
                try:
                    yield from self._handle_one(turn, handling)
                except LeaseLost:
                    self._holding.lose(turn.bucket)

    def _hand_out(self, turn: Turn) -> Steps[None]:
        self._in_hand = (turn.bucket, turn.position)
        yield Deliver(turn.event)
        self._in_hand = None
        self._holding.told()
        self._progress.passed(turn.bucket, turn.position, is_handled=True)

    def _handle_one(self, turn: Turn, handling: Handling) -> Steps[None]:
        """Have one event handled, or its stream parked."""
        name, consumer = self._holding.plan.name, self._holding.consumer
        held = self._progress.at(turn.bucket, turn.position)

        def note(tried: Tried) -> Steps[None]:
            yield from self._holding.ask(lambda: consumer.note_try(name, held, tried))

        failure = yield from handling.attempt(
            turn.event,
            partial(consumer.handled, name, [held]),
            note=note,
            settle=partial(self._settle, [held]),
            tried=self._progress.tried(turn.bucket, turn.position),
            is_careful=self._progress.is_careful(turn.bucket, handling.batch_size),
        )
        if failure is not None:
            yield from self._parking.park(turn.event, held, failure, handling)
        self._progress.handled(held)

    def _handle_together(self, turns: Sequence[Turn], handling: Handling) -> Steps[bool]:
        """Have several events handled in one transaction; return whether they were.

        One that was tried before, or may have ended the process that held its bucket, is handled alone.
        """
        told = [turn for turn in turns if turn.is_told]
        if len(told) < 2 or any(self._is_special(turn, handling) for turn in told):
            return False
        last = {turn.bucket: turn.position for turn in turns}
        held = [self._progress.at(bucket, position) for bucket, position in sorted(last.items())]
        is_handled = yield from handling.attempt_together(
            tuple(turn.event for turn in told),
            lambda: self._holding.consumer.handled(self._holding.plan.name, held),
            partial(self._settle, held),
        )
        if is_handled:
            for one in held:
                self._progress.handled(one)
        return is_handled

    def _is_special(self, turn: Turn, handling: Handling) -> bool:
        return (
            self._progress.is_careful(turn.bucket, handling.batch_size)
            or self._progress.tried(turn.bucket, turn.position) is not None
        )

    def _settle(self, held: Sequence[Held]) -> Steps[bool]:
        """Return whether a commit happened of which nobody could tell."""
        has_reached: bool = yield from self._holding.ask(
            lambda: self._holding.consumer.has_reached(self._holding.plan.name, held), is_read=True
        )
        return has_reached

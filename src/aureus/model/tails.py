"""How far somebody who follows events has come, when numbers do not become visible in their order.

An entry takes its number before its transaction commits, so a higher number can be visible before a lower one. Whoever
remembers only the highest number skips what commits late. A tail remembers which numbers it has seen above a line below
which nothing can appear any more, and raises that line by what the database says about running transactions:

- A transaction has its identifier before it takes an entry number. So every number below one that is visible now
  belongs to a transaction that had begun by now.
- When all transactions that had begun by then are over, nothing can appear below that number any more.

Nothing is held up by this: what is visible is told at once; only the set of numbers grows while an old one runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from aureus.model.events import Event

SEEN_MAX = 10_000
"""Numbers that a tail remembers. When more events than this are committed while one transaction stays open, the tail
gives up waiting for that one, and says so."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """What a look at the database saw of its transactions, by their rising identifiers."""

    oldest_running: int
    """The oldest transaction that was still running; the same as ``next_to_begin`` when none was."""
    next_to_begin: int
    """The first identifier that was not given out yet."""


@dataclass(frozen=True, slots=True)
class Tail:
    """What one look found, and where the next one goes on."""

    events: tuple[Event, ...] = ()
    """What became visible since the last look, in the order of entry numbers; those of a stream in its order."""
    has_more: bool = False
    """Whether there is more than one look takes, so that the next one need not wait."""
    may_have_skipped: bool = False
    """Whether, at any time, a transaction was given up that stayed open while too many others committed events."""
    settled_no: int = 0
    """The entry number up to which nothing can appear any more."""
    seen: frozenset[int] = frozenset()
    """The entry numbers above that have been seen."""
    marks: tuple[tuple[int, int], ...] = ()
    """Entry numbers with the transaction before which all have to be over for them to be settled."""

    def advanced(
        self,
        numbers: Sequence[int],
        events: Sequence[Event],
        horizon: Horizon,
        *,
        has_more: bool = False,
    ) -> Tail:
        """Return the tail after a look that found these new entries, and these events among them."""
        seen = self.seen.union(numbers)
        marks = list(self.marks)
        if seen and not has_more:
            marks.append((max(seen), horizon.next_to_begin))
        settled = self.settled_no
        waiting: list[tuple[int, int]] = []
        for number, transaction in marks:
            if transaction <= horizon.oldest_running:
                settled = max(settled, number)
            else:
                waiting.append((number, transaction))
        remaining = sorted(number for number in seen if number > settled)
        has_given_up = len(remaining) > SEEN_MAX
        if has_given_up:
            settled = remaining[-SEEN_MAX // 2]
            remaining = remaining[-SEEN_MAX // 2 + 1 :]
        return Tail(
            events=tuple(events),
            has_more=has_more,
            may_have_skipped=self.may_have_skipped or has_given_up,
            settled_no=settled,
            seen=frozenset(remaining),
            marks=_useful(waiting, settled),
        )


def _useful(marks: Sequence[tuple[int, int]], settled: int) -> tuple[tuple[int, int], ...]:
    """Return the marks that can still settle something, the highest number for each transaction."""
    by_transaction: dict[int, int] = {}
    for number, transaction in marks:
        if number > settled:
            by_transaction[transaction] = max(number, by_transaction.get(transaction, 0))
    return tuple((number, transaction) for transaction, number in by_transaction.items())

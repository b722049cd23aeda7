"""Counts the entries of a ledger that are encrypted and could not be read, by the keys that they take.

Which of those keys were destroyed is said by later entries, so the sum is made at the end. Memory is bounded: sets of
keys beyond the bound are counted as not here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

KEY_SETS_MAX = 100_000
"""Different sets of keys that are told apart: 20 MB."""

DESTROYED_MAX = 1_000_000
"""Destroyed keys that are remembered: 120 MB at most, for as many erasures."""


class WithheldEntries:
    """Entries whose payload could not be read, and the keys that are destroyed on record."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._beyond = 0
        self._destroyed: set[str] = set()

    def take(self, key_ids: tuple[str, ...]) -> None:
        """Count an entry that takes these keys."""
        if key_ids in self._counts or len(self._counts) < KEY_SETS_MAX:
            self._counts[key_ids] += 1
        else:
            self._beyond += 1

    def destroyed(self, key_ids: Iterable[str]) -> None:
        """Take note of keys that an entry says are destroyed."""
        if len(self._destroyed) < DESTROYED_MAX:
            self._destroyed.update(key_ids)

    @property
    def unreadable_count(self) -> int:
        """Return how many of the entries took a key that is destroyed on record."""
        return sum(
            count
            for key_ids, count in self._counts.items()
            if not self._destroyed.isdisjoint(key_ids)
        )

    @property
    def withheld_count(self) -> int:
        """Return how many of the entries took keys of which nothing says that they are destroyed."""
        return self._counts.total() + self._beyond - self.unreadable_count

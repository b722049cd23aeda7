"""What a document has to contain to be found at all, in terms and labels."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on documents."""

    any_of: tuple[tuple[str, ...], ...] = ()
    """Of each group at least one."""
    none_of: tuple[str, ...] = ()

    def admits(self, contained: Collection[str]) -> bool:
        """Return whether a document with these terms and labels is found."""
        return all(any(term in contained for term in group) for group in self.any_of) and not any(
            term in contained for term in self.none_of
        )

    def terms(self) -> list[str]:
        """Return every term and label that it names."""
        return [*(term for group in self.any_of for term in group), *self.none_of]

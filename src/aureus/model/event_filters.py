"""Which index finds the events that are wanted.

PostgreSQL plans a statement once for all its parameters and knows nothing of how rare a type is; so the statement has a
branch for each index, and what is wanted says here which branch is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Wanted:
    """Filters of a list of events, every absent one None."""

    stream: str | None = None
    type: str | None = None
    category: str | None = None
    actor: str | None = None
    correlation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    words: str | None = None
    """A JSON array of the words that the payload must have."""

    @property
    def index(self) -> str:
        """Return what the events are found by: the narrowest filter that an index serves."""
        for name in ("stream", "type", "category"):
            if getattr(self, name) is not None:
                return name
        return "all"

    @property
    def is_served(self) -> bool:
        """Return whether the index alone finds what is wanted, so that nothing is looked at in vain."""
        given = [name for name in self.__slots__ if getattr(self, name) is not None]
        return given in ([], [self.index])

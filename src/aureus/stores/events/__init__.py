"""Events: what happened, in streams. Appended here by callers, and by the recorder with the write they tell about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Unpack

from aureus._database.operation import AsyncStore, Store
from aureus.model.events import Event, EventFilters
from aureus.stores.events.appending import EventAppends
from aureus.stores.events.following import EventTails
from aureus.stores.events.listing import EventLists

__all__ = ["AsyncEventStore", "EventOperations", "EventStore"]


REPLAY_PAGE = 500
"""Events that a replay reads at once."""


class EventOperations(EventAppends, EventLists, EventTails):
    """Operations on events."""


class EventStore(EventOperations, Store):
    """Events of one tenant."""

    def replay(
        self, *, newest_first: bool = False, **filters: Unpack[EventFilters]
    ) -> Iterator[Event]:
        """Yield all events that the filters let through, oldest first, page by page; filters are those of ``list``."""
        cursor: int | None = None
        while True:
            page = self.list(newest_first=newest_first, cursor=cursor, limit=REPLAY_PAGE, **filters)
            yield from page.events
            cursor = page.cursor
            if cursor is None:
                return


class AsyncEventStore(EventOperations, AsyncStore):
    """Events of one tenant, awaited."""

    async def replay(
        self, *, newest_first: bool = False, **filters: Unpack[EventFilters]
    ) -> AsyncIterator[Event]:
        """Yield all events that the filters let through, oldest first, page by page; filters are those of ``list``."""
        cursor: int | None = None
        while True:
            page = await self.list(
                newest_first=newest_first, cursor=cursor, limit=REPLAY_PAGE, **filters
            )
            for event in page.events:
                yield event
            cursor = page.cursor
            if cursor is None:
                return

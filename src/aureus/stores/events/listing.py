"""Lists and counts of events across streams, each along an index, and what all of them add up to."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Unpack

from aureus._database.operation import read
from aureus._database.statement import (
    Op,
    Queries,
    current_time,
    fetch_all,
    fetch_one,
)
from aureus.errors import Invalid
from aureus.model.event_filters import Wanted
from aureus.model.events import (
    CategoryTotal,
    EventFilters,
    EventPage,
    EventStatistics,
)
from aureus.stores.events.rows import as_it_is, number_of
from aureus.stores.events.stating import wanted_of
from aureus.stores.events.streams import NUMBER_MAX, EventStreams
from aureus.subject_keys.opening import event_of, opened_events

sql = Queries("events")


SCAN_MAX = 2000
"""Events of a page of a list, and those that one call looks at where no index finds exactly what is wanted: some
milliseconds of work. The statement has this number too."""


HOURS_MAX = 1_000_000
"""Hours that a list of what is recent goes back: more than a century."""

_FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
"""Before every event."""


class EventLists(EventStreams):
    """Operations that list and count events."""

    @read
    def list(
        self,
        *,
        newest_first: bool = True,
        cursor: int | None = None,
        limit: int = 100,
        **filters: Unpack[EventFilters],
    ) -> Op[EventPage]:
        """Return a page of the events that all filters let through, in the order of entry numbers.

        Filters: ``stream``, ``type``, ``category``, ``actor``, ``correlation_id``, ``since`` and ``until`` (times of
        ``occurred_at``, the second one exclusive), and ``text``: words that all occur somewhere in the payload, as they
        are written there, A to Z in either case; those of encrypted ones are not found. At most 2,000 events;
        ``cursor`` is that of the page before.

        A stream, a type or a category alone is found by its index. With more than that, one call looks at no more than
        2,000 events (of the stream, the type, the category, or all) and returns what it found among them: few or none,
        and a cursor from which the next call goes on.

        On PostgreSQL an event can become visible behind a cursor that has passed it, while transactions are open; to
        follow what is committed there is ``tail``.
        """
        wanted = wanted_of(filters)
        count = max(1, min(limit, SCAN_MAX))
        start = cursor
        if cursor is None:
            start = yield from self._start(wanted, newest_first=newest_first)
            if start is None:
                return EventPage((), None)
        scan = count if wanted.is_served else SCAN_MAX
        rows = yield from fetch_all(
            sql.scan_events,
            as_it_is,
            path=f"{'newest' if newest_first else 'oldest'} of {wanted.index}",
            cursor=start,
            scan=scan,
            limit=count,
            **asdict(wanted),
        )
        found = yield from opened_events([row[2:] for row in rows if row[2] is not None])
        events = tuple(event_of(row) for row in found)
        scanned_count, reached_no = rows[0][:2]
        if len(events) == count:
            return EventPage(events, events[-1].entry_no)
        if scanned_count < scan or (
            yield from self._is_beyond(wanted, reached_no, newest_first=newest_first)
        ):
            return EventPage(events, None)
        return EventPage(events, reached_no)

    def _start(self, wanted: Wanted, *, newest_first: bool) -> Op[int | None]:
        """Return the number behind which a list begins; None when a filter by time finds nothing at all."""
        since, until = wanted.since, wanted.until
        if newest_first and until is not None:
            newest = yield from fetch_one(sql.find_last_until, number_of, until=until)
            return None if newest is None else newest + 1
        if not newest_first and since is not None:
            oldest = yield from fetch_one(sql.find_first_since, number_of, since=since)
            return None if oldest is None else oldest - 1
        return NUMBER_MAX if newest_first else 0

    def _is_beyond(self, wanted: Wanted, reached_no: int, *, newest_first: bool) -> Op[bool]:
        """Return whether a list that has come so far has passed everything that its filter by time lets through."""
        since, until = wanted.since, wanted.until
        if newest_first and since is not None:
            oldest = yield from fetch_one(sql.find_first_since, number_of, since=since)
            return oldest is None or oldest >= reached_no
        if not newest_first and until is not None:
            newest = yield from fetch_one(sql.find_last_until, number_of, until=until)
            return newest is None or newest <= reached_no
        return False

    @read
    def list_recent(self, *, hours: float = 24.0, limit: int = 100) -> Op[EventPage]:
        """Return the newest events of the last hours by the clock of whoever asks, newest first."""
        if not 0 <= hours <= HOURS_MAX:
            raise Invalid(f"hours is {hours}; it lies between 0 and {HOURS_MAX:,}", what="hours")
        now = yield from current_time()
        return (yield from self.list(since=now - timedelta(hours=hours), limit=limit))

    @read
    def count(self, **filters: Unpack[EventFilters]) -> Op[int]:
        """Return how many events a stream, a type, a category or a time has, or what they have in common.

        Takes ``stream``, ``type``, ``category``, ``since`` and ``until``. Reads an entry of an index for each event
        counted, except for a stream alone, and for all events.
        """
        wanted = wanted_of(filters)
        if wanted.actor or wanted.correlation_id or wanted.words:
            raise Invalid(
                "events are counted by stream, type, category and time only", what="filters"
            )
        if wanted.is_served and wanted.stream is not None:
            return (yield from self.stream_version(wanted.stream))
        if wanted.is_served and wanted.index == "all":
            return (yield from self._totals())[0]
        counted = yield from fetch_one(
            sql.count_events,
            number_of,
            path="time" if wanted.index == "all" else wanted.index,
            stream=wanted.stream,
            type=wanted.type,
            category=wanted.category,
            since=wanted.since or _FIRST_MOMENT,
            until=wanted.until,
        )
        return counted or 0

    @read
    def statistics(self) -> Op[EventStatistics]:
        """Return how many events there are, by category and type, and from when to when; on one snapshot.

        Reads the row of every stream and an index entry of every event.
        """
        event_count, by_category = yield from self._totals()
        types = yield from fetch_all(sql.list_type_totals, lambda row: (row[0], int(row[1])))
        times = yield from fetch_one(sql.get_time_range, lambda row: (row[0], row[1]))
        first_at, last_at = times or (None, None)
        return EventStatistics(
            event_count=event_count,
            stream_count=sum(total.stream_count for total in by_category),
            by_category=by_category,
            by_type=dict(types),
            first_at=first_at,
            last_at=last_at,
        )

    def _totals(self) -> Op[tuple[int, tuple[CategoryTotal, ...]]]:
        totals = yield from fetch_all(
            sql.list_category_totals, lambda row: CategoryTotal(row[0], int(row[1]), int(row[2]))
        )
        return sum(total.event_count for total in totals), tuple(totals)

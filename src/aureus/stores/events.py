"""Events: what happened, in streams. Appended here by callers, and by the recorder with the write they tell about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Unpack

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last_all,
    new_id,
    prepare,
)
from aureus.codec import check_names, check_text, decode, encode_text
from aureus.errors import AlreadyExists, Invalid, LimitExceeded, NotFound
from aureus.model.appends import conflict_with, number_of_expected
from aureus.model.event_filters import Wanted
from aureus.model.events import (
    ANY,
    APPEND_EVENTS_MAX,
    NAME_CHARACTERS_MAX,
    RESERVED_TYPES,
    STREAM_CHARACTERS_MAX,
    SUBJECT_BYTES_MAX,
    SUBJECTS_MAX,
    UNKNOWN_ACTOR,
    CategoryTotal,
    Event,
    EventFilters,
    EventPage,
    EventStatistics,
    ExpectedVersion,
    Fact,
    NewEvent,
)
from aureus.model.tails import Horizon, Tail

sql = Queries("events")

PAGE_MAX = 10_000
"""Events of one page."""

TEXT_CHARACTERS_MAX = 500
"""Characters of a text to look for."""

WORDS_MAX = 16
"""Words of a text to look for."""

SCAN_MAX = 2000
"""Events of a page of a list, and those that one call looks at where no index finds exactly what is wanted: some
milliseconds of work. The statement has this number too."""

TAIL_MAX = 1000
"""Entries that one look of a tail takes, and how far back its first one remembers what was there."""

REPLAY_PAGE = 500
"""Events that a replay reads at once."""

NUMBER_MAX = 2**63 - 1
"""Behind every entry number and every version."""

_FIRST_MOMENT = datetime(1, 1, 1, tzinfo=UTC)
"""Before every event."""

Events = list[Event]
Facts = list[Fact]
"""Types, for a class that has an operation of the name ``list``."""


class EventOperations(Operations):
    """Operations on events."""

    @write
    def append(
        self,
        stream: str,
        type: str,  # noqa: A002 - the word of the event itself
        payload: dict[str, Any],
        *,
        expected_version: ExpectedVersion = ANY,
        metadata: dict[str, Any] | None = None,
        event_id: str | None = None,
        actor: str = UNKNOWN_ACTOR,
        correlation_id: str | None = None,
        subjects: Sequence[str] = (),
    ) -> Op[Event]:
        """Append one event to a stream and return it as it is stored. As ``append_all``.

        ``subjects`` are the people whom it concerns: erasing one of them erases its payload and metadata.
        """
        event = NewEvent(type, payload, metadata or {}, event_id, actor, correlation_id, subjects)
        (appended,) = yield from self.append_all(stream, [event], expected_version=expected_version)
        return appended

    @write
    def append_all(
        self,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected_version: ExpectedVersion = ANY,
    ) -> Op[Events]:
        """Append events to a stream, in their order and without others between them; return them as they are stored.

        Atomic. With ``ANY`` an append waits for others to the same stream and never fails because of them. Otherwise
        raises ``VersionConflict`` when the stream has not the version that is expected; 0 is that of a stream without
        events.

        Repeating it with the same ``event_id`` of each event returns the stored events, whatever version is expected,
        and writes nothing. Raises ``AlreadyExists`` when an identifier belongs to another event: one of another
        stream, with another type, actor or correlation id, or whose payload or metadata are other bytes as JSON or were
        erased; and inside a transaction also when another one appends the same event at the same moment.
        """
        expected = number_of_expected(expected_version)
        check_batch(stream, events)
        facts: Facts = []
        for event in events:
            event_id = (yield from new_id()) if event.event_id is None else event.event_id
            facts.append(fact_of(stream, event, event_id))
        entries = yield from prepare(facts)
        rows = yield from last_all(
            sql.append_expecting, _as_it_is, expected=expected, **entries.parameters
        )
        if not rows:
            ids = [fact.event_id for fact in facts if fact.event_id is not None]
            raise Refused(lambda: self._why_not_appended(stream, ids, expected_version))
        return entries.events(rows)

    def _why_not_appended(
        self, stream: str, ids: Sequence[str], expected: ExpectedVersion
    ) -> Op[None]:
        """Raise the error of an append that did not happen; return when nothing speaks against it any more."""
        taken = yield from fetch_one(sql.find_taken_id, _as_it_is, event_ids=list(ids))
        if taken is not None:
            event_id, there, version = taken
            raise AlreadyExists(
                f"event {event_id!r} is version {version} of stream {there!r} already, and differs from this one or "
                "was appended without the others; give a new event another id",
                event_id=event_id,
                stream=there,
                version=version,
            )
        conflict = conflict_with(stream, expected, (yield from self.stream_version(stream)))
        if conflict is not None:
            raise conflict

    @read
    def get(self, event_id: str) -> Op[Event]:
        """Return one event by its identifier. Raises ``NotFound``."""
        found = yield from fetch_one(sql.get_event, _event, event_id=event_id)
        if found is None:
            raise NotFound(f"there is no event {event_id!r}", event_id=event_id)
        return found

    @read
    def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        to_version: int | None = None,
        newest_first: bool = False,
        limit: int = 1000,
    ) -> Op[Events]:
        """Return events of a stream: those behind ``after_version``, up to and with ``to_version``.

        Oldest first, or newest first; at most 10,000 at once. The next page begins behind the last version seen, or
        before it.
        """
        query = sql.read_stream_backwards if newest_first else sql.read_stream
        return (
            yield from fetch_all(
                query,
                _event,
                stream=stream,
                after_version=after_version,
                to_version=NUMBER_MAX if to_version is None else to_version,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )

    @read
    def stream_version(self, stream: str) -> Op[int]:
        """Return how many events a stream has; 0 when it does not exist."""
        version = yield from fetch_one(
            sql.get_stream_version, lambda row: int(row[0]), stream=stream
        )
        return version or 0

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
        are written there, A to Z in either case. At most 2,000 events; ``cursor`` is that of the page before.

        A stream, a type or a category alone is found by its index. With more than that, one call looks at no more than
        2,000 events (of the stream, the type, the category, or all) and returns what it found among them: few or none,
        and a cursor from which the next call goes on.

        On PostgreSQL an event can become visible behind a cursor that has passed it, while transactions are open; to
        follow what is committed there is ``tail``.
        """
        wanted = _wanted(filters)
        count = max(1, min(limit, SCAN_MAX))
        start = cursor
        if cursor is None:
            start = yield from self._start(wanted, newest_first=newest_first)
            if start is None:
                return EventPage((), None)
        scan = count if wanted.is_served else SCAN_MAX
        rows = yield from fetch_all(
            sql.scan_events,
            _as_it_is,
            path=f"{'newest' if newest_first else 'oldest'} of {wanted.index}",
            cursor=start,
            scan=scan,
            limit=count,
            **asdict(wanted),
        )
        events = tuple(_event(row[2:]) for row in rows if row[2] is not None)
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
            newest = yield from fetch_one(sql.find_last_until, _number, until=until)
            return None if newest is None else newest + 1
        if not newest_first and since is not None:
            oldest = yield from fetch_one(sql.find_first_since, _number, since=since)
            return None if oldest is None else oldest - 1
        return NUMBER_MAX if newest_first else 0

    def _is_beyond(self, wanted: Wanted, reached_no: int, *, newest_first: bool) -> Op[bool]:
        """Return whether a list that has come so far has passed everything that its filter by time lets through."""
        since, until = wanted.since, wanted.until
        if newest_first and since is not None:
            oldest = yield from fetch_one(sql.find_first_since, _number, since=since)
            return oldest is None or oldest >= reached_no
        if not newest_first and until is not None:
            newest = yield from fetch_one(sql.find_last_until, _number, until=until)
            return newest is None or newest <= reached_no
        return False

    @read
    def list_recent(self, *, hours: float = 24.0, limit: int = 100) -> Op[EventPage]:
        """Return the newest events of the last hours by the clock of whoever asks, newest first."""
        now = yield from current_time()
        return (yield from self.list(since=now - timedelta(hours=hours), limit=limit))

    @read
    def count(self, **filters: Unpack[EventFilters]) -> Op[int]:
        """Return how many events a stream, a type, a category or a time has, or what they have in common.

        Takes ``stream``, ``type``, ``category``, ``since`` and ``until``. Reads an entry of an index for each event
        counted, except for a stream alone, and for all events.
        """
        wanted = _wanted(filters)
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
            _number,
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

    @read
    def tail(
        self,
        previous: Tail | None = None,
        *,
        stream: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the event itself
        category: str | None = None,
    ) -> Op[Tail]:
        """Return what was committed since the previous look; without one, from where the next look goes on.

        Each event that is committed is told once, those of a stream in its order; over streams in the order in which
        they became visible. Nothing is skipped because it was committed late (``Tail`` says how, and when it may be).
        """
        if previous is None:
            rows = yield from fetch_all(sql.list_newest_entries, _as_it_is, limit=TAIL_MAX)
            numbers = [row[2] for row in rows if row[2] is not None]
            settled = min(numbers) - 1 if len(numbers) == TAIL_MAX else 0
            return Tail(settled_no=settled).advanced(numbers, (), Horizon(*rows[0][:2]))
        rows = yield from fetch_all(
            sql.list_new_entries,
            _as_it_is,
            settled_no=previous.settled_no,
            seen=sorted(previous.seen),
            stream=stream,
            type=type,
            category=category,
            limit=TAIL_MAX,
        )
        numbers = [row[2] for row in rows if row[2] is not None]
        events = [_event(row[3:]) for row in rows if row[3] is not None]
        return previous.advanced(
            numbers, events, Horizon(*rows[0][:2]), has_more=len(numbers) == TAIL_MAX
        )


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


def check_batch(stream: str, events: Sequence[NewEvent]) -> None:
    """Raise ``Invalid`` or ``LimitExceeded`` for a stream's name or a number of events that cannot be."""
    check_name(stream, "stream", STREAM_CHARACTERS_MAX)
    if not events:
        raise Invalid("an append has at least one event", what="events")
    if len(events) > APPEND_EVENTS_MAX:
        raise LimitExceeded(
            f"an append has {len(events):,} events; the limit is {APPEND_EVENTS_MAX:,}. Append them in parts.",
            what="events",
            count=len(events),
            limit=APPEND_EVENTS_MAX,
        )
    given = [event.event_id for event in events if event.event_id is not None]
    if len(set(given)) < len(given):
        raise Invalid("two events of one append have the same event_id", what="event_id")


def fact_of(stream: str, event: NewEvent, event_id: str) -> Fact:
    """Return an event of a caller as the recorder takes it. Raises ``Invalid`` and ``LimitExceeded``."""
    check_name(event.type, "type", NAME_CHARACTERS_MAX)
    check_name(event_id, "event_id", NAME_CHARACTERS_MAX)
    check_name(event.actor, "actor", NAME_CHARACTERS_MAX)
    if event.correlation_id is not None:
        check_name(event.correlation_id, "correlation_id", NAME_CHARACTERS_MAX)
    if event.type in RESERVED_TYPES:
        raise Invalid(f"events of type {event.type} tell of erasures only", what="type")
    for what, value in (("payload", event.payload), ("metadata", event.metadata)):
        if type(value) is not dict:
            raise Invalid(f"{what} is a {type(value).__name__}; it is a dict", what=what)
    return Fact(
        stream=stream,
        type=event.type,
        payload=event.payload,
        actor=event.actor,
        metadata=event.metadata,
        correlation_id=event.correlation_id,
        event_id=event_id,
        subjects=check_names(
            event.subjects, "subjects", count_max=SUBJECTS_MAX, bytes_max=SUBJECT_BYTES_MAX
        ),
    )


def _wanted(filters: EventFilters) -> Wanted:
    """Return filters, checked. Raises ``Invalid`` and ``LimitExceeded``."""
    unknown = filters.keys() - EventFilters.__annotations__.keys()
    if unknown:
        raise Invalid(f"there is no filter {min(unknown)!r}", what=min(unknown))
    values: dict[str, Any] = dict(filters)
    text = values.pop("text", None)
    for name, value in values.items():
        if value is None:
            continue
        if name in {"since", "until"}:
            _check_moment(value, name)
        else:
            check_name(value, name, STREAM_CHARACTERS_MAX)
    return Wanted(**values, words=None if text is None else words_json(text))


def check_name(text: Any, what: str, characters_max: int) -> None:
    """Raise ``Invalid`` unless this is text that both engines can hold and compare, of a bounded length."""
    if not isinstance(text, str) or not text:
        raise Invalid(f"{what} is {text!r}; it is text of at least one character", what=what)
    check_text(text, what, characters_max=characters_max)


def _check_moment(moment: Any, what: str) -> None:
    """Raise ``Invalid`` for a time without a zone, or something that is no time."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise Invalid(f"{what} is {moment!r}; it is a time with a zone, such as UTC", what=what)


def words_json(text: str) -> str:
    """Return the words of a text as a JSON array of what stands for each inside JSON, in lower case.

    Only A to Z are folded, the one rule that both engines share. Raises ``Invalid`` for a text without a word.
    """
    check_name(text, "text", TEXT_CHARACTERS_MAX)
    words = list(dict.fromkeys(text.split()))
    if not words:
        raise Invalid("text has no word to look for", what="text")
    if len(words) > WORDS_MAX:
        raise LimitExceeded(
            f"text has {len(words)} words; the limit is {WORDS_MAX}", what="text", limit=WORDS_MAX
        )
    return encode_text([encode_text(word)[1:-1].encode().lower().decode() for word in words])


def _as_it_is(row: Row) -> Row:
    return row


def _number(row: Row) -> int | None:
    return None if row[0] is None else int(row[0])


def _event(row: Row) -> Event:
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf_hash, payload, metadata = rest
    return Event(
        event_id=event_id,
        stream=stream,
        version=version,
        entry_no=entry_no,
        type=kind,
        payload={} if payload is None else decode(payload),
        metadata={} if metadata is None else decode(metadata),
        actor=actor,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        action=action,
        resource=resource,
        outcome=outcome,
        leaf_hash=bytes(leaf_hash),
        is_redacted=payload is None,
    )

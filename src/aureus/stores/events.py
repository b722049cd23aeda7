"""Events: what happened, in streams. Appended here by callers, and by the recorder with the write they tell about."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    fetch_all,
    fetch_one,
    last_all,
    new_id,
    prepare,
)
from aureus.codec import check_text, decode
from aureus.errors import AlreadyExists, Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model.events import (
    ANY,
    APPEND_EVENTS_MAX,
    NAME_CHARACTERS_MAX,
    STREAM_CHARACTERS_MAX,
    UNKNOWN_ACTOR,
    Event,
    Expectation,
    ExpectedVersion,
    Fact,
    NewEvent,
)

sql = Queries("events")

PAGE_MAX = 10_000
"""Events of one page."""

_NUMBERS = {Expectation.ANY: -1, Expectation.NO_STREAM: 0, Expectation.EXISTS: -2}
"""What expectations are in SQL, where versions are not negative."""


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
    ) -> Op[Event]:
        """Append one event to a stream and return it as it is stored. As ``append_all``."""
        event = NewEvent(type, payload, metadata or {}, event_id, actor, correlation_id)
        (appended,) = yield from self.append_all(stream, [event], expected_version=expected_version)
        return appended

    @write
    def append_all(
        self,
        stream: str,
        events: Sequence[NewEvent],
        *,
        expected_version: ExpectedVersion = ANY,
    ) -> Op[list[Event]]:
        """Append events to a stream, in their order and without others between them; return them as they are stored.

        Atomic. With ``ANY`` an append waits for others to the same stream and never fails because of them. Otherwise
        raises ``VersionConflict`` when the stream has not the version that is expected; 0 is that of a stream without
        events.

        Repeating it with the same ``event_id`` of each event returns the stored events, whatever version is expected,
        and writes nothing. Raises ``AlreadyExists`` when an identifier belongs to another event: one of another
        stream, with another type, actor or correlation id, or whose payload or metadata are other bytes as JSON.
        """
        expected = _number_of(expected_version)
        facts = yield from _facts(stream, events)
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
        actual = yield from self.stream_version(stream)
        wanted = expected.value if isinstance(expected, Expectation) else expected
        if expected is ANY or (actual == wanted) or (actual and expected is Expectation.EXISTS):
            return
        raise VersionConflict(
            f"stream {stream!r} is at version {actual}, not {wanted}; read what was appended meanwhile, decide "
            "again, and append with the version you have read",
            stream=stream,
            expected_version=wanted,
            actual_version=actual,
        )

    @read
    def get(self, event_id: str) -> Op[Event]:
        """Return one event by its identifier. Raises ``NotFound``."""
        found = yield from fetch_one(sql.get_event, _event, event_id=event_id)
        if found is None:
            raise NotFound(f"there is no event {event_id!r}", event_id=event_id)
        return found

    @read
    def read_stream(
        self, stream: str, *, after_version: int = 0, limit: int = 1000
    ) -> Op[list[Event]]:
        """Return events of a stream behind a version, oldest first; at most 10,000 at once."""
        return (
            yield from fetch_all(
                sql.read_stream,
                _event,
                stream=stream,
                after_version=after_version,
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
    def list_audit_entries(self, *, after_no: int = 0, limit: int = 1000) -> Op[list[Event]]:
        """Return the events that are audit entries, oldest first, behind an entry number; at most 10,000 at once."""
        return (
            yield from fetch_all(
                sql.list_audit_entries,
                _event,
                after_no=after_no,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )


class EventStore(EventOperations, Store):
    """Events of one tenant."""


class AsyncEventStore(EventOperations, AsyncStore):
    """Events of one tenant, awaited."""


def _number_of(expected: ExpectedVersion) -> int:
    if isinstance(expected, Expectation):
        return _NUMBERS[expected]
    if type(expected) is not int or not 0 <= expected < 2**63:
        raise Invalid(
            f"expected_version is {expected!r}; it is ANY, NO_STREAM, EXISTS or a version from 0",
            what="expected_version",
        )
    return expected


def _facts(stream: str, events: Sequence[NewEvent]) -> Generator[Any, Any, list[Fact]]:
    """Return what a caller wants to append, checked, each with an identifier."""
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
    facts: list[Fact] = []
    for event in events:
        event_id = (yield from new_id()) if event.event_id is None else event.event_id
        facts.append(_fact(stream, event, event_id))
    if len({fact.event_id for fact in facts}) < len(facts):
        raise Invalid("two events of one append have the same event_id", what="event_id")
    return facts


def _fact(stream: str, event: NewEvent, event_id: str) -> Fact:
    check_name(event.type, "type", NAME_CHARACTERS_MAX)
    check_name(event_id, "event_id", NAME_CHARACTERS_MAX)
    check_name(event.actor, "actor", NAME_CHARACTERS_MAX)
    if event.correlation_id is not None:
        check_name(event.correlation_id, "correlation_id", NAME_CHARACTERS_MAX)
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
    )


def check_name(text: Any, what: str, characters_max: int) -> None:
    """Raise ``Invalid`` unless this is text that both engines can hold and compare, of a bounded length."""
    if not isinstance(text, str) or not text:
        raise Invalid(f"{what} is {text!r}; it is text of at least one character", what=what)
    check_text(text, what, characters_max=characters_max)


def _as_it_is(row: Row) -> Row:
    return row


def _event(row: Row) -> Event:
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf_hash, payload, metadata = rest
    return Event(
        event_id=event_id,
        stream=stream,
        version=version,
        entry_no=entry_no,
        type=kind,
        payload=decode(payload),
        metadata={} if metadata is None else decode(metadata),
        actor=actor,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        action=action,
        resource=resource,
        outcome=outcome,
        leaf_hash=bytes(leaf_hash),
    )

"""Appends of callers: under what they expect of the stream, once for each identifier, all or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aureus._database.operation import write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    fetch_one,
    last_all,
    new_id,
    prepare,
)
from aureus.errors import AlreadyExists
from aureus.model.appends import conflict_with, number_of_expected
from aureus.model.events import (
    ANY,
    UNKNOWN_ACTOR,
    Event,
    ExpectedVersion,
    Fact,
    NewEvent,
)
from aureus.stores.events.rows import as_it_is
from aureus.stores.events.stating import check_batch, fact_of
from aureus.stores.events.streams import EventStreams

sql = Queries("events")


class EventAppends(EventStreams):
    """Operations that append events."""

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
    ) -> Op[list[Event]]:
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
        facts: list[Fact] = []
        for event in events:
            event_id = (yield from new_id()) if event.event_id is None else event.event_id
            facts.append(fact_of(stream, event, event_id))
        entries = yield from prepare(facts)
        rows = yield from last_all(
            sql.append_expecting, as_it_is, expected=expected, **entries.parameters
        )
        if not rows:
            ids = [fact.event_id for fact in facts if fact.event_id is not None]
            raise Refused(lambda: self._why_not_appended(stream, ids, expected_version))
        return entries.events(rows)

    def _why_not_appended(
        self, stream: str, ids: Sequence[str], expected: ExpectedVersion
    ) -> Op[None]:
        """Raise the error of an append that did not happen; return when nothing speaks against it any more."""
        taken = yield from fetch_one(sql.find_taken_id, as_it_is, event_ids=list(ids))
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

"""What callers may say of events: names, payloads, filters, words to look for. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aureus.codec import check_names, check_text, encode_text, shown
from aureus.errors import Invalid, LimitExceeded
from aureus.model.event_filters import Wanted
from aureus.model.events import (
    APPEND_EVENTS_MAX,
    NAME_CHARACTERS_MAX,
    RESERVED_TYPES,
    STREAM_CHARACTERS_MAX,
    SUBJECT_BYTES_MAX,
    SUBJECTS_MAX,
    EventFilters,
    Fact,
    NewEvent,
)

TEXT_CHARACTERS_MAX = 500
"""Characters of a text to look for."""


WORDS_MAX = 16
"""Words of a text to look for."""


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
            raise Invalid(
                f"{what} is {shown(value)} ({type(value).__name__}); it must be a dict", what=what
            )
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


def wanted_of(filters: EventFilters) -> Wanted:
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

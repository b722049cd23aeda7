"""Rows of events as records."""

from __future__ import annotations

from aureus._database.statement import (
    Row,
)
from aureus.codec import decode
from aureus.model.events import (
    Event,
)
from aureus.model.subject_keys import Withheld


def as_it_is(row: Row) -> Row:
    """Return a row as it is."""
    return row


def number_of(row: Row) -> int | None:
    """Return the number that a row holds, or None."""
    return None if row[0] is None else int(row[0])


def event_of(row: Row) -> Event:
    """Return the event of a row; without a payload it is redacted."""
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf_hash, payload, metadata = rest
    is_withheld = isinstance(payload, Withheld)
    return Event(
        event_id=event_id,
        stream=stream,
        version=version,
        entry_no=entry_no,
        type=kind,
        payload={} if payload is None or is_withheld else decode(payload),
        metadata={} if metadata is None else decode(metadata),
        actor=actor,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        action=action,
        resource=resource,
        outcome=outcome,
        leaf_hash=bytes(leaf_hash),
        is_redacted=payload is None,
        is_withheld=is_withheld,
    )

"""What rows of the audit trail are, and what may be stored in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aureus._database.statement import Row
from aureus.clock import to_micros
from aureus.codec import check_text
from aureus.errors import Invalid, LimitExceeded
from aureus.model.audit import (
    SOURCE_EVENTS_MAX,
    AuditEntry,
    entry_of,
)
from aureus.model.audit_references import REFERENCE_CHARACTERS_MAX
from aureus.model.leaf import LeafFields
from aureus.model.memories import Provenance
from aureus.model.verification import SealedEntry, StoredEvent, beside
from aureus.subject_keys.opening import event_of

MODES_STREAM = "audit"
"""The stream of what happens to the trail itself; those of entries are ``audit/<actor>``."""


def check_name(text: Any, what: str, characters_max: int) -> None:
    """Raise ``Invalid`` or ``LimitExceeded`` unless this is text of at least one character that can be stored."""
    if not isinstance(text, str) or not text:
        raise Invalid(f"{what} is {text!r}; it is text of at least one character", what=what)
    check_text(text, what, characters_max=characters_max)


def check_references(source_event_ids: Sequence[str], provenance: Provenance | None) -> None:
    """Raise ``Invalid`` or ``LimitExceeded`` for what an entry cannot refer to."""
    if isinstance(source_event_ids, str):
        raise Invalid(
            "source_event_ids is text; it is a list of event ids", what="source_event_ids"
        )
    if len(source_event_ids) > SOURCE_EVENTS_MAX:
        raise LimitExceeded(
            f"an entry names up to {SOURCE_EVENTS_MAX} source events, and not {len(source_event_ids):,}",
            what="source_event_ids",
            limit=SOURCE_EVENTS_MAX,
        )
    for event_id in source_event_ids:
        check_name(event_id, "an id of source_event_ids", REFERENCE_CHARACTERS_MAX)
    if provenance is None:
        return
    for name in ("run_id", "task_id", "step_id", "source_event_id"):
        value = getattr(provenance, name)
        if value is not None:
            check_name(value, f"provenance.{name}", REFERENCE_CHARACTERS_MAX)
    if provenance.occurred_at is not None:
        check_moment(provenance.occurred_at, "provenance.occurred_at")


def check_moment(moment: Any, what: str) -> None:
    """Raise ``Invalid`` for a time without a zone, or something that is no time."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise Invalid(f"{what} is {moment!r}; it is a time with a zone, such as UTC", what=what)


def audit_entry(row: Row) -> AuditEntry:
    """Return the entry that a row holds."""
    event = event_of(row)
    return entry_of(event, is_redacted=event.is_redacted)


def stored_entry(row: Row) -> SealedEntry:
    """Return an entry with everything that its hash is made of; its position is for others to say."""
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf, committed, salt, payload, metadata = rest
    micros = to_micros(occurred_at)
    fields = LeafFields(
        event_id, stream, kind, actor, micros, correlation_id, action, resource, outcome
    )
    event = StoredEvent(
        fields,
        version,
        bytes(committed),
        bytes(leaf),
        *beside(salt, payload, metadata),
    )
    return SealedEntry(-1, entry_no, bytes(leaf), event)

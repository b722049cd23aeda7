"""Compares what audit entries are found by, the table ``audit_references``, with what their payloads say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from aureus.clock import from_micros
from aureus.codec import decode
from aureus.errors import Invalid
from aureus.ledger.findings import Findings
from aureus.ledger.lines import has_sealed_payload
from aureus.ledger.steps import Ask, Steps
from aureus.model.audit_references import references_of
from aureus.model.verification import FindingKind, SealedEntry


def check_references(entries: Sequence[SealedEntry], findings: Findings) -> Steps[None]:
    """Compare what is stored as references of audit entries with what their payloads say."""
    audited = [
        entry
        for entry in entries
        if entry.event is not None and entry.event.fields.action is not None
    ]
    if not audited:
        return
    for entry in (yield from _with_other_references(audited)):
        # Somebody may have erased it between the two reads: what a second look finds in order is in order.
        if entry.position >= 0:
            page = yield Ask("proofs", "read_page", (entry.position, entry.position + 1))
        else:
            page = [(yield Ask("audit", "get_stored", (_event_id(entry),)))]
        for again in (yield from _with_other_references(page)):
            message = "what audit_references says of the entry is not what its payload says"
            findings.add(FindingKind.COLUMN, message, entry.position, entry=again)


def _with_other_references(entries: Sequence[SealedEntry]) -> Steps[list[SealedEntry]]:
    """Return the entries of which something else is stored as references than their payloads say."""
    stored: dict[int, set[tuple[str, str, datetime]]] = {}
    numbers = [entry.entry_no for entry in entries]
    for number, kind, value, occurred_at in (yield Ask("audit", "list_references", (numbers,))):
        stored.setdefault(number, set()).add((kind, value, occurred_at))
    return [
        entry
        for entry in entries
        if references_in(entry) not in {None, frozenset(stored.get(entry.entry_no, ()))}
    ]


def _event_id(entry: SealedEntry) -> str:
    return "" if entry.event is None else entry.event.fields.event_id


def references_in(entry: SealedEntry) -> frozenset[tuple[str, str, datetime]] | None:
    """Return what must be stored as references of an entry: nothing for one that was erased.

    None where that cannot be told, because its payload is not what was sealed; who reads it says so.
    """
    event = entry.event
    if event is None or event.fields.action is None:
        return None
    if event.withheld is not None:
        return None
    if event.payload is None:
        return frozenset()
    if not has_sealed_payload(entry):
        return None
    try:
        payload: Any = decode(event.payload)
    except Invalid:
        return None
    if not isinstance(payload, dict):
        return None
    try:
        occurred_at = from_micros(event.fields.occurred_at_micros)
    except OverflowError:
        return None  # no time that anybody wrote: the column is not what was sealed
    found = references_of(cast(dict[str, Any], payload))
    return frozenset((kind.value, value, occurred_at) for kind, value in found)

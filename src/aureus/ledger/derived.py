"""Verifies what is stored beside the entries and follows from them, step by step.

Entries are found by batches, streams and references, and proved by kept roots; a mode says what becomes an entry. Who
edits one of those changes no entry, and hides it all the same. Nothing here needs a hash: each is compared with what
it was derived from.
"""

from __future__ import annotations

from typing import Any, cast

from aureus.codec import decode
from aureus.errors import Invalid
from aureus.ledger.steps import Ask, Steps
from aureus.ledger.verifier import Verifier
from aureus.model.ledger import LedgerHead
from aureus.model.signed_heads import LedgerTotals
from aureus.model.verification import FindingKind, SealedEntry
from aureus.stores.ledger_checks import ModeAndChange


def check_derived(verifier: Verifier, state: LedgerHead, first: int) -> Steps[None]:
    """Report what does not follow from the entries; batches from a position on, and all else when that is 0."""
    totals: LedgerTotals = yield Ask("checks", "get_totals")
    has_strays = yield from _check_strays(verifier, totals)
    yield from _check_batches(verifier, totals, first)
    yield from _check_incarnation(verifier, state)
    yield from _check_mode(verifier)
    if first:
        return
    if not verifier.has_wrong_versions and not has_strays:
        for stream in (yield Ask("checks", "list_wrong_streams")):
            _report(verifier, f"the row of stream {stream!r} says something else than its events")
    if totals.version_count != totals.event_count:
        for stream in (yield Ask("checks", "list_lost_streams")):
            _report(verifier, f"stream {stream!r} has events, and its row is gone")
    for entry_no, kind, value in (yield Ask("checks", "list_wrong_references")):
        message = f"audit_references has {kind} {value!r} for entry {entry_no}, which has no such reference"
        verifier.findings.add_of(FindingKind.COLUMN, message, None, entry_no, None)


def _report(verifier: Verifier, message: str, position: int | None = None) -> None:
    verifier.findings.add(FindingKind.COLUMN, message, position)


def _check_strays(verifier: Verifier, totals: LedgerTotals) -> Steps[bool]:
    """Report entries and events that were never sealed, and return whether there are any such events."""
    if totals.sealed_end > totals.size:
        entries: list[SealedEntry] = yield Ask(
            "proofs", "read_page", (totals.size, totals.sealed_end)
        )
        verifier.add_unsealed(entries)
    strays: list[tuple[int, str]] = []
    if totals.stray_count or verifier.may_have_strays:
        strays = yield Ask("checks", "list_strays")
    for entry_no, event_id in strays:
        verifier.add_stray(entry_no, event_id)
    return bool(strays)


def _check_batches(verifier: Verifier, totals: LedgerTotals, first: int) -> Steps[None]:
    for position, size in (yield Ask("checks", "list_wrong_batches", (first,))):
        message = "the batch is found by other numbers than those of the entries that it holds"
        last = max(position, position + size - 1)
        verifier.findings.add(FindingKind.COLUMN, message, position, last)
    if totals.last_entry_no != totals.sealed_entry_no:
        _report(
            verifier,
            f"the head says that entry {totals.last_entry_no} is the highest that is sealed; "
            f"by the batches it is {totals.sealed_entry_no}",
        )
    for level, index in (yield Ask("checks", "list_wrong_nodes")):
        message = (
            f"the kept root at level {level}, number {index} is of a block that is not complete"
        )
        _report(verifier, message)


def _check_incarnation(verifier: Verifier, state: LedgerHead) -> Steps[None]:
    """Compare the incarnation with the events that began them."""
    stream = f"ledgers/{state.tenant_key}"
    found: tuple[int, int | None, bytes | None] | None = yield Ask(
        "checks", "get_incarnation_and_restore", (stream,)
    )
    if found is None:
        return
    incarnation, version, payload = found
    begun = 1 if version is None else _value(payload, "incarnation")
    if begun == incarnation or (begun is None and incarnation > (version or 0)):
        return
    _report(
        verifier,
        f"the ledger says that it is incarnation {incarnation}, and no restore was accepted for that",
    )


def _check_mode(verifier: Verifier) -> Steps[None]:
    """Compare the mode of the trail with its last change: whoever sets it in silence ends the trail in silence."""
    found: ModeAndChange | None = yield Ask("checks", "get_mode_and_change")
    if found is None:
        return
    message = "audit_modes says something else than the entry of its last change"
    if found.version is None or not found.change_count:
        if found.version is not None or found.change_count:
            _report(verifier, message)
        return
    after = _value(found.payload, "after")
    said: Any = cast(dict[str, Any], after).get("mode") if isinstance(after, dict) else found.mode
    if (found.version, found.changed_by, found.mode) != (found.change_count, found.actor, said):
        _report(verifier, message)


def _value(payload: bytes | None, name: str) -> Any:
    """Return a value of a payload; None where the payload is gone, or none of ours: whoever reads the entry says so."""
    if payload is None:
        return None
    try:
        value: Any = decode(payload)
    except Invalid:
        return None
    return cast(dict[str, Any], value).get(name) if isinstance(value, dict) else None

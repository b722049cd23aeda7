"""Exporting, step by step: a range of everything, or a selection of audit entries, in the form of `exports`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aureus.errors import IntegrityFailure
from aureus.ledger.exports import ExportProof, SignedHead, range_lines, selection_line
from aureus.ledger.notes import Note
from aureus.ledger.steps import Ask, Scope, Steps, current_state
from aureus.model import signed_heads
from aureus.model.audit import AuditFilters, AuditPage
from aureus.model.heads import Head
from aureus.model.ledger import LedgerHead
from aureus.model.verification import SealedEntry
from aureus.stores.proofs import ENTRIES_MAX, Hashes, head_from

EXPORT_PAGE = 500
"""Entries that an export looks for at once."""

Write = Callable[[bytes], Any]


def exporting(
    scope: Scope, write: Write, filters: AuditFilters, *, whole: bool
) -> Steps[ExportProof]:
    """Write entries as lines, and return the proof that belongs to them."""
    while not (yield Ask("ledger", "seal")).is_done:
        pass
    state = yield from current_state()
    head = head_from(scope.name, state)
    if whole:
        yield from _write_range(head, write)
    else:
        yield from _write_selection(head, write, filters)
    signed = yield from _signed(state, head)
    peaks = state.peaks if whole else b""
    return ExportProof(head, peaks, is_selection=not whole, signed_heads=signed)


def _write_range(head: Head, write: Write) -> Steps[None]:
    first = 0
    while first < head.size:
        end = min(head.size, first + ENTRIES_MAX)
        entries: list[SealedEntry] = yield Ask("proofs", "read_page", (first, end))
        nodes: Hashes = yield Ask("proofs", "list_nodes", (first, end, head.size))
        for line in range_lines(entries, nodes):
            write(line)
        first = entries[-1].position + 1 if entries else end


def _write_selection(head: Head, write: Write, filters: AuditFilters) -> Steps[None]:
    cursor: str | None = None
    while True:
        options: dict[str, Any] = {**filters, "cursor": cursor, "limit": EXPORT_PAGE}
        page: AuditPage = yield Ask("audit", "list", (), options)
        for found in page.entries:
            position: int | None = yield Ask("proofs", "get_position", (found.event_id,))
            if position is None or position >= head.size:
                continue  # sealed behind the head of this export, or not at all yet
            (entry,) = yield Ask("proofs", "read_page", (position, position + 1))
            if entry.entry_no != found.entry_no:
                raise IntegrityFailure(
                    f"the ledger has another entry where {found.event_id} was sealed; run: aureus audit verify",
                    event_id=found.event_id,
                    position=position,
                )
            hashes: list[bytes] = yield Ask("proofs", "prove_inclusion", (position, head.size))
            write(selection_line(entry, hashes))
        cursor = page.cursor
        if cursor is None:
            return


def _signed(state: LedgerHead, head: Head) -> Steps[tuple[SignedHead, ...]]:
    """Return the newest signed head, and what leads from it to the head of the export."""
    newest: signed_heads.SignedHead | None = yield Ask(
        "proofs", "get_newest_signed", (state.incarnation,)
    )
    if newest is None:
        return ()
    proof: list[bytes] = yield Ask("proofs", "prove_consistency", (newest.size, head.size))
    return (SignedHead(Note.from_text(newest.note), tuple(proof)),)

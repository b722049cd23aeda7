"""What verifying and exporting the audit trail does, step by step, without a database; as `aureus.ledger.steps`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aureus.errors import IntegrityFailure, Invalid
from aureus.ledger.contents import Contents
from aureus.ledger.exports import ExportProof, SignedHead, range_lines, selection_line
from aureus.ledger.findings import Findings
from aureus.ledger.notes import Note
from aureus.ledger.steps import (
    Ask,
    Scope,
    Steps,
    check_references,
    current_state,
    read_all,
)
from aureus.ledger.verifier import Verifier
from aureus.model import signed_heads
from aureus.model.audit import AuditFilters, AuditPage, EntryVerification
from aureus.model.heads import Head
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import Tree, verify_consistency, verify_inclusion
from aureus.model.verification import FindingKind, SealedEntry, Verification
from aureus.stores.proofs import ENTRIES_MAX, Hashes, head_from

EXPORT_PAGE = 500
"""Entries that an export looks for at once."""

Write = Callable[[bytes], Any]


def verifying_entry(scope: Scope, event_id: str) -> Steps[EntryVerification]:
    """Verify one entry: its hashes and columns, and where it is sealed, that the tree has it there."""
    entry: SealedEntry = yield Ask("audit", "get_stored", (event_id,))
    position: int | None = yield Ask("proofs", "get_position", (event_id,))
    findings = Findings()
    if position is not None:
        entry = yield from _sealed(scope, position, entry, findings)
    Contents(findings, from_beginning=False).check_alone(entry)
    yield from check_references([entry], findings)
    event = entry.event
    return EntryVerification(
        event_id=event_id,
        position=position,
        is_redacted=event is not None and event.payload is None,
        findings=findings.in_order(),
    )


def verifying_range(scope: Scope, first: int, end: int | None) -> Steps[Verification]:
    """Verify the entries from a position on, before another, against the ledger's head."""
    state = yield from current_state()
    head = head_from(scope.name, state)
    end = head.size if end is None else end
    if not 0 <= first <= end <= head.size:
        raise Invalid(
            f"there are positions from 0 to {head.size - 1}; a range from {first} up to {end} is none of them",
            first=first,
            end=end,
            size=head.size,
        )
    findings = Findings()
    start = yield from _tree(head, first, findings)
    tree = yield from _tree(head, end, findings)
    part = head if end == head.size else Head(head.origin, end, tree.root())
    verifier = Verifier(part, tree.to_bytes(), start=start, findings=findings)
    yield from read_all(verifier, part)
    return verifier.finish()


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


def _sealed(
    scope: Scope, position: int, stored: SealedEntry, findings: Findings
) -> Steps[SealedEntry]:
    """Return an entry as the ledger has it, after it was proved to be in the tree."""
    state = yield from current_state()
    head = head_from(scope.name, state)
    page: list[SealedEntry] = yield Ask("proofs", "read_page", (position, position + 1))
    if not page or page[0].entry_no != stored.entry_no:
        findings.add(FindingKind.MISSING, "the ledger has another entry here", position)
        return stored
    hashes: list[bytes] = yield Ask("proofs", "prove_inclusion", (position, head.size))
    if not verify_inclusion(page[0].sealed_hash, position, head.size, hashes, head.root):
        message = "the hash that was sealed for the entry does not lead to the root"
        findings.add(FindingKind.RECOMPUTED, message, position, entry=page[0])
    return page[0]


def _tree(head: Head, size: int, findings: Findings) -> Steps[Tree]:
    """Return the tree that the ledger had at a size, proved to be the beginning of what it has now."""
    tree: Tree = yield Ask("proofs", "get_tree", (size, head.size))
    if size:
        proof: list[bytes] = yield Ask("proofs", "prove_consistency", (size, head.size))
        if not verify_consistency(size, head.size, proof, tree.root(), head.root):
            message = "the kept hashes of the tree do not lead to the root"
            findings.add(FindingKind.RECOMPUTED, message, 0, size - 1)
    return tree


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

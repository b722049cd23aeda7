"""Verifying a part of the ledger, step by step: one audit entry, or a range of positions."""

from __future__ import annotations

from aureus.errors import Invalid
from aureus.ledger.contents import Contents
from aureus.ledger.findings import Findings
from aureus.ledger.references import check_references
from aureus.ledger.steps import Ask, Scope, Steps, current_state, readable
from aureus.ledger.verifier import Verifier
from aureus.ledger.verifying import read_all
from aureus.model.audit import EntryVerification
from aureus.model.heads import Head
from aureus.model.merkle import Tree, verify_consistency, verify_inclusion
from aureus.model.verification import FindingKind, SealedEntry, Verification
from aureus.stores.proofs import head_from


def verifying_entry(scope: Scope, event_id: str) -> Steps[EntryVerification]:
    """Verify one entry: its hashes and columns, and where it is sealed, that the tree has it there."""
    entry: SealedEntry = yield Ask("audit", "get_stored", (event_id,))
    position: int | None = yield Ask("proofs", "get_position", (event_id,))
    findings = Findings()
    if position is not None:
        entry = yield from _sealed(scope, position, entry, findings)
    elif not (yield Ask("checks", "is_waiting", (entry.entry_no,))):
        position = yield Ask("proofs", "get_position", (event_id,))
        if position is None:  # nobody has sealed it in between
            message = "the entry is neither sealed nor waiting to be"
            findings.add(FindingKind.INSERTED, message, entry=entry)
    Contents(findings, from_beginning=False).check_alone(entry)
    yield from check_references([entry], findings)
    event = entry.event
    return EntryVerification(
        event_id=event_id,
        position=position,
        is_redacted=event is not None and event.payload is None and event.withheld is None,
        findings=findings.in_order(),
        is_withheld=event is not None and event.withheld is not None,
    )


def verifying_range(scope: Scope, first: int, end: int | None) -> Steps[Verification]:
    """Verify the entries from a position on, before another, against the ledger's head."""
    state = yield from current_state()
    head = head_from(scope.name, state)
    end = head.size if end is None else end
    if not 0 <= first <= end <= head.size:
        raise Invalid(
            f"a range from {first} on, before {end}: the ledger has positions from 0 on, before {head.size}",
            first=first,
            end=end,
            size=head.size,
        )
    return (yield from readable(_verified_range(head, first, end)))


def _verified_range(head: Head, first: int, end: int) -> Steps[Verification]:
    findings = Findings()
    start = yield from _tree(head, first, findings)
    tree = yield from _tree(head, end, findings)
    part = head if end == head.size else Head(head.origin, end, tree.root())
    verifier = Verifier(part, tree.to_bytes(), start=start, findings=findings)
    yield from read_all(verifier, part)
    return verifier.finish()


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

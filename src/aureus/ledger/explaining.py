"""Says in the end what happened to a ledger: from what did not fit, the kinds of damage and the first bad places.

Three questions are answered in turn. Which leaves are not those that were sealed: the blocks that do not give their
kept root, and what is short or too much at the end. Which rows say something else than their leaf. Which heads from
outside disagree. A version that does not follow is reported by itself only where the order of leaves is right: else it
is the consequence of what was found before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from aureus.ledger.contents import COLUMN_EDITED, Contents
from aureus.ledger.damage import (
    Block,
    Hole,
    find_exchange,
    find_extra,
    find_order,
    find_swap,
    is_shifted,
)
from aureus.ledger.findings import Findings
from aureus.ledger.structure import BadBlock, FinishedStructure, HeadCheck, Structure
from aureus.model.heads import Head
from aureus.model.merkle import TILE_WIDTH, Tree
from aureus.model.verification import FindingKind, SealedEntry

EXPLAINED_MAX = 4
"""Damaged blocks that are explained, at up to half a second each; of further ones it is said that they are damaged."""


@dataclass(slots=True)
class Evidence:
    """What a verification collected."""

    head: Head
    begin: Tree
    findings: Findings
    contents: Contents
    structure: Structure
    result: FinishedStructure
    checks: Sequence[HeadCheck]
    extra: Sequence[SealedEntry]
    extra_count: int
    is_order_damaged: bool = False
    """Whether leaves are missing, too many, or in another order."""
    overwritten: set[int] = field(default_factory=set[int])
    """Positions whose hash in the ledger was written over, while the event is right."""


def explain(evidence: Evidence) -> None:
    """Report what the evidence shows."""
    _explain_order(evidence)
    _explain_rows(evidence)
    _explain_versions(evidence)
    _explain_heads(evidence)


def _explain_order(evidence: Evidence) -> None:
    structure, result, findings = evidence.structure, evidence.result, evidence.findings
    short = evidence.head.size - structure.next_position
    if short > 0:
        _explain_short(evidence, short)
        return
    if result.leads_to_head:
        _explain_nodes(evidence)
        _explain_extra(evidence)
        return
    blocks = structure.bad_blocks
    if _is_in_another_order(evidence, blocks):
        _explain_extra(evidence)
        return
    has_inserted = False
    for number, bad in enumerate(blocks[:EXPLAINED_MAX]):
        kind = _explain_block(evidence, bad, blocks[number + 1 :])
        if kind in {FindingKind.INSERTED, FindingKind.MISSING}:
            has_inserted = kind == FindingKind.INSERTED
            break  # all that follows lies at other positions than before
    if structure.bad_block_count > EXPLAINED_MAX and not evidence.is_order_damaged:
        message = f"{structure.bad_block_count} blocks of 256 entries are damaged"
        findings.add(FindingKind.RECOMPUTED, message, blocks[0].first)
    if not has_inserted:
        _explain_extra(evidence)
    is_open = result.is_known and not blocks
    if is_open or (blocks and not result.kept_leads_to_head and not evidence.is_order_damaged):
        findings.add(
            FindingKind.RECOMPUTED,
            f"the entries do not lead to the root of the head at size {evidence.head.size}: "
            "hashes were written anew",
        )


def _explain_short(evidence: Evidence, short: int) -> None:
    """Report entries that are too few: cut off at the end, or taken from where the first block is damaged."""
    structure, result = evidence.structure, evidence.result
    first, last = structure.next_position, evidence.head.size - 1
    blocks = structure.bad_blocks
    reaches_end = blocks and blocks[0].first // TILE_WIDTH + structure.bad_block_count == (
        structure.next_position // TILE_WIDTH
    )
    hole = result.hole
    if not blocks and hole is not None and (hole.is_certain or _has_hole(evidence, hole.first)):
        _report_missing(evidence, short, hole.first, hole.end - 1)
        return
    if not blocks and result.is_cut_clean:
        message = "the last entry is gone" if short == 1 else f"the last {short} entries are gone"
        if hole is not None and hole.first < first:
            message = f"{message}, or as many of those from position {hole.first} on"
        evidence.findings.add(FindingKind.TRUNCATED, message, first, last)
        evidence.contents.missing_count += short
        return
    if reaches_end or (not blocks and not result.is_cut_clean):
        start = blocks[0].first if blocks else first // TILE_WIDTH * TILE_WIDTH
        if blocks and _is_moved_up(blocks[0], blocks[1:2], hole, short):
            last = blocks[0].last
        _report_missing(evidence, short, max(start, evidence.begin.size), last)
        return
    message = f"the last {short} entries are gone"
    evidence.findings.add(FindingKind.TRUNCATED, message, first, last)
    for number, bad in enumerate(blocks[:EXPLAINED_MAX]):
        _explain_block(evidence, bad, blocks[number + 1 :])


def _has_hole(evidence: Evidence, first: int) -> bool:
    """Return whether a version is missing in a stream among the entries from a position on."""
    return any(
        fault.found > fault.expected and fault.entry.position >= first
        for fault in evidence.contents.version_faults
    )


def _is_in_another_order(evidence: Evidence, blocks: Sequence[BadBlock]) -> bool:
    """Report entries that are right in the order of their numbers, and return whether they are."""
    if not blocks or evidence.structure.bad_block_count > len(blocks):
        return False
    known = [
        ([leaf for leaf in bad.leaves if leaf is not None], bad.numbers, bad.root) for bad in blocks
    ]
    if any(len(leaves) < len(numbers) for leaves, numbers, _ in known):
        return False
    order = find_order(known)
    if order is None:
        return False
    positions = [bad.first + at for bad in blocks for at in range(len(bad.leaves))]
    moved = [positions[place] for place, at in enumerate(order) if place != at]
    _report_reordered(evidence, moved[0], moved[-1])
    return True


def _report_missing(evidence: Evidence, count: int, first: int, last: int) -> None:
    """Report entries that are missing in a range; where a stream has a hole, at most up to that place."""
    evidence.is_order_damaged = True
    holes = [
        fault.entry.position
        for fault in evidence.contents.version_faults
        if fault.found > fault.expected and fault.entry.position >= first
    ]
    message = "an entry is gone" if count == 1 else f"{count} entries are gone"
    last = min([*holes, last])
    evidence.findings.add(
        FindingKind.MISSING, f"{message}; those behind moved up", first, max(first, last)
    )


def _explain_nodes(evidence: Evidence) -> None:
    """Report kept roots that are wrong, while the entries lead to the head."""
    structure = evidence.structure
    for bad in structure.bad_blocks:
        message = (
            "the kept root of these entries is not what follows from them; the entries are right"
        )
        evidence.findings.add(FindingKind.COLUMN, message, bad.first, bad.last)
    for level, index in structure.missing_nodes:
        message = f"the kept root at level {level}, number {index} is gone; the entries are right"
        evidence.findings.add(FindingKind.COLUMN, message, index << level)
    if evidence.result.kept_leads_to_head:
        for level, index in structure.bad_nodes:
            message = f"the kept root at level {level}, number {index} is not what follows from those below"
            evidence.findings.add(FindingKind.COLUMN, message, index << level)


def _explain_extra(evidence: Evidence) -> None:
    for entry in evidence.extra:
        message = "there is an entry behind the head, which was never sealed"
        evidence.findings.add(FindingKind.INSERTED, message, entry.position, entry=entry)
    evidence.findings.count += max(0, evidence.extra_count - len(evidence.extra))


def _explain_block(
    evidence: Evidence, bad: BadBlock, others: Sequence[BadBlock]
) -> FindingKind | None:
    """Report what happened to a block, and return its kind; None when it was reported already."""
    leaves = [leaf for leaf in bad.leaves if leaf is not None]
    if len(leaves) < len(bad.leaves):
        evidence.is_order_damaged = True
        return None
    block, findings = Block(leaves), evidence.findings
    if _is_overwritten(evidence, bad, block):
        return None
    swap = find_swap(block, bad.root)
    if swap is not None:
        return _report_reordered(evidence, bad.first + swap[0], bad.first + swap[1])
    extra = None if bad.following is None else find_extra(leaves, bad.following, bad.root)
    if (
        extra is None or extra == len(leaves) - 1
    ):  # the last one may as well have changed places with the next
        exchanged = _find_exchange(evidence, block, bad, others)
        if exchanged is not None:
            return _report_reordered(evidence, *exchanged)
    if extra is not None:
        evidence.is_order_damaged = True
        message = "there is an entry that was not sealed; those behind moved down"
        findings.add(FindingKind.INSERTED, message, bad.first + extra)
        return FindingKind.INSERTED
    if others and _is_moved_up(bad, others[:1], None, 1):
        _report_missing(evidence, 1, bad.first, bad.last)
        return FindingKind.MISSING
    if evidence.structure.bad_block_count == 2 and evidence.is_order_damaged:
        return None  # the other half of an exchange
    for fault in evidence.contents.version_faults:
        if bad.first <= fault.entry.position <= bad.last and fault.found <= fault.expected:
            return _report_reordered(evidence, bad.first, bad.last)
    evidence.is_order_damaged = True
    message = (
        "the hashes of these entries do not give their kept root: at least one was written anew"
    )
    findings.add(FindingKind.RECOMPUTED, message, bad.first, bad.last)
    return FindingKind.RECOMPUTED


def _find_exchange(
    evidence: Evidence, block: Block, bad: BadBlock, others: Sequence[BadBlock]
) -> tuple[int, int] | None:
    """Return two positions in the only two damaged blocks whose entries have to change places."""
    if evidence.structure.bad_block_count != 2 or not others or None in others[0].leaves:
        return None
    other = Block([leaf for leaf in others[0].leaves if leaf is not None])
    places = find_exchange(block, bad.root, other, others[0].root)
    return None if places is None else (bad.first + places[0], others[0].first + places[1])


def _is_moved_up(bad: BadBlock, others: Sequence[BadBlock], hole: Hole | None, count: int) -> bool:
    """Return whether what follows a damaged block is right but for some entries that are missing before it."""
    leaves = [leaf for leaf in bad.leaves if leaf is not None]
    if not others:
        return hole is not None and hole.first == bad.last + 1 and hole.is_certain
    following = others[0]
    known = [leaf for leaf in following.leaves if leaf is not None]
    is_next = following.first == bad.last + 1 and len(known) == len(following.leaves)
    return is_next and any(
        is_shifted(leaves[len(leaves) - shift :], known, following.root)
        for shift in range(1, min(count, len(leaves), len(known)) + 1)
    )


def _report_reordered(evidence: Evidence, first: int, last: int) -> FindingKind:
    evidence.is_order_damaged = True
    message = "the entries at these positions were sealed in another order"
    evidence.findings.add(FindingKind.REORDERED, message, first, last)
    return FindingKind.REORDERED


def _is_overwritten(evidence: Evidence, bad: BadBlock, block: Block) -> bool:
    """Return whether the block is right with what its events say, where the ledger has other hashes."""
    changes = {
        differing.entry.position - bad.first: differing.recomputed
        for differing in evidence.contents.differing
        if bad.first <= differing.entry.position <= bad.last
    }
    if not changes or block.root_with(changes) != bad.root:
        return False
    evidence.overwritten |= {bad.first + place for place in changes}
    return True


def _explain_rows(evidence: Evidence) -> None:
    """Report entries whose row gives another hash than the ledger holds."""
    differing = evidence.contents.differing
    sealed = {one.entry.sealed_hash: one.entry.position for one in differing}
    for one in differing:
        entry = one.entry
        if entry.position in evidence.overwritten:
            message = "the hash in the ledger is not what was sealed; the event is right"
            evidence.findings.add(FindingKind.COLUMN, message, entry.position, entry=entry)
        elif one.recomputed in sealed:
            evidence.is_order_damaged = True
            message = f"the event here was sealed at position {sealed[one.recomputed]}"
            evidence.findings.add(FindingKind.REORDERED, message, entry.position, entry=entry)
        else:
            evidence.findings.add(FindingKind.COLUMN, COLUMN_EDITED, entry.position, entry=entry)


def _explain_versions(evidence: Evidence) -> None:
    if evidence.is_order_damaged:
        return
    holes = evidence.contents.missing_count
    expected: dict[str, int] = {}
    for fault in evidence.contents.version_faults:
        event = fault.entry.event
        if event is None:
            continue
        gap = fault.found - fault.expected
        if 0 < gap <= holes:
            holes -= gap
            continue
        if expected.pop(event.fields.stream, None) == fault.found:
            continue  # the stream goes on as it should: the entry before was the wrong one
        expected[event.fields.stream] = fault.expected + 1
        message = f"the column version is {fault.found}; counting the stream gives {fault.expected}"
        evidence.findings.add(FindingKind.COLUMN, message, fault.entry.position, entry=fault.entry)


def _explain_heads(evidence: Evidence) -> None:
    head, findings, begin = evidence.head, evidence.findings, evidence.begin
    had_findings = findings.count > 0
    is_whole = evidence.result.leads_to_head or evidence.result.kept_leads_to_head
    for check in evidence.checks:
        if check.head.size == begin.size:
            check.agrees = check.head.root == begin.root() and check.head.size > 0
            if check.head.size == 0:
                check.agrees = None  # the beginning of every ledger vouches for none
    agreeing = max(
        (one.head.size for one in evidence.checks if one.agrees and one.is_signed), default=0
    )
    forked = _forked_sizes(evidence.checks)
    for size in sorted(forked):
        message = f"two signed heads of size {size} have different roots: somebody was shown another history"
        findings.add(FindingKind.FORKED, message, min(size, head.size) - 1 if head.size else None)
    for check in evidence.checks:
        seen = check.head
        if seen.size > head.size:
            message = (
                f"a head of size {seen.size} was seen before, and the ledger has {head.size} entries: "
                "it is an older state, or its end was cut off"
            )
            findings.add(FindingKind.REWOUND, message, head.size, seen.size - 1)
        elif check.agrees is False and seen.size not in forked and (is_whole or not had_findings):
            _report_disagreeing(evidence, check, agreeing)


def _report_disagreeing(evidence: Evidence, check: HeadCheck, agreeing: int) -> None:
    size = check.head.size
    first = max(
        (one.head.size for one in evidence.checks if one.agrees and one.head.size < size),
        default=evidence.begin.size,
    )
    if check.is_signed and agreeing >= size:
        message = f"the signed head of size {size} contradicts the one of size {agreeing}, which was signed too"
        evidence.findings.add(FindingKind.FORKED, message, first, size - 1)
        return
    what = "signed head" if check.is_signed else "head seen before"
    message = f"the {what} of size {size} has another root: entries before it were written anew, hashes too"
    evidence.findings.add(FindingKind.RECOMPUTED, message, first, size - 1)


def _forked_sizes(checks: Sequence[HeadCheck]) -> set[int]:
    roots: dict[int, set[bytes]] = {}
    for check in checks:
        if check.is_signed:
            roots.setdefault(check.head.size, set()).add(check.head.root)
    return {size for size, found in roots.items() if len(found) > 1}

"""Verifying all that is sealed, step by step: what is asked of the stores, and handed to the `Verifier`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from aureus.errors import ConfigInvalid, Invalid, LimitExceeded, NotFound
from aureus.ledger.derived import check_derived
from aureus.ledger.findings import Findings
from aureus.ledger.keys import PublicKey
from aureus.ledger.notes import Note
from aureus.ledger.proofs import VerifiedHead
from aureus.ledger.references import check_references
from aureus.ledger.seen_heads import SeenHead
from aureus.ledger.steps import Ask, Scope, Steps, check_history, current_state, goes_on, keep_seen
from aureus.ledger.verifier import Verifier
from aureus.model.anchors import Anchor
from aureus.model.heads import Head, incarnation_of
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import Tree
from aureus.model.signed_heads import SignedHead
from aureus.model.verification import FindingKind, SealedEntry, Verification
from aureus.stores.proofs import ENTRIES_MAX, Hashes, head_from

SIGNED_COMPARED_MAX = 100
"""Signed heads in the database that a verification compares: the newest of them."""

UNRECORDED_MAX = 10_000
"""Erased entries that wait for their record before it is looked for ahead."""

RECORDS_ASKED_MAX = 1_000
"""Erased entries whose records are looked for together."""


def verifying(
    scope: Scope,
    *,
    keys: Sequence[PublicKey] = (),
    notes: Iterable[Note] = (),
    since_last: bool = False,
) -> Steps[Verification]:
    """Verify the ledger; see `Ledger.verify`."""
    state, known = yield from _look(scope)
    head, seen = head_from(scope.name, state), known.seen
    findings = Findings()
    heads = _known_heads(head, known, keys, notes, findings)
    start = seen.verified if since_last and seen is not None else None
    if start is not None and start.size > head.size:
        start = None
    heads, proved = yield from _compared(head, heads, 0 if start is None else start.size, findings)
    verifier = Verifier(
        head, state.peaks, heads=heads, start=start, findings=findings, keeps_nodes=True
    )
    yield from read_all(verifier, head)
    yield from check_derived(verifier, state, 0 if start is None else start.size)
    report = verifier.finish()
    anchors = {*report.anchors, *(one.head for one in proved if one.is_anchored)}
    report = replace(report, anchors=tuple(sorted(anchors, key=lambda one: (one.size, one.root))))
    if report.is_intact:
        verified = Tree.from_bytes(head.size, state.peaks)
        now_seen, check = SeenHead(head, None, verified), partial(check_history, scope)
        try:
            yield from keep_seen(scope, state.tenant_key, now_seen, seen, check)
        except ConfigInvalid as error:  # whoever may only read there is told all the same
            report = replace(report, unkept=error.message)
    return report


@dataclass(frozen=True, slots=True)
class _Known:
    """Heads of the ledger that were seen, anchored and signed before it was looked at."""

    seen: SeenHead | None
    anchor: Anchor | None
    signed: Sequence[SignedHead]


def _look(scope: Scope) -> Steps[tuple[LedgerHead, _Known]]:
    """Return the state of the ledger and what is known of it, from before: so none of that can be ahead of it.

    Were the state read first, a head that somebody signs in the same moment would look like a history that was lost.
    """
    before = yield from current_state()
    seen = scope.last_seen(before.tenant_key)
    anchor: Anchor | None = yield Ask("anchors", "find", (before.tenant_key,))
    signed: list[SignedHead] = yield Ask(
        "proofs", "list_signed", (), {"limit": SIGNED_COMPARED_MAX}
    )
    state = yield from current_state()
    if state.incarnation != before.incarnation:
        return (yield from _look(scope))
    if anchor is not None and anchor.incarnation != state.incarnation:
        anchor = None
    return state, _Known(seen, anchor, signed)


def _known_heads(
    head: Head,
    given: _Known,
    keys: Sequence[PublicKey],
    notes: Iterable[Note],
    findings: Findings,
) -> list[VerifiedHead]:
    """Return the heads to compare with: from elsewhere, the last seen, the newest anchor, and those signed here."""
    known = [one for note in notes if (one := findings.add_note(note, keys, origin=head.origin))]
    kept: list[str] = []
    if given.seen is not None:
        known.append(VerifiedHead(given.seen.head))
        kept += [] if given.seen.note is None else [given.seen.note]
    if given.anchor is not None:
        known.append(VerifiedHead(Head(head.origin, given.anchor.size, given.anchor.root)))
    for row in given.signed:
        _check_signed(row, findings)
    kept += [one.note for one in given.signed]
    for text in dict.fromkeys(kept):
        note = _parsed(text, findings)
        if note is None:
            continue
        one = findings.add_note(note, keys, origin=head.origin, may_be_foreign=True)
        known += [] if one is None else [one]
    return list({(one.head.size, one.head.root, one.is_anchored): one for one in known}.values())


def _check_signed(row: SignedHead, findings: Findings) -> None:
    """Report a signed head whose columns say something else than its note."""
    try:
        head = Head.from_text(Note.from_text(row.note).text)
    except (Invalid, LimitExceeded):
        return  # whoever reads the note says so
    if (head.size, head.root, incarnation_of(head.origin)) != (row.size, row.root, row.incarnation):
        message = f"the columns of the signed head of size {row.size} are not what its note says"
        findings.add(FindingKind.COLUMN, message)


def _parsed(text: str, findings: Findings) -> Note | None:
    try:
        return Note.from_text(text)
    except (Invalid, LimitExceeded) as error:
        message = f"a signed head that was kept is damaged: {error.message}"
        findings.add(FindingKind.WRONG_KEY, message)
        return None


def _compared(
    head: Head, heads: list[VerifiedHead], begin: int, findings: Findings
) -> Steps[tuple[list[VerifiedHead], list[VerifiedHead]]]:
    """Return the heads that the entries are compared with, and those before the beginning, which proofs lead from."""
    proved: list[VerifiedHead] = []
    for one in heads:
        if 0 < one.head.size < begin:
            if (yield from goes_on(head, one.head)):
                proved.append(one)
            else:
                message = f"the ledger does not begin with the head of size {one.head.size} that was seen before"
                findings.add(FindingKind.RECOMPUTED, message, 0, one.head.size - 1)
    return [one for one in heads if one.head.size >= max(begin, 1)], proved


def read_all(verifier: Verifier, head: Head) -> Steps[None]:
    """Read what comes next up to a head, and records of erasures behind it when some are missing."""
    first, asked_count = verifier.next_position, 0
    while first < head.size:
        end = min(head.size, first + ENTRIES_MAX)
        entries: list[SealedEntry] = yield Ask("proofs", "read_page", (first, end))
        if (
            not entries
        ):  # whoever may write there may have moved a batch, or the head, as far as numbers go
            following: int | None = yield Ask("proofs", "get_next_position", (end,))
            if following is None:
                break
            first = min(following, head.size)
            continue
        reached = entries[-1].position + 1
        nodes: Hashes = yield Ask("proofs", "list_nodes", (first, end, head.size))
        verifier.read(entries, nodes)
        yield from check_references(entries, verifier.findings)
        first = reached
        if verifier.unrecorded_count >= asked_count + UNRECORDED_MAX:
            yield from _find_records(verifier)
            asked_count = verifier.unrecorded_count
    if verifier.has_unrecorded:
        yield from _read_records(verifier, head)


def _find_records(verifier: Verifier) -> Steps[None]:
    """Look ahead for the records of erased entries that wait, so that few of them have to be remembered.

    A record counts when its payload gives its hash in the ledger; that this hash is the one that was sealed is verified
    when its own position is reached, as for every entry.
    """
    before = verifier.unrecorded_count + 1
    while 0 < verifier.unrecorded_count < before:
        before = verifier.unrecorded_count
        numbers = verifier.unrecorded(RECORDS_ASKED_MAX)
        for event_id in (yield Ask("proofs", "list_records", (numbers,))):
            position = yield from _position_of(event_id)
            if position is not None:
                verifier.read_later((yield Ask("proofs", "read_page", (position, position + 1))))


def _position_of(event_id: str) -> Steps[int | None]:
    """Return where an event is sealed; None also where somebody has made up its identifier."""
    try:
        position: int | None = yield Ask("proofs", "get_position", (event_id,))
    except NotFound:
        return None
    return position


def _read_records(verifier: Verifier, head: Head) -> Steps[None]:
    """Look for records of erasures that were sealed meanwhile, behind the head."""
    while not (yield Ask("ledger", "seal")).is_done:
        pass
    state = yield from current_state()
    first = head.size
    while first < state.size and verifier.has_unrecorded:
        end = min(state.size, first + ENTRIES_MAX)
        entries: list[SealedEntry] = yield Ask("proofs", "read_page", (first, end))
        verifier.read_later(entries)
        first = entries[-1].position + 1 if entries else end

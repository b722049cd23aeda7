"""What verifying and proving do, step by step, without a database: each step asks one thing of the stores.

The same steps serve threads and event loops: whoever drives them carries out what is asked for and sends the answer
back. An event loop runs the work between two questions in a thread, since a page takes some milliseconds to verify
and a file has to be synced.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar, cast

from aureus.clock import from_micros
from aureus.codec import decode
from aureus.errors import HistoryRewound, IntegrityFailure, Invalid, NotFound
from aureus.ledger.findings import Findings
from aureus.ledger.heads import SeenHead, SeenHeads
from aureus.ledger.keys import PublicKey, SigningKey
from aureus.ledger.lines import entry_line, has_sealed_payload
from aureus.ledger.notes import Note
from aureus.ledger.proofs import InclusionProof, VerifiedHead
from aureus.ledger.verifier import Verifier
from aureus.model.audit import references_of
from aureus.model.heads import Head, is_same_ledger
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import Tree, verify_consistency
from aureus.model.signed_heads import LedgerStatus, LedgerTotals, SignedHead
from aureus.model.verification import FindingKind, SealedEntry, Verification
from aureus.stores.proofs import ENTRIES_MAX, Hashes, head_from

T = TypeVar("T")

SIGNED_COMPARED_MAX = 100
"""Signed heads in the database that a verification compares: the newest of them."""

UNRECORDED_MAX = 10_000
"""Erased entries that wait for their record before it is looked for ahead."""

RECORDS_ASKED_MAX = 1_000
"""Erased entries whose records are looked for together."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A call of an operation: of the ledger's, or of the proofs'."""

    store: str
    operation: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])


Steps = Generator[Ask, Any, T]


@dataclass(frozen=True, slots=True)
class Scope:
    """How the ledger is called, and where heads are kept outside the database; None for nowhere."""

    name: str
    seen: Callable[[], SeenHeads] | None = None

    def last_seen(self, state: LedgerHead) -> SeenHead | None:
        """Return what was last seen of a ledger."""
        return None if self.seen is None else self.seen().get(state.tenant_key)

    def keep(self, state: LedgerHead, seen: SeenHead) -> None:
        """Keep a head outside the database."""
        if self.seen is not None:
            self.seen().keep(state.tenant_key, seen)


def status(scope: Scope) -> Steps[LedgerStatus]:
    """Return how far the ledger is sealed, signed and known elsewhere."""
    state = yield from current_state()
    pending_count: int = yield Ask("proofs", "count_pending")
    signed: SignedHead | None = yield Ask("proofs", "get_newest_signed", (state.incarnation,))
    seen = scope.last_seen(state)
    return LedgerStatus(
        head=head_from(scope.name, state),
        incarnation=state.incarnation,
        sealed_at=state.sealed_at,
        pending_count=pending_count,
        signed_size=None if signed is None else signed.size,
        signed_at=None if signed is None else signed.signed_at,
        seen_size=None if seen is None else seen.head.size,
    )


def current_head(scope: Scope) -> Steps[Head]:
    """Return the head, after it was proved to go on from the last one seen, and keep it outside the database."""
    state = yield from current_state()
    head = head_from(scope.name, state)
    seen = scope.last_seen(state)
    if seen is not None:
        yield from _check_goes_on(head, seen.head)
    scope.keep(state, SeenHead(head))
    return head


def signing(scope: Scope, keys: Sequence[SigningKey]) -> Steps[SignedHead]:
    """Sign the head, and keep it outside the database when it is committed."""
    state = yield from current_state()
    seen = scope.last_seen(state)

    def make_note(head: Head) -> str:
        return str(Note(head.text()).signed_by(*keys))

    signed: SignedHead = yield Ask(
        "proofs",
        "sign",
        (scope.name, make_note),
        {"seen": None if seen is None else seen.head},
    )
    head = Head.from_text(Note.from_text(signed.note).text)
    scope.keep(state, SeenHead(head, signed.note))
    return signed


def proving(scope: Scope, event_id: str) -> Steps[InclusionProof]:
    """Return the proof that an event is sealed: under the newest signed head, or under the current one."""
    position: int | None = yield Ask("proofs", "get_position", (event_id,))
    if position is None:
        raise NotFound(
            f"event {event_id} is not sealed yet; `aureus ledger seal` seals what is waiting",
            event_id=event_id,
        )
    state = yield from current_state()
    signed: SignedHead | None = yield Ask("proofs", "get_newest_signed", (state.incarnation,))
    if signed is not None and signed.size > position:
        size, note = signed.size, Note.from_text(signed.note)
    else:
        size, note = state.size, Note(head_from(scope.name, state).text())
    hashes: list[bytes] = yield Ask("proofs", "prove_inclusion", (position, size))
    entries: list[SealedEntry] = yield Ask("proofs", "read_page", (position, position + 1))
    if not entries or entries[0].event is None or entries[0].event.fields.event_id != event_id:
        raise IntegrityFailure(
            f"the ledger has another entry where event {event_id} was sealed; run: aureus ledger verify",
            event_id=event_id,
            position=position,
        )
    proof = InclusionProof(position, tuple(hashes), note, entry_line(entries[0]))
    proof.verify(entries[0].sealed_hash)
    return proof


def verifying(
    scope: Scope,
    *,
    keys: Sequence[PublicKey] = (),
    notes: Iterable[Note] = (),
    since_last: bool = False,
) -> Steps[Verification]:
    """Verify the ledger; see `Ledger.verify`."""
    state = yield from current_state()
    head = head_from(scope.name, state)
    seen = scope.last_seen(state)
    findings = Findings()
    heads = yield from _known_heads(head, seen, keys, notes, findings)
    start = seen.verified if since_last and seen is not None else None
    if start is not None and start.size > head.size:
        start = None
    heads, proved = yield from _compared(head, heads, 0 if start is None else start.size, findings)
    verifier = Verifier(
        head, state.peaks, heads=heads, start=start, findings=findings, keeps_nodes=True
    )
    yield from read_all(verifier, head)
    yield from _look_for_strays(verifier)
    report = verifier.finish()
    anchors = {*report.anchors, *(one.head for one in proved if one.is_anchored)}
    report = replace(report, anchors=tuple(sorted(anchors, key=lambda one: (one.size, one.root))))
    if report.is_intact:
        scope.keep(state, SeenHead(head, None, Tree.from_bytes(head.size, state.peaks)))
    return report


def restoring(scope: Scope, actor: str) -> Steps[LedgerHead]:
    """Accept a ledger that is behind what was seen; see `Ledger.accept_restore`."""
    state = yield from current_state()
    head = head_from(scope.name, state)
    seen = scope.last_seen(state)
    if seen is None:
        raise NotFound(
            "no head of this ledger was kept outside the database, so nothing is behind one"
        )
    if seen.head.size <= head.size and is_same_ledger(seen.head.origin, head.origin):
        is_ahead = yield from _goes_on(head, seen.head)
        if is_ahead:
            raise NotFound(
                f"the ledger goes on from the last head seen (size {seen.head.size}); there is nothing to accept"
            )
    begun: LedgerHead = yield Ask(
        "proofs", "begin_incarnation", (state.incarnation, seen.head), {"actor": actor}
    )
    if scope.seen is not None:
        scope.seen().accept(begun.tenant_key, SeenHead(head_from(scope.name, begun)))
    return begun


def current_state() -> Steps[LedgerHead]:
    """Return the state of the ledger. Raises ``NotFound`` before anything was sealed."""
    state: LedgerHead | None = yield Ask("ledger", "get_head")
    if state is None:
        raise NotFound(
            "nothing was sealed for this tenant yet; `aureus ledger seal` seals what is waiting"
        )
    return state


def _known_heads(
    head: Head,
    seen: SeenHead | None,
    keys: Sequence[PublicKey],
    notes: Iterable[Note],
    findings: Findings,
) -> Steps[list[VerifiedHead]]:
    """Return the heads to compare with: those given, the last seen, and those signed here."""
    known = [one for note in notes if (one := findings.add_note(note, keys, origin=head.origin))]
    kept: list[str] = []
    if seen is not None:
        known.append(VerifiedHead(seen.head))
        kept += [] if seen.note is None else [seen.note]
    if keys:
        signed: list[SignedHead] = yield Ask(
            "proofs", "list_signed", (), {"limit": SIGNED_COMPARED_MAX}
        )
        kept += [one.note for one in signed]
        for text in dict.fromkeys(kept):
            note = _parsed(text, findings)
            if note is None:
                continue
            one = findings.add_note(note, keys, origin=head.origin, may_be_foreign=True)
            known += [] if one is None else [one]
    return list({(one.head.size, one.head.root, one.is_anchored): one for one in known}.values())


def _parsed(text: str, findings: Findings) -> Note | None:
    try:
        return Note.from_text(text)
    except Invalid as error:
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
            if (yield from _goes_on(head, one.head)):
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
            position: int | None = yield Ask("proofs", "get_position", (event_id,))
            if position is not None:
                verifier.read_later((yield Ask("proofs", "read_page", (position, position + 1))))


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
    occurred_at = from_micros(event.fields.occurred_at_micros)
    found = references_of(cast(dict[str, Any], payload))
    return frozenset((kind.value, value, occurred_at) for kind, value in found)


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


def _look_for_strays(verifier: Verifier) -> Steps[None]:
    totals: LedgerTotals = yield Ask("proofs", "get_totals")
    if totals.sealed_end > totals.size:
        entries: list[SealedEntry] = yield Ask(
            "proofs", "read_page", (totals.size, totals.sealed_end)
        )
        verifier.add_unsealed(entries)
    if totals.stray_count or verifier.has_missing:
        for entry_no, event_id in (yield Ask("proofs", "list_strays")):
            verifier.add_stray(entry_no, event_id)


def _check_goes_on(head: Head, before: Head) -> Steps[None]:
    if before.size > head.size:
        raise HistoryRewound(
            f"the ledger has {head.size} entries, and a head of size {before.size} was seen before: this database is "
            "an older state. If that is meant, run: aureus ledger accept-restore",
            size=head.size,
            seen_size=before.size,
        )
    if not (yield from _goes_on(head, before)):
        raise IntegrityFailure(
            f"the ledger does not begin with the head of size {before.size} that was seen before: its history was "
            "changed. Run: aureus ledger verify",
            size=head.size,
            seen_size=before.size,
        )


def _goes_on(head: Head, before: Head) -> Steps[bool]:
    """Return whether the tree under a head begins with that under an earlier one."""
    if before.size == 0:
        return True
    try:
        proof: list[bytes] = yield Ask("proofs", "prove_consistency", (before.size, head.size))
    except IntegrityFailure:
        return False  # hashes that every proof needs are gone
    return verify_consistency(before.size, head.size, proof, before.root, head.root)

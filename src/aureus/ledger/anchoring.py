"""The operator's log, step by step: anchoring the heads of all tenants under one, signing it, and verifying it.

The head goes on from the last one that this host has seen, or nothing is signed: a log must never vouch for two
histories. Verifying is that of a ledger with other leaves: what each anchor says is compared with its hash, the hashes
with the kept roots and the head, and the head with heads seen before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from aureus.errors import ConfigInvalid, HistoryRewound, IntegrityFailure, Invalid, NotFound
from aureus.ledger.contents import Contents, Differing
from aureus.ledger.explaining import Evidence, explain
from aureus.ledger.findings import Findings
from aureus.ledger.keys import PublicKey, SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.proofs import VerifiedHead
from aureus.ledger.seen_heads import SeenHead
from aureus.ledger.signing import begun_note
from aureus.ledger.steps import Ask, Scope, Steps, keep_seen
from aureus.ledger.structure import HeadCheck, Structure
from aureus.model.anchors import Anchor, AnchorHead, anchor_leaf
from aureus.model.heads import Head
from aureus.model.merkle import Tree, verify_consistency
from aureus.model.verification import FindingKind, SealedEntry, Verification
from aureus.stores.anchors import ANCHORS_MAX, Hashes


@dataclass(frozen=True, slots=True)
class Anchoring:
    """What anchoring did: how many heads it anchored, the head of the log, and its signed note if there is a key."""

    anchored_count: int
    head: Head
    note: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "anchored_count": self.anchored_count,
            "head": self.head.to_dict(),
            "note": self.note,
        }


def anchoring(scope: Scope, keys: Sequence[SigningKey]) -> Steps[Anchoring]:
    """Anchor every head that has grown, and sign the head of the log where keys are given."""
    count = 0
    while anchored := (yield Ask("anchors", "append")):
        count += len(anchored)
    state, seen = yield from _state_and_seen(scope)
    head = head_from(scope, state)
    if seen is not None:
        yield from _check_goes_on(head, seen.head)
    earlier = None if seen is None else seen.note
    note = str(begun_note(head, earlier).signed_by(*keys)) if keys else None
    yield from _keep(scope, state, SeenHead(head, note), seen)
    return Anchoring(count, head, note)


def verifying_anchors(
    scope: Scope, keys: Sequence[PublicKey] = (), notes: Iterable[Note] = ()
) -> Steps[Verification]:
    """Verify the whole anchor log; see `AnchorLog.verify`."""
    state, seen = yield from _state_and_seen(scope)
    head = head_from(scope, state)
    findings = Findings()
    heads = [one for note in notes if (one := findings.add_note(note, keys, origin=head.origin))]
    if seen is not None:
        heads.append(VerifiedHead(seen.head))
        if seen.note is not None and keys:
            kept = Note.from_text(seen.note)
            one = findings.add_note(kept, keys, origin=head.origin, may_be_foreign=True)
            heads += [] if one is None else [one]
    report = yield from _compared(head, state, heads, findings)
    if report.is_intact:
        try:
            yield from _keep(scope, state, SeenHead(head), seen)
        except ConfigInvalid as error:
            report = replace(report, unkept=error.message)
    return report


def restoring_anchors(scope: Scope, actor: str) -> Steps[AnchorHead]:
    """Accept an anchor log that is behind what was seen; see `AnchorLog.accept_restore`."""
    state: AnchorHead = yield Ask("anchors", "get_head")
    head, seen = head_from(scope, state), scope.last_seen(state.log_key)
    if seen is None:
        raise NotFound("no head of the anchor log was kept outside the database")
    if seen.head.size <= head.size and (yield from _goes_on(head, seen.head)):
        raise NotFound(
            f"the anchor log goes on from the last head seen (size {seen.head.size}); there is nothing to accept"
        )
    begun: AnchorHead = yield Ask(
        "anchors", "begin_log", (state.log_key, seen.head), {"actor": actor}
    )
    scope.accept(begun.log_key, SeenHead(head_from(scope, begun)))
    return begun


def head_from(scope: Scope, state: AnchorHead) -> Head:
    """Return what others see of the anchor log."""
    try:
        return Head(f"{scope.name}/anchors/{state.log_key}", state.size, state.root)
    except Invalid as error:
        message = f"the state of the anchor log was changed: {error.message}"
        raise IntegrityFailure(message) from error


def _state_and_seen(scope: Scope) -> Steps[tuple[AnchorHead, SeenHead | None]]:
    """Return the state of the log and the head that was last seen of it, which is not ahead of it for being newer."""
    state: AnchorHead = yield Ask("anchors", "get_head")
    seen = scope.last_seen(state.log_key)
    if seen is not None and seen.head.size > state.size:
        state = yield Ask("anchors", "get_head")
    return state, seen


def _compared(
    head: Head, state: AnchorHead, heads: Sequence[VerifiedHead], findings: Findings
) -> Steps[Verification]:
    """Return what there is to say about all anchors under a head."""
    checks = [HeadCheck(one.head, one.is_anchored) for one in heads]
    contents = Contents(findings, from_beginning=True)
    peaks = state.peaks if _is_own_root(head, state.peaks, findings) else None
    structure = Structure(head, peaks, Tree(), checks, keeps_nodes=True)
    extra: list[SealedEntry] = []
    count, first = 0, 0
    while anchors := (
        yield Ask("anchors", "list", (), {"from_position": first, "limit": ANCHORS_MAX})
    ):
        nodes: Hashes = yield Ask("anchors", "list_nodes", (first, anchors[-1].position + 1))
        for anchor in anchors:
            entry = SealedEntry(anchor.position, anchor.position, anchor.leaf_hash, None)
            if anchor.position >= head.size:
                extra.append(entry)
                continue
            if anchor.position > structure.next_position:
                _skip(structure, contents, anchor.position, nodes, findings)
            recomputed = _leaf(anchor)
            if recomputed != anchor.leaf_hash:
                contents.differing.append(Differing(entry, recomputed))
            structure.add(anchor.leaf_hash, nodes, anchor.position)
            count += 1
        first = anchors[-1].position + 1
    result = structure.finish(extra[0].sealed_hash if extra else None)
    explain(
        Evidence(head, Tree(), findings, contents, structure, result, checks, extra, len(extra))
    )
    agreeing = [check for check in checks if check.agrees]
    return Verification(
        head=head,
        first_position=0,
        entry_count=count,
        findings=findings.in_order(),
        finding_count=findings.count,
        redactions=(),
        redaction_count=0,
        anchors=_by_size(one.head for one in agreeing if one.is_signed),
        unsigned_heads=_by_size(one.head for one in agreeing if not one.is_signed),
    )


def _skip(
    structure: Structure, contents: Contents, end: int, nodes: Hashes, findings: Findings
) -> None:
    first = structure.next_position
    message = "the anchor is gone" if end - first == 1 else f"{end - first} anchors are gone"
    findings.add(FindingKind.MISSING, message, first, end - 1)
    contents.missing_count += end - first
    structure.skip(end, nodes)


def _leaf(anchor: Anchor) -> bytes:
    """Return the hash of what an anchor says; of what no anchor can say, none that a tree has."""
    try:
        return anchor_leaf(anchor.tenant_key, anchor.incarnation, anchor.size, anchor.root)
    except OverflowError:
        return b""


def _is_own_root(head: Head, peaks: bytes, findings: Findings) -> bool:
    try:
        if Tree.from_bytes(head.size, peaks).root() == head.root:
            return True
    except IntegrityFailure:
        pass
    message = (
        "the head of the anchor log contradicts itself: its root does not follow from its peaks"
    )
    findings.add(FindingKind.RECOMPUTED, message)
    return False


def _by_size(heads: Iterable[Head]) -> tuple[Head, ...]:
    return tuple(sorted(set(heads), key=lambda head: (head.size, head.root)))


def _keep(scope: Scope, state: AnchorHead, head: SeenHead, proved: SeenHead | None) -> Steps[None]:
    yield from keep_seen(scope, state.log_key, head, proved, partial(_check_history, scope))


def _check_history(scope: Scope, before: Head) -> Steps[None]:
    state: AnchorHead = yield Ask("anchors", "get_head")
    yield from _check_goes_on(head_from(scope, state), before)


def _check_goes_on(head: Head, before: Head) -> Steps[None]:
    if before.size > head.size:
        raise HistoryRewound(
            f"the anchor log has {head.size} anchors, and {before.size} were seen before: this database is an older "
            "state, and nothing is signed. If that is meant, run: aureus ledger accept-restore --anchors",
            size=head.size,
            seen_size=before.size,
        )
    if not (yield from _goes_on(head, before)):
        raise IntegrityFailure(
            f"the anchor log does not begin with the head of size {before.size} that was seen before: it was changed, "
            "and nothing is signed. Run: aureus ledger verify --anchors",
            size=head.size,
            seen_size=before.size,
        )


def _goes_on(head: Head, before: Head) -> Steps[bool]:
    """Return whether the log under a head begins with that under an earlier one."""
    if not before.size:
        return True
    try:
        proof = yield Ask("anchors", "prove_consistency", (before.size, head.size))
    except IntegrityFailure:
        return False  # hashes that every proof needs are gone
    return verify_consistency(before.size, head.size, proof, before.root, head.root)

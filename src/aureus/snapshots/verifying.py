"""Whether a snapshot is what it was: everything is computed anew, from its rows, its pointers and the ledger.

Whoever edits a part is found by the hash beside it, whoever edits both by the root, and whoever makes a new root by the
ledger, which has held the old one since the moment of the snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aureus._database.statement import Op
from aureus.codec import decode
from aureus.errors import IntegrityFailure, Invalid
from aureus.model.events import EventType
from aureus.model.ledger import LedgerHead
from aureus.model.memories import Memory
from aureus.model.merkle import (
    inclusion_proof,
    inclusion_spans,
    root_at,
    root_spans,
    verify_inclusion,
)
from aureus.model.snapshots import (
    Holdings,
    PartKind,
    Snapshot,
    SnapshotPart,
    SnapshotScope,
    Verification,
    root_over,
    stream_of,
)
from aureus.snapshots.capturing import Paging, fingerprint, first_leaf, memory_streams
from aureus.stores.entries import StoredEntry, entry_of, told_between
from aureus.stores.erasures import find_record, has_erased_entries
from aureus.stores.ledger import position_of, subtrees_for
from aureus.stores.memories.rewriting import versions_of
from aureus.stores.snapshots.rows import StoredPart, stored_parts


class _Broken(Exception):
    """Something is not what it was."""

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(problem)
        self.part = part
        self.problem = problem


def verified(snapshot: Snapshot, head: LedgerHead) -> Op[tuple[Verification, Holdings]]:
    """Return what is wrong with a snapshot, if anything, and what it holds. ``head`` is that of the sealed ledger."""
    holdings = Holdings()
    records: dict[str, int] = {}
    erased: list[str] = []
    problem = part = None
    try:
        holdings = yield from _own_parts(snapshot, records)
        erased += [one.path for one in holdings.parts if one.is_erased]
        yield from _check_ledger(snapshot, head)
        pointers = [one for one in holdings.memories if not one.is_erased]
        erased += yield from _check_pointers(snapshot.scope, pointers)
    except _Broken as broken:
        problem, part = broken.problem, broken.part
    return Verification(snapshot, problem, part, tuple(erased), tuple(sorted(records))), holdings


def raise_if_broken(verification: Verification) -> None:
    """Raise ``IntegrityFailure`` that names what is wrong, if anything is."""
    if verification.problem is not None:
        snapshot_id = verification.snapshot.snapshot_id
        raise IntegrityFailure(
            f"snapshot {snapshot_id} was changed: {verification.part}: {verification.problem}",
            snapshot_id=snapshot_id,
            part=verification.part,
        )


def _own_parts(snapshot: Snapshot, records: dict[str, int]) -> Op[Holdings]:
    """Return the parts of a snapshot, whose hashes lead to its root.

    ``records`` notes by which records some were erased, and how many parts each may have taken beside these.
    """
    parts: list[SnapshotPart] = []
    leaves: list[bytes] = []
    paging = Paging()
    while True:
        size = paging.size
        page = yield from stored_parts(snapshot.snapshot_id, len(parts), size)
        for stored in page:
            if stored.number != len(parts) + 1:
                raise _Broken("parts", f"part {len(parts) + 1} is missing")
            yield from _check_part(stored, records)
            parts.append(stored.part)
            leaves.append(stored.leaf)
        if len(page) < size:
            break
        paging.seen(len(stored.part.content or "") for stored in page)
    if len(parts) != snapshot.part_count:
        raise _Broken("parts", f"there are {len(parts)}, and it had {snapshot.part_count}")
    holdings = Holdings.of(parts)
    if root_over(leaves[: len(holdings.states)]) != snapshot.state_hash:
        raise _Broken("state", "its keys and sessions do not lead to its state hash")
    if root_over([first_leaf(snapshot), *leaves]) != snapshot.root:
        raise _Broken("header", "what it says of itself and its parts do not lead to its root")
    return holdings


def _check_part(stored: StoredPart, records: dict[str, int]) -> Op[None]:
    """Check that a part has its leaf, and the content that its hash stands for unless an erasure took it away."""
    part = stored.part
    if part.leaf() != stored.leaf:
        raise _Broken(part.label, "its name, version or hash is another one")
    record_id = part.erasure_record_id
    if record_id is not None:
        if record_id not in records:
            record = yield from find_record(record_id)
            records[record_id] = 0 if record is None else record.removed.get("snapshot_parts", 0)
        if not records[record_id]:
            raise _Broken(part.label, f"no record {record_id!r} tells that it was erased")
        records[record_id] -= 1
        if part.content is not None or part.salt is not None:
            raise _Broken(part.label, "it was erased and has content")
    elif part.kind is PartKind.MEMORY:
        if part.content is not None:
            raise _Broken(part.label, "a pointer has content")
    elif not part.holds_its_content():
        raise _Broken(part.label, "its content does not have its hash")


def _check_ledger(snapshot: Snapshot, head: LedgerHead) -> Op[None]:
    """Check that the ledger is the one that the snapshot was taken at, and that it tells of this very snapshot."""
    if snapshot.ledger_key != head.tenant_key:
        raise _Broken("ledger", "the snapshot belongs to another ledger")
    if snapshot.ledger_size > head.size:
        raise _Broken(
            "ledger",
            f"it has {head.size:,} entries, and had {snapshot.ledger_size:,} at the snapshot",
        )
    subtrees = yield from subtrees_for(root_spans(snapshot.ledger_size))
    try:
        root = root_at(snapshot.ledger_size, subtrees)
    except IntegrityFailure as error:
        raise _Broken("ledger", error.message) from error
    if root != snapshot.ledger_root:
        raise _Broken("ledger", f"its first {snapshot.ledger_size:,} entries have another root")
    entry = yield from _telling_entry(snapshot.snapshot_id)
    if entry.recomputed() != entry.leaf_hash:
        raise _Broken("ledger", "the entry that tells of the snapshot was changed")
    if decode(entry.payload).get("root") != snapshot.root.hex():
        raise _Broken("root", "the ledger tells of another root")
    placed = yield from position_of(entry.entry_no)
    if placed is None or placed[1] != entry.leaf_hash or placed[0] < snapshot.ledger_size:
        raise _Broken("ledger", "the entry that tells of the snapshot is not where it was sealed")
    subtrees = yield from subtrees_for(inclusion_spans(placed[0], head.size))
    try:
        proof = inclusion_proof(placed[0], head.size, subtrees)
    except IntegrityFailure as error:
        raise _Broken("ledger", error.message) from error
    if not verify_inclusion(entry.leaf_hash, placed[0], head.size, proof, head.root):
        raise _Broken("ledger", "the entry that tells of the snapshot is not part of the tree")


def _telling_entry(snapshot_id: str) -> Op[StoredEntry]:
    """Return the entry that tells of a snapshot: the last one, since an id may be used again after a deletion."""
    stream = stream_of(snapshot_id)
    try:
        told = yield from told_between(stream, stream + "\x01")
    except Invalid as error:
        raise _Broken("ledger", "an entry that tells of the snapshot was changed") from error
    if told and told[-1].type == EventType.SNAPSHOT_DELETED:
        raise _Broken("ledger", "it tells that the snapshot was deleted")
    entry = (yield from entry_of(stream, told[-1].version)) if told else None
    if entry is None:
        raise _Broken("ledger", "it does not tell of the snapshot, or no longer")
    return entry


def _check_pointers(scope: SnapshotScope, pointers: Sequence[SnapshotPart]) -> Op[list[str]]:
    """Check that memories said what the snapshot points to; return those that were removed for good."""
    lost: list[SnapshotPart] = []
    changed: list[SnapshotPart] = []
    at, paging = 0, Paging()
    while at < len(pointers):
        page = pointers[at : at + paging.size]
        at += len(page)
        found = yield from versions_of([(part.name, part.version) for part in page])
        by_id: dict[str, Memory] = {memory.memory_id: memory for memory in found}
        for part in page:
            memory = by_id.get(part.name)
            if memory is None:
                lost.append(part)
            elif not part.stands_for(fingerprint(memory)):
                changed.append(part)
        paging.seen(len(memory.text) for memory in found)
    if lost or changed:
        purged = yield from _purged(scope)
        for part in changed:
            # Its id may have been given anew, after what the snapshot points to was purged.
            if part.name not in purged.names:
                raise _Broken(part.label, f"version {part.version} says something else than it did")
        for part in lost:
            if part.name not in purged.names and not purged.may_be_more:
                raise _Broken(part.label, f"its version {part.version} is not there any more")
    return [part.name for part in (*changed, *lost)]


class _Purged(NamedTuple):
    """Memories that the ledger tells were removed for good, and whether erased entries may have told of more."""

    names: set[str]
    may_be_more: bool


def _purged(scope: SnapshotScope) -> Op[_Purged]:
    names: set[str] = set()
    may_be_more = False
    for first, end in memory_streams(scope):
        told = yield from told_between(first, end)
        names.update(
            str(one.payload["memoryId"]) for one in told if one.type == EventType.MEMORY_PURGED
        )
        may_be_more = may_be_more or (yield from has_erased_entries(first, end))
    return _Purged(names, may_be_more)

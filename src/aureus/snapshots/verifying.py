"""Whether a snapshot is what it was: everything is computed anew, from its rows, its pointers and the ledger.

Whoever edits a part is found by the hash beside it, whoever edits both by the root, and whoever makes a new root by the
ledger, which has held the old one since the moment of the snapshot.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from aureus._database.statement import Op
from aureus.codec import decode
from aureus.errors import IntegrityFailure
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
    Verification,
    root_over,
    stream_of,
)
from aureus.snapshots.capturing import PAGE, first_leaf, part_of_memory
from aureus.stores.entries import entry_of
from aureus.stores.erasures import find_record, has_erased_entries
from aureus.stores.ledger import position_of, subtrees_for
from aureus.stores.memories.rewriting import standing, versions_of
from aureus.stores.snapshots.rows import StoredPart, stored_parts


class _Broken(Exception):
    """Something is not what it was."""

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(problem)
        self.part = part
        self.problem = problem


def verified(snapshot: Snapshot, head: LedgerHead) -> Op[tuple[Verification, Holdings]]:
    """Return what is wrong with a snapshot, if anything, and what it holds. ``head`` is that of the sealed ledger."""
    parts: list[SnapshotPart] = []
    erased: list[str] = []
    try:
        parts = yield from _own_parts(snapshot, erased)
        yield from _check_ledger(snapshot, head)
        pointers = [part for part in parts if part.kind is PartKind.MEMORY]
        for at in range(0, len(pointers), PAGE):
            erased += yield from _check_pointers(pointers[at : at + PAGE])
    except _Broken as broken:
        return Verification(snapshot, broken.problem, broken.part, tuple(erased)), Holdings.of(
            parts
        )
    return Verification(snapshot, erased=tuple(erased)), Holdings.of(parts)


def raise_if_broken(verification: Verification) -> None:
    """Raise ``IntegrityFailure`` that names what is wrong, if anything is."""
    if verification.problem is not None:
        snapshot_id = verification.snapshot.snapshot_id
        raise IntegrityFailure(
            f"snapshot {snapshot_id} was changed: {verification.part}: {verification.problem}",
            snapshot_id=snapshot_id,
            part=verification.part,
        )


def _own_parts(snapshot: Snapshot, erased: list[str]) -> Op[list[SnapshotPart]]:
    """Return the parts of a snapshot, whose hashes lead to its root; and note those that lost their content."""
    parts: list[SnapshotPart] = []
    records: dict[str, bool] = {}
    while True:
        page = yield from stored_parts(snapshot.snapshot_id, len(parts), PAGE)
        for stored in page:
            if stored.number != len(parts) + 1:
                raise _Broken("parts", f"part {len(parts) + 1} is missing")
            if (yield from _is_erased(stored, records)):
                erased.append(f"{stored.part.place}/{stored.part.name}")
            else:
                _check_part(stored.part, stored.leaf)
            parts.append(stored.part)
        if len(page) < PAGE:
            break
    if len(parts) != snapshot.part_count:
        raise _Broken("parts", f"there are {len(parts)}, and it had {snapshot.part_count}")
    holdings = Holdings.of(parts)
    if holdings.state_hash() != snapshot.state_hash:
        raise _Broken("state", "its keys and sessions do not lead to its state hash")
    if root_over([first_leaf(snapshot), *(part.leaf() for part in parts)]) != snapshot.root:
        raise _Broken("header", "what it says of itself and its parts do not lead to its root")
    return parts


def _is_erased(stored: StoredPart, records: dict[str, bool]) -> Op[bool]:
    """Return whether an erasure that is on record has taken the content of a session away."""
    part, record_id = stored.part, stored.erasure_record_id
    if part.kind is not PartKind.SESSION or part.content is not None or record_id is None:
        return False
    if record_id not in records:
        records[record_id] = (yield from find_record(record_id)) is not None
    return records[record_id] and part.leaf() == stored.leaf


def _check_part(part: SnapshotPart, leaf: bytes) -> None:
    if part.leaf() != leaf:
        raise _Broken(part.label, "its name, version or hash is another one")
    if part.kind is PartKind.MEMORY:
        if part.content is not None:
            raise _Broken(part.label, "a pointer has content")
    elif part.content is None or sha256(part.content.encode()).digest() != part.hash:
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
    entry = yield from entry_of(stream_of(snapshot.snapshot_id), 1)
    if entry is None:
        raise _Broken("ledger", "it does not tell of the snapshot, or no longer")
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


def _check_pointers(pointers: Sequence[SnapshotPart]) -> Op[list[str]]:
    """Check that memories said what the snapshot points to; return those that were removed for good."""
    found = yield from versions_of([(part.name, part.version) for part in pointers])
    by_id: dict[str, Memory] = {memory.memory_id: memory for memory in found}
    missing: list[SnapshotPart] = []
    for part in pointers:
        memory = by_id.get(part.name)
        if memory is None:
            missing.append(part)
        elif part_of_memory(memory).hash != part.hash:
            raise _Broken(part.label, f"version {part.version} says something else than it did")
    there = yield from standing([part.name for part in missing])
    for memory in there:
        # An erasure takes versions that named the person away, and the payloads of what told of them.
        if not (yield from has_erased_entries(memory.stream)):
            version = next(part.version for part in missing if part.name == memory.memory_id)
            raise _Broken(
                f"memory {memory.memory_id}", f"its version {version} is not there any more"
            )
    return [part.name for part in missing]

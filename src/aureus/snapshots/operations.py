"""The operations on snapshots that combine nouns: taking, checking, comparing, going back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from aureus._database.operation import read_whole, write_whole
from aureus._database.statement import Op, composed, current_time, new_id, new_salt, record
from aureus.codec import check_name
from aureus.errors import (
    AlreadyExists,
    IntegrityFailure,
    Invalid,
)
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import root_at, root_spans
from aureus.model.rollbacks import UNDONE, Remedy, Rollback, SnapshotChange, differences
from aureus.model.sessions import DEFAULT_COLLECTION
from aureus.model.snapshots import Holdings, Snapshot, SnapshotPart, SnapshotScope, Verification
from aureus.model.workflows import RiskTier
from aureus.snapshots.capturing import (
    Paging,
    SnapshotLabels,
    captured,
    checked_scope,
    described,
    telling,
)
from aureus.snapshots.reconstructing import Moment, followed
from aureus.snapshots.restoring import Undoing, planned, undone
from aureus.snapshots.rollbacks import check_approved, check_same_snapshot, counted, failed, told
from aureus.snapshots.verifying import verified
from aureus.stores.ledger import (
    LedgerOperations,
    cut_at,
    sealed_head,
    size_at,
    subtrees_for,
)
from aureus.stores.snapshots import SnapshotRows
from aureus.stores.snapshots.rows import (
    add_rollback,
    add_snapshot,
    check_reason,
    checked_moment,
    find_rollback,
    find_snapshot,
    get_snapshot,
    mark_snapshot,
    stored_parts,
)

ROLLBACK_ID_BYTES_MAX = 128
"""Bytes of a rollback's id: the writes that it makes carry it too."""

BEFORE_TAG = "before-rollback"
"""The tag of the snapshot that a rollback takes of what was there before."""


@dataclass(frozen=True, slots=True)
class RollbackAttempt:
    """What came of going back: what was done, or else the verification that stood in the way."""

    rollback: Rollback | None
    verification: Verification | None = None

    def __len__(self) -> int:
        """Return how many memories were written: what the upkeep of their index counts (`aureus.upkeep`)."""
        if self.rollback is None:
            return 0
        written = (Remedy.FORGET, Remedy.REVISE, Remedy.REVIVE)
        return sum(self.rollback.counts.get(remedy.value, 0) for remedy in written)

    def __bool__(self) -> bool:
        """Return true, whatever its length."""
        return True


class SnapshotOperations(SnapshotRows):
    """Operations on snapshots."""

    @write_whole
    def create(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        namespace: str | None = None,
        world_scope: str | None = None,
        collection: str = DEFAULT_COLLECTION,
        session_ids: Sequence[str] | None = None,
        run_id: str | None = None,
        task_id: str | None = None,
        risk_tier: RiskTier | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        snapshot_id: str | None = None,
        actor: str = "aureus",
    ) -> Op[Snapshot]:
        """Take a snapshot of an agent, of a scope of the world state, or of both at the same moment. Atomic.

        Of an agent: its live sessions with state and context (all, or ``session_ids``), and a pointer to each live
        memory (all, or those of ``user_id`` and ``namespace``). The ledger is sealed first, so that its size and root
        in the snapshot stand for exactly what was captured. ``risk_tier``, or one in ``metadata``, says how bad going
        back may be. With the same ``snapshot_id`` a repeated call returns the snapshot.

        Raises ``LimitExceeded`` beyond 10,000 keys, 1,000 sessions or 20,000 memories, ``AlreadyExists`` when the id
        belongs to a snapshot of something else, and ``Invalid``.
        """
        scope = checked_scope(
            SnapshotScope(
                agent_id=agent_id,
                user_id=user_id,
                namespace=namespace,
                world_scope=world_scope,
                collection=collection,
                session_ids=None if session_ids is None else tuple(sorted(set(session_ids))),
            )
        )
        labels = SnapshotLabels(run_id, task_id, risk_tier, tags, metadata)
        chosen = snapshot_id or (yield from new_id())
        head = yield from sealed_head()
        earlier = yield from _earlier(chosen, scope)
        if earlier is not None:
            return earlier
        now = yield from current_time()
        holdings = yield from captured(scope)
        return (yield from _taken(scope, labels, holdings, head, chosen, now, actor))

    @write_whole
    def reconstruct(
        self,
        agent_id: str | None = None,
        *,
        user_id: str | None = None,
        namespace: str | None = None,
        world_scope: str | None = None,
        size: int | None = None,
        root: bytes | None = None,
        moment: datetime | None = None,
        risk_tier: RiskTier | str | None = None,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        snapshot_id: str | None = None,
        actor: str = "aureus",
    ) -> Op[Snapshot]:
        """Make a snapshot of an earlier moment of which none was taken, from what the ledger tells. Atomic.

        The moment is the first ``size`` entries of the ledger, as a head says it that somebody kept; with ``root``,
        that of the same head, the ledger has to agree. Or it is a ``moment``: what was sealed by then. It holds the
        memories and the keys of the world state that were live there; sessions keep only their newest document, and
        are no part of it. Then `restore` it like any other snapshot.

        Raises ``Invalid`` for a moment that is not there, and where ``events.routine`` was off so that keys are not
        told, ``IntegrityFailure`` when root or values disagree, ``LimitExceeded``, ``AlreadyExists``.
        """
        scope = checked_scope(
            SnapshotScope(
                agent_id=agent_id,
                user_id=user_id,
                namespace=namespace,
                world_scope=world_scope,
                session_ids=None if agent_id is None else (),
            )
        )
        labels = SnapshotLabels(None, None, risk_tier, tags, metadata)
        chosen = snapshot_id or (yield from new_id())
        head = yield from sealed_head()
        earlier = yield from _earlier(chosen, scope)
        if earlier is not None:
            return earlier
        then, at = yield from _head_then(head, size, root, moment)
        cut = yield from cut_at(then.size)
        holdings = yield from followed(scope, Moment(cut, at))
        now = yield from current_time()
        return (yield from _taken(scope, labels, holdings, then, chosen, now, actor, then.size))

    @write_whole
    def check(self, snapshot_id: str) -> Op[Verification]:
        """Compute a snapshot anew, note whether it is intact, and return what was found. Atomic.

        Its parts against their hashes, these against its root, the root against the entry of the ledger that tells of
        it, that entry and the size and root of the snapshot against the tree, and each pointer against the version that
        it points to. Raises ``NotFound``, and nothing for what is wrong: `verify` does.
        """
        head = yield from sealed_head()
        snapshot = yield from get_snapshot(snapshot_id)
        verification, _ = yield from verified(snapshot, head)
        now = yield from current_time()
        yield from mark_snapshot(snapshot_id, now, is_verified=verification.is_intact)
        marked = yield from get_snapshot(snapshot_id)
        return replace(verification, snapshot=marked)

    @read_whole
    def diff(self, snapshot_id: str, other_id: str | None = None) -> Op[Sequence[SnapshotChange]]:
        """Return what differs from a snapshot: in another one, or by now.

        By now each change says what going back would do about it, so that this is a rollback without doing it. Sorted
        by kind, place and name. Raises ``NotFound``. Nothing is verified.
        """
        snapshot = yield from get_snapshot(snapshot_id)
        held = yield from _held(snapshot)
        if other_id is not None:
            other = yield from get_snapshot(other_id)
            there = yield from _held(other)
            return differences(held.by_key, there.by_key)
        now = yield from current_time()
        present = yield from captured(snapshot.scope, before_rollback=True)
        return (yield from planned(snapshot, held, present, now))

    @write_whole
    def attempt(
        self,
        snapshot_id: str,
        *,
        actor: str = "aureus",
        reason: str | None = None,
        approval_id: str | None = None,
        rollback_id: str | None = None,
    ) -> Op[RollbackAttempt]:
        """Go back to a snapshot, as new versions, unless it was changed; return what was done. Atomic.

        It is verified first. What is there now is kept as a snapshot of its own, ``before_id``, by which going back can
        be taken back. Keys get the values they had, and lose those they did not have; sessions get the documents they
        had, those begun since stay; memories added since are forgotten, those changed say again what they said, those
        forgotten or superseded are live again. What was removed for good, or would have expired by now, is named in
        ``kept``. A risk of HIGH or CRITICAL (`Snapshot.risk`) needs an approval, which is used up by it. A repeated
        call with the same ``rollback_id`` returns what was done.

        A change that others make in the same moment lets it begin anew. Raises ``NotFound``, ``ApprovalRequired``,
        ``Forbidden`` and ``IllegalTransition`` for an approval that is not good for this, ``AlreadyExists`` for an id
        that stands for something else, ``LimitExceeded`` when there is more by now than twice what a snapshot holds;
        a snapshot that was changed is no error here, but one of `restore`.
        """
        named = rollback_id or (yield from new_id())
        check_name(named, "rollback_id", bytes_max=ROLLBACK_ID_BYTES_MAX)
        check_name(actor, "actor", bytes_max=ROLLBACK_ID_BYTES_MAX)
        check_reason(reason)
        before_id = yield from new_id()
        head = yield from sealed_head()
        earlier = yield from find_rollback(named)
        if earlier is not None:
            check_same_snapshot(earlier, snapshot_id)
            return RollbackAttempt(earlier)
        snapshot = yield from get_snapshot(snapshot_id)
        now = yield from current_time()
        verification, held = yield from verified(snapshot, head)
        if not verification.is_intact:
            yield from record(failed(verification, named, actor))
            yield from mark_snapshot(snapshot_id, now, is_verified=False)
            return RollbackAttempt(None, verification)
        yield from check_approved(snapshot, approval_id, named, now)
        present = yield from captured(snapshot.scope, before_rollback=True)
        labels = SnapshotLabels(tags=(BEFORE_TAG,), metadata={"rollback_id": named})
        yield from _taken(snapshot.scope, labels, present, head, before_id, now, actor)
        changes = yield from planned(snapshot, held, present, now)
        yield from undone(changes, Undoing(snapshot, held, present, named, now, actor))
        yield from mark_snapshot(snapshot_id, now, is_verified=True)
        rollback = Rollback(
            rollback_id=named,
            snapshot_id=snapshot_id,
            before_id=before_id,
            approval_id=approval_id,
            risk=snapshot.risk,
            actor=actor,
            reason=reason,
            created_at=now,
            counts=counted(changes),
            kept=tuple(change for change in changes if change.remedy not in UNDONE),
        )
        yield from add_rollback(rollback, told(rollback, snapshot))
        return RollbackAttempt(rollback)


def _earlier(snapshot_id: str, scope: SnapshotScope) -> Op[Snapshot | None]:
    """Return the snapshot that a repeated call has taken; raises ``AlreadyExists`` for one of something else."""
    earlier = yield from find_snapshot(snapshot_id)
    if earlier is not None and earlier.scope != scope:
        raise AlreadyExists(
            f"snapshot {snapshot_id} exists and is of something else; leave snapshot_id out to take another one",
            snapshot_id=snapshot_id,
        )
    return earlier


def _head_then(
    head: LedgerHead, size: int | None, root: bytes | None, moment: datetime | None
) -> Op[tuple[LedgerHead, datetime]]:
    """Return the head that the ledger had at an earlier moment, and the time that it is taken for."""
    if (size is None) == (moment is None):
        raise Invalid("give the moment once: as the size of the ledger, or as a time")
    if moment is not None:
        size = yield from size_at(checked_moment(moment))
    if size is None or not 0 < size <= head.size:
        raise Invalid(
            f"the ledger has {head.size:,} entries, and had none then"
            if not size
            else f"the ledger has {head.size:,} entries, not {size:,}",
            size=size,
        )
    subtrees = yield from subtrees_for(root_spans(size))
    found = root_at(size, subtrees)
    if root is not None and found != root:
        raise IntegrityFailure(
            f"the first {size:,} entries of the ledger have the root {found.hex()}, not {root.hex()}",
            size=size,
        )
    batch = yield from composed(LedgerOperations().list_batches(from_position=size - 1, limit=1))
    then = replace(head, size=size, root=found, sealed_at=batch[0].sealed_at)
    return then, moment or then.sealed_at


def _taken(
    scope: SnapshotScope,
    labels: SnapshotLabels,
    holdings: Holdings,
    head: LedgerHead,
    snapshot_id: str,
    now: datetime,
    actor: str,
    as_of_size: int | None = None,
) -> Op[Snapshot]:
    """Keep what was captured as a snapshot, committed to under salts, and return it."""
    committed = holdings.committed((yield from new_salt()))
    snapshot = described(
        scope,
        labels,
        committed,
        head,
        snapshot_id=snapshot_id,
        created_at=now,
        created_by=actor,
        as_of_size=as_of_size,
    )
    yield from add_snapshot(snapshot, committed, telling(snapshot))
    return snapshot


def _held(snapshot: Snapshot) -> Op[Holdings]:
    """Return the parts of a snapshot as they are stored."""
    parts: list[SnapshotPart] = []
    paging = Paging()
    while True:
        size = paging.size
        page = yield from stored_parts(snapshot.snapshot_id, len(parts), size)
        parts += [stored.part for stored in page]
        if len(page) < size:
            return Holdings.of(parts)
        paging.seen(len(stored.part.content or "") for stored in page)

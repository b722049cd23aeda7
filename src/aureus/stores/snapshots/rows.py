"""Snapshots, their parts, rollbacks and approvals as rows, and the statements that other operations are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aureus._database.statement import Op, Queries, Row, current_time, fetch_all, fetch_one, record
from aureus.codec import check_text, decode, encode_made, encode_text
from aureus.errors import IllegalTransition, Invalid, NotFound
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.plain import plain
from aureus.model.rollbacks import (
    Change,
    Remedy,
    Rollback,
    RollbackApproval,
    RollbackApprovalStatus,
    SnapshotChange,
)
from aureus.model.snapshots import (
    ACTIONS,
    DECISIONS,
    Holdings,
    PartKind,
    Snapshot,
    SnapshotPart,
    SnapshotScope,
)
from aureus.model.workflows import RiskTier

sql = Queries("snapshots")

PAGE_MAX = 1000
"""Snapshots, parts or approvals of one page."""

CHUNK_BYTES = 4 * 1024 * 1024
"""Bytes of content of one statement that keeps parts."""

NAME_BYTES_MAX = 256
"""Bytes of an id."""

REASON_CHARACTERS_MAX = 2000
"""Characters of a reason."""

BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
"""Before and after every moment there is."""


class StoredPart(NamedTuple):
    """A part with its number and the hash of its leaf, as they are stored."""

    number: int
    part: SnapshotPart
    leaf: bytes


def get_snapshot(snapshot_id: str) -> Op[Snapshot]:
    """Return a snapshot without its parts. Raises ``NotFound``."""
    found = yield from find_snapshot(snapshot_id)
    if found is None:
        raise NotFound(f"there is no snapshot {snapshot_id!r}", snapshot_id=snapshot_id)
    return found


def find_snapshot(snapshot_id: str) -> Op[Snapshot | None]:
    """Return a snapshot without its parts, or None."""
    check_text(snapshot_id, "snapshot_id")
    return (yield from fetch_one(sql.get_snapshot, snapshot_of, snapshot_id=snapshot_id))


def stored_parts(snapshot_id: str, after_no: int, limit: int = PAGE_MAX) -> Op[list[StoredPart]]:
    """Return a page of the parts of a snapshot as they are stored."""
    return (
        yield from fetch_all(
            sql.list_snapshot_parts,
            _stored_part,
            snapshot_id=snapshot_id,
            after_no=after_no,
            limit=limit,
        )
    )


def add_snapshot(snapshot: Snapshot, holdings: Holdings, fact: Fact) -> Op[None]:
    """Keep a new snapshot with its parts; the fact travels with it."""
    scope = snapshot.scope
    yield from record(fact)
    yield from fetch_one(
        sql.add_snapshot,
        lambda row: row,
        snapshot_id=snapshot.snapshot_id,
        agent_id=scope.agent_id or "",
        user_id=scope.user_id,
        namespace=scope.namespace,
        world_scope=scope.world_scope,
        collection=scope.collection,
        session_ids=None if scope.session_ids is None else encode_made(scope.session_ids),
        run_id=snapshot.run_id,
        task_id=snapshot.task_id,
        now=snapshot.created_at,
        created_by=snapshot.created_by,
        risk_tier=None if snapshot.risk_tier is None else snapshot.risk_tier.value,
        tags=encode_made(snapshot.tags),
        metadata=encode_text(snapshot.metadata, what="metadata"),
        ledger_key=snapshot.ledger_key,
        ledger_incarnation=snapshot.ledger_incarnation,
        ledger_size=snapshot.ledger_size,
        ledger_root=snapshot.ledger_root,
        as_of_size=snapshot.as_of_size,
        state_count=snapshot.state_count,
        memory_count=snapshot.memory_count,
        state_hash=snapshot.state_hash,
        root=snapshot.root,
    )
    for chunk in _chunks(holdings):
        yield from fetch_all(
            sql.add_snapshot_parts,
            lambda row: row,
            snapshot_id=snapshot.snapshot_id,
            parts=encode_made(chunk),
            now=snapshot.created_at,
        )


def mark_snapshot(snapshot_id: str, now: datetime, *, is_verified: bool) -> Op[None]:
    """Note what verifying a snapshot has found."""
    yield from fetch_one(
        sql.mark_snapshot,
        lambda row: row,
        snapshot_id=snapshot_id,
        is_verified=is_verified,
        now=now,
    )


def find_rollback(rollback_id: str) -> Op[Rollback | None]:
    """Return what a rollback did, or None."""
    check_text(rollback_id, "rollback_id")
    return (yield from fetch_one(sql.get_rollback, rollback_of, rollback_id=rollback_id))


def add_rollback(rollback: Rollback, facts: Sequence[Fact]) -> Op[None]:
    """Keep what a rollback did; the facts travel with it."""
    for fact in facts:
        yield from record(fact)
    yield from fetch_one(
        sql.add_rollback,
        lambda row: row,
        rollback_id=rollback.rollback_id,
        snapshot_id=rollback.snapshot_id,
        before_id=rollback.before_id,
        approval_id=rollback.approval_id,
        risk_tier=rollback.risk.value,
        actor=rollback.actor,
        reason=rollback.reason,
        now=rollback.created_at,
        counts=encode_made(rollback.counts),
        kept=encode_made([change.to_dict() for change in rollback.kept]),
    )


def find_approval(approval_id: str) -> Op[RollbackApproval | None]:
    """Return an approval, or None."""
    check_text(approval_id, "approval_id")
    return (yield from fetch_one(sql.get_rollback_approval, approval_of, approval_id=approval_id))


def use_approval(approval_id: str, snapshot: Snapshot, rollback_id: str) -> Op[bool]:
    """Use an approval up for one rollback to a snapshot; return whether it was good for that."""
    now = yield from current_time()
    used = yield from fetch_one(
        sql.use_rollback_approval,
        approval_of,
        approval_id=approval_id,
        snapshot_id=snapshot.snapshot_id,
        root=snapshot.root,
        rollback_id=rollback_id,
        now=now,
    )
    return used is not None


def fact_of(
    kind: EventType,
    stream: str,
    resource: str,
    actor: str,
    *,
    outcome: str = "success",
    **payload: Any,
) -> Fact:
    """Return the fact of something that happened to a snapshot."""
    return Fact(
        stream=stream,
        type=kind,
        payload={name: value for name, value in payload.items() if value is not None},
        actor=actor,
        audit=AuditPoint(ACTIONS[kind], resource, outcome, is_decision=kind in DECISIONS),
    )


def check_reason(reason: str | None) -> str | None:
    """Return a reason; raises ``Invalid``."""
    if reason is not None:
        check_text(reason, "reason", characters_max=REASON_CHARACTERS_MAX)
    return reason


def checked_moment(value: datetime, what: str = "moment") -> datetime:
    """Return a moment; raises ``Invalid`` for a time without a zone."""
    if value.tzinfo is None:
        raise Invalid(f"{what} is a time without a zone; give it one, such as UTC", what=what)
    return value


def page_of(limit: int) -> int:
    """Return how many rows a page has."""
    return max(1, min(limit, PAGE_MAX))


def not_open(approval: RollbackApproval, now: datetime) -> IllegalTransition:
    """Return why an approval can be neither answered nor used."""
    if approval.expires_at <= now:
        what = f"has expired at {plain(approval.expires_at)}"
    elif approval.status is RollbackApprovalStatus.USED:
        what = f"was used for rollback {approval.rollback_id}"
    else:
        what = f"was {approval.status.value} by {approval.decided_by}"
    return IllegalTransition(
        f"approval {approval.approval_id} {what}; ask for another one",
        approval_id=approval.approval_id,
        status=approval.status.value,
    )


# Rows.


def snapshot_of(row: Row) -> Snapshot:
    """Return the snapshot of a row, whose columns are those of the part ``columns``."""
    snapshot_id, agent_id, user_id, namespace, world_scope, collection, session_ids, *rest = row
    run_id, task_id, created_at, created_by, risk_tier, tags, metadata, *rest = rest
    ledger_key, incarnation, ledger_size, ledger_root, as_of_size, *rest = rest
    state_count, memory_count, state_hash, root, is_verified, verified_at = rest
    return Snapshot(
        snapshot_id=snapshot_id,
        scope=SnapshotScope(
            agent_id=agent_id or None,
            user_id=user_id,
            namespace=namespace,
            world_scope=world_scope,
            collection=collection,
            session_ids=None if session_ids is None else tuple(decode(session_ids)),
        ),
        run_id=run_id,
        task_id=task_id,
        created_at=created_at,
        created_by=created_by,
        risk_tier=None if risk_tier is None else RiskTier(risk_tier),
        tags=tuple(decode(tags)),
        metadata=decode(metadata),
        ledger_key=ledger_key,
        ledger_incarnation=incarnation,
        ledger_size=ledger_size,
        ledger_root=bytes(ledger_root),
        as_of_size=as_of_size,
        state_count=state_count,
        memory_count=memory_count,
        state_hash=bytes(state_hash),
        root=bytes(root),
        is_verified=bool(is_verified),
        verified_at=verified_at,
    )


def approval_of(row: Row) -> RollbackApproval:
    """Return the approval of a row, whose columns are those of the part ``approval``."""
    approval_id, snapshot_id, root, risk_tier, status, requested_by, requested_at, *rest = row
    expires_at, reason, needs_another, _, decided_by, decided_at, *rest = rest
    decision_reason, rollback_id, *_ = rest
    return RollbackApproval(
        approval_id=approval_id,
        snapshot_id=snapshot_id,
        root=bytes(root),
        risk=RiskTier(risk_tier),
        status=RollbackApprovalStatus(status),
        requested_by=requested_by,
        requested_at=requested_at,
        expires_at=expires_at,
        reason=reason,
        needs_another=bool(needs_another),
        decided_by=decided_by,
        decided_at=decided_at,
        decision_reason=decision_reason,
        rollback_id=rollback_id,
    )


def _stored_part(row: Row) -> StoredPart:
    part_no, kind, place, name, version, content_hash, leaf_hash, content, salt, record_id = row
    part = SnapshotPart(
        PartKind(kind),
        place,
        name,
        version,
        bytes(content_hash),
        content,
        None if salt is None else bytes(salt),
        record_id,
    )
    return StoredPart(part_no, part, bytes(leaf_hash))


def rollback_of(row: Row) -> Rollback:
    """Return the rollback of a row."""
    rollback_id, snapshot_id, before_id, approval_id, risk_tier, actor, reason, *rest = row
    created_at, counts, kept = rest
    return Rollback(
        rollback_id=rollback_id,
        snapshot_id=snapshot_id,
        before_id=before_id,
        approval_id=approval_id,
        risk=RiskTier(risk_tier),
        actor=actor,
        reason=reason,
        created_at=created_at,
        counts=decode(counts),
        kept=tuple(_change(given) for given in decode(kept)),
    )


def _change(given: dict[str, Any]) -> SnapshotChange:
    return SnapshotChange(
        PartKind(given["kind"]),
        given["place"],
        given["name"],
        Change(given["change"]),
        given["version_before"],
        given["version_after"],
        Remedy(given["remedy"]),
    )


def _chunks(holdings: Holdings) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    size = 0
    for number, (part, leaf) in enumerate(zip(holdings.parts, holdings.leaves, strict=True), 1):
        chunk.append(
            {
                "part_no": number,
                "kind": part.kind.value,
                "place": part.place,
                "name": part.name,
                "version": part.version,
                "content_hash": part.hash.hex(),
                "leaf_hash": leaf.hex(),
                "content": part.content,
                "salt": None if part.salt is None else part.salt.hex(),
            }
        )
        size += len(part.content or "")
        if len(chunk) == PAGE_MAX or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk

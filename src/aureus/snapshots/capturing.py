"""What a snapshot captures: page by page, all of it from the one moment that the operation around it sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from aureus._database.statement import Op
from aureus.codec import canonical, canonical_made, check_name, check_text
from aureus.errors import Invalid, LimitExceeded
from aureus.model.events import EventType, Fact
from aureus.model.ledger import LedgerHead
from aureus.model.memories import Memory, MemoryCriteria
from aureus.model.plain import plain
from aureus.model.sessions import Session, check_collection
from aureus.model.snapshots import (
    KEYS_MAX,
    MEMORIES_MAX,
    SESSIONS_MAX,
    TAGS_MAX,
    Holdings,
    PartKind,
    Snapshot,
    SnapshotPart,
    SnapshotScope,
    header_leaf,
    root_over,
    stream_of,
)
from aureus.model.workflows import RiskTier
from aureus.model.world_state import WorldStateEntry
from aureus.stores.memories import MemoryOperations
from aureus.stores.memories.facts import fingerprint_of
from aureus.stores.sessions import SessionOperations
from aureus.stores.snapshots.rows import NAME_BYTES_MAX, fact_of
from aureus.stores.world_state import WorldStateOperations

PAGE = 1000
"""Keys or memories of one statement."""

SESSION_PAGE = 100
"""Sessions of one statement: each comes with its document."""


@dataclass(frozen=True, slots=True)
class SnapshotLabels:
    """What is said of a snapshot, beside what it holds."""

    run_id: str | None = None
    task_id: str | None = None
    risk_tier: RiskTier | str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] | None = None


def captured(scope: SnapshotScope) -> Op[Holdings]:
    """Return the parts of a scope as they are. Raises ``LimitExceeded``."""
    parts: list[SnapshotPart] = []
    if scope.world_scope is not None:
        parts += yield from _keys(scope.world_scope)
    if scope.agent_id is not None:
        parts += yield from _sessions(scope, scope.agent_id)
        parts += yield from _memories(scope, scope.agent_id)
    return Holdings.of(parts)


def described(
    scope: SnapshotScope,
    labels: SnapshotLabels,
    holdings: Holdings,
    head: LedgerHead,
    *,
    snapshot_id: str,
    created_at: datetime,
    created_by: str,
    as_of_size: int | None = None,
) -> Snapshot:
    """Return the snapshot that these parts make, under its root. Raises ``Invalid``."""
    _check_labels(labels)
    metadata = dict(labels.metadata or {})
    snapshot = Snapshot(
        snapshot_id=check_name(snapshot_id, "snapshot_id", bytes_max=NAME_BYTES_MAX),
        scope=scope,
        run_id=labels.run_id,
        task_id=labels.task_id,
        created_at=created_at,
        created_by=check_name(created_by, "actor", bytes_max=NAME_BYTES_MAX),
        risk_tier=tier_of(labels.risk_tier) or tier_in(metadata),
        tags=tuple(dict.fromkeys(labels.tags)),
        metadata=metadata,
        ledger_key=head.tenant_key,
        ledger_incarnation=head.incarnation,
        ledger_size=head.size,
        ledger_root=head.root,
        as_of_size=as_of_size,
        state_count=len(holdings.states),
        memory_count=len(holdings.memories),
        state_hash=holdings.state_hash(),
        root=b"",
        is_verified=False,
        verified_at=None,
    )
    root = root_over([first_leaf(snapshot), *(part.leaf() for part in holdings.parts)])
    return replace(snapshot, root=root)


def first_leaf(snapshot: Snapshot) -> bytes:
    """Return the leaf of a snapshot's header."""
    return header_leaf(snapshot.snapshot_id, canonical(snapshot.stated(), what="snapshot"))


def telling(snapshot: Snapshot) -> Fact:
    """Return the fact that a snapshot was taken: with its root, so that the ledger vouches for it."""
    scope = snapshot.scope
    fact = fact_of(
        EventType.STATE_SNAPSHOT,
        stream_of(snapshot.snapshot_id),
        f"snapshots/{snapshot.snapshot_id}",
        snapshot.created_by,
        snapshotId=snapshot.snapshot_id,
        root=snapshot.root.hex(),
        stateHash=snapshot.state_hash.hex(),
        stateCount=snapshot.state_count,
        memoryCount=snapshot.memory_count,
        ledgerSize=snapshot.ledger_size,
        ledgerRoot=snapshot.ledger_root.hex(),
        agentId=scope.agent_id,
        worldScope=scope.world_scope,
        runId=snapshot.run_id,
        taskId=snapshot.task_id,
    )
    return replace(fact, correlation_id=snapshot.run_id)


def checked_scope(scope: SnapshotScope) -> SnapshotScope:
    """Return a scope; raises ``Invalid`` for one that holds nothing or that names what cannot be."""
    if scope.agent_id is None and scope.world_scope is None:
        raise Invalid(
            "a snapshot is of an agent, of a scope of the world state, or of both; name one"
        )
    for name in ("agent_id", "world_scope"):
        value = getattr(scope, name)
        if value is not None:
            check_name(value, name, bytes_max=NAME_BYTES_MAX)
    for name in ("user_id", "namespace"):
        value = getattr(scope, name)
        if value is not None:
            check_text(value, name)
    if (
        scope.agent_id is None
        and (scope.user_id, scope.namespace, scope.session_ids) != (None,) * 3
    ):
        raise Invalid(
            "user_id, namespace and session_ids narrow what an agent has; name the agent too"
        )
    check_collection(scope.collection)
    for session_id in scope.session_ids or ():
        check_text(session_id, "session_ids")
    return scope


def tier_in(metadata: Mapping[str, Any]) -> RiskTier | None:
    """Return the tier that metadata names as ``risk_tier`` or ``riskTier``; raises ``Invalid`` for another word."""
    return tier_of(metadata.get("risk_tier", metadata.get("riskTier")))


def tier_of(given: Any) -> RiskTier | None:
    """Return the tier of its name, None for None; raises ``Invalid`` for another word."""
    if given is None:
        return None
    if not isinstance(given, str) or given not in set(RiskTier):
        raise Invalid(f"risk tier {given!r} is none of {', '.join(RiskTier)}", risk_tier=str(given))
    return RiskTier(given)


def part_of_memory(memory: Memory) -> SnapshotPart:
    """Return the pointer to a memory as it is."""
    return SnapshotPart(
        PartKind.MEMORY, "", memory.memory_id, memory.version, bytes.fromhex(fingerprint_of(memory))
    )


def part_of_key(scope: str, entry: WorldStateEntry) -> SnapshotPart:
    """Return the part that a key is."""
    return _with_content(PartKind.WORLD_STATE, scope, entry.key, entry.version, entry.value)


def part_of_session(session: Session) -> SnapshotPart:
    """Return the part that a session is: its document, and when it ends unless every write moves that."""
    document = {
        "state": session.state,
        "context": session.context,
        "ttlSeconds": session.ttl_seconds,
        "expiresAt": None if session.ttl_seconds is not None else plain(session.expires_at),
    }
    return _with_content(
        PartKind.SESSION, session.collection, session.session_id, session.version, document
    )


def _with_content(kind: PartKind, place: str, name: str, version: int, value: Any) -> SnapshotPart:
    content = canonical_made(value)
    return SnapshotPart(kind, place, name, version, sha256(content).digest(), content.decode())


def _keys(scope: str) -> Op[list[SnapshotPart]]:
    world = WorldStateOperations(scope)
    found: list[SnapshotPart] = []
    after = ""
    while True:
        page = yield from world.list(after_key=after, limit=PAGE)
        found += [part_of_key(scope, entry) for entry in page]
        _check_count(len(found), KEYS_MAX, f"keys of the scope {scope}")
        if len(page) < PAGE:
            return found
        after = page[-1].key


def _sessions(scope: SnapshotScope, agent_id: str) -> Op[list[SnapshotPart]]:
    if scope.session_ids is not None and not scope.session_ids:
        return []
    sessions = SessionOperations(scope.collection)
    wanted = None if scope.session_ids is None else set(scope.session_ids)
    found: list[SnapshotPart] = []
    after = ""
    while True:
        page = yield from sessions.list_documents(
            agent_id, after_session_id=after, limit=SESSION_PAGE
        )
        found += [
            part_of_session(session)
            for session in page
            if wanted is None or session.session_id in wanted
        ]
        _check_count(len(found), SESSIONS_MAX, f"sessions of the agent {agent_id}")
        if len(page) < SESSION_PAGE:
            return found
        after = page[-1].session_id


def _memories(scope: SnapshotScope, agent_id: str) -> Op[list[SnapshotPart]]:
    memories = MemoryOperations()
    criteria = MemoryCriteria(agent_id=agent_id)
    if scope.user_id is not None:
        criteria["user_id"] = scope.user_id
    if scope.namespace is not None:
        criteria["namespace"] = scope.namespace
    found: list[SnapshotPart] = []
    after: tuple[datetime, str] | None = None
    while True:
        page = yield from memories.query(newest_first=False, after=after, limit=PAGE, **criteria)
        found += [part_of_memory(memory) for memory in page]
        _check_count(len(found), MEMORIES_MAX, f"memories of the agent {agent_id}")
        if len(page) < PAGE:
            return found
        after = page[-1].cursor


def _check_count(count: int, limit: int, what: str) -> None:
    if count > limit:
        raise LimitExceeded(
            f"more than {limit:,} {what}; narrow the snapshot by user_id, namespace or session_ids",
            limit=limit,
        )


def _check_labels(labels: SnapshotLabels) -> None:
    if len(labels.tags) > TAGS_MAX:
        raise LimitExceeded(f"{len(labels.tags):,} tags; the limit is {TAGS_MAX}", limit=TAGS_MAX)
    for tag in labels.tags:
        check_name(tag, "one of the tags", bytes_max=NAME_BYTES_MAX)
    for name in ("run_id", "task_id"):
        value = getattr(labels, name)
        if value is not None:
            check_name(value, name, bytes_max=NAME_BYTES_MAX)

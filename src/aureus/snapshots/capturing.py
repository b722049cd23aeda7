"""What a snapshot captures: page by page, all of it from the one moment that the operation around it sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

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
from aureus.model.world_state import WorldStateEntry, end_of_prefix
from aureus.stores.memories import MemoryOperations
from aureus.stores.memories.facts import fingerprint_of
from aureus.stores.sessions import SessionOperations
from aureus.stores.snapshots.rows import NAME_BYTES_MAX, fact_of
from aureus.stores.world_state import WorldStateOperations

PAGE = 1000
"""Keys or memories of one statement, at most."""

CONTENT_BYTES_MAX = 256 * 1024 * 1024
"""Bytes of values and documents that one snapshot holds: going back has them in memory twice."""

_FIRST_PAGE = 16
_PAGE_BYTES = 8 * 1024 * 1024


class Paging:
    """How many things the next page asks for: as many as are some megabytes if they go on like those before."""

    def __init__(self, most: int | None = None) -> None:
        self._most = PAGE if most is None else most
        self.size = min(_FIRST_PAGE, self._most)
        self._count = 0
        self._bytes = 0

    def seen(self, sizes: Iterable[int]) -> None:
        """Take note of how large the things of a page were."""
        for size in sizes:
            self._count += 1
            self._bytes += size
        fitting = _PAGE_BYTES * self._count // max(1, self._bytes)
        self.size = max(1, min(self._most, 8 * self.size, fitting if self._bytes else self._most))


@dataclass(frozen=True, slots=True)
class SnapshotLabels:
    """What is said of a snapshot, beside what it holds."""

    run_id: str | None = None
    task_id: str | None = None
    risk_tier: RiskTier | str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, Any] | None = None


def captured(scope: SnapshotScope, *, before_rollback: bool = False) -> Op[Holdings]:
    """Return the parts of a scope as they are, without salts. Raises ``LimitExceeded``."""
    limits = Limits(2 if before_rollback else 1)
    capture = _Capture(limits)
    if scope.world_scope is not None:
        yield from _keys(scope.world_scope, capture, limits)
    if scope.agent_id is not None:
        yield from _sessions(scope, scope.agent_id, capture, limits)
        yield from _memories(scope, scope.agent_id, capture, limits)
    return Holdings.of(capture.parts)


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
    root = root_over([first_leaf(snapshot), *holdings.leaves])
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


def fingerprint(memory: Memory) -> bytes:
    """Return the SHA-256 of what a memory says."""
    return bytes.fromhex(fingerprint_of(memory))


def part_of_memory(memory: Memory) -> SnapshotPart:
    """Return the pointer to a memory as it is."""
    return SnapshotPart(PartKind.MEMORY, "", memory.memory_id, memory.version, fingerprint(memory))


def memory_streams(scope: SnapshotScope) -> list[tuple[str, str]]:
    """Return between which names the streams lie that tell of the memories of a scope."""
    if scope.agent_id is None:
        return []
    stream = f"memories/{quote(scope.agent_id, safe='')}"
    if scope.user_id:
        stream += f"/{quote(scope.user_id, safe='')}"
    own = (stream, stream + "\x01")
    if scope.user_id is not None:
        return [own]
    return [own, (stream + "/", end_of_prefix(stream + "/"))]


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


class _Capture:
    """Collects parts, and counts them and their bytes against the limits."""

    def __init__(self, limits: Limits) -> None:
        self.parts: list[SnapshotPart] = []
        self._limits = limits
        self._bytes = 0

    def add(self, parts: Sequence[SnapshotPart], what: str) -> None:
        """Add the parts of a page."""
        self.parts += parts
        self._bytes += sum(len(part.content or "") for part in parts)
        self._limits.check_bytes(self._bytes, what)


def _keys(scope: str, capture: _Capture, limits: Limits) -> Op[None]:
    world = WorldStateOperations(scope)
    what = f"keys of the scope {scope}"
    count, after, paging = 0, "", Paging()
    while True:
        size = paging.size
        page = yield from world.list(after_key=after, limit=size)
        parts = [part_of_key(scope, entry) for entry in page]
        count += len(parts)
        limits.check(count, KEYS_MAX, what)
        capture.add(parts, what)
        if len(page) < size:
            return
        after = page[-1].key
        paging.seen(len(part.content or "") for part in parts)


def _sessions(scope: SnapshotScope, agent_id: str, capture: _Capture, limits: Limits) -> Op[None]:
    if scope.session_ids is not None and not scope.session_ids:
        return
    sessions = SessionOperations(scope.collection)
    what = f"sessions of the agent {agent_id}"
    wanted = None if scope.session_ids is None else set(scope.session_ids)
    count, after, paging = 0, "", Paging()
    while True:
        size = paging.size
        page = yield from sessions.list_documents(agent_id, after_session_id=after, limit=size)
        parts = [part_of_session(session) for session in page]
        named = [part for part in parts if wanted is None or part.name in wanted]
        count += len(named)
        limits.check(count, SESSIONS_MAX, what)
        capture.add(named, what)
        if len(page) < size:
            return
        after = page[-1].session_id
        paging.seen(len(part.content or "") for part in parts)


def _memories(scope: SnapshotScope, agent_id: str, capture: _Capture, limits: Limits) -> Op[None]:
    memories = MemoryOperations()
    what = f"memories of the agent {agent_id}"
    criteria = MemoryCriteria(agent_id=agent_id)
    if scope.user_id is not None:
        criteria["user_id"] = scope.user_id
    if scope.namespace is not None:
        criteria["namespace"] = scope.namespace
    count, paging = 0, Paging()
    after: tuple[datetime, str] | None = None
    while True:
        size = paging.size
        page = yield from memories.query(newest_first=False, after=after, limit=size, **criteria)
        count += len(page)
        limits.check(count, MEMORIES_MAX, what)
        capture.add([part_of_memory(memory) for memory in page], what)
        if len(page) < size:
            return
        after = page[-1].cursor
        paging.seen(len(memory.text) for memory in page)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be captured: as much as a snapshot holds, or, before going back, twice that.

    An agent may have grown beyond the limits since; then going back has to be possible all the same.
    """

    factor: int = 1

    def check(self, count: int, limit: int, what: str) -> None:
        """Raise ``LimitExceeded`` for more than that many things."""
        limit *= self.factor
        if count > limit:
            raise LimitExceeded(
                f"more than {limit:,} {what}; narrow the snapshot by user_id, namespace or session_ids"
                if self.factor == 1
                else f"there are more than {limit:,} {what} by now, more than going back deals with; delete some first",
                limit=limit,
            )

    def check_bytes(self, size: int, what: str) -> None:
        """Raise ``LimitExceeded`` for more than that much content."""
        limit = CONTENT_BYTES_MAX * self.factor
        if size > limit:
            raise LimitExceeded(
                f"more than {limit:,} bytes with the {what}; split them over several snapshots",
                limit_bytes=limit,
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

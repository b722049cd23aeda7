"""Going back to a snapshot: first what would have to be done, then doing it, as new versions and never by overwriting.

Keys and sessions are compared by content, memories by version and then by what they say. What was removed for good, or
would have expired by now, stays away and is named; so are sessions that were begun since, because deleting one destroys
its history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from aureus._database.statement import Op
from aureus.codec import decode
from aureus.errors import Conflict
from aureus.model.events import EventType
from aureus.model.memories import Memory
from aureus.model.rollbacks import UNDONE, Change, Remedy, SnapshotChange, differences
from aureus.model.snapshots import Holdings, PartKind, Snapshot, SnapshotPart
from aureus.snapshots.capturing import Paging, fingerprint
from aureus.stores.memories.rewriting import BATCH_MAX, key_holders, rewrite, standing, versions_of
from aureus.stores.memories.stating import next_version
from aureus.stores.sessions.rewriting import BATCH_MAX as SESSIONS_AT_ONCE
from aureus.stores.sessions.rewriting import SessionDocument, SessionRewriting
from aureus.stores.snapshots.rows import CHUNK_BYTES
from aureus.stores.world_state.rewriting import BATCH_MAX as KEYS_AT_ONCE
from aureus.stores.world_state.rewriting import rewrite as rewrite_keys

REASON = "rollback"
"""What the events of memories say of why."""

_SAID = (
    "session_id", "type", "text", "content", "tags", "confidence", "subject", "language", "metadata", "provenance",
    "sources", "is_shared", "occurred_at", "valid_from", "valid_to",
)  # fmt: skip
"""What a memory says, as far as going back brings it back; its expiry has a rule of its own."""


@dataclass(frozen=True, slots=True)
class Undoing:
    """What going back needs to know while it writes."""

    snapshot: Snapshot
    held: Holdings
    present: Holdings
    rollback_id: str
    now: datetime
    actor: str


def planned(
    snapshot: Snapshot, held: Holdings, present: Holdings, now: datetime
) -> Op[list[SnapshotChange]]:
    """Return what differs from a snapshot by now, each with what going back does about it; nothing is written."""
    changes: list[SnapshotChange] = []
    memories: list[SnapshotChange] = []
    for change in differences(held.by_key, present.by_key):
        if change.kind is PartKind.MEMORY:
            memories.append(change)
        else:
            remedy = _remedy(change, _part(held, change), snapshot, now)
            changes.append(replace(change, remedy=remedy))
    at, paging = 0, Paging()
    while at < len(memories):
        page = memories[at : at + paging.size]
        at += len(page)
        changes += yield from _memory_remedies(page, held, now, paging)
    return sorted(changes, key=lambda change: (change.kind.value, change.place, change.name))


def undone(changes: Sequence[SnapshotChange], undoing: Undoing) -> Op[None]:
    """Carry the remedies of changes out: many things with one statement, each with an event of its own."""
    keys = [change for change in changes if change.kind is PartKind.WORLD_STATE]
    for some in _weighed(_undoable(keys), undoing, KEYS_AT_ONCE):
        yield from _undo_keys(some, undoing)
    for some in _weighed(_with(changes, Remedy.SAVE), undoing, SESSIONS_AT_ONCE):
        yield from _undo_sessions(some, undoing)
    # Forgetting first: what is revived may need the key that a later memory holds.
    for remedy, kind in (
        (Remedy.FORGET, EventType.MEMORY_DELETED),
        (Remedy.REVISE, EventType.MEMORY_UPDATED),
        (Remedy.REVIVE, EventType.MEMORY_RESTORED),
    ):
        some, at, paging = _with(changes, remedy), 0, Paging(BATCH_MAX)
        while at < len(some):
            page = some[at : at + paging.size]
            at += len(page)
            yield from _undo_memories(page, kind, undoing, paging)


def _remedy(
    change: SnapshotChange, part: SnapshotPart | None, snapshot: Snapshot, now: datetime
) -> Remedy:
    if part is None:
        return Remedy.DELETE if change.kind is PartKind.WORLD_STATE else Remedy.LEAVE
    if part.content is None:
        return Remedy.ERASED
    if change.kind is PartKind.WORLD_STATE:
        return Remedy.SET
    if change.change is Change.REMOVED and _is_over(_content(part), snapshot, now):
        return Remedy.EXPIRED
    return Remedy.SAVE


def _is_over(document: dict[str, Any], snapshot: Snapshot, now: datetime) -> bool:
    """Return whether a session would be over by now, had nobody touched it since the snapshot."""
    if document["ttlSeconds"] is not None:
        return snapshot.created_at + timedelta(seconds=document["ttlSeconds"]) <= now
    ends = _end_of(document)
    return ends is not None and ends <= now


def _end_of(document: dict[str, Any]) -> datetime | None:
    given = document["expiresAt"]
    return None if given is None else datetime.fromisoformat(given)


def _memory_remedies(
    changes: Sequence[SnapshotChange], held: Holdings, now: datetime, paging: Paging
) -> Op[list[SnapshotChange]]:
    before = [change for change in changes if change.change is not Change.ADDED]
    old = yield from _by_id(before, held)
    current = yield from standing([change.name for change in before])
    paging.seen(len(memory.text) for memory in current)
    by_id = {memory.memory_id: memory for memory in current}
    found: list[SnapshotChange] = []
    for change in changes:
        if change.change is Change.ADDED:
            found.append(replace(change, remedy=Remedy.FORGET))
            continue
        then, memory = old.get(change.name), by_id.get(change.name)
        if then is None or memory is None:
            found.append(replace(change, remedy=Remedy.ERASED))
        elif change.change is Change.REMOVED:
            is_over = then.expires_at is not None and then.expires_at <= now
            found.append(replace(change, remedy=Remedy.EXPIRED if is_over else Remedy.REVIVE))
        elif _said(then, memory, now) != _said(memory, memory, now):
            found.append(replace(change, remedy=Remedy.REVISE))
    return found


def _said(then: Memory, memory: Memory, now: datetime) -> dict[str, Any]:
    """Return the fields that a memory gets of an earlier version; an end that has passed is none to go back to."""
    said = {name: getattr(then, name) for name in _SAID}
    is_over = then.expires_at is not None and then.expires_at <= now
    said["expires_at"] = memory.expires_at if is_over else then.expires_at
    return said


def _undo_keys(changes: Sequence[SnapshotChange], undoing: Undoing) -> Op[None]:
    parts = [(change, _part(undoing.held, change)) for change in changes]
    yield from rewrite_keys(
        changes[0].place,
        [(change.name, None if part is None else part.content) for change, part in parts],
        actor=undoing.actor,
        operation_id=undoing.rollback_id,
    )


def _undo_sessions(changes: Sequence[SnapshotChange], undoing: Undoing) -> Op[None]:
    agent_id = undoing.snapshot.scope.agent_id
    if agent_id is None:  # pragma: no cover - a session was captured, so there is an agent
        return
    yield from SessionRewriting(changes[0].place).rewrite(
        agent_id,
        [_document(change, undoing) for change in changes],
        operation_id=undoing.rollback_id,
    )


def _document(change: SnapshotChange, undoing: Undoing) -> SessionDocument:
    """Return what a session is to say; an end that has passed by now is none to go back to."""
    document = rule = _content(undoing.held.by_key[_key(change)])
    ends = _end_of(document)
    if ends is not None and ends <= undoing.now:
        rule = _content(undoing.present.by_key[_key(change)])
    return SessionDocument(
        change.name, document["state"], document["context"], rule["ttlSeconds"], _end_of(rule)
    )


def _undo_memories(
    changes: Sequence[SnapshotChange], kind: EventType, undoing: Undoing, paging: Paging
) -> Op[None]:
    """Forget memories, or bring back what they said; all of them by one remedy."""
    current = yield from standing([change.name for change in changes])
    _check_all_there(changes, current)
    old: dict[str, Memory] = {}
    if kind is not EventType.MEMORY_DELETED:
        old = yield from _by_id(changes, undoing.held)
    paging.seen(len(memory.text) for memory in current)
    if kind is EventType.MEMORY_RESTORED:
        yield from _free_keys(current, undoing)
    written = [
        next_version(
            memory, undoing.rollback_id, undoing.now, **_changed(memory, old, kind, undoing.now)
        )
        for memory in current
    ]
    yield from rewrite(kind, written, undoing.now, undoing.actor, REASON)


def _free_keys(memories: Sequence[Memory], undoing: Undoing) -> Op[None]:
    """Forget what holds the keys of memories that are to be revived: later ones that have expired, and no others."""
    holders = yield from key_holders(memories)
    forgotten = [
        next_version(memory, undoing.rollback_id, undoing.now, deleted_at=undoing.now)
        for memory in holders
    ]
    yield from rewrite(EventType.MEMORY_DELETED, forgotten, undoing.now, undoing.actor, REASON)


def _changed(
    memory: Memory, old: dict[str, Memory], kind: EventType, now: datetime
) -> dict[str, Any]:
    if kind is EventType.MEMORY_DELETED:
        return {"deleted_at": now}
    said = _said(old[memory.memory_id], memory, now)
    return {**said, "deleted_at": None, "superseded_by": None}


def _by_id(changes: Sequence[SnapshotChange], held: Holdings) -> Op[dict[str, Memory]]:
    """Return what memories were at the snapshot; not what others say that were given their ids since."""
    wanted = [(change.name, change.version_before or 0) for change in changes]
    found = yield from versions_of(wanted)
    pointers = {change.name: _part(held, change) for change in changes}
    there: dict[str, Memory] = {}
    for memory in found:
        pointer = pointers[memory.memory_id]
        if pointer is not None and pointer.stands_for(fingerprint(memory)):
            there[memory.memory_id] = memory
    return there


def _check_all_there(changes: Sequence[SnapshotChange], found: Sequence[Memory]) -> None:
    if len(found) != len(changes):  # pragma: no cover - one moment shows the same rows twice
        raise Conflict(
            "memories were removed in the same moment; nothing was stored, repeat the call"
        )


def _content(part: SnapshotPart) -> Any:
    return decode(part.content or "null")


def _key(change: SnapshotChange) -> tuple[str, str, str]:
    return (change.kind.value, change.place, change.name)


def _part(holdings: Holdings, change: SnapshotChange) -> SnapshotPart | None:
    return holdings.by_key.get(_key(change))


def _weighed(
    changes: Sequence[SnapshotChange], undoing: Undoing, at_once: int
) -> Iterator[Sequence[SnapshotChange]]:
    """Yield changes in groups that one statement carries: so many at most, and so many bytes."""
    group: list[SnapshotChange] = []
    size = 0
    for change in changes:
        part = _part(undoing.held, change)
        group.append(change)
        size += len(part.content or "") if part is not None else 0
        if len(group) == at_once or size >= CHUNK_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _undoable(changes: Iterable[SnapshotChange]) -> list[SnapshotChange]:
    return [change for change in changes if change.remedy in UNDONE]


def _with(changes: Iterable[SnapshotChange], remedy: Remedy) -> list[SnapshotChange]:
    return [change for change in changes if change.remedy is remedy]

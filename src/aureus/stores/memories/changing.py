"""Changes of memories: what is said anew, forgotten, brought back or removed for good, each with its event."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn, Unpack

from aureus._database.operation import write
from aureus._database.statement import (
    Op,
    Queries,
    beside,
    current_time,
    fetch_all,
    fetch_one,
    last,
    last_all,
    new_id,
    record,
)
from aureus.errors import (
    AlreadyExists,
    Conflict,
    IllegalTransition,
    NotFound,
    VersionConflict,
)
from aureus.model.events import EventType
from aureus.model.memories import (
    Memory,
    MemoryChanges,
)
from aureus.stores.memories.facts import fact_of
from aureus.stores.memories.indexing import index, unindex
from aureus.stores.memories.rows import encode_memories, memory_of
from aureus.stores.memories.stating import (
    changed_fields,
    check_moment,
    check_name,
    checked,
    next_version,
)
from aureus.stores.memories.vectors import embedded, keep_vectors
from aureus.stores.memories.writing import MemoryWrites, lock_key

sql = Queries("memories")


class MemoryChanging(MemoryWrites):
    """Operations that change memories which are there."""

    @write
    def update(
        self,
        memory_id: str,
        *,
        expected_version: int | None = None,
        operation_id: str | None = None,
        actor: str | None = None,
        **changes: Unpack[MemoryChanges],
    ) -> Op[Memory]:
        """Change what a memory says; what is not named stays. Atomic; the version before is kept.

        Raises ``NotFound`` unless the memory is live, ``VersionConflict`` when it has another version than expected.
        """
        now = yield from current_time()
        operation = operation_id or (yield from new_id())
        wanted = changed_fields(changes, now)
        text = changes.get("text")
        vectors = yield from embedded(self.embedder, [] if text is None else [text])
        memory, is_repeat = yield from _locked(memory_id, operation)
        if is_repeat:
            return memory
        if not memory.is_live(now):
            _refuse_dead(memory, now)
        _check_version(memory, expected_version)
        changed = checked(next_version(memory, operation, now, **wanted), self.policy)
        yield from keep_vectors([changed], vectors)
        keeps_tags = changed.tags == memory.tags
        return (
            yield from _replace(changed, EventType.MEMORY_UPDATED, actor, keeps_tags=keeps_tags)
        )

    @write
    def forget(
        self,
        memory_id: str,
        *,
        expected_version: int | None = None,
        operation_id: str | None = None,
        actor: str | None = None,
    ) -> Op[Memory]:
        """Delete a memory softly: nothing reads it any more, and ``restore`` brings it back. Atomic.

        A memory that was forgotten already is returned as it is. Raises ``NotFound`` when there is none, and
        ``VersionConflict`` when it has another version than expected.
        """
        now = yield from current_time()
        operation = operation_id or (yield from new_id())
        memory, is_repeat = yield from _locked(memory_id, operation)
        if is_repeat or memory.deleted_at is not None:
            return memory
        _check_version(memory, expected_version)
        deleted = next_version(memory, operation, now, deleted_at=now)
        return (yield from _replace(deleted, EventType.MEMORY_DELETED, actor))

    @write
    def restore(
        self,
        memory_id: str,
        *,
        expires_at: datetime | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
        actor: str | None = None,
    ) -> Op[Memory]:
        """Bring back a memory that was forgotten or has expired. Atomic; a live one is returned as it is.

        An expiry that has passed is replaced by ``expires_at``, or by none. Raises ``NotFound`` when there is none,
        ``IllegalTransition`` when another memory has superseded it, ``AlreadyExists`` when its key holds another one.
        """
        now = yield from current_time()
        operation = operation_id or (yield from new_id())
        until = None if expires_at is None else check_moment(expires_at, "expires_at")
        check_name(memory_id, "memory_id")
        # The key before the memory, in the order of a put; the key of a memory never changes.
        seen = yield from fetch_one(sql.get_memory, memory_of, memory_id=memory_id)
        if seen is not None and seen.key is not None:
            yield from lock_key(seen, seen.key)
        memory, is_repeat = yield from _locked(memory_id, operation)
        if is_repeat or memory.is_live(now):
            return memory
        _check_version(memory, expected_version)
        if memory.deleted_at is None and memory.superseded_by is not None:
            raise IllegalTransition(
                f"memory {memory_id} {why_dead(memory, now)}; put what it said anew instead",
                memory_id=memory_id,
                superseded_by=memory.superseded_by,
            )
        if memory.key is not None and memory.superseded_by is None:
            yield from _check_key_is_free(memory)
        if until is None and memory.expires_at is not None and memory.expires_at > now:
            until = memory.expires_at
        restored = next_version(memory, operation, now, deleted_at=None, expires_at=until)
        return (yield from _replace(restored, EventType.MEMORY_RESTORED, actor))

    @write
    def purge(self, memory_id: str, *, actor: str | None = None) -> Op[bool]:
        """Remove a memory for good, with its versions, tags and accesses; return whether there was one. Atomic.

        Its events stay: they name it and hold the fingerprint of its text, never the text.
        """
        check_name(memory_id, "memory_id")
        memory = yield from fetch_one(sql.lock_memory, memory_of, memory_id=memory_id)
        if memory is None:
            return False
        yield from record(fact_of(EventType.MEMORY_PURGED, memory, actor))
        yield from unindex([memory_id])
        removed = yield from last_all(sql.purge_memories, bool, memory_ids=[memory_id])
        return bool(removed)


def _locked(memory_id: str, operation_id: str) -> Op[tuple[Memory, bool]]:
    """Read a memory that is about to change, and say whether this very operation has changed it before.

    Of a repeated operation the version is returned that it wrote.
    """
    check_name(memory_id, "memory_id")
    check_name(operation_id, "operation_id")
    # Behind the lock: whoever has waited for it sees only what was committed before, and would write once more.
    written = yield from beside(
        sql.get_written_version, memory_id=memory_id, operation_id=operation_id
    )
    memory = yield from fetch_one(sql.lock_memory, memory_of, memory_id=memory_id)
    if memory is None:
        raise NotFound(f"there is no memory {memory_id!r}", memory_id=memory_id)
    if written.rows:
        return memory_of(written.rows[0]), True
    return memory, memory.operation_id == operation_id


def _check_key_is_free(memory: Memory) -> Op[None]:
    found = yield from fetch_all(
        sql.look_under_key,
        memory_of,
        memory_id=memory.memory_id,
        agent_id=memory.agent_id,
        user_id=memory.user_id or "",
        namespace=memory.namespace,
        key=memory.key,
    )
    for other in found:
        if other.memory_id != memory.memory_id:
            raise AlreadyExists(
                f"key {memory.key!r} holds memory {other.memory_id} by now; forget that one first",
                memory_id=other.memory_id,
                key=memory.key,
            )


def _replace(
    memory: Memory, kind: EventType, actor: str | None, *, keeps_tags: bool = False
) -> Op[Memory]:
    """Write the next version of a memory that is locked."""
    yield from record(fact_of(kind, memory, actor))
    yield from index([memory])
    written = yield from last(
        sql.revise_memory if keeps_tags else sql.replace_memory,
        memory_of,
        memories=encode_memories([memory]),
        now=memory.updated_at,
    )
    if written is None:
        raise Conflict(
            f"memory {memory.memory_id} changed in the same moment; nothing was stored, repeat the call",
            memory_id=memory.memory_id,
        )
    return written


def _check_version(memory: Memory, expected_version: int | None) -> None:
    if expected_version is not None and memory.version != expected_version:
        raise VersionConflict(
            f"memory {memory.memory_id} has version {memory.version}, not {expected_version}; "
            "read it again and decide anew",
            memory_id=memory.memory_id,
            expected_version=expected_version,
            version=memory.version,
        )


def _refuse_dead(memory: Memory, now: datetime) -> NoReturn:
    raise NotFound(f"memory {memory.memory_id} {why_dead(memory, now)}", memory_id=memory.memory_id)


def why_dead(memory: Memory, now: datetime) -> str:
    """Return why a memory is not live, and what to do about it; the end of a sentence that names it."""
    if memory.deleted_at is not None:
        return "was forgotten; `restore` brings it back"
    if memory.superseded_by is not None:
        return f"was superseded by memory {memory.superseded_by}"
    if memory.expires_at is not None and memory.expires_at <= now:
        return "has expired; `restore` brings it back"
    return "is live"

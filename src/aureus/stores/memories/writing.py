"""The writes of memories: each is one transaction with its event, and finds itself again when it is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NoReturn, Unpack

from aureus._database.operation import Operations, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
    last_all,
    new_id,
    record,
    record_all,
)
from aureus.errors import (
    AlreadyExists,
    Conflict,
    IllegalTransition,
    LimitExceeded,
    NotFound,
    VersionConflict,
)
from aureus.model.events import EventType
from aureus.model.memories import (
    Memory,
    MemoryChanges,
    MemoryDetails,
    MemoryPolicy,
    NewMemory,
)
from aureus.retrieval.embedding import Embedder, Vector
from aureus.stores.memories.facts import fact_of
from aureus.stores.memories.indexing import index, unindex
from aureus.stores.memories.rows import COLUMN_COUNT, encode_memories, memory_of
from aureus.stores.memories.stating import (
    changed_fields,
    check_moment,
    check_name,
    checked,
    first_version,
    next_version,
)
from aureus.stores.memories.vectors import embedded, keep_vectors

sql = Queries("memories")

CHUNK_MAX = 1000
"""Memories of one bulk addition: more would hold the write lock of SQLite longer than others like to wait."""


class MemoryWrites(Operations):
    """Operations that change memories."""

    def __init__(
        self, policy: MemoryPolicy | None = None, embedder: Embedder | None = None
    ) -> None:
        """Accept what the policy allows; with an embedder every text that is written gets its vector."""
        self.policy = policy or MemoryPolicy()
        self.embedder = embedder

    @write
    def add(
        self,
        text: str,
        *,
        agent_id: str,
        memory_id: str | None = None,
        actor: str | None = None,
        **details: Unpack[MemoryDetails],
    ) -> Op[Memory]:
        """Add a memory. Atomic; with the same ``memory_id`` a repeated call returns the memory as it now stands.

        Raises ``AlreadyExists`` when the id belongs to a memory that says something else.
        """
        now = yield from current_time()
        chosen = memory_id or (yield from new_id())
        given = NewMemory(text=text, agent_id=agent_id, memory_id=chosen, **details)
        memory = first_version(given, self.policy, now, memory_id=chosen)
        vectors = yield from embedded(self.embedder, [memory.text])
        yield from record(fact_of(EventType.MEMORY_CREATED, memory, actor))
        yield from keep_vectors([memory], vectors)
        yield from index([memory])
        added = yield from last(
            sql.add_memory,
            memory_of,
            memories=encode_memories([memory]),
            agent_id=memory.agent_id,
            user_id=memory.user_id or "",
        )
        if added is None:
            raise Refused(lambda: _why_not_added(chosen))
        return added

    @write
    def add_chunk(
        self, memories: Sequence[NewMemory], *, actor: str | None = None
    ) -> Op[list[Memory]]:
        """Add up to 1,000 memories at once and return them in their order. Atomic.

        Those whose id is there already, and who say the same, are not written again; so a load that broke off is
        simply repeated. Raises ``AlreadyExists`` when an id belongs to a memory that says something else.
        """
        if len(memories) > CHUNK_MAX:
            raise LimitExceeded(
                f"{len(memories):,} memories at once; the limit is {CHUNK_MAX:,}, `add_all` splits them",
                limit=CHUNK_MAX,
            )
        now = yield from current_time()
        wanted: dict[str, Memory] = {}
        for given in memories:
            chosen = given.memory_id or (yield from new_id())
            memory = first_version(given, self.policy, now, memory_id=chosen)
            if not says_the_same(wanted.setdefault(chosen, memory), memory):
                raise _taken(chosen)
        vectors = yield from embedded(self.embedder, [memory.text for memory in wanted.values()])
        vector_of = dict(zip(wanted, vectors or (), strict=False))
        there = yield from fetch_all(sql.get_memories, memory_of, memory_ids=list(wanted))
        known = {memory.memory_id: memory for memory in there}
        for memory in there:
            if not says_the_same(memory, wanted[memory.memory_id]):
                raise _taken(memory.memory_id)
        new = sorted(
            (memory for memory in wanted.values() if memory.memory_id not in known),
            key=lambda memory: memory.stream,
        )
        if new:
            yield from record_all(
                fact_of(EventType.MEMORY_CREATED, memory, actor) for memory in new
            )
            if vector_of:
                yield from keep_vectors(new, [vector_of[memory.memory_id] for memory in new])
            yield from index(new)
            added = yield from last_all(
                sql.add_memories, memory_of, memories=encode_memories(new), agent_id="", user_id=""
            )
            known.update((memory.memory_id, memory) for memory in added)
        return [known[memory_id] for memory_id in wanted]

    @write
    def put(
        self,
        key: str,
        text: str,
        *,
        agent_id: str,
        expected_version: int | None = None,
        memory_id: str | None = None,
        actor: str | None = None,
        **details: Unpack[MemoryDetails],
    ) -> Op[Memory]:
        """Keep a memory under a key of this agent, user and namespace; it supersedes what the key held. Atomic.

        The older memory stays as what held before: its validity ends where that of the new one begins, which is now
        unless ``valid_from`` says otherwise. Versions go on counting. ``expected_version`` 0 means that the key holds
        nothing. With the same ``memory_id`` a repeated call returns the memory as it now stands. Raises
        ``VersionConflict``, and ``AlreadyExists`` when the id belongs to a memory that says something else.
        """
        now = yield from current_time()
        chosen = memory_id or (yield from new_id())
        given = NewMemory(text=text, agent_id=agent_id, memory_id=chosen, **details)
        memory = first_version(given, self.policy, now, memory_id=chosen, key=key)
        vectors = yield from embedded(self.embedder, [memory.text])
        place = {
            "agent_id": memory.agent_id,
            "user_id": memory.user_id or "",
            "namespace": memory.namespace,
            "key": key,
        }
        # Every part has its length in front, so that no two keys share a lock by their spelling.
        spelled = "".join(f"{len(part)}:{part}" for part in place.values())
        yield from fetch_one(sql.lock_memory_key, bool, place=spelled)
        found = yield from fetch_all(sql.look_under_key, memory_of, memory_id=chosen, **place)
        same = next((one for one in found if one.memory_id == chosen), None)
        if same is not None:
            if same.key != key or not says_the_same(same, memory):
                raise _taken(chosen)
            return same
        held = found[0] if found else None
        is_held = held is not None and held.is_live(now)
        _check_key_version(
            key, held.version if held is not None and is_held else 0, expected_version
        )
        if held is None:
            before = yield from fetch_one(sql.get_max_version, lambda row: int(row[0]), **place)
            first = replace(memory, version=(before or 0) + 1)
            return (yield from _put(first, actor, vectors))
        begins = memory.valid_from
        if begins is None and is_held and (memory.valid_to is None or memory.valid_to > now):
            begins = now
        ends = held.valid_to if begins is None or not held.holds_at(begins) else begins
        superseded = next_version(held, chosen, now, superseded_by=chosen, valid_to=ends)
        yield from record(
            fact_of(EventType.MEMORY_SUPERSEDED, superseded, actor, supersededBy=chosen)
        )
        yield from index([superseded])
        yield from fetch_all(
            sql.replace_memory,
            memory_of,
            memories=encode_memories([superseded]),
            now=superseded.updated_at,
        )
        put = replace(memory, version=superseded.version + 1, valid_from=begins)
        return (yield from _put(put, actor, vectors))

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
        found = yield from fetch_one(
            sql.lock_memory, _with_mark, memory_id=memory_id, operation_id=""
        )
        if found is None:
            return False
        memory, _ = found
        yield from record(fact_of(EventType.MEMORY_PURGED, memory, actor))
        yield from unindex([memory_id])
        removed = yield from last_all(sql.purge_memories, bool, memory_ids=[memory_id])
        return bool(removed)

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
        return (yield from _replace(changed, EventType.MEMORY_UPDATED, actor))

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


def _locked(memory_id: str, operation_id: str) -> Op[tuple[Memory, bool]]:
    """Read a memory that is about to change, and say whether this very operation has changed it before.

    Of a repeated operation the version is returned that it wrote.
    """
    check_name(memory_id, "memory_id")
    check_name(operation_id, "operation_id")
    found = yield from fetch_one(
        sql.lock_memory, _with_mark, memory_id=memory_id, operation_id=operation_id
    )
    if found is None:
        raise NotFound(f"there is no memory {memory_id!r}", memory_id=memory_id)
    memory, was_replaced_since = found
    if was_replaced_since:
        earlier = yield from fetch_one(
            sql.get_written_version, memory_of, memory_id=memory_id, operation_id=operation_id
        )
        return earlier or memory, True
    return memory, memory.operation_id == operation_id


def _with_mark(row: Row) -> tuple[Memory, bool]:
    return memory_of(row), bool(row[COLUMN_COUNT])


def _put(memory: Memory, actor: str | None, vectors: Sequence[Vector] | None) -> Op[Memory]:
    """Write a memory under the key whose lock is held."""
    yield from record(fact_of(EventType.MEMORY_CREATED, memory, actor))
    yield from keep_vectors([memory], vectors)
    yield from index([memory])
    written = yield from last(sql.put_memory, memory_of, memories=encode_memories([memory]))
    if written is None:
        raise _taken(memory.memory_id)
    return written


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


def _check_key_version(key: str, version: int, expected_version: int | None) -> None:
    if expected_version is not None and version != expected_version:
        holds = f"holds version {version}" if version else "holds nothing"
        raise VersionConflict(
            f"key {key!r} {holds}, not {expected_version}; read it again and decide anew",
            key=key,
            expected_version=expected_version,
            version=version,
        )


def _replace(memory: Memory, kind: EventType, actor: str | None) -> Op[Memory]:
    """Write the next version of a memory that is locked."""
    yield from record(fact_of(kind, memory, actor))
    yield from index([memory])
    written = yield from last(
        sql.replace_memory, memory_of, memories=encode_memories([memory]), now=memory.updated_at
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


def _why_not_added(memory_id: str) -> Op[None]:
    if (yield from fetch_one(sql.get_memory, memory_of, memory_id=memory_id)) is not None:
        raise _taken(memory_id)


def _taken(memory_id: str) -> AlreadyExists:
    return AlreadyExists(
        f"memory {memory_id} exists and says something else; leave memory_id out to add another one",
        memory_id=memory_id,
    )


def says_the_same(memory: Memory, other: Memory) -> bool:
    """Return whether two memories of one id may stand for one addition; what came after it is no contradiction."""
    if memory.agent_id != other.agent_id or memory.user_id != other.user_id:
        return False
    was_changed = memory.operation_id != other.operation_id
    return was_changed or (memory.text, memory.type, memory.content) == (
        other.text,
        other.type,
        other.content,
    )

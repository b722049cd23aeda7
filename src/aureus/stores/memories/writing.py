"""The writes of memories: each is one transaction with its event, and finds itself again when it is repeated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Unpack

from aureus._database.kinds import check_record
from aureus._database.operation import Operations, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
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
    LimitExceeded,
    VersionConflict,
)
from aureus.model.events import EventType
from aureus.model.memories import (
    Memory,
    MemoryDetails,
    MemoryPolicy,
    NewMemory,
)
from aureus.retrieval.embedding import Embedder, Vector
from aureus.stores.memories.facts import fact_of
from aureus.stores.memories.indexing import index
from aureus.stores.memories.rows import encode_memories, memory_of
from aureus.stores.memories.stating import (
    first_version,
    next_version,
)
from aureus.stores.memories.vectors import embedded, keep_vectors

sql = Queries("memories")


CHUNK_MAX = 1000
"""Memories of one bulk addition: more would hold the write lock of SQLite longer than others like to wait."""


class MemoryWrites(Operations):
    """Operations that make memories."""

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
            check_record(given)
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
        place = yield from lock_key(memory, key)
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
        put = replace(memory, version=superseded.version + 1, valid_from=begins)
        return (yield from _supersede(superseded, put, actor, vectors))


def lock_key(memory: Memory, key: str) -> Op[dict[str, str]]:
    """Keep others from putting under a memory's key before this transaction ends; return where the key is."""
    place = {
        "agent_id": memory.agent_id,
        "user_id": memory.user_id or "",
        "namespace": memory.namespace,
        "key": key,
    }
    # Every part has its length in front, so that no two keys share a lock by their spelling.
    spelled = "".join(f"{len(part)}:{part}" for part in place.values())
    yield from fetch_one(sql.lock_memory_key, bool, place=spelled)
    return place


def _put(memory: Memory, actor: str | None, vectors: Sequence[Vector] | None) -> Op[Memory]:
    """Write a memory under the key whose lock is held."""
    yield from record(fact_of(EventType.MEMORY_CREATED, memory, actor))
    yield from keep_vectors([memory], vectors)
    yield from index([memory])
    written = yield from last(sql.put_memory, memory_of, memories=encode_memories([memory]))
    if written is None:
        raise _taken(memory.memory_id)
    return written


def _supersede(
    ended: Memory, memory: Memory, actor: str | None, vectors: Sequence[Vector] | None
) -> Op[Memory]:
    """Write a memory under the key whose lock is held, and end what it held: one statement, one append."""
    yield from record_all(
        [
            fact_of(EventType.MEMORY_SUPERSEDED, ended, actor, supersededBy=memory.memory_id),
            fact_of(EventType.MEMORY_CREATED, memory, actor),
        ]
    )
    yield from keep_vectors([memory], vectors)
    yield from index([ended, memory])
    written = yield from last(
        sql.supersede_memory,
        memory_of,
        memories=encode_memories([memory]),
        ended_id=ended.memory_id,
        ended_version=ended.version,
        ended_at=ended.updated_at,
        ends_at=ended.valid_to,
    )
    if written is None:
        raise Conflict(
            f"what the key {memory.key!r} holds changed in the same moment; nothing was stored, repeat the call",
            memory_id=ended.memory_id,
        )
    return written


def _check_key_version(key: str, version: int, expected_version: int | None) -> None:
    if expected_version is not None and version != expected_version:
        holds = f"holds version {version}" if version else "holds nothing"
        raise VersionConflict(
            f"key {key!r} {holds}, not {expected_version}; read it again and decide anew",
            key=key,
            expected_version=expected_version,
            version=version,
        )


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

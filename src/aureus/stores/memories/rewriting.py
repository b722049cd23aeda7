"""Versions of memories as such: read by their numbers, and written as they are given.

For whoever brings earlier versions back (`aureus.snapshots`); callers use the operations, which hold the rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aureus._database.statement import Op, Queries, fetch_all, record_all
from aureus.codec import encode_made, encode_text
from aureus.model.events import EventType
from aureus.model.memories import Memory
from aureus.stores.memories.facts import fact_of
from aureus.stores.memories.indexing import index
from aureus.stores.memories.rows import encode_memories, memory_of

sql = Queries("memories")

BATCH_MAX = 500
"""Memories of one statement that writes them."""


def versions_of(wanted: Sequence[tuple[str, int]]) -> Op[list[Memory]]:
    """Return these versions of memories, by id and version; one that is not there is left out."""
    if not wanted:
        return []
    named = [{"memory_id": memory_id, "version": version} for memory_id, version in wanted]
    return (
        yield from fetch_all(
            sql.get_exact_versions, memory_of, wanted=encode_text(named, what="versions")
        )
    )


def standing(memory_ids: Sequence[str]) -> Op[list[Memory]]:
    """Return memories as they stand, whatever became of them; one that was removed for good is left out."""
    if not memory_ids:
        return []
    return (yield from fetch_all(sql.get_memories, memory_of, memory_ids=list(memory_ids)))


def key_holders(memories: Sequence[Memory]) -> Op[list[Memory]]:
    """Return the memories that hold the keys of others which are not live; a holder may itself have expired."""
    keys = [
        {
            "agent_id": memory.agent_id,
            "user_id": memory.user_id or "",
            "namespace": memory.namespace,
            "memory_key": memory.key,
        }
        for memory in memories
        if memory.key is not None
    ]
    if not keys:
        return []
    return (yield from fetch_all(sql.list_key_holders, memory_of, keys=encode_made(keys)))


def rewrite(
    kind: EventType, memories: Sequence[Memory], now: datetime, actor: str, reason: str
) -> Op[None]:
    """Write the next versions of up to 500 memories, each with its event, all of one kind.

    Their vectors stay those of what they said before, and are made anew by ``embed_missing``.
    """
    if not memories:
        return
    yield from record_all(
        fact_of(kind, memory, actor, reason=reason)
        for memory in sorted(memories, key=lambda memory: memory.stream)
    )
    yield from index(memories)
    yield from fetch_all(
        sql.replace_memories, memory_of, memories=encode_memories(memories), now=now
    )

"""The reads of memories: only what is live at the moment of the call, or was at the moment that it names."""

from __future__ import annotations

from aureus._database.operation import Operations, read
from aureus._database.statement import Op, Queries, current_time, fetch_one
from aureus.errors import NotFound
from aureus.model.memories import Memory
from aureus.stores.memories.rows import memory_of
from aureus.stores.memories.stating import check_name
from aureus.stores.memories.writing import why_dead

sql = Queries("memories")


class MemoryReads(Operations):
    """Operations that read memories."""

    @read
    def get(self, memory_id: str) -> Op[Memory]:
        """Return one memory. Raises ``NotFound`` when there is none, or it is not live."""
        check_name(memory_id, "memory_id")
        now = yield from current_time()
        memory = yield from fetch_one(sql.get_memory, memory_of, memory_id=memory_id)
        if memory is None:
            raise NotFound(f"there is no memory {memory_id!r}", memory_id=memory_id)
        if not memory.is_live(now):
            raise NotFound(f"memory {memory_id} {why_dead(memory, now)}", memory_id=memory_id)
        return memory

    @read
    def get_by_key(
        self, key: str, *, agent_id: str, user_id: str | None = None, namespace: str = ""
    ) -> Op[Memory]:
        """Return the memory that a key of this agent, user and namespace holds. Raises ``NotFound``."""
        now = yield from current_time()
        memory = yield from fetch_one(
            sql.get_keyed_memory,
            memory_of,
            agent_id=agent_id,
            user_id=user_id or "",
            namespace=namespace,
            key=key,
        )
        if memory is None or not memory.is_live(now):
            raise NotFound(
                f"agent {agent_id!r} holds no memory under the key {key!r}",
                agent_id=agent_id,
                user_id=user_id,
                key=key,
            )
        return memory

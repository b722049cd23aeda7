"""Memories: what agents keep, with where it came from, when it was true and when it was known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice

from aureus._database.operation import AsyncStore, Operations, Store
from aureus.model.memories import Memory, NewMemory
from aureus.model.retention import RetentionDecision, RetentionPolicy
from aureus.stores.memories.changing import MemoryChanging
from aureus.stores.memories.conversations import ConversationOperations
from aureus.stores.memories.embedding import BATCH_MAX, MemoryEmbeddings
from aureus.stores.memories.keeping import MemoryKeeping
from aureus.stores.memories.reading import MemoryReads
from aureus.stores.memories.recalling import MemoryRecall
from aureus.stores.memories.stating import check_name
from aureus.stores.memories.writing import CHUNK_MAX

__all__ = [
    "AsyncConversationStore",
    "AsyncMemoryStore",
    "ConversationOperations",
    "ConversationStore",
    "MemoryOperations",
    "MemoryStore",
]

CHUNK_SIZE = 250
"""Memories of one transaction of ``add_all``: a bigger one is hardly quicker and keeps other writers waiting."""


class MemoryOperations(MemoryChanging, MemoryReads, MemoryRecall, MemoryKeeping, MemoryEmbeddings):
    """Operations on memories."""


class ConversationStore(Store, ConversationOperations):
    """The messages of one session."""


class AsyncConversationStore(AsyncStore, ConversationOperations):
    """The messages of one session, awaited."""


class MemoryStore(Store, MemoryOperations):
    """Memories of one tenant."""

    def add_all(
        self,
        memories: Iterable[NewMemory],
        *,
        actor: str | None = None,
        chunk_size: int = CHUNK_SIZE,
    ) -> int:
        """Add any number of memories, one transaction for each chunk, and return how many they were.

        With ids of your own a load that broke off is simply repeated: what is there already is not written again.
        """
        count = 0
        for chunk in _chunks(memories, chunk_size):
            count += len(self.add_chunk(chunk, actor=actor))
        return count

    def index(self, *, pending_min: int = 1, drops_dead: bool = False) -> int:
        """Do all upkeep of the index that is due, step by step, and return how many writes it took in.

        Searches find what is written with or without it; it makes them quicker. Several processes may do it at once.
        The options are those of ``index_step``.
        """
        total = 0
        is_done = False
        while not is_done:
            step = self.index_step(pending_min=pending_min, drops_dead=drops_dead)
            total += step.indexed_count
            is_done = step.is_done
        return total

    def clear(self, agent_id: str, *, user_id: str | None = None, actor: str | None = None) -> int:
        """Forget every memory of one agent, or of one agent and one user, batch by batch; return how many.

        Each batch is a transaction of its own. No other agent's and no other user's memories are touched.
        """
        total = 0
        while count := self.clear_batch(agent_id, user_id=user_id, actor=actor):
            total += count
        return total

    def retain(
        self,
        policy: RetentionPolicy | None = None,
        *,
        summarize: Callable[[Memory, float], str] | None = None,
        actor: str = "aureus",
    ) -> int:
        """Let retention do everything that is due, batch by batch, and return how many memories it concerned.

        ``summarize`` is given a memory and the share of its length that is to be left, and returns the shorter text;
        it is called between transactions. Without it memories move as they are.
        """
        total = 0
        while due := self.list_due(policy):
            decisions = [_summarized(decision, summarize) for decision in due]
            count = self.apply_retention(decisions, actor=actor)
            if not count:
                break
            total += count
        return total

    def embed_missing(self, *, limit: int | None = None) -> int:
        """Make vectors for the memories that have none of the client's embedder, and return how many were stored.

        In batches of 512, each a transaction of its own, at most ``limit`` memories in all; a call that broke off is
        simply repeated. Raises ``Invalid`` without an embedder, and ``EmbedderFailed``.
        """
        count, seen, after_id = 0, 0, ""
        while limit is None or seen < limit:
            size = BATCH_MAX if limit is None else min(BATCH_MAX, limit - seen)
            found = self.list_unembedded(after_id=after_id, limit=size)
            if not found:
                break
            seen, after_id = seen + len(found), found[-1].memory_id
            count += self.embed_batch(found)
        return count

    def conversation(
        self, session_id: str, *, agent_id: str, user_id: str | None = None
    ) -> ConversationStore:
        """Return the conversation of one session of an agent, and of a user where there is one. Costs nothing."""
        operations = _conversation(self._operations, session_id, agent_id, user_id)
        return ConversationStore(self._runner, self._call, operations)


class AsyncMemoryStore(AsyncStore, MemoryOperations):
    """Memories of one tenant, awaited."""

    async def add_all(
        self,
        memories: Iterable[NewMemory],
        *,
        actor: str | None = None,
        chunk_size: int = CHUNK_SIZE,
    ) -> int:
        """Add any number of memories, one transaction for each chunk; as ``MemoryStore.add_all``."""
        count = 0
        for chunk in _chunks(memories, chunk_size):
            count += len(await self.add_chunk(chunk, actor=actor))
        return count

    async def index(self, *, pending_min: int = 1, drops_dead: bool = False) -> int:
        """Do all upkeep of the index that is due; as ``MemoryStore.index``."""
        total = 0
        is_done = False
        while not is_done:
            step = await self.index_step(pending_min=pending_min, drops_dead=drops_dead)
            total += step.indexed_count
            is_done = step.is_done
        return total

    async def clear(
        self, agent_id: str, *, user_id: str | None = None, actor: str | None = None
    ) -> int:
        """Forget every memory of one agent, or of one agent and one user; as ``MemoryStore.clear``."""
        total = 0
        while count := await self.clear_batch(agent_id, user_id=user_id, actor=actor):
            total += count
        return total

    async def retain(
        self,
        policy: RetentionPolicy | None = None,
        *,
        summarize: Callable[[Memory, float], str] | None = None,
        actor: str = "aureus",
    ) -> int:
        """Let retention do everything that is due; as ``MemoryStore.retain``."""
        total = 0
        while due := await self.list_due(policy):
            decisions = [_summarized(decision, summarize) for decision in due]
            count = await self.apply_retention(decisions, actor=actor)
            if not count:
                break
            total += count
        return total

    async def embed_missing(self, *, limit: int | None = None) -> int:
        """Make vectors for memories that have none of the client's embedder; as ``MemoryStore.embed_missing``."""
        count, seen, after_id = 0, 0, ""
        while limit is None or seen < limit:
            size = BATCH_MAX if limit is None else min(BATCH_MAX, limit - seen)
            found = await self.list_unembedded(after_id=after_id, limit=size)
            if not found:
                break
            seen, after_id = seen + len(found), found[-1].memory_id
            count += await self.embed_batch(found)
        return count

    def conversation(
        self, session_id: str, *, agent_id: str, user_id: str | None = None
    ) -> AsyncConversationStore:
        """Return the conversation of one session of an agent, and of a user where there is one. Costs nothing."""
        operations = _conversation(self._operations, session_id, agent_id, user_id)
        return AsyncConversationStore(self._runner, self._call, operations)


def _chunks(memories: Iterable[NewMemory], size: int) -> Iterator[list[NewMemory]]:
    waiting = iter(memories)
    while chunk := list(islice(waiting, max(1, min(size, CHUNK_MAX)))):
        yield chunk


def _summarized(
    decision: RetentionDecision, summarize: Callable[[Memory, float], str] | None
) -> RetentionDecision:
    if summarize is None or decision.summary_ratio is None:
        return decision
    return replace(decision, summary=summarize(decision.memory, decision.summary_ratio))


def _conversation(
    operations: Operations, session_id: str, agent_id: str, user_id: str | None
) -> ConversationOperations:
    check_name(session_id, "session_id")
    check_name(agent_id, "agent_id")
    if user_id is not None:
        check_name(user_id, "user_id")
    if not isinstance(operations, MemoryOperations):
        return ConversationOperations(session_id, agent_id, user_id)
    return ConversationOperations(
        session_id, agent_id, user_id, operations.policy, operations.embedder
    )

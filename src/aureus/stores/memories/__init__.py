"""Memories: what agents keep, with where it came from, when it was true and when it was known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from aureus._database.operation import AsyncStore, Store
from aureus.model.memories import NewMemory
from aureus.stores.memories.reading import MemoryReads
from aureus.stores.memories.writing import CHUNK_MAX, MemoryWrites

__all__ = ["AsyncMemoryStore", "MemoryOperations", "MemoryStore"]

CHUNK_SIZE = 250
"""Memories of one transaction of ``add_all``: a bigger one is hardly quicker and keeps other writers waiting."""


class MemoryOperations(MemoryWrites, MemoryReads):
    """Operations on memories."""


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


def _chunks(memories: Iterable[NewMemory], size: int) -> Iterator[list[NewMemory]]:
    waiting = iter(memories)
    while chunk := list(islice(waiting, max(1, min(size, CHUNK_MAX)))):
        yield chunk

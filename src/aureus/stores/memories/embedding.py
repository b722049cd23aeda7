"""Vectors of memories: kept with what they are made of, made up for where they are missing, and searched.

A vector belongs to the text whose hash it carries. What changes a memory elsewhere, by a client without this embedder,
needs to know nothing of it: a search compares the hash with the text that it is about to show, and passes over a vector
that belongs to an older one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aureus._database.operation import Operations, read, write
from aureus._database.statement import (
    Op,
    Queries,
    accompany,
    current_time,
    fetch_all,
    last_all,
    outside,
)
from aureus.errors import EmbedderFailed, Invalid
from aureus.model.memories import EmbeddingModel, Memory, NearMemory
from aureus.retrieval import nearest
from aureus.retrieval.embedding import Embedder, Vector, embed, text_hash
from aureus.retrieval.nearest import Candidate, find_nearest
from aureus.stores.memories.rows import memory_of

sql = Queries("memory_embeddings")
memories = Queries("memories")

BATCH_MAX = 512
"""Memories that are embedded at once: what a failing model loses, and what one write carries."""

NEAREST_MAX = 1000
"""Memories of one answer."""

log = logging.getLogger("aureus.memories")


@dataclass(frozen=True, slots=True)
class Unembedded:
    """A memory without a vector of the current model, or with one of an earlier version."""

    memory_id: str
    version: int
    text: str
    text_hash: bytes | None

    @property
    def is_confirmed(self) -> bool:
        """Return whether the vector that is there belongs to the text that is there."""
        return self.text_hash is not None and self.text_hash == text_hash(self.text)


class MemoryEmbeddings(Operations):
    """Operations on the vectors of memories."""

    embedder: Embedder | None
    """What makes vectors for this client; None for a client that uses none."""

    @read
    def nearest(
        self, text: str, *, limit: int = 10, memory_ids: Sequence[str] | None = None
    ) -> Op[list[NearMemory]]:
        """Return the live memories whose vectors are nearest to that of a text, best first; at most 1,000.

        ``memory_ids`` narrows the search to these. Only memories that have a vector of the client's embedder are found.
        Raises ``Invalid`` without an embedder, and ``EmbedderFailed``.
        """
        embedder = self._required()
        vector = (yield from outside(lambda: embed(embedder, [text])))[0]
        now = yield from current_time()

        def admit(candidates: Sequence[Candidate]) -> Op[list[NearMemory]]:
            rows = yield from fetch_all(
                memories.get_memories,
                memory_of,
                memory_ids=[candidate.memory_id for candidate in candidates],
            )
            live = {memory.memory_id: memory for memory in rows if memory.is_live(now)}
            return [
                NearMemory(live[candidate.memory_id], candidate.score)
                for candidate in candidates
                if candidate.memory_id in live and belongs(candidate, live[candidate.memory_id])
            ]

        count = max(1, min(limit, NEAREST_MAX))
        if memory_ids is not None:
            some = yield from nearest.by_memory(vector, memory_ids)
            return (yield from nearest.admitted(some, admit, limit=count))
        found, _ = yield from find_nearest(vector, admit, limit=count)
        return found

    @read
    def list_unembedded(
        self, *, after_id: str = "", limit: int = BATCH_MAX
    ) -> Op[list[Unembedded]]:
        """Return live memories without a current vector of the client's embedder, by id behind ``after_id``."""
        embedder = self._required()
        now = yield from current_time()
        return (
            yield from fetch_all(
                sql.list_unembedded,
                lambda row: Unembedded(
                    row[0], int(row[1]), row[2], None if row[3] is None else bytes(row[3])
                ),
                model=embedder.name,
                after_id=after_id,
                now=now,
                limit=max(1, min(limit, BATCH_MAX)),
            )
        )

    @write
    def embed_batch(self, unembedded: Sequence[Unembedded]) -> Op[int]:
        """Make and store vectors for some memories, unless they changed meanwhile; return how many were stored. Atomic.

        The model works before the transaction begins. Raises ``EmbedderFailed``; nothing was stored then.
        """
        embedder = self._required()
        confirmed = [one for one in unembedded if one.is_confirmed]
        missing = [one for one in unembedded if not one.is_confirmed]
        vectors = yield from outside(lambda: embed(embedder, [one.text for one in missing]))
        now = yield from current_time()
        if confirmed:
            yield from fetch_all(
                sql.confirm_embeddings,
                bool,
                model=embedder.name,
                memory_ids=[one.memory_id for one in confirmed],
                versions=[one.version for one in confirmed],
                text_hashes=b"".join(text_hash(one.text) for one in confirmed),
            )
        if not missing:
            return 0
        saved = yield from fetch_all(
            sql.save_embeddings,
            bool,
            model=embedder.name,
            dimensions=embedder.dimensions,
            memory_ids=[one.memory_id for one in missing],
            versions=[one.version for one in missing],
            text_hashes=b"".join(text_hash(one.text) for one in missing),
            vectors=b"".join(vector.content for vector in vectors),
            now=now,
        )
        return len(saved)

    @read
    def embedding_models(self) -> Op[list[EmbeddingModel]]:
        """Return the models that there are vectors of, with their number; reads all of them."""
        return (
            yield from fetch_all(
                sql.list_embedding_models,
                lambda row: EmbeddingModel(row[0], int(row[1]), int(row[2])),
            )
        )

    @write
    def delete_embeddings(self, model: str, *, limit: int = 1000) -> Op[int]:
        """Remove up to so many vectors of a model that is used no more, and return how many there were. Atomic."""
        removed = yield from last_all(
            sql.delete_embeddings, bool, model=model, limit=max(1, min(limit, 10_000))
        )
        return len(removed)

    def _required(self) -> Embedder:
        if self.embedder is None:
            raise Invalid(
                "this client has no embedder; open it with Aureus(embedder=…), see docs/howto/embeddings.md"
            )
        return self.embedder


def belongs(candidate: Candidate, memory: Memory) -> bool:
    """Return whether a stored vector was made of what the memory says now."""
    return candidate.text_hash == text_hash(memory.text)


def embedded(embedder: Embedder | None, texts: Sequence[str]) -> Op[list[Vector] | None]:
    """Return vectors for texts about to be written, made before the transaction; None without them.

    A model that fails keeps no memory from being stored: it is found by its words, and embedded later. That is logged.
    """
    if embedder is None or not texts:
        return None
    return (yield from outside(lambda: _or_none(embedder, texts)))


def keep_vectors(written: Sequence[Memory], vectors: Sequence[Vector] | None) -> Op[None]:
    """Let the vectors of memories travel with the statement that writes these."""
    if not vectors:
        return
    now = yield from current_time()
    yield from accompany(
        sql.keep_embeddings,
        model=vectors[0].model,
        dimensions=vectors[0].dimensions,
        memory_ids=[memory.memory_id for memory in written],
        text_hashes=b"".join(text_hash(memory.text) for memory in written),
        vectors=b"".join(vector.content for vector in vectors),
        now=now,
    )


def _or_none(embedder: Embedder, texts: Sequence[str]) -> list[Vector] | None:
    try:
        return embed(embedder, texts)
    except EmbedderFailed as error:
        log.warning("%s; %d memories are stored without a vector", error.message, len(texts))
        return None

"""Vectors of memories: kept with what they are made of, made up for where they are missing, and searched.

A vector belongs to the text whose hash it carries. What changes a memory elsewhere, by a client without this embedder,
needs to know nothing of it: a search compares the hash with the text that it is about to show, and passes over a vector
that belongs to an older one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

from aureus._database.operation import Operations, read, write
from aureus._database.statement import (
    Op,
    Queries,
    current_time,
    fetch_all,
    last_all,
    lengthy,
    outside,
)
from aureus.model.memories import (
    EmbeddingModel,
    MemoryCriteria,
    MemoryFilter,
    NearMemory,
)
from aureus.retrieval.embedding import Embedder, embed, text_hash
from aureus.stores.memories.meaning import find_by_meaning, required

sql = Queries("memory_embeddings")

BATCH_MAX = 512
"""Memories that are embedded at once: what a failing model loses, and what one write carries."""

NEAREST_MAX = 1000
"""Memories of one answer."""


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
        self,
        text: str,
        filter: MemoryFilter | None = None,  # noqa: A002 - as in recall
        *,
        limit: int = 10,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[list[NearMemory]]:
        """Return the live memories whose vectors are nearest to that of a text, best first; at most 1,000.

        Only memories that have a vector of the client's embedder are found. Raises ``Invalid`` without an embedder,
        and ``EmbedderFailed``.
        """
        embedder = required(self.embedder)
        vector = (yield from outside(lambda: embed(embedder, [text])))[0]
        now = yield from current_time()
        yield from lengthy()
        found, _ = yield from find_by_meaning(
            vector,
            MemoryFilter.of(filter, criteria),
            now,
            limit=max(1, min(limit, NEAREST_MAX)),
        )
        return found

    @read
    def list_unembedded(
        self, *, after_id: str = "", limit: int = BATCH_MAX
    ) -> Op[list[Unembedded]]:
        """Return live memories without a current vector of the client's embedder, by id behind ``after_id``."""
        embedder = required(self.embedder)
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
        embedder = required(self.embedder)
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
            signs=b"".join(vector.signs for vector in vectors),
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

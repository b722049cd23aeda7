"""Vectors on their way into the commit that writes their memories."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from aureus._database.statement import Op, Queries, accompany, current_time, outside
from aureus.errors import EmbedderFailed
from aureus.model.memories import Memory
from aureus.retrieval.embedding import Embedder, Vector, embed, text_hash

sql = Queries("memory_embeddings")

log = logging.getLogger("aureus.memories")


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
        signs=b"".join(vector.signs for vector in vectors),
        now=now,
    )


def _or_none(embedder: Embedder, texts: Sequence[str]) -> list[Vector] | None:
    try:
        return embed(embedder, texts)
    except EmbedderFailed as error:
        log.warning("%s; %d memories are stored without a vector", error.message, len(texts))
        return None

"""The writes of vectors, ready to be carried out with a statement failing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aureus.model.memories import NewMemory
from tests.contract.stage import Stage
from tests.support.toy_embedder import ToyEmbedder, let_use

Prepared = Callable[[], Any]


def embedding(stage: Stage) -> Any:
    """Return memories as a client with an embedder has them."""
    let_use(stage.backend.client, ToyEmbedder())
    return stage.backend.tenant(stage.tenant).memories


def add_embedded_memory(stage: Stage) -> Prepared:
    """Return the addition of a memory with its vector."""
    memories = embedding(stage)
    return lambda: memories.add("30", agent_id="a", memory_id="m")


def add_embedded_memories(stage: Stage) -> Prepared:
    """Return the addition of several memories with their vectors."""
    memories = embedding(stage)
    given = [NewMemory(text=f"{n}", agent_id="a", memory_id=f"m{n}") for n in range(3)]
    return lambda: memories.add_all(given)


def update_embedded_memory(stage: Stage) -> Prepared:
    """Return the change of a text that has a vector."""
    memories = embedding(stage)
    memories.add("30", agent_id="a", memory_id="m")
    return lambda: memories.update("m", text="60")


def embed_batch(stage: Stage) -> Prepared:
    """Return the making of vectors, one of them for a memory that changed otherwise."""
    memories = embedding(stage)
    memories.add("30", agent_id="a", memory_id="m")
    stage.stores.memories.update("m", confidence=1)
    stage.stores.memories.add("60", agent_id="a", memory_id="n")
    missing = memories.list_unembedded()
    return lambda: memories.embed_batch(missing)


def delete_embeddings(stage: Stage) -> Prepared:
    """Return the removal of vectors."""
    add_embedded_memories(stage)()
    memories = embedding(stage)
    return lambda: memories.delete_embeddings("toy", limit=2)


def put_embedded_memory(stage: Stage) -> Prepared:
    """Return a memory under a key that holds another one."""
    memories = embedding(stage)
    memories.put("k", "30", agent_id="a")
    return lambda: memories.put("k", "60", agent_id="a", memory_id="m")


EMBEDDING_WRITES = [
    add_embedded_memory,
    add_embedded_memories,
    put_embedded_memory,
    update_embedded_memory,
    embed_batch,
    delete_embeddings,
]

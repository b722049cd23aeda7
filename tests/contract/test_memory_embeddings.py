"""Vectors of memories: stored with what they are made of, made up for where they are missing, never mixed."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aureus.errors import EmbedderFailed, Invalid
from aureus.model.memories import EmbeddingModel, NewMemory
from aureus.retrieval import nearest
from tests.contract.stage import Stage
from tests.support.postgres import PostgresDatabase
from tests.support.toy_embedder import ToyEmbedder
from tests.support.vector_index import make_vector_index

WITH_EXTENSION = {"postgres", "postgres-async", "postgres-pooler"}


class World:
    """Stores of one tenant, with an embedder and without."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.plain = stage.stores.memories
        self.toy = ToyEmbedder()
        self.memories = self.using(self.toy)

    def using(self, embedder: ToyEmbedder, tenant: str | None = None) -> Any:
        """Return the memories as a client with this embedder has them."""
        self.stage.backend.use(embedder)
        return self.stage.backend.tenant(tenant or self.stage.tenant).memories

    def found(self, text: str, **more: Any) -> list[str]:
        """Return the texts that are nearest."""
        return [near.memory.text for near in self.memories.nearest(text, **more)]


@pytest.fixture
def world(request: pytest.FixtureRequest, stage: Stage) -> World:
    """Give memories with a toy embedder; some of the servers have the extension for vectors."""
    if request.node.callspec.params["backend"] in WITH_EXTENSION:
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        make_vector_index(database, stage.backend.settings)
    return World(stage)


def test_a_memory_is_found_by_its_meaning_as_soon_as_it_is_added(world: World) -> None:
    for angle in (90, 10, 180, 45):
        world.memories.add(f"{angle} degrees", agent_id="a")
    first, second, *_ = world.memories.nearest("40", limit=3)
    assert (first.memory.text, second.memory.text) == ("45 degrees", "10 degrees")
    assert first.score == pytest.approx(math.cos(math.radians(5)), abs=1e-6)
    assert first.to_dict()["memory"]["text"] == "45 degrees"
    assert world.found("40", limit=1) == ["45 degrees"]
    assert world.memories.embedding_models() == [EmbeddingModel("toy", 2, 4)]
    world.memories.add("50 degrees", agent_id="b", subject="tides", tags=["t"])
    world.memories.add("70 degrees", agent_id="b", subject="tides")
    assert world.found("0", subject="tides") == ["50 degrees", "70 degrees"]
    assert world.found("0", subject="tides", limit=1) == ["50 degrees"]
    assert world.found("0", agent_id="b", tags=["t"]) == ["50 degrees"]
    assert world.found("0", agent_id="b", limit=1) == ["50 degrees"]


def test_what_has_the_same_vector_is_ordered_by_its_id(world: World) -> None:
    for memory_id in ("c", "a", "b"):
        world.memories.add("7", agent_id="a", memory_id=memory_id)
    assert [near.memory.memory_id for near in world.memories.nearest("8")] == ["a", "b", "c"]


def test_a_changed_text_has_another_vector_and_a_forgotten_one_none_to_show(world: World) -> None:
    one = world.memories.add("0", agent_id="a")
    other = world.memories.add("90", agent_id="a")
    world.memories.update(one.memory_id, text="85")
    assert world.found("0", limit=1) == ["85"]
    world.memories.forget(one.memory_id)
    assert world.found("0") == ["90"]
    world.memories.update(other.memory_id, confidence=0.9)
    world.toy.seen.clear()
    assert world.memories.embed_missing() == 0
    assert world.toy.seen == [], "a memory whose text is the same needs no new vector"
    assert world.memories.list_unembedded() == []


def test_vectors_are_made_up_for_where_they_are_missing(world: World) -> None:
    given = [
        NewMemory(text=f"{n} x", agent_id="a", memory_id=f"m{n:04d}") for n in range(0, 180, 3)
    ]
    world.plain.add_all(given)
    assert world.found("40") == []
    assert world.memories.embed_missing(limit=50) == 50
    assert world.memories.embed_missing() == 10
    assert world.memories.embed_missing() == 0
    assert world.found("40", limit=2) == ["39 x", "42 x"]
    world.memories.add_all([NewMemory(text="41", agent_id="a"), NewMemory(text="1", agent_id="a")])
    assert world.found("40", limit=2) == ["39 x", "41"] or world.found("40", limit=2) == [
        "41",
        "39 x",
    ]
    assert world.memories.list_unembedded() == []


def test_a_text_that_changed_elsewhere_is_not_found_by_its_old_vector(world: World) -> None:
    memory = world.memories.add("0", agent_id="a")
    world.plain.update(memory.memory_id, text="90")
    assert world.found("0") == []
    (missing,) = world.memories.list_unembedded()
    world.plain.update(memory.memory_id, text="45")
    assert world.memories.embed_batch([missing]) == 0, "it changed while the model worked"
    assert world.memories.embed_missing() == 1
    assert world.found("0") == ["45"]


def test_another_model_begins_anew_and_vectors_are_never_mixed(world: World) -> None:
    world.memories.add("0", agent_id="a")
    world.memories = world.using(ToyEmbedder("newer", 3))
    assert world.found("0") == []
    assert world.memories.embed_missing() == 1
    assert world.found("0") == ["0"]
    models = [EmbeddingModel("newer", 3, 1), EmbeddingModel("toy", 2, 1)]
    assert world.memories.embedding_models() == models
    assert world.memories.delete_embeddings("toy") == 1
    assert world.memories.delete_embeddings("toy") == 0
    assert world.memories.embedding_models() == models[:1]
    # The same name with another size is another model too, which was not renamed.
    world.memories = world.using(ToyEmbedder("newer", 4))
    assert world.found("0") == []


def test_a_failing_model_keeps_no_memory_from_being_stored(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.toy.error = OSError("away")
    with caplog.at_level(logging.WARNING, logger="aureus.memories"):
        memory = world.memories.add("0", agent_id="a")
    assert "away; 1 memories are stored without a vector" in caplog.text
    assert world.plain.get(memory.memory_id).text == "0"
    for call in (lambda: world.memories.nearest("0"), world.memories.embed_missing):
        with pytest.raises(EmbedderFailed, match="away"):
            call()
    world.toy.error = None
    assert world.found("0") == []
    assert world.memories.embed_missing() == 1
    assert world.found("0") == ["0"]


def test_a_client_without_an_embedder_says_so(world: World) -> None:
    for call in (lambda: world.plain.nearest("0"), world.plain.embed_missing):
        with pytest.raises(Invalid, match="embedder="):
            call()


def test_as_many_come_back_as_there_are_however_many_are_refused(world: World) -> None:
    ids = [f"m{n:03d}" for n in range(200)]
    world.memories.add_all(
        NewMemory(text=f"{n // 2} x", agent_id="a", memory_id=ids[n]) for n in range(200)
    )
    with world.stage.backend.transaction("acme") as tx:
        for memory_id in ids[:185]:
            tx.memories.forget(memory_id)
    assert [near.memory.memory_id for near in world.memories.nearest("0", limit=10)] == ids[185:195]
    assert len(world.memories.nearest("0", limit=100)) == 15


def test_of_many_vectors_those_are_read_whose_signs_speak_for_them(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And all of them where a filter refuses most of those."""
    world.memories.add_all(
        NewMemory(
            text=f"{3 * n} x",
            agent_id="a",
            memory_id=f"m{n:03d}",
            subject="far" if 40 <= n < 60 else None,
        )
        for n in range(120)
    )
    asked: list[dict[str, Any]] = [{"text": text} for text in ("31", "100", "269")]
    asked += [{"text": "31", "subject": "far"}, {"text": "10", "limit": 50}]
    exact = [[near.to_dict() for near in world.memories.nearest(**one)] for one in asked]
    monkeypatch.setattr(nearest, "READ_MAX", 20)
    monkeypatch.setattr(nearest, "SIGNED_CANDIDATES", 40)
    monkeypatch.setattr(nearest, "SIGNS_CHUNK", 50)
    by_signs = [[near.to_dict() for near in world.memories.nearest(**one)] for one in asked]
    assert by_signs == exact


def test_a_repeated_addition_keeps_the_vector_it_has(world: World) -> None:
    for _ in range(2):
        world.memories.add("0", agent_id="a", memory_id="same")
    assert world.memories.embedding_models() == [EmbeddingModel("toy", 2, 1)]
    world.memories.update("same", text="90")
    world.memories.add("0", agent_id="a", memory_id="same")
    assert world.found("90") == ["90"]


def test_a_transaction_keeps_memory_and_vector_together(world: World) -> None:
    def undone() -> None:
        with world.stage.backend.transaction("acme") as tx:
            tx.memories.add("0", agent_id="a")
            assert [near.memory.text for near in tx.memories.nearest("0")] == ["0"]
            raise LookupError

    with pytest.raises(LookupError):
        undone()
    assert world.found("0") == []
    assert world.memories.embedding_models() == []
    with world.stage.backend.transaction("acme") as tx:
        tx.memories.add("0", agent_id="a")
        tx.memories.add("50", agent_id="a")
    assert world.found("49") == ["50", "0"]


def test_no_tenant_finds_the_memories_of_another(
    world: World, another_stage: Callable[[str], Stage]
) -> None:
    another_stage("other")
    world.memories.add("0", agent_id="a", memory_id="same")
    other = world.using(world.toy, "other")
    other.add("90", agent_id="a", memory_id="same")
    assert [near.memory.text for near in other.nearest("0")] == ["90"]
    assert [near.memory.text for near in other.nearest("0", agent_id="a")] == ["90"]
    assert world.found("90") == ["0"]
    assert other.delete_embeddings("toy") == 1
    assert world.found("90") == ["0"]


def test_many_may_embed_at_once(world: World) -> None:
    world.plain.add_all(NewMemory(text=f"{n}", agent_id="a") for n in range(120))

    def embed(number: int) -> int:
        if number % 3 == 0:
            world.memories.add(f"{number}", agent_id="b")
            return 0
        return int(world.memories.embed_missing())

    with ThreadPoolExecutor(6) as pool:
        counts = list(pool.map(embed, range(12)))
    assert sum(counts) >= 120
    assert world.memories.list_unembedded() == []
    assert world.memories.embedding_models() == [EmbeddingModel("toy", 2, 124)]


def test_whatever_writes_a_text_gives_it_a_vector_and_a_purge_takes_it(world: World) -> None:
    world.memories.put("k", "0", agent_id="a")
    kept = world.memories.put("k", "90", agent_id="a")
    said = world.memories.conversation("s", agent_id="a").append("180", role="user")
    assert world.memories.list_unembedded() == []
    assert world.found("100") == ["90", "180"], "what was superseded is not shown"
    world.memories.forget(kept.memory_id)
    world.memories.restore(kept.memory_id)
    assert world.found("100", limit=1) == ["90"]
    world.memories.purge(said.memory_id)
    assert world.memories.embedding_models() == [EmbeddingModel("toy", 2, 2)]

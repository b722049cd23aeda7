"""Recall by words and vectors together: ranks are fused, filters lie under both, and what is poorer says so."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.errors import EmbedderFailed, Invalid
from aureus.model.memories import NewMemory
from tests.contract.stage import Stage
from tests.contract.test_memory_embeddings import World


@pytest.fixture
def world(stage: Stage) -> World:
    """Give memories with a toy embedder."""
    return World(stage)


def texts(found: Any) -> list[str]:
    """Return what was found."""
    return [hit.memory.text for hit in found]


def test_what_only_words_or_only_vectors_find_is_found_beside_what_both_do(world: World) -> None:
    for text in ("10 tea", "12 water", "200 tea and tea", "100 coal"):
        world.memories.add(text, agent_id="a")
    both = world.memories.recall("11 tea")
    assert set(texts(both)) == {"10 tea", "12 water", "200 tea and tea", "100 coal"}
    by_text = {hit.memory.text: hit for hit in both}
    assert by_text["12 water"].word_rank is None
    assert by_text["12 water"].vector_rank in {1, 2}
    first = by_text["10 tea"]
    assert first.score == pytest.approx(
        1 / (10 + first.word_rank) + 0.25 / (10 + first.vector_rank)
    )
    assert first.score > by_text["12 water"].score > by_text["100 coal"].score
    assert first.word_score > 0
    assert first.vector_score == pytest.approx(0.99985, abs=1e-4)
    assert both.notes == ()
    words = world.memories.recall("11 tea", mode="words")
    assert set(texts(words)) == {"10 tea", "200 tea and tea"}
    near = world.memories.recall("11 tea", mode="vectors", limit=2)
    assert set(texts(near)) == {"10 tea", "12 water"}
    assert near[0].score == near[0].vector_score
    assert (near[0].vector_rank, near[0].word_rank) == (1, None)


def test_filters_lie_under_both_arms_and_as_many_come_back_as_there_are(world: World) -> None:
    world.memories.add_all(
        NewMemory(text=f"{n // 2} tea", agent_id="b" if n % 25 == 24 else "a") for n in range(300)
    )
    for mode in ("words", "vectors", "both"):
        found = world.memories.recall("0 tea", mode=mode, agent_id="b", limit=12)
        assert len(found) == 12, mode
        assert {hit.memory.agent_id for hit in found} == {"b"}
    near = world.memories.recall("0 tea", mode="vectors", agent_id="b", limit=2)
    assert texts(near) == ["12 tea", "24 tea"]


def test_pages_of_a_fused_ranking_follow_each_other(world: World) -> None:
    world.memories.add_all(NewMemory(text=f"{n} tea", agent_id="a") for n in range(25))
    whole = texts(world.memories.recall("3 tea", limit=25))
    paged: list[str] = []
    after = None
    while len(page := world.memories.recall("3 tea", limit=10, after=after)):
        paged += texts(page)
        after = page[len(page) - 1].cursor
    assert paged == whole
    assert len(set(paged)) == 25


def test_a_model_that_fails_leaves_the_words_and_says_so(world: World) -> None:
    world.memories.add("10 tea", agent_id="a")
    world.toy.error = OSError("away")
    found = world.memories.recall("tea")
    assert texts(found) == ["10 tea"]
    (note,) = found.notes
    assert "away; found by words only" in note
    assert found.to_dict()["notes"] == [note]
    with pytest.raises(EmbedderFailed):
        world.memories.recall("tea", mode="vectors")


def test_memories_without_a_vector_are_found_by_words_and_counted(world: World) -> None:
    world.plain.add("10 tea", agent_id="a")
    world.memories.add("20 tea", agent_id="a")
    found = world.memories.recall("15 tea")
    assert set(texts(found)) == {"10 tea", "20 tea"}
    (note,) = found.notes
    assert note.startswith("1 of 2 memories found by words have no vector of 'toy' yet")
    world.memories.embed_missing()
    assert world.memories.recall("15 tea").notes == ()


def test_sessions_and_neighbours_come_with_what_vectors_find(world: World) -> None:
    said = world.memories.conversation("s", agent_id="a")
    for text in ("100", "10", "101"):
        said.append(text, role="user")
    hit = world.memories.recall("9", mode="vectors", limit=1, neighbours=1)[0]
    assert ([one.text for one in hit.before], hit.memory.text) == (["100"], "10")
    assert [one.text for one in hit.after] == ["101"]
    (session,) = world.memories.recall("9", limit=1, group_by="session").sessions
    assert session.session_id == "s"


def test_a_client_without_an_embedder_recalls_by_words(world: World) -> None:
    world.plain.add("10 tea", agent_id="a")
    found = world.plain.recall("tea")
    assert (texts(found), found.notes) == (["10 tea"], ())
    assert found[0].vector_rank is None
    for mode in ("vectors", "both"):
        with pytest.raises(Invalid, match="embedder="):
            world.plain.recall("tea", mode=mode)
    with pytest.raises(Invalid, match="mode is 'meaning'"):
        world.memories.recall("tea", mode="meaning")


def test_a_long_session_of_faint_hits_does_not_drown_the_one_with_the_answer(
    world: World,
) -> None:
    world.memories.add("10 tea", agent_id="a", session_id="short")
    world.memories.add_all(
        NewMemory(text=f"{n} water", agent_id="a", session_id="long") for n in range(20, 32)
    )
    both = world.memories.recall("11 tea", group_by="session").sessions
    assert [one.session_id for one in both] == ["short", "long"]
    assert [one.score for one in both] == pytest.approx([1.25 / 11, 0.25 / 12])
    assert len(both[1].hits) == 12
    near = world.memories.recall("11 tea", mode="vectors", group_by="session").sessions
    assert [one.session_id for one in near] == ["short", "long"]
    assert [one.score for one in near] == [one.hits[0].score for one in near]

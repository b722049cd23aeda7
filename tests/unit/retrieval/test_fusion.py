"""Two rankings become one: ranks count, scores do not, and nothing that one of them found is lost."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from aureus.retrieval.fusion import RANK_CONSTANT, VECTOR_WEIGHT, fuse

SCORES = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@st.composite
def rankings(draw: st.DrawFn) -> list[tuple[str, float]]:
    """Draw a list of distinct documents, best first."""
    ids = draw(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=10))
    scores = sorted(
        draw(st.lists(SCORES, min_size=len(ids), max_size=len(ids))),
        reverse=True,
    )
    return list(zip(ids, scores, strict=True))


def test_the_formula_is_that_of_its_authors() -> None:
    first, second = fuse([("a", 9.0), ("b", 8.0)], [("b", 0.9)], limit=10)
    assert (first.target_id, first.word_rank, first.vector_rank) == ("b", 2, 1)
    assert math.isclose(first.score, 1 / 12 + 0.25 / 11)
    assert math.isclose(second.score, 1 / 11)
    assert (second.word_score, second.vector_score, second.vector_rank) == (9.0, None, None)
    assert (RANK_CONSTANT, VECTOR_WEIGHT) == (10, 0.25)


@given(rankings(), rankings())
def test_whatever_one_list_holds_is_there_with_both_its_places(
    words: list[tuple[str, float]], vectors: list[tuple[str, float]]
) -> None:
    fused = fuse(words, vectors, limit=100)
    assert {one.target_id for one in fused} == {name for name, _ in (*words, *vectors)}
    for one in fused:
        assert (one.target_id, one.word_score) in words or one.word_rank is None
        assert (one.target_id, one.vector_score) in vectors or one.vector_rank is None
        parts = [(one.word_rank, 1.0), (one.vector_rank, 0.25)]
        wanted = sum(weight / (10 + rank) for rank, weight in parts if rank is not None)
        assert math.isclose(one.score, wanted)


@given(rankings(), rankings(), st.integers(0, 12))
def test_the_order_is_total_and_the_same_whichever_list_comes_first(
    words: list[tuple[str, float]], vectors: list[tuple[str, float]], limit: int
) -> None:
    fused = fuse(words, vectors, limit=limit)
    assert [one.target_id for one in fuse(words, vectors, limit=limit, vector_weight=1)] == [
        one.target_id for one in fuse(vectors, words, limit=limit, vector_weight=1)
    ]
    assert [one.score for one in fused] == sorted((one.score for one in fused), reverse=True)
    assert fused == fuse(words, vectors, limit=100)[:limit]


@given(rankings())
def test_one_list_alone_keeps_its_order(words: list[tuple[str, float]]) -> None:
    assert [one.target_id for one in fuse(words, [], limit=100)] == [name for name, _ in words]


@given(rankings(), rankings(), st.data())
def test_a_better_place_never_lowers_a_document(
    words: list[tuple[str, float]], vectors: list[tuple[str, float]], data: st.DataObject
) -> None:
    if len(words) < 2:
        return
    place = data.draw(st.integers(1, len(words) - 1))
    name = words[place][0]
    raised = [*words]
    raised[place - 1], raised[place] = raised[place], raised[place - 1]

    def rank(found: list[tuple[str, float]]) -> int:
        return [one.target_id for one in fuse(found, vectors, limit=100)].index(name)

    assert rank(raised) <= rank(words)

"""Rankings: whatever is left out on the way, the best documents are those of the sums of all postings."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.retrieval import postings, ranking
from aureus.retrieval.conditions import Condition
from aureus.retrieval.ranking import Ranking, Scorer, SegmentPostings, scorer
from aureus.retrieval.segments import SegmentRange

WEIGHTS = {"rare": 5.0, "known": 2.5, "common": 0.7, "everywhere": 0.1}

COUNTS = st.dictionaries(st.sampled_from([*WEIGHTS, "=x", "=y"]), st.integers(1, 9), max_size=4)
SEGMENTS = st.lists(
    st.lists(st.tuples(st.integers(1, 90), COUNTS), min_size=1, max_size=9), min_size=1, max_size=3
)
CONDITIONS = st.sampled_from(
    [
        Condition(),
        Condition(any_of=(("=x",),)),
        Condition(any_of=(("=x", "=y"), ("common",)), none_of=("rare",)),
    ]
)

Documents = list[list[tuple[int, dict[str, int]]]]


def segments(parts: Documents) -> list[SegmentPostings]:
    """Return documents as they would have been read."""
    found: list[SegmentPostings] = []
    first_no = 0
    for part in parts:
        built = postings.build((offset, *document) for offset, document in enumerate(part))
        rows: dict[str, bytes] = {}
        start = 0
        for term, count in zip(built.terms, built.counts, strict=True):
            rows[term] = postings.apart(built.postings[start : start + 4 * count])
            start += 4 * count
        peaks = {
            term: built.peaks[5 * place : 5 * place + 5] for place, term in enumerate(built.terms)
        }
        found.append(SegmentPostings(SegmentRange(first_no, len(part), len(part), 1), rows, peaks))
        first_no += len(part)
    return found


def expected(
    parts: Documents, by: Scorer, condition: Condition, dead: set[int]
) -> list[tuple[float, int]]:
    """Return all documents, best first, each scored by its own terms."""
    documents = [document for part in parts for document in part]
    scores = by.score([(counts, length) for length, counts in documents]).tolist()
    return sorted(
        (
            (score, number)
            for number, (score, (_, counts)) in enumerate(zip(scores, documents, strict=True))
            if score > 0 and condition.admits(counts) and number not in dead
        ),
        reverse=True,
    )


@pytest.mark.parametrize("cost", [0.0, 1.0, 1e9], ids=["look up", "either", "add up"])
@given(
    parts=SEGMENTS,
    condition=CONDITIONS,
    dead=st.sets(st.integers(0, 26), max_size=4),
    count=st.integers(1, 5),
)
def test_the_best_documents_are_found_to_the_bit_whichever_way_their_terms_are_added(
    cost: float,
    parts: Documents,
    condition: Condition,
    dead: set[int],
    count: int,
) -> None:
    by = scorer(WEIGHTS, 40.0)
    wanted = expected(parts, by, condition, dead)
    made = Ranking(by, condition)
    made.add_segments(segments(parts), sorted(dead))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "LOOKUP_COST", cost)
        for asked in (count, 3 * count, 1000):
            assert made.best(asked) == wanted[:asked]


def test_documents_scored_by_themselves_stand_between_those_of_segments() -> None:
    by = scorer(WEIGHTS, 40.0)
    made = Ranking(by, Condition(any_of=(("=x",),)))
    made.add_segments(
        segments([[(40, {"rare": 1, "=x": 1}), (40, {"known": 1, "=x": 1}), (40, {"rare": 3})]]), []
    )
    own: Mapping[str, int] = {"rare": 1, "known": 1, "=x": 1}
    made.add_documents([(7, own, 40), (8, {"rare": 9}, 40), (9, {"=x": 1}, 40)])
    assert [number for _, number in made.best(10)] == [7, 0, 1]
    assert made.best(1) == made.best(10)[:1]

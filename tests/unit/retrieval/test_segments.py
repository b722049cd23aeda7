"""Which segments are merged: few are left, and a document is rewritten only a few times."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.retrieval.segments import (
    MERGE_COUNT,
    SPAN_MAX,
    Segment,
    due_for_emptying,
    due_for_merge,
)


def segment(number: int, first_no: int, span: int, dead_count: int = 0) -> Segment:
    """Return a living segment whose numbers all had documents."""
    return Segment(number, "live", first_no, span, span, dead_count, span, dead_count, (), "")


def merged(living: list[Segment], spans: list[int]) -> tuple[list[Segment], int]:
    """Return the segments after batches of these sizes, and how many documents merges have rewritten."""
    rewritten = 0
    for number, span in enumerate(spans):
        first_no = living[-1].end_no if living else 0
        living = [*living, segment(number, first_no, span)]
        while due := due_for_merge(living):
            place = living.index(due[0])
            covered = due[-1].end_no - due[0].first_no
            assert covered <= SPAN_MAX
            rewritten += covered
            one = segment(number, due[0].first_no, covered)
            living = [*living[:place], one, *living[place + len(due) :]]
    return living, rewritten


@settings(max_examples=40)
@given(st.lists(st.sampled_from([1, 3, 40, 256]), min_size=1, max_size=600))
def test_segments_stay_few_and_documents_are_rarely_rewritten(spans: list[int]) -> None:
    living, rewritten = merged([], spans)
    total = sum(spans)
    assert living[0].first_no == 0
    assert all(one.end_no == other.first_no for one, other in itertools.pairwise(living))
    assert living[-1].end_no == total
    levels = math.log2(total + 1) + 1
    assert len(living) <= (MERGE_COUNT - 1) * levels
    assert rewritten <= total * levels


def test_equal_batches_become_nearly_full_segments() -> None:
    living, rewritten = merged([], [256] * 4 * 256)
    large = [one.span for one in living if one.span > SPAN_MAX // 16]
    assert len(large) <= 5
    assert sum(large) > 0.9 * 4 * SPAN_MAX
    assert rewritten <= 4 * 4 * SPAN_MAX


def test_a_segment_is_emptied_when_most_of_it_is_dead() -> None:
    full = segment(1, 0, SPAN_MAX)
    assert due_for_emptying([full]) is None
    assert due_for_emptying([replace(full, dead_count=SPAN_MAX // 2)]) is None
    sparse = replace(full, dead_count=SPAN_MAX // 2 + 1)
    assert due_for_emptying([full, sparse]) == sparse
    assert due_for_emptying([segment(2, 0, 100, dead_count=99)]) is None
    assert due_for_emptying([segment(2, 0, 100, dead_count=100)]) is not None

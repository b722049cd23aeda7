"""Postings: what is built from documents, merged and read back, against plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from aureus.retrieval import bm25, postings
from aureus.retrieval.postings import LENGTHS, PostingRows, length_code

TERMS = st.sampled_from(["a", "b", "cc", "é", "=agent=x", "東京"])
COUNTS = st.dictionaries(TERMS, st.integers(0, 600), max_size=6)
DOCUMENTS = st.lists(st.tuples(st.integers(0, 5000), COUNTS), max_size=20)


def unpacked(rows: PostingRows) -> dict[str, list[tuple[int, int, int]]]:
    """Return for each term its documents with length code and occurrences."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    start = 0
    for term, count in zip(rows.terms, rows.counts, strict=True):
        packed = postings.apart(rows.postings[start : start + 4 * count])
        start += 4 * count
        pairs = zip(postings.offsets(packed), postings.codes(packed), strict=True)
        found[term] = [(int(offset), int(code) & 255, int(code) >> 8) for offset, code in pairs]
    assert start == len(rows.postings)
    return found


def expected(
    documents: list[tuple[int, dict[str, int]]], first: int = 0
) -> dict[str, list[tuple[int, int, int]]]:
    """Return the same from the documents themselves."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    for offset, (length, counts) in enumerate(documents):
        for term, count in counts.items():
            entry = (first + offset, length_code(length), min(count, 255))
            found.setdefault(term, []).append(entry)
    return dict(sorted(found.items()))


def built(documents: list[tuple[int, dict[str, int]]]) -> PostingRows:
    """Return the rows of documents numbered from 0."""
    return postings.build((offset, *document) for offset, document in enumerate(documents))


@given(DOCUMENTS)
def test_every_occurrence_is_kept_in_the_order_of_terms_and_documents(
    documents: list[tuple[int, dict[str, int]]],
) -> None:
    rows = built(documents)
    assert unpacked(rows) == expected(documents)
    assert list(rows.terms) == sorted(rows.terms)


@given(st.lists(DOCUMENTS, min_size=1, max_size=4), st.data())
def test_merged_segments_are_one_segment_without_the_dead(
    parts: list[list[tuple[int, dict[str, int]]]], data: st.DataObject
) -> None:
    everything = [document for part in parts for document in part]
    dead = data.draw(st.sets(st.integers(0, max(0, len(everything) - 1))))
    rows: list[tuple[str, bytes, int]] = []
    shift = 0
    for part in parts:
        one = built(part)
        start = 0
        for term, count in zip(one.terms, one.counts, strict=True):
            rows.append((term, one.postings[start : start + 4 * count], shift))
            start += 4 * count
        shift += len(part)
    numbers = ",".join(str(100 + n) for n in range(len(everything)) if n not in dead)
    is_alive = postings.flags(len(everything), numbers, 100)
    merged = postings.merge(sorted(rows, key=lambda row: (row[0], row[2])), is_alive)
    left = [
        (length, {} if number in dead else counts)
        for number, (length, counts) in enumerate(everything)
    ]
    assert unpacked(merged) == expected(left)
    assert len(merged.peaks) == 5 * len(merged.terms)


@given(DOCUMENTS, st.floats(0.5, 2000))
def test_peaks_bound_the_impact_of_every_posting(
    documents: list[tuple[int, dict[str, int]]], average: float
) -> None:
    rows = built(documents)
    table = postings.impacts(average)
    found = unpacked(rows)
    peaks = [rows.peaks[5 * index : 5 * index + 5] for index in range(len(found))]
    for bound, occurrences in zip(postings.bounds(peaks, table), found.values(), strict=True):
        assert all(table[count << 8 | code] <= bound for _, code, count in occurrences)


@given(st.lists(st.integers(0, 65_535), unique=True).map(sorted), st.integers(0, 2**40))
def test_documents_are_numbered_from_where_their_segment_begins(
    places: list[int], first_no: int
) -> None:
    rows = postings.build((place, 1, {"tide": 1}) for place in places)
    held = postings.apart(rows.postings)
    assert postings.numbers_of(held, first_no) == [first_no + place for place in places]


@given(DOCUMENTS, st.lists(st.integers(0, 19), unique=True).map(sorted))
def test_looking_documents_up_finds_what_reading_all_postings_finds(
    documents: list[tuple[int, dict[str, int]]], asked: list[int]
) -> None:
    rows = built(documents)
    start = 0
    for count in rows.counts:
        packed = postings.apart(rows.postings[start : start + 4 * count])
        start += 4 * count
        everything = dict(zip(postings.offsets(packed), postings.codes(packed), strict=True))
        looked_for = np.array(asked, dtype=np.intp)
        is_held, codes = postings.looked_up(packed, looked_for)
        wanted = {number: everything[number] for number in asked if number in everything}
        assert dict(zip(looked_for[is_held], codes, strict=True)) == wanted


@given(st.integers(0, 200_000))
def test_lengths_are_exact_up_to_127_and_close_above(length: int) -> None:
    kept = int(LENGTHS[length_code(length)])
    assert kept == length if length < 128 else kept <= length < kept * 1.0715


def test_the_table_of_impacts_is_the_formula() -> None:
    table = postings.impacts(50.0)
    for count, code in ((1, 10), (2, 50), (255, 127), (3, 200)):
        exact = bm25.impact(count, int(LENGTHS[code]), 50.0)
        assert abs(float(table[count << 8 | code]) - exact) < 1e-6
    assert float(table[0 << 8 | 10]) == 0

"""The benchmark of searches fills in what upkeep would have written."""

from __future__ import annotations

import pytest

from aureus.retrieval import postings
from aureus.retrieval.analysis import analyze, label
from benchmarks import filling, made_texts
from benchmarks.filling import segment_rows
from benchmarks.made_texts import Texts


def test_a_segment_that_is_filled_in_is_the_one_that_upkeep_builds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (filling, made_texts):
        monkeypatch.setattr(module, "CHUNK", 500)
    texts = Texts()
    chunk = texts.chunk(3)
    labels = (label("namespace", ""), label("type", "episodic_note"))
    analyzed = (
        analyze(
            text,
            labels=[
                label("agent", f"agent{number % 50}"),
                label("user", f"user{number % 5000}"),
                *labels,
            ],
        )
        for number, text in enumerate(texts.texts(chunk), chunk.first)
    )
    built = postings.build(
        (offset, one.length, {**one.counts, **dict.fromkeys(one.labels, 0)})
        for offset, one in enumerate(analyzed)
    )
    filled = segment_rows(texts, [chunk])
    assert chunk.first == 1500
    assert by_term(filled) == by_term(built)


def by_term(rows: postings.PostingRows) -> dict[str, tuple[bytes, bytes]]:
    """Return peaks and postings of each term."""
    found: dict[str, tuple[bytes, bytes]] = {}
    start = 0
    for place, (term, count) in enumerate(zip(rows.terms, rows.counts, strict=True)):
        peaks = rows.peaks[5 * place : 5 * place + 5]
        found[term] = (peaks, rows.postings[4 * start : 4 * (start + count)])
        start += count
    return found

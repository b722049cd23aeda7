"""The text index: everything that is committed is found, in the order of BM25, whatever upkeep has done so far."""

from __future__ import annotations

import pytest

from aureus.retrieval.analysis import Terms, analyze, label
from aureus.retrieval.ranking import Condition
from tests.contract.stage import Stage
from tests.support.text_indexes import Index, expected_scores


def texts(count: int, first: int = 0) -> dict[str, Terms]:
    """Return documents in which words are of different rarity, with labels."""
    found: dict[str, Terms] = {}
    for number in range(first, first + count):
        words = ["common"] * (number % 3 + 1) + [f"w{number % 7}", f"x{number % 31}"]
        words += ["filler"] * (number % 5) + ([f"rare{number // 50}"] if number % 50 == 0 else [])
        labels = [label("agent", f"a{number % 4}"), label("user", f"u{number % 60}")]
        found[f"d{number:05d}"] = analyze(" ".join(words), "none", labels=labels)
    return found


def agrees(
    index: Index, documents: dict[str, Terms], terms: list[str], condition: Condition
) -> None:
    expected = expected_scores(documents, terms, condition)
    found = index.find_all(terms, condition, count=7)
    assert {one.target_id for one in found} == set(expected)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert scores == pytest.approx([expected[one.target_id] for one in found], rel=1e-5)


def test_any_stage_of_upkeep_finds_the_same(stage: Stage) -> None:
    index = Index(stage.backend, "acme")
    documents = texts(300)
    index.put(documents)
    questions = [
        (["common"], Condition()),
        (["w3", "x5", "rare2"], Condition()),
        (
            ["common", "filler", "nowhere"],
            Condition(any_of=((label("agent", "a1"), label("agent", "a2")),)),
        ),
        (["w1", "common"], Condition(any_of=((label("user", "u7"),),), none_of=("filler",))),
        (["w1", "x1"], Condition(any_of=(("w1",), ("x1",)))),
        (["nowhere"], Condition()),
        ([], Condition()),
    ]
    for steps in range(1000):
        for terms, condition in questions[steps % 2 :: 2] if steps % 6 == 0 else ():
            agrees(index, documents, terms, condition)
        if not index.step(batch_max=15):
            break
    for terms, condition in questions:
        agrees(index, documents, terms, condition)
    # One merge of 16 segments of 15, and 4 more.
    with stage.backend.transaction("acme") as tx:
        rows = tx.execute(
            f"SELECT span FROM {stage.table('text_index_segments')} ORDER BY first_no"
        )
        pending = tx.execute(f"SELECT count(*) FROM {stage.table('text_index_pending')}")
    assert [row[0] for row in rows] == [240, 15, 15, 15, 15]
    assert pending == [(0,)]


def test_a_document_that_changed_or_went_is_found_as_it_is_now(stage: Stage) -> None:
    index = Index(stage.backend, "acme")
    documents = texts(60)
    index.put(documents)
    index.settle(batch_max=20)
    changed = analyze("changed words only", "none")
    index.put({"d00001": changed, "d00002": None, "new": analyze("common changed", "none")})
    for _ in range(2):
        assert {one.target_id for one in index.find(["changed"])} == {"d00001", "new"}
        found = {one.target_id for one in index.find_all(["common"])}
        assert found == {*documents, "new"} - {"d00001", "d00002"}
        index.settle(batch_max=20)
    index.put({"d00001": None, "new": None})
    index.put({"new": analyze("again", "none")})
    index.settle()
    assert index.find(["changed"]) == []
    assert [one.target_id for one in index.find(["again"])] == ["new"]


def test_tenants_and_spaces_do_not_see_each_other(stage: Stage) -> None:
    acme, other = Index(stage.backend, "acme"), Index(stage.backend, "other")
    elsewhere = Index(stage.backend, "acme", "elsewhere")
    acme.put({"d1": analyze("tide moon", "none")})
    other.put({"d1": analyze("tide tide", "none"), "d2": analyze("moon", "none")})
    acme.settle()
    assert [one.target_id for one in acme.find(["tide"])] == ["d1"]
    assert [one.target_id for one in other.find(["moon"])] == ["d2"]
    assert elsewhere.find(["tide"]) == []
    elsewhere.settle()
    other.settle()
    assert [one.target_id for one in other.find(["tide"])] == ["d1"]
    assert len(acme.find(["tide", "moon"])) == 1

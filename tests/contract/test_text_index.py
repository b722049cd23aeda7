"""The text index: everything that is committed is found, in the order of BM25, whatever upkeep has done so far."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from aureus.retrieval import searching, upkeep
from aureus.retrieval.analysis import Terms, analyze, label
from aureus.retrieval.conditions import Condition
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


@pytest.mark.parametrize("inline_max", [2048, 3], ids=["short", "long"])
def test_any_stage_of_upkeep_finds_the_same(
    stage: Stage, inline_max: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Long postings are read by a statement of their own, once, and then kept."""
    monkeypatch.setattr(searching, "INLINE_MAX", inline_max)
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


def test_a_short_step_takes_few_words_and_postings_and_in_the_end_all_are_found(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a long document, or a word that all have, does not keep SQLite's other writers waiting."""
    short = replace(upkeep.SHORT, words=4, rows=32, postings=3)
    monkeypatch.setattr(upkeep, "SHORT", short)
    index = Index(stage.backend, "acme")
    documents = texts(40)
    long = {f"e{number}": analyze("endless " * 9, "none") for number in range(2)}
    index.put(documents | long)
    spans = f"SELECT span FROM {stage.table('text_index_segments')} WHERE status = 'live'"
    condition = Condition(any_of=((label("agent", "a1"), label("agent", "a2")),))
    steps = 0
    while index.step(batch_max=10):
        steps += 1
        with stage.backend.transaction("acme") as tx:
            assert {row[0] for row in tx.execute(spans)} <= {1, 2, *range(16, 43)}
        if steps % 7 == 0:
            agrees(index, documents | long, ["w3", "common", "endless"], Condition())
    assert steps > 42 / 2 + len(documents) / 3
    agrees(index, documents | long, ["w3", "common"], condition)
    assert {one.target_id for one in index.find(["endless"])} == set(long)
    with stage.backend.transaction("acme") as tx:
        rows = tx.execute(
            f"SELECT status, count(*) FROM {stage.table('text_index_segments')} GROUP BY status"
        )
    assert [row[0] for row in rows] == ["live"]


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


def test_what_was_kept_of_a_segment_that_was_rolled_back_is_never_taken_for_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The segment that is made instead has the same number."""
    monkeypatch.setattr(searching, "INLINE_MAX", 0)
    memories = stage.stores.memories
    memories.add("kept tide", agent_id="a", memory_id="m1")

    def index_and_fail() -> None:
        with stage.backend.transaction(stage.tenant) as tx:
            tx.memories.add("tide tide", agent_id="a", memory_id="m0")
            assert tx.memories.index_step().indexed_count == 2
            assert [hit.memory.memory_id for hit in tx.memories.recall("tide")] == ["m0", "m1"]
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        index_and_fail()
    memories.add("other words", agent_id="a", memory_id="m2")
    memories.add("a tide", agent_id="a", memory_id="m3")
    assert memories.index() == 3
    assert {hit.memory.memory_id for hit in memories.recall("tide")} == {"m1", "m3"}


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


def test_writers_and_several_processes_at_upkeep_lose_nothing(stage: Stage) -> None:
    index = Index(stage.backend, "acme")
    documents = texts(120)
    names = list(documents)

    def write(part: int) -> None:
        for name in names[part::3]:
            index.put({name: analyze("earlier", "none")})
            index.put({name: documents[name]})

    def keep(_: int) -> None:
        for _ in range(12):
            index.step(batch_max=7)

    with ThreadPoolExecutor(5) as pool:
        for work in [*pool.map(write, range(3)), *pool.map(keep, range(2))]:
            assert work is None
    index.settle(batch_max=7)
    agrees_in_targets = {one.target_id for one in index.find_all(["common"], count=50)}
    assert agrees_in_targets == set(documents)
    assert index.find(["earlier"]) == []
    with stage.backend.transaction("acme") as tx:
        numbers = tx.execute(f"SELECT document_no FROM {stage.table('text_index_documents')}")
        ((next_no,),) = tx.execute(f"SELECT next_document_no FROM {stage.table('text_indexes')}")
        spans = tx.execute(f"SELECT first_no, span FROM {stage.table('text_index_segments')}")
    assert len({row[0] for row in numbers}) == len(documents)
    assert all(row[0] < next_no for row in numbers)
    covered = sorted(number for first, span in spans for number in range(first, first + span))
    assert covered == sorted(set(covered))


def test_nothing_is_left_of_the_dead_where_that_is_asked_for(stage: Stage) -> None:
    index = Index(stage.backend, "acme")
    index.put({"d1": analyze("secret tide", "none"), "d2": analyze("tide", "none")})
    index.settle()
    index.put({"d1": None})
    index.settle()
    terms = f"SELECT DISTINCT term FROM {stage.table('text_index_postings')} ORDER BY term"
    with stage.backend.transaction("acme") as tx:
        assert tx.execute(terms) == [("secret",), ("tide",)]
    index.settle(drops_dead=True)
    with stage.backend.transaction("acme") as tx:
        assert tx.execute(terms) == [("tide",)]
    assert [one.target_id for one in index.find(["tide", "secret"])] == ["d2"]


def test_numbers_of_documents_may_rise_beyond_32_bits(stage: Stage) -> None:
    """Documents behind the 4,294,967,296th were taken for the first ones, and with wrong scores."""
    memories = stage.stores.memories

    def write(first: int) -> None:
        for number in range(first, first + 5):
            text = "cats " + "nice " * number
            memories.add(text, agent_id="a", memory_id=f"m{number}", tags=[f"t{number % 2}"])

    def found(**criteria: Any) -> list[tuple[str, float]]:
        hits = memories.recall("cats nice", limit=100, **criteria).hits
        return [(hit.memory.memory_id, hit.score) for hit in hits]

    write(0)
    memories.index()
    with stage.backend.transaction(stage.tenant) as tx:
        tx.execute(f"UPDATE {stage.table('text_indexes')} SET next_document_no = {2**32 - 2}")
    write(5)
    pending = found()
    memories.index()
    assert found() == pending
    assert sorted(memory_id for memory_id, _ in pending) == sorted(f"m{n}" for n in range(10))
    memories.update("m7", text="dogs")
    assert "m7" not in dict(found())
    memories.index(drops_dead=True)
    assert sorted(dict(found(tags=["t1"]))) == ["m1", "m3", "m5", "m9"]

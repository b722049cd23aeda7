"""The text index against brute force: random documents, changes, batches and merges."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aureus.retrieval import rescoring, searching
from aureus.retrieval.analysis import Terms
from aureus.retrieval.conditions import Condition
from tests.support.backends import Backend, settings_for
from tests.support.text_indexes import Index, Statistics, expected_scores

WORDS = st.sampled_from(["a", "b", "c", "d", "e"])
LABELS = st.lists(st.sampled_from(["=x", "=y", "=z"]), max_size=2, unique=True)
COUNTS = st.dictionaries(WORDS, st.integers(1, 4), min_size=1)
TARGETS = st.integers(0, 25).map(lambda number: f"t{number:02d}")


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """Return a document."""
    counts = draw(COUNTS)
    more = draw(st.integers(0, 300))
    return Terms(counts, sum(counts.values()) + more, tuple(draw(LABELS)))


WRITES = st.dictionaries(TARGETS, st.none() | terms(), min_size=1, max_size=12)
ACTIONS = st.lists(WRITES | st.tuples(st.integers(1, 4), st.integers(1, 30)), max_size=12)
CONDITIONS = st.builds(
    Condition,
    any_of=st.lists(
        st.lists(st.sampled_from(["=x", "=y", "a", "b"]), min_size=1, max_size=2).map(tuple),
        max_size=2,
    ).map(tuple),
    none_of=st.lists(st.sampled_from(["=z", "c"]), max_size=1).map(tuple),
)

SPACES = itertools.count()


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """Give one database for all examples; each has a space of its own."""
    folder: Path = tmp_path_factory.mktemp("index")
    opened = Backend(settings_for("sqlite://", folder), is_async=False)
    yield opened
    opened.close()


def prepared(backend: Backend, actions: list[object]) -> tuple[Index, dict[str, Terms]]:
    """Return an index after writes and steps of upkeep, and what it should hold."""
    index = Index(backend, "acme", f"s{next(SPACES)}")
    documents: dict[str, Terms] = {}
    for action in actions:
        if isinstance(action, dict):
            index.put(action)
            documents |= {name: one for name, one in action.items() if one is not None}
            for name, one in action.items():
                if one is None:
                    documents.pop(name, None)
        elif isinstance(action, tuple):
            batch, steps = action
            for _ in range(steps):
                index.step(batch_max=batch)
    return index, documents


def statistics(backend: Backend, index: Index) -> Statistics:
    """Return what the index counts by: the dead too, until a merge."""
    where = f"WHERE space = '{index.space}'"
    with backend.transaction("acme") as tx:
        segments = tx.execute(
            "SELECT segment_no, document_count, length_total FROM text_index_segments "
            f"{where} AND status = 'live'"
        )
        numbers = [row[0] for row in segments]
        rows = tx.execute(
            f"SELECT segment_no, term, document_count FROM text_index_postings {where}"
        )
        pending = tx.execute(f"SELECT length, terms FROM text_index_pending {where}")
    containing: Counter[str] = Counter()
    for number, term, count in rows:
        if number in numbers:
            containing[term] += count
    living = [(length, packed) for length, packed in pending if packed is not None]
    for _, packed in living:
        containing.update({term: 1 for term in "abcde" if f'"{term}"' in packed})
    return Statistics(
        sum(row[1] for row in segments) + len(living),
        sum(row[2] for row in segments) + sum(length for length, _ in living),
        containing,
    )


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ACTIONS, st.lists(WORDS, min_size=1, max_size=4, unique=True), CONDITIONS)
def test_a_search_finds_what_brute_force_finds(
    backend: Backend, actions: list[object], question: list[str], condition: Condition
) -> None:
    index, documents = prepared(backend, actions)
    for _ in range(2):
        known = statistics(backend, index)
        assert known.number >= len(documents)
        expected = expected_scores(documents, question, condition, known)
        found = index.find_all(question, condition, count=3)
        assert {one.target_id for one in found} == set(expected)
        assert [one.score for one in found] == pytest.approx(
            [expected[one.target_id] for one in found], rel=1e-5
        )
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        index.settle(batch_max=3)


@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(ACTIONS, st.lists(WORDS, min_size=2, max_size=4, unique=True), st.integers(1, 12))
def test_what_a_bounded_search_may_have_missed_is_bounded(
    backend: Backend, actions: list[object], question: list[str], room: int
) -> None:
    index, documents = prepared(backend, actions)
    index.settle(batch_max=4)
    expected = expected_scores(documents, question, statistics=statistics(backend, index))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "POSTINGS_MAX", room)
        patch.setattr(searching, "POSTINGS_FEW", room)
        patch.setattr(rescoring, "RESCORED_FIRST", 2)
        patch.setattr(rescoring, "RESCORED_MAX", 4)
        found = index.find_all(question)
    scores = {one.target_id: one.score for one in found}
    assert scores == pytest.approx({name: expected[name] for name in scores}, rel=1e-5)
    missed = [score for name, score in expected.items() if name not in scores]
    assert all(score <= index.missed * (1 + 1e-6) for score in missed)


def test_an_index_of_changing_documents_stays_small(backend: Backend) -> None:
    index = Index(backend, "acme", f"s{next(SPACES)}")
    for round_no in range(60):
        index.put({f"t{n}": Terms({f"w{round_no}": 1}, 1) for n in range(100)})
        index.settle(batch_max=100)
    with backend.transaction("acme") as tx:
        where = f"WHERE space = '{index.space}'"
        ((rows,),) = tx.execute(f"SELECT count(*) FROM text_index_postings {where}")
        ((segments,),) = tx.execute(f"SELECT count(*) FROM text_index_segments {where}")
    assert rows <= 20
    assert segments <= 20
    assert len(index.find_all(["w59"])) == 100
    assert index.find_all(["w58"]) == []

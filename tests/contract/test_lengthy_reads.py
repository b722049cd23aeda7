"""Reads that compute for long, take several statements in one round trip, or end early: the same answer."""

from __future__ import annotations

import threading

import pytest

from aureus._database.statement import (
    Op,
    Queries,
    beside,
    fetch_all,
    fetch_likely_last,
    lengthy,
)
from aureus.errors import Invalid
from aureus.retrieval.analysis import analyze
from tests.contract.stage import Stage
from tests.support.text_indexes import Index

sql = Queries("text_index")


def test_the_computing_is_done_outside_the_event_loop(stage: Stage) -> None:
    index = Index(stage.backend, stage.tenant)
    threads: list[str] = []

    def body() -> Op[int]:
        yield from lengthy()
        for _ in range(2):
            yield from fetch_all(sql.count_pending, bool, space="memories", limit=1)
            threads.append(threading.current_thread().name)
        return 7

    assert index.read(body) == 7
    assert "test loop" not in threads
    assert len(threads) == 2


def test_what_it_raises_reaches_the_caller_and_nothing_stays_open(stage: Stage) -> None:
    def body() -> Op[None]:
        yield from lengthy()
        yield from fetch_all(sql.count_pending, bool, space="memories", limit=1)
        raise Invalid("no such thing")

    index = Index(stage.backend, stage.tenant)
    for _ in range(20):
        with pytest.raises(Invalid, match="no such thing"):
            index.read(body)
    assert stage.stores.memories.recall("anything").hits == ()


def test_inside_a_transaction_it_sees_what_was_written_there(stage: Stage) -> None:
    with stage.backend.transaction(stage.tenant) as tx:
        tx.memories.add("the tide", agent_id="a")
        assert len(tx.memories.recall("tide")) == 1


def _count(space: str) -> Op[int]:
    rows = yield from fetch_all(sql.count_pending, bool, space=space, limit=10)
    return len(rows)


@pytest.mark.parametrize("is_lengthy", [False, True])
def test_a_read_beside_another_has_its_rows_when_that_one_is_answered(
    stage: Stage, is_lengthy: bool
) -> None:
    """Also when the other one brings none."""
    index = Index(stage.backend, stage.tenant)
    index.put({"one": analyze("the tide", "english"), "two": analyze("the ferry", "english")})

    def body(space: str, other: str) -> Op[tuple[int, int, int]]:
        if is_lengthy:
            yield from lengthy()
        waiting = yield from beside(sql.count_pending, space=other, limit=10)
        before = len(waiting.rows)
        found = yield from _count(space)
        return before, found, len(waiting.rows)

    assert index.read(lambda: body(index.space, index.space)) == (0, 2, 2)
    assert index.read(lambda: body("none", index.space)) == (0, 0, 2)
    assert index.read(lambda: body(index.space, "none")) == (0, 2, 0)


def test_a_read_that_goes_on_although_it_hardly_would_begins_anew(stage: Stage) -> None:
    index = Index(stage.backend, stage.tenant)
    index.put({"one": analyze("the tide", "english")})

    def body(*, goes_on: bool) -> Op[tuple[int, int]]:
        yield from lengthy()
        first = yield from fetch_likely_last(sql.count_pending, bool, space=index.space, limit=10)
        further = (yield from _count(index.space)) if goes_on else 0
        return len(first), further

    assert index.read(lambda: body(goes_on=False)) == (1, 0)
    assert index.read(lambda: body(goes_on=True)) == (1, 1)

"""Reads that compute for long: the same answer, and no event loop that waits for them."""

from __future__ import annotations

import threading

import pytest

from aureus._database.statement import Op, Queries, fetch_all, lengthy
from aureus.errors import Invalid
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

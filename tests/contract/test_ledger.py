"""The ledger: what is committed gets dense positions in an order that no reader can miss, and a tree over it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from aureus import NewEvent
from aureus.errors import Forbidden, IntegrityFailure, Invalid, NotFound
from aureus.model.events import Event
from aureus.model.ledger import LedgerBatch
from aureus.model.merkle import HASH_BYTES, Tree
from tests.contract.stage import Stage
from tests.support.backends import Backend, settings_for
from tests.support.waiting import eventually

TREE_NODES = 600
"""Entries that complete two subtrees of 256."""


def sealed(stage: Stage) -> list[tuple[int, int, bytes]]:
    """Seal what is there; return position, entry number and leaf hash of every sealed entry."""
    while not stage.stores.ledger.seal().is_done:
        pass
    batches: list[LedgerBatch] = []
    size = stage.stores.ledger.get_head().size
    while (reached := sum(len(batch.entry_nos) for batch in batches)) < size:
        batches += stage.stores.ledger.list_batches(from_position=reached, limit=7)
    return [
        (
            batch.first_position + at,
            entry_no,
            batch.leaf_hashes[HASH_BYTES * at : HASH_BYTES * (at + 1)],
        )
        for batch in batches
        for at, entry_no in enumerate(batch.entry_nos)
    ]


def events_of(stage: Stage) -> dict[int, Event]:
    """Return every event by its entry number."""
    found: dict[int, Event] = {}
    cursor: int | None = None
    while True:
        page = stage.stores.events.list(cursor=cursor, limit=1000)
        found |= {event.entry_no: event for event in page.events}
        if page.cursor is None:
            return found
        cursor = page.cursor


def check(stage: Stage) -> int:
    """Hold that every event is sealed once, densely and in the order of its stream, under the head; return how many."""
    rows, events = sealed(stage), events_of(stage)
    assert [position for position, _, _ in rows] == list(range(len(rows)))
    assert sorted(entry_no for _, entry_no, _ in rows) == sorted(events)
    assert all(leaf == events[entry_no].leaf_hash for _, entry_no, leaf in rows)
    versions: dict[str, int] = {}
    for _, entry_no, _ in rows:
        event = events[entry_no]
        assert event.version == versions.get(event.stream, 0) + 1, "a stream keeps its order"
        versions[event.stream] = event.version
    tree = Tree()
    tree.extend(leaf for _, _, leaf in rows)
    head = stage.stores.ledger.get_head()
    assert (head.size, head.root, head.peaks) == (len(rows), tree.root(), tree.to_bytes())
    return len(rows)


def test_what_is_appended_is_sealed_by_itself(stage: Stage) -> None:
    stage.stores.events.append_all("a/1", [NewEvent("t", {"n": n}) for n in range(3)])
    stage.start("r1")
    eventually(lambda: is_whole(stage), "everything to be sealed")
    assert check(stage) == len(events_of(stage)) >= 5


def is_whole(stage: Stage) -> bool:
    """Return whether every event of the tenant is sealed already."""
    head = stage.stores.ledger.get_head()
    return head is not None and head.size == len(events_of(stage))


def test_a_ledger_without_entries_has_no_head_and_sealing_it_does_nothing(stage: Stage) -> None:
    assert stage.stores.ledger.get_head() is None
    done = stage.stores.ledger.seal()
    assert (done.size, done.sealed_count, done.is_done) == (0, 0, True)
    assert stage.stores.ledger.list_batches() == []
    with pytest.raises(Invalid, match="at least one entry"):
        stage.stores.ledger.seal(limit=0)
    with pytest.raises(Invalid, match="positions begin at 0"):
        stage.stores.ledger.list_batches(from_position=-1)


def test_each_tenant_has_positions_and_a_tree_of_its_own(stage: Stage, another_stage: Any) -> None:
    other = another_stage("globex")
    for number in range(3):
        stage.stores.events.append("a/1", "t", {"n": number})
        other.stores.events.append("a/1", "t", {"n": number})
    assert (check(stage), check(other)) == (3, 3)
    heads = [one.stores.ledger.get_head() for one in (stage, other)]
    assert heads[0].tenant_key != heads[1].tenant_key
    assert heads[0].root != heads[1].root


def test_subtrees_that_are_complete_are_kept(stage: Stage) -> None:
    for number in range(TREE_NODES // 100):
        stage.stores.events.append_all(f"a/{number}", [NewEvent("t", {"n": n}) for n in range(100)])
    check(stage)
    tree = Tree()
    nodes = tree.extend(leaf for _, _, leaf in sealed(stage))
    with stage.backend.transaction(stage.tenant) as tx:
        rows = tx.execute(f"SELECT level, node_no, hash FROM {stage.table('ledger_nodes')}")
    assert sorted((level, number, bytes(root)) for level, number, root in rows) == [
        (node.level, node.index, node.hash) for node in nodes
    ]
    assert len(nodes) == 2


def test_entries_of_a_transaction_are_sealed_with_it_or_not_at_all(stage: Stage) -> None:
    with stage.backend.transaction(stage.tenant) as tx:
        tx.events.append("a/1", "t", {})
        tx.events.append("b/1", "t", {})
    with suppress(NotFound), stage.backend.transaction(stage.tenant) as tx:
        tx.events.append("a/1", "t", {})
        tx.runs.get("none")
    stage.stores.events.append("a/1", "t", {})
    assert check(stage) == 3


def test_appends_of_many_at_once_are_each_sealed_once(stage: Stage) -> None:
    def work(number: int) -> None:
        for at in range(8):
            stage.stores.events.append_all(
                f"s/{number % 3}", [NewEvent("t", {"n": number, "at": at})] * (1 + at % 3)
            )
            if at % 4 == 3:
                stage.stores.ledger.seal()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert check(stage) == 6 * (1 + 2 + 3 + 1 + 2 + 3 + 1 + 2)


def test_what_is_sealed_cannot_be_changed(stage: Stage) -> None:
    stage.stores.events.append("a/1", "t", {})
    assert check(stage) == 1
    for statement in ("UPDATE {} SET first_position = 9", "DELETE FROM {}"):
        with (
            stage.backend.transaction(stage.tenant) as tx,
            pytest.raises((IntegrityFailure, Forbidden)),
        ):
            tx.execute(statement.format(stage.table("ledger_batches")))


def test_a_file_that_was_filled_with_sealing_off_is_sealed_later(tmp_path: Path) -> None:
    """Also what an older version has appended: a round never ends inside an append."""
    url = f"sqlite:///{tmp_path}/aureus.db"
    off = Backend(settings_for(url, tmp_path, **{"ledger.sealing": "off"}), is_async=False)
    stage = Stage(off, "acme")
    for number in range(4):
        stage.stores.events.append_all(f"a/{number}", [NewEvent("t", {})] * 5)
    assert stage.stores.ledger.get_head() is None
    counts = []
    while (done := stage.stores.ledger.seal(limit=6)).sealed_count:
        counts.append(done.sealed_count)
    assert counts == [10, 10]
    off.close()
    on = Stage(Backend(settings_for(url, tmp_path), is_async=False), "acme")
    on.stores.events.append("a/9", "t", {})
    assert on.stores.ledger.get_head().size == 21
    assert check(on) == 21
    on.backend.close()

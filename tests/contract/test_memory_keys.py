"""Memories under keys: what is put supersedes what was there, and what was there stays as what held before."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest

from aureus.errors import AlreadyExists, IllegalTransition, NotFound, VersionConflict
from aureus.model.memories import AsOf, Memory
from tests.contract.stage import Stage


def put(stage: Stage, text: str, **more: Any) -> Memory:
    """Put a memory of the planner about Ada's city."""
    values = {"agent_id": "planner", "user_id": "ada", **more}
    found: Memory = stage.stores.memories.put("city", text, **values)
    return found


def held(stage: Stage, **more: Any) -> Memory:
    """Return what the key holds."""
    values = {"agent_id": "planner", "user_id": "ada", **more}
    found: Memory = stage.stores.memories.get_by_key("city", **values)
    return found


def test_a_put_supersedes_what_the_key_held(stage: Stage) -> None:
    clock = stage.backend.clock
    first = put(stage, "Paris", tags=["place"])
    assert (first.version, first.key, first.valid_from) == (1, "city", None)
    clock.advance(3600)
    moved_at = clock.now()
    second = put(stage, "Berlin", memory_id="m2", actor="ada")
    assert (second.version, second.valid_from, held(stage)) == (3, moved_at, second)
    with pytest.raises(NotFound, match="superseded by memory m2"):
        stage.stores.memories.get(first.memory_id)
    assert put(stage, "Berlin", memory_id="m2") == second
    clock.advance(3600)
    store = stage.stores.memories
    assert [memory.text for memory in store.query(agent_id="planner")] == ["Berlin"]
    assert store.count(agent_id="planner", tags=["place"]) == 0
    before = AsOf(valid=moved_at - timedelta(seconds=1))
    assert [memory.text for memory in store.query(as_of=before)] == ["Paris"]
    assert store.get(first.memory_id, as_of=before).valid_to == moved_at
    assert [m.text for m in store.query(as_of=AsOf(valid=clock.now()))] == ["Berlin"]
    then = AsOf(recorded=moved_at - timedelta(seconds=1))
    assert store.query(as_of=then) == [first]
    assert store.count(as_of=then) == 1
    events = stage.stores.events.read_stream("memories/planner/ada")
    assert [(event.type, event.actor) for event in events] == [
        ("memory_created", "planner"), ("memory_superseded", "ada"), ("memory_created", "ada"),
    ]  # fmt: skip
    assert events[1].payload["supersededBy"] == "m2"


def test_a_put_may_expect_a_version_or_nothing(stage: Stage) -> None:
    with pytest.raises(VersionConflict, match="holds nothing, not 1"):
        put(stage, "Paris", expected_version=1)
    first = put(stage, "Paris", expected_version=0)
    with pytest.raises(VersionConflict, match="holds version 1, not 0"):
        put(stage, "Rome", expected_version=0)
    second = put(stage, "Rome", expected_version=first.version)
    stage.stores.memories.forget(second.memory_id)
    with pytest.raises(NotFound):
        held(stage)
    third = put(stage, "Oslo", expected_version=0)
    assert third.version > second.version, "a stale expectation never fits a later memory"
    assert put(stage, "Rom", namespace="german").version == 1
    assert put(stage, "Lima", user_id=None).version == 1
    assert [held(stage).text, held(stage, namespace="german").text] == ["Oslo", "Rom"]


def test_one_id_is_one_memory_whatever_the_key(stage: Stage) -> None:
    put(stage, "Paris", memory_id="m1")
    with pytest.raises(AlreadyExists):
        put(stage, "Rome", memory_id="m1")
    with pytest.raises(AlreadyExists):
        stage.stores.memories.put(
            "food", "Paris", agent_id="planner", user_id="ada", memory_id="m1"
        )
    assert stage.stores.events.stream_version("memories/planner/ada") == 1


def test_what_was_forgotten_is_restored_unless_something_took_its_place(stage: Stage) -> None:
    store = stage.stores.memories
    first = put(stage, "Paris", tags=["place"])
    store.forget(first.memory_id)
    restored = store.restore(first.memory_id, operation_id="op")
    assert (restored.version, restored.deleted_at, held(stage)) == (3, None, restored)
    assert store.restore(first.memory_id, operation_id="op") == restored
    assert store.restore(first.memory_id) == restored
    assert store.query(tags=["place"]) == [restored]
    second = put(stage, "Rome")
    with pytest.raises(IllegalTransition, match="superseded by"):
        store.restore(first.memory_id)
    store.forget(second.memory_id)
    put(stage, "Oslo")
    with pytest.raises(AlreadyExists, match="holds memory"):
        store.restore(second.memory_id)
    with pytest.raises(VersionConflict):
        store.restore(second.memory_id, expected_version=1)
    soon = stage.backend.clock.now() + timedelta(seconds=1)
    brief = store.add("brief", agent_id="a", expires_at=soon)
    stage.backend.clock.advance(2)
    assert store.restore(brief.memory_id).expires_at is None
    assert store.find(brief.memory_id).text == "brief"
    assert store.find("nobody") is None


def test_of_many_puts_at_once_none_is_lost_and_one_stands(stage: Stage) -> None:
    def attempt(number: int) -> bool:
        try:
            put(stage, f"n{number}", expected_version=0)
        except VersionConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1
        texts = {memory.text for memory in pool.map(lambda n: put(stage, f"m{n}"), range(8))}
    assert texts == {f"m{n}" for n in range(8)}
    assert held(stage).version == 1 + 2 * 8
    assert stage.stores.memories.count(agent_id="planner") == 1
    assert stage.stores.events.stream_version("memories/planner/ada") == 1 + 2 * 8


def test_a_purged_memory_leaves_no_row_behind(stage: Stage) -> None:
    store = stage.stores.memories
    memory = put(stage, "Paris", tags=["a", "b"])
    store.update(memory.memory_id, text="Lutetia")
    store.record_access([memory.memory_id])
    other = store.add("stays", agent_id="planner", user_id="ada", tags=["a"])
    assert store.purge(memory.memory_id, actor="ada") is True
    assert store.purge(memory.memory_id) is False
    assert (store.history(memory.memory_id), store.find(memory.memory_id)) == ([], None)
    with stage.backend.transaction(stage.tenant) as tx:
        for table, rows in [
            ("memories", 1),
            ("memory_versions", 0),
            ("memory_tags", 1),
            ("memory_accesses", 0),
        ]:
            assert tx.execute(f"SELECT count(*) FROM {stage.table(table)}") == [(rows,)], table
    assert store.query(tags=["a"]) == [other]
    assert put(stage, "Nantes").version == 1
    (entry,) = stage.stores.audit.list().entries
    assert (entry.type, entry.actor) == ("memory_purged", "ada")


def test_a_put_never_fails_because_its_key_is_restored_at_the_same_moment(stage: Stage) -> None:
    store = stage.stores.memories
    with ThreadPoolExecutor(2) as pool:
        for round_no in range(8):
            key, start = f"k{round_no}", Barrier(2)
            old = store.put(key, "old", agent_id="a")
            store.forget(old.memory_id)

            def restore(memory_id: str = old.memory_id, start: Barrier = start) -> bool:
                start.wait(30)
                try:
                    store.restore(memory_id)
                except AlreadyExists:
                    return False
                return True

            def put(key: str = key, start: Barrier = start) -> Memory:
                start.wait(30)
                new: Memory = store.put(key, "new", agent_id="a")
                return new

            restoring, putting = pool.submit(restore), pool.submit(put)
            new, was_restored = putting.result(), restoring.result()
            assert store.get_by_key(key, agent_id="a") == new
            kept = store.history(old.memory_id)[0].memory
            assert (kept.superseded_by == new.memory_id) == was_restored


def test_namespaces_are_listed_by_name_in_pages(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    store = stage.stores.memories
    names = ["", "a", "a/b", "a/c", "b", "é", "\U0010fffd"]
    for name in reversed(names):
        for key in ("k1", "k2"):
            store.put(key, "text", agent_id="ann", namespace=name)
    gone = store.put("k", "text", agent_id="ann", namespace="forgotten")
    store.forget(gone.memory_id)
    soon = stage.backend.clock.now() + timedelta(seconds=5)
    store.put("k", "text", agent_id="ann", namespace="expired", expires_at=soon)
    stage.backend.clock.advance(10)
    store.add("no key", agent_id="ann", namespace="keyless")
    store.put("k", "text", agent_id="ann", user_id="ada", namespace="adas")
    store.put("k", "text", agent_id="bob", namespace="bobs")
    another_stage("other").stores.memories.put("k", "text", agent_id="ann", namespace="theirs")
    assert list(store.list_namespaces("ann")) == names
    assert store.list_namespaces("ann", user_id="ada") == ["adas"]
    assert store.list_namespaces("ann", prefix="a") == ["a", "a/b", "a/c"]
    assert store.list_namespaces("ann", prefix="a/", after="a/b") == ["a/c"]
    assert store.list_namespaces("ann", prefix="b", after="a") == ["b"]
    assert store.list_namespaces("ann", prefix="a", after="b") == []
    assert store.list_namespaces("nobody") == []
    paged: list[str] = []
    after: str | None = None
    while page := store.list_namespaces("ann", after=after, limit=2):
        assert len(page) <= 2
        paged += page
        after = page[-1]
    assert paged == names

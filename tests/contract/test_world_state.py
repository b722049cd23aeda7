"""World state: versioned keys whose history stays, seen at one moment and changed by many at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aureus.errors import (
    Forbidden,
    IntegrityFailure,
    Invalid,
    LimitExceeded,
    NotFound,
    VersionConflict,
)
from aureus.model.world_state import WorldStateConflict
from tests.contract.stage import Stage


@pytest.fixture
def world(stage: Stage) -> Any:
    """Give the world state of one tenant."""
    return stage.stores.world_state


def test_a_key_has_a_version_and_a_history(stage: Stage, world: Any) -> None:
    first = world.set("plan", {"step": 1}, expected_version=0)
    assert (first.version, first.value) == (1, {"step": 1})
    assert world.get("plan") == first == world.find("plan")
    stage.backend.clock.advance(1)
    second = world.update("plan", None, expected_version=1)
    assert (second.version, second.value, second.is_deleted) == (2, None, False)
    assert second.updated_at == stage.backend.clock.now()
    assert world.delete("plan", expected_version=2)
    assert not world.delete("plan")
    assert world.find("plan") is None
    with pytest.raises(NotFound, match="there is no key 'plan'"):
        world.get("plan")
    fourth = world.set("plan", [0, "", False], expected_version=0)
    assert fourth.version == 4
    history = world.history("plan")
    assert [(entry.version, entry.value, entry.is_deleted) for entry in history] == [
        (4, [0, "", False], False), (3, None, True), (2, None, False), (1, {"step": 1}, False),
    ]  # fmt: skip
    assert world.history("plan", before_version=3, limit=1) == [second]
    assert world.read_version("plan", 1) == first
    with pytest.raises(NotFound, match="no version 9"):
        world.read_version("plan", 9)
    events = stage.stores.events.read_stream("world_state/default/plan")
    assert [event.type.rpartition("_")[2] for event in events] == ["set", "set", "deleted", "set"]
    with (
        stage.backend.transaction(stage.tenant) as tx,
        pytest.raises((IntegrityFailure, Forbidden)),
    ):
        tx.execute(f"UPDATE {stage.table('world_state_versions')} SET value = NULL")


def test_a_stale_change_is_refused(world: Any) -> None:
    world.set("k", 1)
    for expected in (0, 2):
        with pytest.raises(VersionConflict) as caught:
            world.set("k", 2, expected_version=expected)
        assert (caught.value.expected_version, caught.value.actual_version) == (expected, 1)
    with pytest.raises(VersionConflict):
        world.delete("k", expected_version=2)
    with pytest.raises(VersionConflict):
        world.update("k", 2, expected_version=5)
    with pytest.raises(NotFound):
        world.update("other", 2, expected_version=1)
    with pytest.raises(VersionConflict):
        world.set("other", 2, expected_version=1)
    with pytest.raises(Invalid, match="version 1 at least"):
        world.update("k", 2, expected_version=0)
    assert (world.get("k").version, world.keys()) == (1, ["k"])


def test_of_concurrent_changes_none_is_lost(world: Any) -> None:
    def compare_and_set(_: int) -> None:
        while True:
            seen = world.find("swapped")
            value, version = (0, 0) if seen is None else (seen.value, seen.version)
            try:
                world.set("swapped", value + 1, expected_version=version)
            except VersionConflict:
                continue
            return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: world.increment("count"), range(30)))
        list(pool.map(lambda _: world.transform("list", lambda v: [*(v or []), 1]), range(18)))
        list(pool.map(compare_and_set, range(12)))
    assert (world.get("count").value, world.get("count").version) == (30, 30)
    assert (world.get("list").value, world.get("list").version) == ([1] * 18, 18)
    assert (world.get("swapped").value, world.get("swapped").version) == (12, 12)


def test_a_repeated_change_is_found_however_much_followed_it(stage: Stage, world: Any) -> None:
    calls: list[Any] = []

    def double(value: int) -> int:
        calls.append(value)
        return 2 * value

    def change() -> list[Any]:
        return [
            world.set("k", 1, operation_id="a"),
            world.increment("k", 4, operation_id="b"),
            world.transform("k", double, operation_id="c"),
            world.update("k", 11, expected_version=3, operation_id="d"),
            world.delete("k", operation_id="e"),
        ]

    first = change()
    assert [entry.value for entry in first[:4]] == [1, 5, 10, 11]
    assert change() == first
    assert calls == [5]
    assert world.set("k", 7).version == 6
    assert change() == first
    assert world.get("k").value == 7
    assert len(stage.stores.events.read_stream("world_state/default/k")) == 6


def test_what_is_no_whole_number_is_not_incremented(world: Any) -> None:
    values: list[Any] = [{}, "5", 1.5, None, True]
    for value in values:
        world.set("k", value)
        with pytest.raises(Invalid, match="cannot be added"):
            world.increment("k")
    world.set("k", 2**63 - 1)
    with pytest.raises(Invalid):
        world.increment("k")
    assert world.increment("k", -1).value == 2**63 - 2
    world.delete("k")
    assert world.increment("k", -3).value == -3
    with pytest.raises(RuntimeError, match="no idea"):
        world.transform("new", _without_idea)
    assert world.keys() == ["k"]


def _without_idea(_: Any) -> Any:
    raise RuntimeError("no idea")


def test_a_snapshot_shows_one_moment_and_what_changed_since(stage: Stage, world: Any) -> None:
    for key in ("a", "a/1", "a/2", "b", "ä"):
        world.set(key, {"of": key})
    before = world.snapshot()
    assert before.values["a/1"] == {"of": "a/1"}
    assert (before.taken_at, before.scope) == (stage.backend.clock.now(), "default")
    assert world.conflicts(before.versions) == []
    world.set("a", 2)
    world.set("a/1", 2)
    world.delete("b")
    world.set("c", 3)
    after = world.snapshot()
    changes = [(change.key, change.kind.value) for change in before.diff(after)]
    assert changes == [("a", "changed"), ("a/1", "changed"), ("b", "removed"), ("c", "added")]
    assert before.diff(before) == []
    assert world.conflicts({"a": 1, "a/2": 1, "b": 1, "new": 0, "c": 0}) == [
        WorldStateConflict("a", 1, 2), WorldStateConflict("b", 1, 0), WorldStateConflict("c", 0, 1),
    ]  # fmt: skip
    assert world.keys() == ["a", "a/1", "a/2", "c", "ä"]
    assert world.keys(prefix="a/") == ["a/1", "a/2"]
    assert world.keys(prefix="a", after_key="a/1", limit=1) == ["a/2"]
    assert [entry.value for entry in world.list(prefix="a/")] == [2, {"of": "a/2"}]


def test_scopes_and_tenants_know_nothing_of_each_other(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    mine = stage.stores.world_state
    mine.set("k", "mine")
    for other in (mine.scope("run/1"), another_stage("other").stores.world_state):
        assert (other.find("k"), other.keys()) == (None, [])
        assert other.set("k", "other", expected_version=0).version == 1
        other.delete("k")
        assert len(other.history("k")) == 2
    assert (mine.get("k").value, len(mine.history("k"))) == ("mine", 1)


def test_what_cannot_be_stored_is_refused(world: Any) -> None:
    for key in ("", "a\x00", "\ud800"):
        with pytest.raises(Invalid):
            world.set(key, 1)
    with pytest.raises(Invalid):
        world.set("k", float("inf"))
    with pytest.raises(Invalid):
        world.scope("")
    refused: list[Callable[[], Any]] = [
        lambda: world.set("k" * 513, 1),
        lambda: world.set("k", "x" * 1024 * 1024),
        lambda: world.conflicts(dict.fromkeys(map(str, range(10_001)), 1)),
    ]
    for attempt in refused:
        with pytest.raises(LimitExceeded):
            attempt()
    assert world.keys() == []

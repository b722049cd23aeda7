"""Erasing a person reaches snapshots: what they held of the person is gone, and what is left is proved all the same."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.errors import Forbidden, IntegrityFailure
from aureus.model.rollbacks import Remedy
from tests.contract.stage import Stage


@pytest.fixture
def stores(stage: Stage) -> Any:
    """Give the stores of a tenant whose agent knows two people."""
    stores = stage.stores
    stores.sessions.save("planner", "s1", {"secret": "of bob"})
    stores.sessions.save("planner", "s2", {"of": "ada"})
    stores.memories.add("bob is tall", agent_id="planner", user_id="bob", memory_id="m1")
    stores.memories.add("ask bob", agent_id="planner", subject="bob", memory_id="m2")
    stores.memories.add("ada is tall", agent_id="planner", user_id="ada", memory_id="m3")
    return stores


def test_a_snapshot_loses_what_is_erased_and_stays_intact(stage: Stage, stores: Any) -> None:
    snapshot = stores.snapshots.create("planner", snapshot_id="s")
    stores.memories.update("m2", text="ask ada", subject="ada")
    stores.sessions.save("planner", "s1", {"changed": True})
    report = stores.erasure.erase(
        "bob", reason="request", sessions=[("planner", "s1")], scrub=False
    )
    assert report.removed["snapshot_parts"] == 1
    parts = {part.name: part for part in stores.snapshots.list_parts("s")}
    assert parts["s1"].content is None
    assert parts["s2"].content is not None
    found = stores.snapshots.verify("s")
    assert sorted(found.erased) == ["m1", "m2", "sessions/s1"]
    assert found.snapshot.root == snapshot.root
    rollback = stores.snapshots.restore("s")
    assert [(one.name, one.remedy) for one in rollback.kept] == [
        ("m1", Remedy.ERASED), ("m2", Remedy.ERASED), ("s1", Remedy.ERASED),
    ]  # fmt: skip
    assert stores.sessions.find("planner", "s1") is None
    assert stores.memories.get("m2").text == "ask ada"
    again = stores.erasure.erase("bob", reason="again", sessions=[("planner", "s1")], scrub=False)
    assert again.is_empty


def test_a_session_that_only_a_snapshot_holds_is_erased_too(stage: Stage, stores: Any) -> None:
    stores.snapshots.create("planner", snapshot_id="s", session_ids=["s1"])
    other = stores.snapshots.create("other", snapshot_id="o")
    first = stores.erasure.erase("x", reason="r", sessions=[("planner", "s1")], scrub=False)
    assert first.removed["sessions"] == 1
    stores.sessions.save("planner", "s1", {"anew": 1})
    late = stores.snapshots.create("planner", snapshot_id="late", session_ids=["s1"])
    stores.sessions.delete("planner", "s1")
    second = stores.erasure.erase("x", reason="r", sessions=[("planner", "s1")], scrub=False)
    assert second.removed["snapshot_parts"] == 1
    for snapshot_id in ("s", late.snapshot_id, other.snapshot_id):
        assert stores.snapshots.verify(snapshot_id).is_intact


def test_a_version_that_was_erased_is_no_part_of_an_earlier_moment(
    stage: Stage, stores: Any
) -> None:
    sizes: list[int] = []
    for change in (
        {"text": "tea", "subject": "ada"},
        {"text": "tea with bob", "subject": "bob"},
        {"text": "coffee", "subject": "ada"},
    ):
        if sizes:
            stores.memories.update("m4", **change)
        else:
            stores.memories.add(agent_id="planner", memory_id="m4", **change)
        while not stores.ledger.seal().is_done:
            pass
        sizes.append(stores.ledger.get_head().size)
        stage.backend.clock.advance(10)
    stores.erasure.erase("bob", reason="request", scrub=False)

    def versions(size: int) -> dict[str, int]:
        snapshot = stores.snapshots.reconstruct("planner", size=size)
        assert stores.snapshots.verify(snapshot.snapshot_id).is_intact
        parts = stores.snapshots.list_parts(snapshot.snapshot_id)
        return {part.name: part.version for part in parts}

    assert [versions(size) for size in sizes] == [
        {"m3": 1, "m4": 1},
        {"m3": 1},
        {"m3": 1, "m4": 3},
    ]


def test_content_is_taken_away_by_erasure_alone(stage: Stage, stores: Any) -> None:
    stores.snapshots.create("planner", snapshot_id="s")
    table = stage.table("snapshot_parts")
    for change in ("content = '1'", "content = NULL", "erasure_record_id = 'x'"):
        with (
            stage.backend.transaction(stage.tenant) as tx,
            pytest.raises((IntegrityFailure, Forbidden)),
        ):
            tx.execute(f"UPDATE {table} SET {change}")

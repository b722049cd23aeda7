"""Erasing a person reaches snapshots: what they held of the person is gone, and what is left is proved all the same."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from aureus.errors import Forbidden, IntegrityFailure
from aureus.model.rollbacks import Remedy
from aureus.model.snapshots import Holdings
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
    assert report.removed["snapshot_parts"] == 3  # the session, and pointers to two memories
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


def test_values_of_keys_leave_snapshots_of_others(stage: Stage, stores: Any) -> None:
    stores.world_state.set("phone", "555-1234")
    stores.world_state.set("plan", 1)
    snapshot = stores.snapshots.create("planner", world_scope="default", snapshot_id="s")
    stores.world_state.set("phone", "555-9999")
    report = stores.erasure.erase(
        "bob", reason="request", world_state=[("default", "phone")], scrub=False
    )
    assert report.removed["snapshot_parts"] == 3  # the key, and pointers to two memories
    parts = {part.name: part for part in stores.snapshots.list_parts("s")}
    assert (parts["phone"].content, parts["phone"].salt) == (None, None)
    assert parts["plan"].content == "1"
    found = stores.snapshots.verify("s")
    assert sorted(found.erased) == ["default/phone", "m1", "m2"]
    assert set(found.erasure_records) == {part.erasure_record_id for part in parts.values()} - {
        None
    }
    assert found.snapshot.root == snapshot.root
    stores.world_state.set("plan", 2)
    rollback = stores.snapshots.restore("s")
    assert rollback.counts == {"erased": 3, "set": 1}
    assert [(one.name, one.remedy) for one in rollback.kept] == [
        ("m1", Remedy.ERASED), ("m2", Remedy.ERASED), ("phone", Remedy.ERASED),
    ]  # fmt: skip
    assert stores.world_state.find("phone") is None
    assert stores.world_state.get("plan").value == 1
    # What was begun anew under the name stays, and a second erasure finds nothing of the first.
    stores.world_state.set("phone", "new")
    stores.snapshots.restore("s")
    assert stores.world_state.get("phone").value == "new"
    again = stores.erasure.erase("bob", reason="again", scrub=False)
    assert again.is_empty


def test_a_value_that_only_a_snapshot_holds_is_erased_too(stage: Stage, stores: Any) -> None:
    stores.world_state.set("phone", "555-1234")
    stores.erasure.erase("x", reason="r", world_state=[("default", "phone")], scrub=False)
    stores.world_state.set("phone", "555-1234")
    stores.snapshots.create(world_scope="default", snapshot_id="s")
    report = stores.erasure.erase("x", reason="r", world_state=[("default", "phone")], scrub=False)
    assert report.removed["snapshot_parts"] == 1
    assert stores.snapshots.verify("s").erased == ("default/phone",)


def test_what_stays_of_a_part_cannot_be_guessed(stage: Stage, stores: Any) -> None:
    stores.world_state.set("pin", 1234)
    hashes: dict[str, set[bytes]] = {}
    for snapshot_id in ("s", "t"):
        stores.snapshots.create("planner", world_scope="default", snapshot_id=snapshot_id)
        for part in stores.snapshots.list_parts(snapshot_id):
            hashes.setdefault(part.name, set()).add(part.hash)
            assert part.hash != sha256((part.content or "").encode()).digest()
    assert {len(found) for found in hashes.values()} == {2}
    stores.erasure.erase("bob", reason="r", scrub=False)
    salts = {part.name: part.salt for part in stores.snapshots.list_parts("s")}
    assert [name for name, salt in salts.items() if salt is None] == ["m1", "m2"]


def test_a_version_that_was_erased_takes_the_salt_of_its_pointer_alone(
    stage: Stage, stores: Any
) -> None:
    stores.snapshots.create("planner", snapshot_id="before")
    stores.memories.update("m2", text="ask ada", subject="ada")
    stores.snapshots.create("planner", snapshot_id="after")
    stores.erasure.erase("bob", reason="r", scrub=False)
    assert sorted(stores.snapshots.verify("before").erased) == ["m1", "m2"]
    assert stores.snapshots.verify("after").erased == ("m1",)


def test_snapshots_that_were_taken_before_there_were_salts_are_good_still(
    stage: Stage, stores: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.world_state.set("phone", "555-1234")
    with monkeypatch.context() as patch:
        patch.setattr(Holdings, "committed", lambda holdings, _: holdings)
        stores.snapshots.create("planner", world_scope="default", snapshot_id="old")
    assert {part.salt for part in stores.snapshots.list_parts("old")} == {None}
    assert stores.snapshots.verify("old").erased == ()
    assert stores.snapshots.diff("old") == []
    stores.snapshots.create("planner", world_scope="default", snapshot_id="new")
    assert stores.snapshots.diff("old", "new") == []
    stores.memories.update("m3", text="ada is small")
    stores.world_state.set("plan", 1)
    stores.erasure.erase("bob", reason="r", world_state=[("default", "phone")], scrub=False)
    assert sorted(stores.snapshots.verify("old").erased) == ["default/phone", "m1", "m2"]
    assert stores.snapshots.restore("old").counts == {"delete": 1, "erased": 3, "revise": 1}


def test_the_rest_of_a_scope_is_reconstructed_after_a_key_was_erased(
    stage: Stage, stores: Any
) -> None:
    stores.world_state.set("phone", "555-1234")
    stores.world_state.set("plan", 1)
    while not stores.ledger.seal().is_done:
        pass
    size = stores.ledger.get_head().size
    stores.world_state.set("plan", 2)
    stores.erasure.erase("x", reason="r", world_state=[("default", "phone")], scrub=False)
    made = stores.snapshots.reconstruct(world_scope="default", size=size)
    parts = stores.snapshots.list_parts(made.snapshot_id)
    assert [(part.name, part.content) for part in parts] == [("plan", "1")]


def test_an_id_that_is_given_anew_is_no_tampering_and_nothing_to_go_back_to(
    stage: Stage, stores: Any
) -> None:
    stores.snapshots.create("planner", snapshot_id="s")
    stores.memories.purge("m3")
    stores.memories.add("something else", agent_id="planner", user_id="ada", memory_id="m3")
    assert stores.snapshots.verify("s").erased == ("m3",)
    rollback = stores.snapshots.restore("s")
    assert [(one.name, one.remedy) for one in rollback.kept] == [("m3", Remedy.ERASED)]
    assert stores.memories.get("m3").text == "something else"


def test_a_memory_that_is_gone_without_a_word_is_missed(
    stage: Stage, stores: Any, tamper: Callable[[Stage, str, str], None]
) -> None:
    stores.snapshots.create("planner", snapshot_id="s")
    tamper(stage, "memories", f"DELETE FROM {stage.table('memories')} WHERE memory_id = 'm3'")
    with pytest.raises(IntegrityFailure, match="memory m3: its version 1 is not there any more"):
        stores.snapshots.verify("s")


def test_a_part_that_is_emptied_under_a_record_of_something_else_is_named(
    stage: Stage, stores: Any, tamper: Callable[[Stage, str, str], None]
) -> None:
    stores.world_state.set("plan", 1)
    stores.snapshots.create(world_scope="default", snapshot_id="s")
    stores.erasure.erase("bob", reason="r", scrub=False)
    record_id = stores.events.list(type="payloads_erased").events[0].event_id
    table = stage.table("snapshot_parts")
    tamper(
        stage,
        "snapshot_parts",
        f"UPDATE {table} SET content = NULL, salt = NULL, erasure_record_id = '{record_id}'",
    )
    with pytest.raises(IntegrityFailure, match=r"no record '.*' tells that it was erased"):
        stores.snapshots.verify("s")

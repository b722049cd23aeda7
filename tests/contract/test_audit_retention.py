"""Retention of the audit trail: the oldest payloads go, on record, nothing else does, and every proof still holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pytest

from aureus import ABSENT, Provenance
from aureus.errors import Forbidden, IntegrityFailure, Invalid
from aureus.ledger.exports import verify_export
from aureus.ledger.keys import SigningKey
from aureus.model.audit import AuditEntry
from tests.contract.stage import Stage

KEY = SigningKey("aureus", bytes(range(32)))


@pytest.fixture
def audit(stage: Stage) -> Any:
    return stage.stores.audit


def seal(stage: Stage) -> None:
    while not stage.stores.ledger.seal().is_done:
        pass


def filled(stage: Stage, count: int = 6) -> list[AuditEntry]:
    """Append entries, one each hour, with an event between them, and seal all."""
    entries: list[AuditEntry] = []
    for number in range(count):
        entries.append(
            stage.stores.audit.append(
                "ada", "x", after=f"secret {number}", provenance=Provenance(f"r{number}")
            )
        )
        stage.stores.events.append("s", "t", {"text": f"public {number}"})
        stage.backend.clock.advance(3600)
    seal(stage)
    return entries


def hour(entries: list[AuditEntry], number: int) -> datetime:
    """Return the time of an entry."""
    return entries[number].occurred_at


def rows(stage: Stage, table: str) -> int:
    with stage.backend.transaction("acme") as tx:
        return int(tx.execute(f"SELECT count(*) FROM {stage.table(table)}")[0][0])


def test_the_oldest_payloads_go_and_every_proof_holds(stage: Stage, audit: Any) -> None:
    entries = filled(stage)
    payloads, references = rows(stage, "event_payloads"), rows(stage, "audit_references")
    done = audit.prune(hour(entries, 3), actor="root", reason="two years are over")
    assert (done.pruned_count, len(done.record_ids)) == (3, 1)
    assert rows(stage, "event_payloads") == payloads - 3 + 1
    assert rows(stage, "audit_references") == references - 3
    for number, before in enumerate(entries):
        entry = audit.get(before.event_id)
        assert entry.is_redacted is (number < 3)
        assert entry.after == (ABSENT if number < 3 else f"secret {number}")
        assert (entry.actor, entry.leaf_hash) == ("ada", before.leaf_hash)
        found = audit.verify_entry(before.event_id)
        assert (found.is_intact, found.is_redacted) == (True, number < 3)
    assert audit.list(run_id="r0").entries == ()
    assert [entry.after for entry in audit.list(run_id="r3").entries] == ["secret 3"]
    (record,) = audit.list(action="audit.prune").entries
    assert (record.event_id, record.actor) == (done.record_ids[0], "root")
    assert record.details["reason"] == "two years are over"
    assert record.details["event_ids"] == [entry.event_id for entry in entries[:3]]
    seal(stage)
    report = audit.verify_all()
    assert (report.is_intact, report.redaction_count) == (True, 3), report.summary
    assert {one.redacted_by for one in report.redactions} == {report.head.size - 1}
    assert audit.verify_range(2, 5).is_intact
    for whole in (True, False):
        lines = BytesIO()
        proof = audit.export(lines, whole=whole)
        assert verify_export(BytesIO(lines.getvalue()), proof).is_intact
        assert b"secret 0" not in lines.getvalue()
    (first,) = stage.stores.events.read_stream("s", limit=1)
    assert first.payload == {"text": "public 0"}


def test_pruning_goes_on_where_it_ended_and_repeats_nothing(stage: Stage, audit: Any) -> None:
    entries = filled(stage)
    first = audit.prune(hour(entries, 2), actor="root")
    assert audit.prune(hour(entries, 2), actor="root").pruned_count == 0
    assert audit.prune(hour(entries, 1), actor="root").pruned_count == 0
    second = audit.prune(hour(entries, 4), actor="root")
    assert (first.pruned_count, second.pruned_count) == (2, 2)
    assert first.pruned_to < second.pruned_to
    assert len(audit.list(action="audit.prune").entries) == 2
    assert audit.verify_all().is_intact


def test_what_is_not_sealed_or_not_signed_stays(stage: Stage, audit: Any) -> None:
    late = stage.backend.clock.now() + timedelta(days=99)
    entries = filled(stage, 3)
    stage.stores.ledger.sign(KEY)
    behind = filled(stage, 2)
    assert audit.prune(late, actor="root").pruned_count == 3
    assert not audit.get(behind[0].event_id).is_redacted
    stage.stores.ledger.sign(KEY)
    assert audit.prune(late, actor="root").pruned_count == 2
    assert audit.get(entries[0].event_id).is_redacted
    report = audit.verify_all(keys=[KEY.public])
    assert (report.is_intact, report.is_anchored) == (True, True)


def test_records_of_what_was_removed_are_kept(stage: Stage, audit: Any) -> None:
    entries = filled(stage, 3)
    late = stage.backend.clock.now() + timedelta(days=99)
    audit.prune(hour(entries, 2), actor="root")
    seal(stage)
    stage.backend.clock.advance(60)
    assert audit.prune(late, actor="root").pruned_count == 1
    assert [entry.is_redacted for entry in audit.list(action="audit.prune").entries] == [
        False,
        False,
    ]
    seal(stage)
    report = audit.verify_all()
    assert (report.is_intact, report.redaction_count) == (True, 3), report.summary


def test_batches_are_bounded_and_each_is_recorded(
    stage: Stage, audit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus.stores.erasures.ENTRIES_MAX", 4)
    monkeypatch.setattr("aureus.ledger.retention.LOOK_MAX", 5)
    entries = filled(stage, 9)
    done = audit.prune(hour(entries, 8), actor="root")
    assert done.pruned_count == 8
    records = [audit.get(record_id) for record_id in done.record_ids]
    named = [event_id for record in records for event_id in record.details["event_ids"]]
    assert named == [entry.event_id for entry in entries[:8]]
    assert len(records) >= 3
    assert audit.verify_all().is_intact


def test_nothing_happens_where_nothing_is_old(stage: Stage, audit: Any) -> None:
    assert audit.prune(stage.backend.clock.now(), actor="root").pruned_count == 0
    entries = filled(stage, 2)
    assert audit.prune(hour(entries, 0), actor="root").pruned_count == 0
    assert audit.list(action="audit.prune").entries == ()
    with pytest.raises(Invalid):
        audit.prune(datetime(2026, 1, 1), actor="root")  # noqa: DTZ001 - that is what is refused
    with pytest.raises(Invalid):
        audit.prune(hour(entries, 1), actor="")


def test_what_is_not_on_record_cannot_be_removed(stage: Stage) -> None:
    filled(stage, 2)
    for table in ("audit_references", "event_payloads"):
        with (
            pytest.raises((IntegrityFailure, Forbidden)),
            stage.backend.transaction("acme") as tx,
        ):
            tx.execute(f"DELETE FROM {stage.table(table)}")


def test_erasing_a_person_takes_what_entries_refer_to_with_them(stage: Stage, audit: Any) -> None:
    entry = audit.append(
        "ada", "x", after="secret", subjects=["bob"], provenance=Provenance("r1", "t1")
    )
    kept = audit.append("ada", "x", after="other", provenance=Provenance("r1"))
    seal(stage)
    stage.stores.erasure.erase("bob", reason="request 17")
    assert audit.get(entry.event_id).is_redacted
    assert [one.event_id for one in audit.list(run_id="r1").entries] == [kept.event_id]
    assert audit.list(task_id="t1").entries == ()
    seal(stage)
    assert audit.verify_all().is_intact
    found = audit.verify_entry(entry.event_id)
    assert (found.is_intact, found.is_redacted) == (True, True)


def test_snapshots_are_verified_and_gone_back_to_whatever_was_pruned(
    stage: Stage, audit: Any
) -> None:
    """Where the trail records everything, what vouches for a snapshot is an entry of it, too."""
    audit.set_mode("all", actor="root")
    stores = stage.stores
    stores.world_state.set("k", 1)
    stores.memories.add("likes tea", agent_id="planner", memory_id="m")
    stores.snapshots.create("planner", world_scope="default", snapshot_id="s")
    stores.world_state.set("k", 2)
    stores.memories.forget("m")
    stage.backend.clock.advance(3600)
    seal(stage)
    assert audit.prune(stage.backend.clock.now(), actor="root").pruned_count
    assert stores.snapshots.verify("s").is_intact
    stores.snapshots.restore("s")
    assert (stores.world_state.get("k").value, stores.memories.get("m").version) == (1, 3)


def test_what_was_pruned_is_not_guessed_when_an_earlier_moment_is_asked_for(
    stage: Stage, audit: Any
) -> None:
    """What was forgotten and purged in front of the moment came back: nothing told of it any more."""
    clock, stores = stage.backend.clock, stage.stores
    for memory_id in ("stays", "forgotten", "purged"):
        stores.memories.add("likes tea", agent_id="planner", memory_id=memory_id)
    stores.memories.add("likes tea", agent_id="other", memory_id="of-another")
    seal(stage)
    before = clock.now()
    clock.advance(1)
    stores.memories.forget("forgotten")
    stores.memories.purge("purged")
    seal(stage)
    after = clock.now()
    clock.advance(1)
    assert audit.prune(clock.now(), actor="root").pruned_count == 2
    snapshots = stores.snapshots
    with pytest.raises(Invalid, match="retention of the audit trail"):
        snapshots.reconstruct("planner", moment=after)
    made = snapshots.reconstruct("planner", moment=before)
    assert [part.name for part in snapshots.list_parts(made.snapshot_id)] == [
        "forgotten", "purged", "stays",
    ]  # fmt: skip
    assert snapshots.reconstruct("other", moment=after).memory_count == 1

"""Events: appended with the write they tell about, in order, and never changed."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from aureus.clock import to_micros
from aureus.errors import Forbidden, IntegrityFailure, LeaseLost
from aureus.model.events import AuditPoint, EventType
from aureus.model.leaf import LeafFields, commitment, leaf_hash
from tests.contract.stage import Stage, fact


def test_an_event_comes_back_as_it_was_recorded(stage: Stage) -> None:
    tricky = {
        "runId": "r1",
        "text": 'ünïcode \u2028 "quotes" \'; --',
        "zero": 0,
        "none": None,
        "f": 1.5,
    }
    recorded = replace(fact("r1", "custom.type"), payload=tricky, metadata={"attempt": 0, "x": []})
    advanced = stage.start("r1", facts=[recorded])
    (event,) = stage.stores.events.read_stream("runs/r1")
    assert event == advanced.events[0]
    assert (event.payload, event.metadata, event.type) == (
        tricky,
        {"attempt": 0, "x": []},
        "custom.type",
    )
    assert (event.actor, event.correlation_id, event.category) == ("tester", "r1", "runs")
    assert event.occurred_at == stage.backend.clock.now()


def test_the_stored_hash_is_the_hash_of_the_stored_bytes(stage: Stage) -> None:
    stage.start("r1")
    events, payloads = stage.table("events"), stage.table("event_payloads")
    with stage.backend.transaction("acme") as tx:
        rows = tx.execute(
            "SELECT e.event_id, e.leaf_hash, e.commitment, p.salt, p.payload, p.metadata "
            f"FROM {events} e JOIN {payloads} p ON p.entry_no = e.entry_no"
        )
    stored = {row[0]: row[1:] for row in rows}
    found = stage.stores.events.read_stream("runs/r1")
    assert len(found) == len(stored) == 2
    for event in found:
        leaf, committed, salt, payload, metadata = stored[event.event_id]
        assert commitment(bytes(salt), bytes(payload), metadata and bytes(metadata)) == committed
        fields = LeafFields(
            event.event_id, event.stream, event.type, event.actor, to_micros(event.occurred_at),
            event.correlation_id, event.action, event.resource, event.outcome,
        )  # fmt: skip
        assert leaf_hash(fields, bytes(committed)) == bytes(leaf) == event.leaf_hash


def test_versions_and_entry_numbers_rise_together_under_concurrent_writers(stage: Stage) -> None:
    runs = [stage.start(f"r{number}").run for number in range(6)]

    def work(index: int) -> None:
        for _ in range(10):
            run = runs[index % len(runs)]
            stage.advance(
                run, facts=[fact(run.run_id, "x"), fact(run.run_id, "y"), fact("shared", "z")]
            )

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(12)))
    for stream, count in [("runs/shared", 120), *((f"runs/r{number}", 42) for number in range(6))]:
        events = stage.stores.events.read_stream(stream)
        assert [event.version for event in events] == list(range(1, count + 1))
        assert [event.entry_no for event in events] == sorted(event.entry_no for event in events)
        assert stage.stores.events.stream_version(stream) == count


def test_nothing_is_recorded_for_a_write_that_did_not_happen(stage: Stage) -> None:
    run = stage.start("r1").run
    with pytest.raises(LeaseLost):
        stage.advance(run, epoch=9, facts=[fact("r1", "never"), fact("elsewhere", "never")])
    assert stage.versions("r1") == [1, 2]
    assert stage.stores.events.stream_version("runs/elsewhere") == 0


def test_the_entries_of_one_append_name_its_lowest_number(stage: Stage) -> None:
    stage.start("r1")
    with stage.backend.transaction("acme") as tx:
        rows = tx.execute(
            f"SELECT entry_no, append_no FROM {stage.table('events')} ORDER BY entry_no"
        )
    assert {row[1] for row in rows} == {rows[0][0]}


def test_entries_can_be_neither_changed_nor_removed(stage: Stage) -> None:
    stage.start("r1")
    for table, change in itertools.product(
        ("events", "event_payloads"), ("UPDATE {} SET entry_no = entry_no", "DELETE FROM {}")
    ):
        # The owner runs into the trigger, a plain user has not even the right.
        with (
            pytest.raises((IntegrityFailure, Forbidden)),
            stage.backend.transaction("acme") as tx,
        ):
            tx.execute(change.format(stage.table(table)))
    assert stage.versions("r1") == [1, 2]


def test_reads_take_a_range_of_a_stream(stage: Stage) -> None:
    stage.start("r1", facts=[fact("r1", f"t{number}") for number in range(1, 11)])
    read = stage.stores.events.read_stream
    assert [event.type for event in read("runs/r1", after_version=7)] == ["t8", "t9", "t10"]
    assert [event.type for event in read("runs/r1", after_version=2, limit=3)] == ["t3", "t4", "t5"]
    assert list(read("runs/nobody")) == []


def test_decisions_are_audit_entries_and_other_changes_are_not(stage: Stage) -> None:
    decision = AuditPoint("approval.grant", "runs/r1", is_decision=True)
    stage.start(
        "r1",
        facts=[
            fact("r1", EventType.WORKFLOW_STARTED),
            replace(fact("r1", "granted"), audit=decision),
        ],
    )
    (entry,) = stage.stores.audit.list().entries
    assert (entry.type, entry.action, entry.resource, entry.outcome) == (
        "granted",
        "approval.grant",
        "runs/r1",
        "success",
    )

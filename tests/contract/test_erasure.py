"""Erasing a person: nothing of theirs is left in any table, everything of others is, and every hash still holds."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from aureus.errors import (
    AlreadyExists,
    AureusError,
    IllegalTransition,
    Invalid,
    LimitExceeded,
    NotFound,
)
from aureus.model.approvals import ApprovalRequest
from aureus.model.erasures import ErasureRequest, Place, subject_mark
from aureus.model.leaf import LeafFields, leaf_hash
from aureus.model.states import RunStatus, TaskStatus
from aureus.model.tasks import TaskChange, TaskKey
from tests.contract.stage import Stage, begun, fact, finished
from tests.contract.test_ledger import sealed
from tests.support.person import ERASED_WITH, NAME, WORD, write_life

MOVING = {"flushes", "ledger_pending", "ledger_batches", "ledger_heads", "ledger_nodes"}
"""Tables that change by themselves, with every call or beside the callers."""


def rows_of(stage: Stage, table: str) -> list[Any]:
    """Return all rows of a table that this tenant sees."""
    with stage.backend.transaction(stage.tenant) as transaction:
        return list(transaction.execute(f"SELECT * FROM {stage.table(table)}"))


def tables_of(stage: Stage) -> list[str]:
    """Return the names of all tables."""
    if stage.table("x") == "x":
        query = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    else:
        query = "SELECT tablename FROM pg_tables WHERE schemaname = 'aureus'"
    with stage.backend.transaction(stage.tenant) as transaction:
        return [row[0] for row in transaction.execute(query)]


def theirs(stage: Stage, table: str) -> list[str]:
    """Return the rows of a tenant alone: a superuser, and a file, show those of all."""
    return sorted(repr(row) for row in rows_of(stage, table) if row[0] == stage.tenant)


def sizes_of(stage: Stage) -> dict[str, int]:
    """Return how many rows each table has."""
    return {table: len(rows_of(stage, table)) for table in tables_of(stage) if table not in MOVING}


def plain_text(rows: list[Any]) -> str:
    """Return rows as text, bytes as what they spell."""
    return "\n".join(
        " ".join(
            bytes(value).decode(errors="replace")
            if isinstance(value, bytes | memoryview)
            else str(value)
            for value in row
        )
        for row in rows
    ).lower()


def where_the_secret_is(stage: Stage) -> list[str]:
    """Return the tables that hold the word."""
    word = WORD.lower()
    return [
        table for table in sorted(tables_of(stage)) if word in plain_text(rows_of(stage, table))
    ]


def test_nothing_of_a_person_is_left_in_any_table_and_all_of_others_is(stage: Stage) -> None:
    write_life(stage.stores)
    stage.stores.memories.index()
    assert {"memories", "memory_versions", "event_payloads", "text_index_postings"} <= set(
        where_the_secret_is(stage)
    )
    report = stage.stores.erasure.erase(NAME, reason="request 17", actor="officer", **ERASED_WITH)
    assert where_the_secret_is(stage) == []
    assert (report.removed["memories"], report.removed["profiles"]) == (8, 1)
    assert report.removed["hypotheses"] == report.removed["sessions"] == 1
    assert (report.removed["snapshots"], report.removed["snapshot_parts"] > 0) == (1, True)
    assert {row for row in rows_of(stage, "event_subjects") if NAME in row} == set()
    kept = stage.stores.memories
    assert kept.get("bobs").text == "bob likes tea"
    assert kept.get("lent").text == "is about tea now"
    assert [hit.memory.memory_id for hit in kept.recall("tea", agent_id="planner").hits] != []
    assert stage.stores.profiles.get("bob").goals == {"run": "far"}
    assert stage.stores.events.read_stream("talks/1")[1].payload == {"text": "weather"}
    assert stage.stores.snapshots.get("his").snapshot_id == "his"
    assert stage.stores.snapshots.verify("all").erased, "a session went out of it, on record"


def test_the_ledger_stays_intact_and_says_who_redacted_what(stage: Stage) -> None:
    write_life(stage.stores)
    before = stage.stores.ledger.verify()
    report = stage.stores.erasure.erase(NAME, reason="request 17", **ERASED_WITH)
    sealed(stage)
    after = stage.stores.ledger.verify()
    assert after.is_intact, after.summary
    assert after.redaction_count == report.removed["event_payloads"]
    assert all(one.redacted_by >= before.head.size for one in after.redactions)
    since = stage.stores.ledger.verify(since_last=True)
    assert since.is_intact, since.summary


def test_an_erased_audit_entry_is_listed_and_verified_without_what_it_said(stage: Stage) -> None:
    audit = stage.stores.audit
    kept = audit.append("officer", "profile.read", before={"note": WORD}, subjects=["bob"])
    entry = audit.append("officer", "profile.read", before={"note": WORD}, subjects=[NAME])
    stage.stores.erasure.erase(NAME, reason="request 17")
    found = {one.event_id: one for one in audit.list(actor="officer").entries}
    assert found[entry.event_id].is_redacted
    assert not found[kept.event_id].is_redacted
    assert audit.get(entry.event_id).leaf_hash == entry.leaf_hash
    checked = audit.verify_entry(entry.event_id)
    assert checked.is_redacted
    assert audit.verify_entry(kept.event_id).is_redacted is False
    records = audit.list(action="subject.erase").entries
    assert {one.details["reason"] for one in records} == {"request 17"}


def test_an_erased_entry_keeps_its_place_and_its_hash_and_loses_what_it_said(stage: Stage) -> None:
    write_life(stage.stores)
    events = stage.stores.events
    before = events.read_stream("talks/1")
    stage.stores.erasure.erase(NAME, reason="request 17")
    after = events.read_stream("talks/1")
    assert [(one.event_id, one.version, one.entry_no, one.leaf_hash) for one in after] == [
        (one.event_id, one.version, one.entry_no, one.leaf_hash) for one in before
    ]
    erased = after[0]
    assert (erased.payload, erased.metadata, erased.is_redacted) == ({}, {}, True)
    assert not after[1].is_redacted
    assert events.get(erased.event_id) == erased
    assert erased in events.list(stream="talks/1").events
    assert erased.event_id not in [one.event_id for one in events.list(text=WORD).events]
    assert events.read_stream("talks/1", newest_first=True)[1] == erased


def test_the_hash_of_an_erased_entry_follows_from_what_is_left(stage: Stage) -> None:
    write_life(stage.stores)
    stage.stores.erasure.erase(NAME, reason="request 17")
    (event,) = [one for one in stage.stores.events.read_stream("talks/1") if one.is_redacted]
    with stage.backend.transaction(stage.tenant) as transaction:
        text = f"SELECT commitment FROM {stage.table('events')} WHERE entry_no = {event.entry_no}"
        ((commitment,),) = transaction.execute(text)
    fields = LeafFields(
        event.event_id, event.stream, event.type, event.actor,
        round(event.occurred_at.timestamp() * 1_000_000), None, None, None, None,
    )  # fmt: skip
    assert leaf_hash(fields, bytes(commitment)) == event.leaf_hash


def test_every_batch_is_recorded_without_the_name(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus.erasing.batches.BATCH_MAX", 2)
    monkeypatch.setattr("aureus.stores.erasures.ENTRIES_MAX", 3)
    write_life(stage.stores)
    report = stage.stores.erasure.erase(NAME, reason="request 17", actor="officer", **ERASED_WITH)
    assert where_the_secret_is(stage) == []
    records = stage.stores.events.read_stream(f"erasures/{report.erasure_id}")
    assert [record.event_id for record in records] == list(report.record_ids)
    assert len(records) > 3
    totals: dict[str, int] = {}
    for record in records:
        assert record.actor == "officer"
        assert (record.action, record.resource) == ("subject.erase", record.stream)
        assert record.payload["reason"] == "request 17"
        assert record.payload["subject"] == subject_mark(NAME, report.erasure_id)
        assert len(record.payload["event_ids"]) == len(record.payload["entryNos"]) <= 3
        assert f'"{NAME}' not in json.dumps(record.payload)
        for table, count in record.payload["removed"].items():
            totals[table] = totals.get(table, 0) + count
    assert totals == report.removed
    named = {no for record in records for no in record.payload["entryNos"]}
    assert len(named) == report.removed["event_payloads"]
    assert named == {row[1] for row in rows_of(stage, "erased_entries")}


def test_a_trail_that_is_switched_off_records_erasures_all_the_same(stage: Stage) -> None:
    stage.stores.audit.set_mode("off", actor="officer")
    stage.stores.profiles.update(NAME, goals={"run": WORD})
    report = stage.stores.erasure.erase(NAME, reason="request 17", actor="officer")
    entries = stage.stores.audit.list(action="subject.erase").entries
    assert [one.event_id for one in entries] == list(report.record_ids)
    assert entries


def test_a_dry_run_counts_and_changes_nothing(stage: Stage) -> None:
    write_life(stage.stores)
    before = sizes_of(stage)
    found = stage.stores.erasure.erase(NAME, reason="request 17", dry_run=True, **ERASED_WITH)
    assert sizes_of(stage) == before
    assert found.is_dry_run
    assert found.record_ids == ()
    done = stage.stores.erasure.erase(NAME, reason="request 17", **ERASED_WITH)
    for table in ("memories", "profiles", "hypotheses", "snapshots", "sessions", "event_payloads"):
        assert found.removed[table] == done.removed[table], table


def test_repeating_an_erasure_and_erasing_a_stranger_change_nothing(stage: Stage) -> None:
    write_life(stage.stores)
    stage.stores.erasure.erase(NAME, reason="request 17", **ERASED_WITH)
    before = sizes_of(stage)
    for name in (NAME, "nobody"):
        report = stage.stores.erasure.erase(name, reason="request 18", **ERASED_WITH)
        assert report.is_empty
        assert report.record_ids == ()
    assert sizes_of(stage) == before


def test_a_batch_that_is_repeated_answers_as_the_first_time(stage: Stage) -> None:
    write_life(stage.stores)
    operations = stage.stores.erasure
    request = ErasureRequest(NAME)
    targets = operations.find(request, Place())
    known = {"erasure_id": "e1", "reason": "request 17", "record_id": "rec1"}
    first = operations.erase_batch(request, targets, **known)
    assert first == operations.erase_batch(request, targets, **known)
    assert operations.erase_batch(request, targets, **{**known, "record_id": "rec2"}) is None
    assert len(stage.stores.events.read_stream("erasures/e1")) == 1


def test_an_entry_about_two_people_goes_with_the_first_and_is_forgotten_with_the_second(
    stage: Stage,
) -> None:
    stage.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada", "bob"])
    first = stage.stores.erasure.erase("ada", reason="request 17")
    assert (first.removed["event_payloads"], first.removed["event_subjects"]) == (1, 1)
    second = stage.stores.erasure.erase("bob", reason="request 18")
    keys = {"subject_keys": len(second.destroyed_keys)} if second.destroyed_keys else {}
    assert second.removed == {"event_subjects": 1, **keys}
    assert rows_of(stage, "event_subjects") == []


def test_sessions_that_were_not_named_stay_and_are_told_of(stage: Stage) -> None:
    write_life(stage.stores)
    report = stage.stores.erasure.erase(NAME, reason="request 17")
    assert [tuple(one) for one in report.named_sessions] == [("planner", "s1", "sessions")]
    assert stage.stores.sessions.load("planner", "s1").state == {"draft": WORD}
    assert "memories/planner/ada" in report.kept_streams
    assert report.not_searched


def test_a_run_that_was_named_keeps_its_journal_and_loses_what_it_was_told_and_found(
    stage: Stage,
) -> None:
    ask = TaskKey("", "ask")
    waiting = TaskChange(ask, is_new=True, status=TaskStatus.WAITING, attempt=1)
    run = stage.start(
        "r1",
        inputs={"about": WORD},
        resume_key="key",
        changes=[begun("read"), begun("write"), waiting],
        approvals=[ApprovalRequest(ask, f"tell {WORD}?", None, "engine")],
    ).run
    with pytest.raises(IllegalTransition, match="let it end"):
        stage.stores.erasure.erase(NAME, reason="request 17", runs=["r1"])
    stage.advance(
        run,
        status=RunStatus.CANCELLED,
        keeps_lease=False,
        changes=[
            finished("read", f'"{WORD}"'),
            finished("write", f'"{WORD * 500}"', 2),
            TaskChange(ask, is_new=False, status=TaskStatus.CANCELLED, attempt=1),
        ],
        facts=[replace(fact("r1", "said"), payload={"text": WORD})],
    )
    report = stage.stores.erasure.erase(NAME, reason="request 17", runs=["r1", "nothing"])
    assert where_the_secret_is(stage) == []
    assert (report.removed["runs"], report.removed["task_results"]) == (1, 1)
    assert stage.stores.runs.get("r1").status is RunStatus.CANCELLED
    assert [task.key.name for task in stage.stores.tasks.list("r1")] == ["ask", "read", "write"]
    assert all(one.is_redacted for one in stage.stores.events.read_stream("runs/r1"))
    assert stage.stores.erasure.erase(NAME, reason="request 17", runs=["r1"]).is_empty


def test_a_key_that_was_named_loses_every_value_and_keeps_its_versions(stage: Stage) -> None:
    state = stage.stores.world_state
    for key in ("hers", "his"):
        state.set(key, {"text": f"{WORD if key == 'hers' else ''} 1"})
        state.set(key, {"text": f"{WORD if key == 'hers' else ''} 2"})
    report = stage.stores.erasure.erase(
        NAME, reason="request 17", world_state=[("default", "hers"), ("default", "none")]
    )
    assert where_the_secret_is(stage) == []
    assert (report.removed["world_state"], report.removed["world_state_versions"]) == (1, 2)
    assert state.find("hers") is None
    assert [one.version for one in state.history("hers")] == [2, 1]
    assert state.get("his").value == {"text": " 2"}
    assert state.set("hers", 1).version == 3
    again = stage.stores.erasure.erase("eve", reason="x", world_state=[("default", "none")])
    assert again.is_empty


def test_a_value_cannot_be_taken_away_without_an_event_that_records_it(stage: Stage) -> None:
    stage.stores.world_state.set("k", 1)
    table = stage.table("world_state_versions")

    def empty(record: str) -> None:
        with stage.backend.transaction(stage.tenant) as transaction:
            transaction.execute(f"UPDATE {table} SET value = NULL, erasure_record_id = {record}")

    for record in ("NULL", "'r1'"):
        with pytest.raises(Exception, match="on record of an erasure"):
            empty(record)
    assert stage.stores.world_state.read_version("k", 1).value == 1


def test_many_streams_and_sessions_are_erased_in_turns(stage: Stage) -> None:
    for number in range(45):
        stage.stores.events.append(f"diary/{number}", "noted", {"text": WORD})
        stage.stores.sessions.save("planner", f"d{number}", {"text": WORD})
    report = stage.stores.erasure.erase(
        NAME,
        reason="request 17",
        streams=[f"diary/{number}" for number in range(45)],
        sessions=[("planner", f"d{number}") for number in range(45)],
    )
    assert where_the_secret_is(stage) == []
    assert report.removed["sessions"] == 45


def test_no_other_tenant_is_touched(stage: Stage, another_stage: Callable[[str], Stage]) -> None:
    other = another_stage("globex")
    for one in (stage, other):
        write_life(one.stores)
    held = {table: theirs(other, table) for table in ("memories", "event_payloads", "profiles")}
    stage.stores.erasure.erase(NAME, reason="request 17", **ERASED_WITH)
    assert other.stores.profiles.get(NAME).goals == {"run": WORD}
    assert other.stores.memories.get("own-0").user_id == NAME
    assert {table: theirs(other, table) for table in held} == held
    assert other.stores.events.read_stream("talks/1")[0].payload == {"text": WORD}


@pytest.mark.parametrize("way", ["without a record", "with a record that no event tells"])
def test_a_payload_cannot_be_deleted_without_an_event_that_records_it(
    stage: Stage, way: str
) -> None:
    event = stage.stores.events.append("talks/1", "said", {"text": "x"})
    erasures, erased, payloads = map(stage.table, ("erasures", "erased_entries", "event_payloads"))
    moment = "now()" if stage.table("x") != "x" else "0"

    def delete() -> None:
        with stage.backend.transaction(stage.tenant) as transaction:
            if way != "without a record":
                transaction.execute(f"INSERT INTO {erasures} VALUES ('acme', 'r1', 'e1', {moment})")
                transaction.execute(f"INSERT INTO {erased} VALUES ('acme', {event.entry_no}, 'r1')")
            transaction.execute(f"DELETE FROM {payloads} WHERE entry_no = {event.entry_no}")

    with pytest.raises(Exception, match="on record of an erasure"):
        delete()
    assert stage.stores.events.get(event.event_id).payload == {"text": "x"}


@pytest.mark.parametrize("kind", ["payloads_erased", "subject_erased"])
def test_nobody_else_can_state_a_record(stage: Stage, kind: str) -> None:
    with pytest.raises(Invalid, match="erasures only"):
        stage.stores.events.append("erasures/e1", kind, {"event_ids": []})


def test_an_event_that_was_erased_is_not_appended_again(stage: Stage) -> None:
    known = {"event_id": "e1", "subjects": ["ada"]}
    stage.stores.events.append("talks/1", "said", {"text": "x"}, **known)
    stage.stores.erasure.erase("ada", reason="request 17")
    with pytest.raises(AlreadyExists):
        stage.stores.events.append("talks/1", "said", {"text": "x"}, **known)
    assert stage.stores.events.get("e1").is_redacted


def test_inside_a_transaction_all_of_it_is_undone_with_it(stage: Stage) -> None:
    write_life(stage.stores)

    def erase_and_fail() -> None:
        with stage.backend.transaction(stage.tenant) as transaction:
            report = transaction.erasure.erase(NAME, reason="request 17")
            assert report.removed["memories"] == 8
            assert not report.scrub.is_done
            with pytest.raises(NotFound):
                transaction.memories.get("own-0")
            raise InterruptedError

    with pytest.raises(InterruptedError):
        erase_and_fail()
    assert stage.stores.memories.get("own-0").user_id == NAME
    assert stage.stores.events.read_stream("talks/1")[0].payload == {"text": WORD}


BAD: list[tuple[str, dict[str, Any]]] = [
    ("", {"reason": "x"}),
    ("ada", {"reason": " "}),
    ("ada", {"reason": "Ada's wish"}),
    ("ada", {"reason": "x", "actor": "ada@example.org"}),
    ("ada", {"reason": "x" * 501}),
    ("ada\x00", {"reason": "x"}),
    ("ada", {"reason": "x", "sessions": ["s1"]}),
    ("ada", {"reason": "x", "sessions": [("a",)]}),
    ("ada", {"reason": "x", "streams": "all"}),
    ("ada", {"reason": "x", "streams": [str(n) for n in range(1001)]}),
    ("a" * 1025, {"reason": "x"}),
    ("ada", {"reason": "x", "runs": "r1"}),
    ("ada", {"reason": "x", "world_state": ["k"]}),
    ("ada", {"reason": "x", "world_state": [("", "k")]}),
]


@pytest.mark.parametrize(("subject", "more"), BAD)
def test_a_bad_request_is_refused_before_anything_is_looked_for(
    stage: Stage, subject: str, more: dict[str, Any]
) -> None:
    with pytest.raises(AureusError) as caught:
        stage.stores.erasure.erase(subject, **more)
    assert isinstance(caught.value, Invalid)


def test_a_short_name_inside_other_words_is_no_reason_to_refuse(stage: Stage) -> None:
    report = stage.stores.erasure.erase("a", reason="a1 wanted that", actor="anna")
    assert report.is_empty


def test_an_event_concerns_a_bounded_number_of_people(stage: Stage) -> None:
    with pytest.raises(LimitExceeded):
        stage.stores.events.append("x/y", "said", {}, subjects=[str(n) for n in range(17)])
    with pytest.raises(Invalid):
        stage.stores.events.append("x/y", "said", {}, subjects="ada")
    stage.stores.events.append("x/y", "said", {}, subjects=["ada", "ada"])
    assert len(rows_of(stage, "event_subjects")) == 1


def test_whoever_writes_meanwhile_is_not_disturbed_and_the_next_erasure_finds_it(
    stage: Stage,
) -> None:
    memories = stage.stores.memories
    for number in range(40):
        memories.add(f"{WORD} {number}", agent_id="a", user_id=NAME, memory_id=f"m{number}")
    stage.stores.hypotheses.propose(WORD, agent_id="a", user_id=NAME, hypothesis_id="h1")
    done: list[str] = []
    known: dict[str, Any] = {"reason": "request 17", "sessions": [("planner", "s1")]}

    def write(worker: int) -> None:
        for number in range(10):
            with suppress(NotFound):
                memories.update(f"m{(number * 4 + worker) % 40}", text=f"{WORD} again")
            memories.add(f"{WORD} later", agent_id=f"a{worker}", user_id=NAME)
            memories.add("tea", agent_id=f"a{worker}", user_id="bob")
            stage.stores.profiles.update(NAME, goals={str(worker): WORD})
            stage.stores.sessions.append("planner", "s1", "user", WORD)
            with suppress(NotFound):
                stage.stores.hypotheses.add_evidence("h1", WORD, side="for")
            done.append("bob")

    with ThreadPoolExecutor(5) as pool:
        writing = [pool.submit(write, worker) for worker in range(4)]
        erasing = [pool.submit(stage.stores.erasure.erase, NAME, **known) for _ in range(2)]
        for future in (*writing, *erasing):
            future.result(60)
    stage.stores.erasure.erase(NAME, **known)
    assert where_the_secret_is(stage) == []
    assert memories.count(user_id="bob") == len(done) == 40
    assert stage.stores.ledger.verify().is_intact


def test_an_export_of_the_trail_holds_nothing_of_what_was_erased(stage: Stage) -> None:
    for subject in ("bob", NAME):
        stage.stores.audit.append(
            "officer", "profile.read", before={"note": f"{WORD} {subject}"}, subjects=[subject]
        )
    stage.stores.erasure.erase(NAME, reason="request 17")
    exported = io.BytesIO()
    stage.stores.audit.export(exported)
    content = exported.getvalue().decode()
    assert f"{WORD} bob" in content
    assert f"{WORD} {NAME}" not in content


def test_going_back_to_a_snapshot_does_not_bring_back_what_was_erased(stage: Stage) -> None:
    stage.stores.memories.add(WORD, agent_id="a", user_id=NAME, memory_id="hers")
    stage.stores.memories.add("tea", agent_id="a", user_id="bob", memory_id="his")
    stage.stores.snapshots.create("a", snapshot_id="both", session_ids=[])
    assert stage.stores.snapshots.verify("both").is_intact
    stage.stores.erasure.erase(NAME, reason="request 17")
    stage.stores.memories.forget("his")
    stage.stores.snapshots.restore("both", actor="officer")
    assert stage.stores.memories.get("his").deleted_at is None
    assert where_the_secret_is(stage) == []
    with pytest.raises(NotFound):
        stage.stores.memories.get("hers")

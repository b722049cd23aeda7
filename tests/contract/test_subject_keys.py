"""What entries say about people is encrypted under keys elsewhere; without them everything else still stands."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from aureus._database.drive import Call
from aureus.errors import AlreadyExists, PayloadWithheld, SubjectKeyDestroyed, SubjectKeysFailed
from aureus.ledger.exports import verify_export
from aureus.ledger.proofs import verify_proof
from aureus.model.erasures import ErasureRequest
from aureus.model.subscriptions import Wanted
from aureus.model.verification import FindingKind
from aureus.stores.subscriptions.consuming import ConsumerOperations
from tests.contract.stage import Stage
from tests.support.backends import Backend
from tests.support.person import NAME, WORD, write_life
from tests.support.subject_keys import MemoryKeys

OPENED_TWICE = True
"""No test here runs in memory, where there is but one client."""

Tamper = Callable[[Stage, str, str], None]


@pytest.fixture
def keys() -> MemoryKeys:
    """Give a key store of a caller."""
    return MemoryKeys()


@pytest.fixture
def keyed(backend: Backend, keys: MemoryKeys) -> Iterator[Stage]:
    """Give a stage on the backend's database whose client has that key store."""
    yield from another_client(backend, keys)


@pytest.fixture
def keyless(backend: Backend, keyed: Stage) -> Iterator[Stage]:
    """Give a stage on the same database whose client has a key store without any key, as behind a restored copy."""
    yield from another_client(backend, MemoryKeys())


def another_client(backend: Backend, keys: Any) -> Iterator[Stage]:
    """Open another client of the same database."""
    opened = Backend(
        backend.settings,
        is_async=backend._thread is not None,
        clock=backend.clock,
        subject_keys=keys,
    )
    yield Stage(opened, "acme")
    opened.close()


def payloads_of(stage: Stage) -> list[bytes]:
    """Return what is stored as payloads and metadata."""
    with stage.backend.transaction(stage.tenant) as tx:
        rows = tx.execute(
            f"SELECT payload, metadata FROM {stage.table('event_payloads')} ORDER BY entry_no"
        )
    return [bytes(value) for row in rows for value in row if value is not None]


def sealed(stage: Stage) -> None:
    """Seal all that waits."""
    while not stage.stores.ledger.seal().is_done:
        pass


def test_nothing_that_entries_say_about_somebody_is_stored_in_the_clear(keyed: Stage) -> None:
    write_life(keyed.stores)
    stored = payloads_of(keyed)
    about = [one for one in stored if one.startswith(b"[")]
    assert len(about) > 5
    # The name as JSON has it: three letters alone come up in what is encrypted, now and then.
    assert not any(WORD.encode() in one or f'"{NAME}"'.encode() in one for one in about)


def test_with_the_keys_everything_reads_as_without_encryption(keyed: Stage) -> None:
    events = keyed.stores.events
    event = events.append("talks/1", "said", {"text": WORD}, metadata={"m": 1}, subjects=["ada"])
    assert (event.payload, event.metadata) == ({"text": WORD}, {"m": 1})
    assert events.get(event.event_id) == event
    assert events.read_stream("talks/1") == [event]
    assert events.list().events == (event,)
    entry = keyed.stores.audit.append("bob", "act", after={"q": WORD}, subjects=["ada", "bob"])
    assert keyed.stores.audit.get(entry.event_id).after == {"q": WORD}
    assert keyed.stores.audit.verify_entry(entry.event_id).is_intact
    report = keyed.stores.ledger.verify()
    assert report.is_intact, report.summary
    assert report.withheld_count == report.unreadable_count == 0


def test_an_append_that_is_repeated_is_recognised(keyed: Stage) -> None:
    known = {"event_id": "e1", "subjects": ["ada", "bob"]}
    first = keyed.stores.events.append("talks/1", "said", {"text": WORD}, **known)
    assert keyed.stores.events.append("talks/1", "said", {"text": WORD}, **known) == first
    with pytest.raises(AlreadyExists):
        keyed.stores.events.append("talks/1", "said", {"text": "other"}, **known)


def test_a_transaction_and_an_operation_of_several_statements_encrypt_too(keyed: Stage) -> None:
    with keyed.backend.transaction("acme") as tx:
        memory = tx.memories.add("likes tea", agent_id="planner", user_id="ada")
        tx.events.append("talks/1", "said", {"text": WORD}, subjects=["bob"])
        tx.profiles.update("cleo", goals={"run": 1})
        tx.memories.update(memory.memory_id, text="likes coffee")
    assert all(one.startswith(b"[") for one in payloads_of(keyed))
    assert len(keyed.stores.events.list().events) >= 4
    sealed(keyed)
    assert keyed.stores.ledger.verify().is_intact


def test_without_the_key_an_entry_is_withheld_and_the_list_stands(
    keyed: Stage, keyless: Stage
) -> None:
    about = keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    other = keyed.stores.events.append("talks/1", "said", {"text": "else"})
    entry = keyed.stores.audit.append("bob", "act", after={"q": WORD}, subjects=["ada"])
    sealed(keyed)
    found = keyless.stores.events.read_stream("talks/1")
    assert [one.is_withheld for one in found] == [True, False]
    assert (found[0].payload, found[0].is_redacted) == ({}, False)
    assert found[1].payload == other.payload
    assert keyless.stores.events.get(about.event_id).leaf_hash == about.leaf_hash
    assert keyless.stores.audit.get(entry.event_id).is_withheld
    checked = keyless.stores.audit.verify_entry(entry.event_id)
    assert (checked.is_intact, checked.is_withheld, checked.is_redacted) == (True, True, False)


def test_verifying_without_keys_counts_what_was_not_compared(keyed: Stage, keyless: Stage) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    keyed.stores.events.append("talks/1", "said", {"text": "else"})
    sealed(keyed)
    report = keyless.stores.ledger.verify()
    assert report.is_intact, report.summary
    assert report.withheld_count == 1
    assert "1 NOT COMPARED" in report.summary


def test_an_export_and_a_proof_without_the_key_say_so_and_verify(
    keyed: Stage, keyless: Stage
) -> None:
    event = keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    keyed.stores.audit.append("bob", "act", after={"q": WORD}, subjects=["ada"])
    sealed(keyed)
    for whole in (True, False):
        file = io.BytesIO()
        proof = keyless.stores.audit.export(file, whole=whole)
        report = verify_export(file.getvalue().splitlines(), proof)
        assert report.is_intact, report.summary
        assert report.withheld_count == (2 if whole else 1)
        assert WORD.encode() not in file.getvalue()
    evidence = verify_proof(str(keyless.stores.ledger.prove(event.event_id)))
    assert evidence.to_dict()["event"]["is_withheld"]
    assert "did not have the key" in evidence.summary
    evidence = verify_proof(str(keyed.stores.ledger.prove(event.event_id)))
    assert evidence.to_dict()["event"]["payload"] == {"text": WORD}


def test_an_export_with_the_key_holds_the_plain_text_and_needs_no_key(keyed: Stage) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    file = io.BytesIO()
    proof = keyed.stores.audit.export(file, whole=True)
    report = verify_export(file.getvalue().splitlines(), proof)
    assert (report.is_intact, report.withheld_count) == (True, 0)
    assert WORD.encode() in file.getvalue()


def test_a_subscription_tells_what_is_withheld_and_goes_on(keyed: Stage, keyless: Stage) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    keyed.stores.events.append("talks/1", "said", {"text": "else"})
    sealed(keyed)
    for stage, told in ((keyed, [False, False]), (keyless, [True, False])):
        page = performed(stage, ConsumerOperations().read_sealed, -1, Wanted("talks/1"))
        assert [one.is_withheld for one in page.events] == told


def performed(stage: Stage, operation: Any, *args: Any) -> Any:
    """Carry out an operation as a consumer does: without an attempt that could begin anew."""
    runner = stage.backend.client._database
    work = runner.read(lambda: operation(*args), Call(stage.tenant))
    thread = stage.backend._thread
    return work if thread is None else thread.run(work)


def test_an_agent_of_a_moment_is_not_made_of_what_cannot_be_read(
    keyed: Stage, keyless: Stage
) -> None:
    keyed.stores.memories.add("likes tea", agent_id="planner", user_id="ada")
    sealed(keyed)
    known = {"user_id": "ada", "size": keyed.stores.ledger.status().head.size}
    found = keyed.stores.snapshots.reconstruct("planner", **known)
    assert found.snapshot_id
    with pytest.raises(PayloadWithheld):
        keyless.stores.snapshots.reconstruct("planner", **known)


def test_erasing_destroys_the_key_on_record(keyed: Stage, keys: MemoryKeys) -> None:
    write_life(keyed.stores)
    key = keys.keys["acme", NAME]
    report = keyed.stores.erasure.erase(NAME, reason="request 17")
    assert report.destroyed_keys == (key.key_id,)
    assert report.unreadable_count > 5
    assert ("acme", NAME) not in keys.keys
    records = keyed.stores.events.read_stream(f"erasures/{report.erasure_id}")
    assert records[0].payload["key_ids"] == [key.key_id]
    assert "event_payloads" in report.removed
    after = keyed.stores.ledger.verify()
    assert after.is_intact, after.summary
    again = keyed.stores.erasure.erase(NAME, reason="request 17")
    assert (again.is_empty, again.destroyed_keys) == (True, ())


def test_erasing_one_of_two_makes_what_concerns_both_unreadable(
    keyed: Stage, keys: MemoryKeys
) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada", "bob"])
    alone = keyed.stores.events.append("talks/1", "said", {"text": "b"}, subjects=["bob"])
    keyed.stores.erasure.erase("ada", reason="request 17")
    assert [one.is_redacted for one in keyed.stores.events.read_stream("talks/1")] == [True, False]
    assert keyed.stores.events.get(alone.event_id).payload == {"text": "b"}
    assert ("acme", "bob") in keys.keys


def test_whoever_comes_back_has_another_key(keyed: Stage, keys: MemoryKeys) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    before = keys.keys["acme", "ada"]
    keyed.stores.erasure.erase("ada", reason="request 17")
    event = keyed.stores.events.append("talks/1", "said", {"text": "again"}, subjects=["ada"])
    assert keys.keys["acme", "ada"].key_id != before.key_id
    assert keyed.stores.events.get(event.event_id).payload == {"text": "again"}


@pytest.mark.parametrize("path", ["append", "memory", "transaction", "several"])
def test_a_writer_with_the_key_in_memory_writes_nothing_under_it_after_its_destruction(
    backend: Backend, keyed: Stage, keys: MemoryKeys, path: str
) -> None:
    """Two clients share a key store; one erases while the other still has the key."""
    stores = keyed.stores
    memory = stores.memories.add("likes tea", agent_id="planner", user_id="bob", subject="ada")
    destroyed = keys.keys["acme", "bob"]
    for eraser in another_client(backend, keys):
        operations = eraser.stores.erasure
        operations.record_key(ErasureRequest("bob"), destroyed.key_id, erasure_id="e", reason="r")
    keys.destroy("acme", "bob", destroyed.key_id)
    before = len(payloads_of(keyed))
    if path == "append":
        event = stores.events.append("talks/1", "said", {"text": "late"}, subjects=["bob"])
        assert stores.events.get(event.event_id).payload == {"text": "late"}
    elif path == "memory":
        stores.memories.add("likes coffee", agent_id="planner", user_id="bob")
    elif path == "several":
        stores.memories.update(memory.memory_id, text="likes coffee")
    else:
        with keyed.backend.transaction("acme") as tx:
            tx.sessions.save("planner", "s1", {"n": 1})
            tx.events.append("talks/1", "said", {"text": "later"}, subjects=["bob"])
        assert stores.sessions.load("planner", "s1") is not None
    written = [one for one in payloads_of(keyed)[before:] if one.startswith(b"[")]
    assert written
    assert not any(destroyed.key_id.encode() in one for one in written)


@pytest.mark.parametrize("place", ["retired", "recorded"])
def test_an_erasure_that_was_killed_disturbs_no_writer_and_is_ended_by_the_next(
    keyed: Stage, keys: MemoryKeys, place: str
) -> None:
    """Between the steps of the key store writers get another key, which goes with the repeated erasure too."""
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    old = keys.keys["acme", "ada"].key_id
    erasure = keyed.stores.erasure
    keys.retire("acme", "ada", old)
    if place == "recorded":
        erasure.record_key(ErasureRequest("ada"), old, erasure_id="e1", reason="request 17")
        keyed.stores.events.append("talks/1", "said", {"text": "late"}, subjects=["ada"])
        assert keys.keys["acme", "ada"].key_id != old
    report = erasure.erase("ada", reason="request 17")
    assert report.destroyed_keys[0] == old
    assert keys.keys == {}
    assert not any(keys.retired.values())
    assert len(keyed.stores.events.read_stream("erasures/e1")) == (place == "recorded")
    assert all(one.is_redacted for one in keyed.stores.events.read_stream("talks/1"))


def test_a_key_store_that_hands_out_a_destroyed_key_is_refused(
    keyed: Stage, keys: MemoryKeys
) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    key_id = keys.keys["acme", "ada"].key_id
    erasure = keyed.stores.erasure
    erasure.record_key(ErasureRequest("ada"), key_id, erasure_id="e1", reason="request 17")
    with pytest.raises(SubjectKeyDestroyed, match="erasure"):
        keyed.stores.events.append("talks/1", "said", {"text": "late"}, subjects=["ada"])
    assert erasure.erase("ada", reason="request 17").destroyed_keys == (key_id,)
    keyed.stores.events.append("talks/1", "said", {"text": "late"}, subjects=["ada"])


def test_what_was_written_under_a_destroyed_key_is_erased_to_readers_and_found_by_the_next_erasure(
    keyed: Stage, keys: MemoryKeys, tamper: Tamper
) -> None:
    """A transaction that was open while its key was destroyed commits behind the search."""
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    key_id = keys.keys["acme", "ada"].key_id
    erasure = keyed.stores.erasure
    erasure.record_key(ErasureRequest("ada"), key_id, erasure_id="e1", reason="request 17")
    keys.destroy("acme", "ada", key_id)
    keyed.backend.clock.advance(60)
    (event,) = keyed.stores.events.read_stream("talks/1")
    assert (event.is_redacted, event.is_withheld) == (True, False)
    sealed(keyed)
    report = keyed.stores.ledger.verify()
    assert report.is_intact, report.summary
    assert (report.unreadable_count, report.withheld_count) == (1, 0)
    assert erasure.erase("ada", reason="request 17").removed["event_payloads"] == 1
    sealed(keyed)
    report = keyed.stores.ledger.verify()
    assert (report.redaction_count, report.unreadable_count) == (1, 0)


def test_writers_and_an_eraser_at_the_same_time_leave_nothing_that_nobody_can_explain(
    keyed: Stage, keys: MemoryKeys
) -> None:
    def write(writer: int) -> None:
        for number in range(12):
            keyed.stores.events.append(
                f"talks/{writer}", "said", {"text": WORD, "n": number}, subjects=["ada"]
            )

    def erase() -> None:
        for number in range(4):
            keyed.stores.erasure.erase("ada", reason=f"request {number}", scrub=False)

    with ThreadPoolExecutor(5) as pool:
        for done in [*(pool.submit(write, writer) for writer in range(4)), pool.submit(erase)]:
            done.result()
    sealed(keyed)
    report = keyed.stores.ledger.verify()
    assert report.is_intact, report.summary
    assert report.withheld_count == 0
    events = [one for one in keyed.stores.events.list(limit=1000).events if one.type == "said"]
    assert len(events) == 48
    assert not any(one.is_withheld for one in events)
    assert all(one.is_redacted or one.payload["text"] == WORD for one in events)
    keyed.stores.erasure.erase("ada", reason="the last")
    assert keyed.stores.ledger.verify().unreadable_count == 0
    assert not any(one.startswith(b"[") for one in payloads_of(keyed))


def test_an_erasure_inside_a_transaction_leaves_the_key_to_one_outside(
    keyed: Stage, keys: MemoryKeys
) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    with keyed.backend.transaction("acme") as tx:
        inside = tx.erasure.erase("ada", reason="request 17")
    assert inside.destroyed_keys == ()
    assert "key" in inside.scrub.to_do[0]
    assert ("acme", "ada") in keys.keys
    assert keyed.stores.erasure.erase("ada", reason="request 17").destroyed_keys
    assert ("acme", "ada") not in keys.keys


def test_a_dry_run_counts_the_key_and_leaves_it(keyed: Stage, keys: MemoryKeys) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    found = keyed.stores.erasure.erase("ada", reason="request 17", dry_run=True)
    assert found.removed["subject_keys"] == 1
    assert ("acme", "ada") in keys.keys


def test_a_key_store_that_fails_lets_nothing_be_stored(
    keyed: Stage, keys: MemoryKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("no route to the vault")

    monkeypatch.setattr(keys, "get_or_create", fail)
    with pytest.raises(SubjectKeysFailed, match="no route") as caught:
        keyed.stores.events.append("talks/1", "said", {"text": WORD}, subjects=["ada"])
    assert caught.value.retryable
    with pytest.raises(SubjectKeysFailed):
        keyed.stores.memories.add("likes tea", agent_id="planner", user_id="ada")
    assert keyed.stores.memories.count() == 0
    keyed.stores.events.append("talks/1", "said", {"text": "about nobody"})
    assert len(payloads_of(keyed)) == 1


def test_a_text_is_looked_for_in_payloads_that_are_not_encrypted(keyed: Stage) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": "payload"}, subjects=["ada"])
    clear = keyed.stores.events.append("talks/1", "said", {"text": "payload"})
    assert [one.event_id for one in keyed.stores.events.list(text="payload").events] == [
        clear.event_id
    ]
    assert keyed.stores.events.list(text="aureus").events == ()


def test_another_tenant_cannot_read_an_envelope_that_was_moved_to_it(
    backend: Backend, keyed: Stage, keys: MemoryKeys, tamper: Tamper
) -> None:
    keyed.stores.events.append("talks/1", "said", {"text": WORD}, event_id="e", subjects=["ada"])
    other = Stage(keyed.backend, "zeta")
    other.stores.events.append("talks/1", "said", {"text": "x"}, event_id="e", subjects=["ada"])
    table = keyed.table("event_payloads")
    tamper(
        keyed,
        "event_payloads",
        f"UPDATE {table} SET payload = (SELECT p.payload FROM {table} AS p WHERE p.tenant_id = 'acme') "
        "WHERE tenant_id = 'zeta'",
    )
    (event,) = other.stores.events.read_stream("talks/1")
    assert (event.is_withheld, event.payload) == (True, {})


@pytest.mark.parametrize("edit", ["swapped", "edited", "another header", "metadata beside it"])
def test_an_envelope_that_was_changed_is_found(keyed: Stage, tamper: Tamper, edit: str) -> None:
    for number in (1, 2):
        keyed.stores.events.append(
            "talks/1", "said", {"text": f"{WORD} {number}"}, subjects=["ada"]
        )
    sealed(keyed)
    table = keyed.table("event_payloads")
    second = f"(SELECT p.payload FROM {table} AS p ORDER BY p.entry_no DESC LIMIT 1)"
    is_sqlite = table == "event_payloads"

    def literal(text: str) -> str:
        return f"CAST('{text}' AS BLOB)" if is_sqlite else f"convert_to('{text}', 'UTF8')"

    value = {
        "swapped": f"payload = {second}",
        "edited": "payload = CAST(CAST(payload AS TEXT) || 'AAAA' AS BLOB)"
        if is_sqlite
        else "payload = payload || convert_to('AAAA', 'UTF8')",
        "another header": f"payload = {literal('[]AAAA')}",
        "metadata beside it": f"metadata = {literal('{}')}",
    }[edit]
    first = f"(SELECT min(p.entry_no) FROM {table} AS p)"
    tamper(keyed, "event_payloads", f"UPDATE {table} SET {value} WHERE entry_no = {first}")
    report = keyed.stores.ledger.verify()
    assert [one.kind for one in report.findings] == [FindingKind.PAYLOAD]
    assert report.findings[0].position == 0
    assert "encrypted payload" in report.findings[0].message
    found = keyed.stores.events.read_stream("talks/1")
    if edit != "metadata beside it":
        assert [one.is_withheld for one in found] == [True, False]

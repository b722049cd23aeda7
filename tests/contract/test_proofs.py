"""What is sealed can be proved and verified from the database, signed without contradiction, and never goes back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aureus import NewEvent
from aureus.errors import (
    Conflict,
    HistoryRewound,
    IntegrityFailure,
    Invalid,
    NotFound,
)
from aureus.ledger.keys import SigningKey
from aureus.ledger.lines import entry_of, is_what_was_sealed
from aureus.ledger.notes import Note
from aureus.ledger.proofs import InclusionProof, verify_proof
from aureus.ledger.seen_heads import SeenHead, SeenHeads
from aureus.ledger.steps import Scope
from aureus.ledger.verifying import verifying
from aureus.model.heads import Head
from aureus.model.merkle import Tree, verify_consistency
from aureus.model.signed_heads import LedgerTotals
from aureus.model.verification import FindingKind, SealedEntry
from tests.contract.stage import Stage
from tests.support.person import ERASED_WITH, NAME, write_life

KEY = SigningKey("aureus", bytes(range(32)))
NEXT_KEY = SigningKey("aureus", bytes(32))
STRANGER = SigningKey("stranger", bytes(32))
PAYLOADS: list[dict[str, Any]] = [
    {"n": 0},
    {"text": "é\u2028"},
    {},
    {"big": 2**63 - 1, "small": 1e-7, "none": None},
]


def grow(stage: Stage, count: int) -> list[str]:
    """Append to several streams and seal; return the identifiers of the events."""
    found: list[str] = []
    for first in range(0, count, 100):
        width = min(100, count - first)
        events = [
            NewEvent("t", PAYLOADS[(first + at) % 4], {"m": at} if at % 3 == 0 else {})
            for at in range(width)
        ]
        appended = stage.stores.events.append_all(f"a/{first % 700}", events)
        found += [event.event_id for event in appended]
    seal(stage)
    return found


def seal(stage: Stage) -> None:
    while not stage.stores.ledger.seal().is_done:
        pass


def proofs(stage: Stage, name: str = "proofs") -> Any:
    """Return the store of proofs, or another one, which callers reach through the ledger."""
    ledger = stage.stores.ledger
    return getattr(ledger, "_target", ledger)._driver.stores[name]


class TestVerifying:
    def test_a_ledger_that_was_left_alone_is_intact(self, stage: Stage) -> None:
        grow(stage, 600)
        report = stage.stores.ledger.verify()
        assert report.is_intact, report.summary
        assert report.entry_count == report.head.size >= 600
        assert "NOT ANCHORED" in report.summary
        again = stage.stores.ledger.verify()
        assert [head.size for head in again.unsigned_heads] == [report.head.size]

    def test_it_goes_on_from_where_it_ended(self, stage: Stage) -> None:
        grow(stage, 300)
        first = stage.stores.ledger.verify()
        grow(stage, 100)
        report = stage.stores.ledger.verify(since_last=True)
        assert report.is_intact, report.summary
        assert (report.first_position, report.entry_count) == (first.head.size, 100)

    def test_signed_heads_anchor_it(self, stage: Stage) -> None:
        grow(stage, 10)
        early = stage.stores.ledger.sign(KEY)
        grow(stage, 10)
        late = stage.stores.ledger.sign(KEY)
        report = stage.stores.ledger.verify(keys=[KEY.public], notes=[Note.from_text(early.note)])
        assert [head.size for head in report.anchors] == [early.size, late.size]
        grow(stage, 10)
        report = stage.stores.ledger.verify(keys=[KEY.public], since_last=True)
        assert report.is_intact, report.summary
        assert [head.size for head in report.anchors] == [early.size, late.size]

    def test_after_a_change_of_keys_nothing_is_wrong(self, stage: Stage) -> None:
        grow(stage, 5)
        stage.stores.ledger.sign(KEY)
        grow(stage, 5)
        late = stage.stores.ledger.sign(NEXT_KEY)
        report = stage.stores.ledger.verify(keys=[NEXT_KEY.public])
        assert report.is_intact, report.summary
        assert [head.size for head in report.anchors] == [late.size]

    def test_one_head_has_the_signatures_of_several_keys(self, stage: Stage) -> None:
        grow(stage, 5)
        stage.stores.ledger.sign(KEY)
        stage.stores.ledger.sign(NEXT_KEY)
        both = Note.from_text(stage.stores.ledger.sign(KEY).note)
        assert len(both.signatures) == 2
        for trusted in ([KEY.public], [NEXT_KEY.public], [KEY.public, NEXT_KEY.public]):
            assert set(both.verify(trusted)) == set(trusted)
            report = stage.stores.ledger.verify(keys=trusted, notes=[both])
            assert (report.is_intact, report.is_anchored) == (True, True), report.summary
        grow(stage, 1)
        assert len(Note.from_text(stage.stores.ledger.sign(KEY, NEXT_KEY).note).signatures) == 2

    def test_a_backup_that_is_restored_twice_never_has_an_origin_again(self, stage: Stage) -> None:
        grow(stage, 5)
        head = stage.stores.ledger.head()
        key = head.origin.rpartition("/")[2]
        folder = SeenHeads(Path(str(stage.backend.settings.ledger.heads)))
        lost = Head(f"{head.origin}.2", head.size + 9, bytes(32))
        folder.accept(
            key, SeenHead(lost)
        )  # what was accepted before this backup was put back again
        assert stage.stores.ledger.accept_restore(actor="ada").incarnation == 3

    def test_after_a_change_of_name_nothing_is_wrong(self, stage: Stage) -> None:
        grow(stage, 5)
        early = stage.stores.ledger.sign(KEY)
        grow(stage, 5)
        renamed = SigningKey("ledger.example", bytes(32))
        store = proofs(stage)
        late = run(
            stage,
            store.sign("ledger.example", lambda head, _: str(Note(head.text()).signed_by(renamed))),
        )
        report = stage.stores.ledger.verify(keys=[KEY.public, renamed.public])
        assert report.is_intact, report.summary
        assert [head.size for head in report.anchors] == [early.size, late.size]

    def test_a_note_of_a_stranger_is_told(self, stage: Stage) -> None:
        grow(stage, 5)
        head = stage.stores.ledger.head()
        note = Note(head.text()).signed_by(STRANGER)
        report = stage.stores.ledger.verify(keys=[KEY.public], notes=[note])
        assert [finding.kind for finding in report.findings] == [FindingKind.WRONG_KEY]

    def test_the_head_of_a_lost_history_is_told(self, stage: Stage) -> None:
        grow(stage, 5)
        head = stage.stores.ledger.head()
        ahead = Note(replace(head, size=head.size + 3, root=bytes(32)).text()).signed_by(KEY)
        report = stage.stores.ledger.verify(keys=[KEY.public], notes=[ahead])
        assert [finding.kind for finding in report.findings] == [FindingKind.REWOUND]
        other = Note(replace(head, root=bytes(32)).text()).signed_by(KEY)
        report = stage.stores.ledger.verify(keys=[KEY.public], notes=[other])
        assert [finding.kind for finding in report.findings] == [FindingKind.RECOMPUTED]

    def test_before_anything_is_sealed_there_is_nothing_to_say(
        self, another_stage: Callable[[str], Stage]
    ) -> None:
        ledger = another_stage("empty").backend.tenant("nobody").ledger
        for call in (ledger.verify, ledger.status, ledger.head):
            with pytest.raises(NotFound, match="nothing was sealed"):
                call()
        with pytest.raises(NotFound, match="nothing was sealed"):
            ledger.sign(KEY)

    def test_tenants_are_verified_apart(
        self, stage: Stage, another_stage: Callable[[str], Stage]
    ) -> None:
        other = another_stage("globex")
        grow(stage, 3)
        grow(other, 7)
        mine, theirs = stage.stores.ledger.verify(), other.stores.ledger.verify()
        assert mine.is_intact
        assert theirs.is_intact
        assert mine.head.origin != theirs.head.origin
        signed = Note.from_text(other.stores.ledger.sign(KEY).note)
        report = stage.stores.ledger.verify(keys=[KEY.public], notes=[signed])
        assert [finding.kind for finding in report.findings] == [FindingKind.WRONG_KEY]
        assert "this is a head of" in report.findings[0].message


class TestProving:
    def test_every_event_is_proved(self, stage: Stage) -> None:
        names = grow(stage, 530)
        for name in (names[0], names[255], names[256], names[-1]):
            proof = InclusionProof.from_text(str(stage.stores.ledger.prove(name)))
            assert proof.extra is not None
            entry = entry_of(proof.extra)
            assert is_what_was_sealed(entry)
            assert entry.event is not None
            assert entry.event.fields.event_id == name
            assert not proof.verify(entry.sealed_hash).is_anchored

    def test_a_signed_head_is_taken_where_it_covers_the_event(self, stage: Stage) -> None:
        (early,) = grow(stage, 1)
        signed = stage.stores.ledger.sign(KEY)
        (late,) = grow(stage, 1)
        proof = stage.stores.ledger.prove(early)
        assert proof.head.size == signed.size
        leaf = entry_of(proof.extra).sealed_hash
        assert proof.verify(leaf, [KEY.public]).is_anchored
        assert stage.stores.ledger.prove(late).checkpoint.signatures == ()

    def test_what_is_not_there_is_not_proved(self, stage: Stage) -> None:
        grow(stage, 1)
        with pytest.raises(NotFound, match="no event"):
            stage.stores.ledger.prove("nothing")

    def test_every_earlier_tree_is_proved(self, stage: Stage) -> None:
        grow(stage, 520)
        store = proofs(stage)
        head = stage.stores.ledger.get_head()
        page: list[SealedEntry] = []
        while len(page) < head.size:
            page += run(stage, store.read_page(len(page), head.size))
        assert [entry.position for entry in page] == list(range(head.size))
        tree = Tree()
        for entry in page:
            tree.append(entry.sealed_hash)
            if tree.size in {1, 255, 256, 257, 511, 512, head.size}:
                proof = run(stage, store.prove_consistency(tree.size, head.size))
                assert verify_consistency(tree.size, head.size, proof, tree.root(), head.root)
        with pytest.raises(Invalid):
            run(stage, store.prove_consistency(0, head.size))
        with pytest.raises(Invalid):
            run(stage, store.read_page(3, 2))

    def test_a_page_ends_before_it_is_too_large(self, stage: Stage) -> None:
        text = "x" * 1_500_000
        for _ in range(7):
            stage.stores.events.append("large/1", "t", {"text": text})
        grow(stage, 3)
        store = proofs(stage)
        first = run(stage, store.read_page(0, 1000))
        assert 5 < len(first) < 10
        assert [entry.position for entry in first] == list(range(len(first)))
        assert stage.stores.ledger.verify().is_intact

    def test_the_numbers_add_up(self, stage: Stage) -> None:
        grow(stage, 4)
        totals: LedgerTotals = run(stage, proofs(stage, "checks").get_totals())
        assert totals.stray_count == 0
        assert totals.sealed_end == totals.size >= 4
        assert run(stage, proofs(stage, "checks").list_strays()) == []


class TestSigning:
    def test_a_head_is_signed_and_kept(self, stage: Stage) -> None:
        grow(stage, 5)
        signed = stage.stores.ledger.sign(KEY)
        note = Note.from_text(signed.note)
        assert note.verify([KEY.public]) == [KEY.public]
        head = Head.from_text(note.text)
        state = stage.stores.ledger.get_head()
        assert (head.size, head.root) == (state.size, state.root)
        assert head.origin == f"aureus/{state.tenant_key}"
        assert run(stage, proofs(stage).list_signed()) == [signed]
        status = stage.stores.ledger.status()
        assert (status.signed_size, status.seen_size) == (head.size, head.size)
        assert status.pending_count == 0
        assert not status.is_rewound

    def test_two_keys_sign_together(self, stage: Stage) -> None:
        grow(stage, 1)
        stage.stores.ledger.sign(KEY)
        note = Note.from_text(stage.stores.ledger.sign(KEY, NEXT_KEY).note)
        assert note.verify([KEY.public, NEXT_KEY.public]) == [KEY.public, NEXT_KEY.public]
        assert len(run(stage, proofs(stage).list_signed())) == 1

    def test_a_head_that_contradicts_an_earlier_one_is_never_signed(self, stage: Stage) -> None:
        grow(stage, 5)
        state = stage.stores.ledger.get_head()
        store = proofs(stage)
        origin = f"aureus/{state.tenant_key}"
        for size, root, error in (
            (state.size, bytes(32), IntegrityFailure),
            (state.size - 1, bytes(32), IntegrityFailure),
            (state.size + 1, bytes(32), HistoryRewound),
        ):
            with pytest.raises(error) as refused:
                run(stage, store.sign("aureus", never, seen=Head(origin, size, root)))
            assert refused.value.seen_size == size
        assert run(stage, store.list_signed()) == []

    def test_whoever_signs_meanwhile_all_signed_heads_are_of_one_history(
        self, stage: Stage
    ) -> None:
        grow(stage, 3)

        def work(number: int) -> str:
            stage.stores.events.append(f"b/{number % 3}", "t", {"n": number})
            stage.stores.ledger.seal()
            return str(stage.stores.ledger.sign(KEY if number % 2 else NEXT_KEY).note)

        with ThreadPoolExecutor(8) as pool:
            notes = [Note.from_text(text) for text in pool.map(work, range(24))]
        seal(stage)
        report = stage.stores.ledger.verify(keys=[KEY.public, NEXT_KEY.public], notes=notes)
        assert report.is_intact, report.summary
        assert {head.size for head in report.anchors} >= {
            Head.from_text(note.text).size for note in notes
        }

    def test_a_database_behind_the_last_head_seen_is_noticed(self, stage: Stage) -> None:
        grow(stage, 5)
        pretend_lost(stage, 3)
        for call in (stage.stores.ledger.head, lambda: stage.stores.ledger.sign(KEY)):
            with pytest.raises(HistoryRewound, match="accept-restore"):
                call()
        assert stage.stores.ledger.status().is_rewound
        report = stage.stores.ledger.verify()
        assert [finding.kind for finding in report.findings] == [FindingKind.REWOUND]

    def test_a_restored_history_goes_on_as_another(self, stage: Stage) -> None:
        grow(stage, 5)
        before = stage.stores.ledger.sign(KEY)
        with pytest.raises(NotFound, match="nothing to accept"):
            stage.stores.ledger.accept_restore()
        pretend_lost(stage, 3)
        begun = stage.stores.ledger.accept_restore(actor="ada")
        assert begun.incarnation == 2
        seal(stage)
        signed = stage.stores.ledger.sign(KEY)
        assert Head.from_text(Note.from_text(signed.note).text).origin.endswith(".2")
        report = stage.stores.ledger.verify(keys=[KEY.public])
        assert report.is_intact, report.summary
        assert [head.size for head in report.anchors] == [before.size, signed.size]
        entries = stage.stores.events.list(type="ledger_restored").events
        assert [(one.actor, one.action, one.payload["incarnation"]) for one in entries] == [
            ("ada", "ledger.accept-restore", 2)
        ]

    def test_accepting_twice_happens_once(self, stage: Stage) -> None:
        grow(stage, 5)
        lost = pretend_lost(stage, 3)
        store = proofs(stage)
        first = run(stage, store.begin_incarnation(1, lost, actor="ada"))
        again = run(stage, store.begin_incarnation(1, lost, actor="ada"))
        assert first.incarnation == again.incarnation == 2
        with pytest.raises(Conflict):
            run(stage, store.begin_incarnation(3, lost, actor="ada"))


class TestErasure:
    def test_after_an_erasure_every_proof_holds_and_the_report_names_the_record(
        self, stage: Stage
    ) -> None:
        write_life(stage.stores)
        seal(stage)
        before = stage.stores.ledger.sign(KEY)
        stage.stores.erasure.erase(NAME, reason="request 17", actor="officer", **ERASED_WITH)
        seal(stage)
        report = stage.stores.ledger.verify(keys=[KEY.public])
        assert report.is_intact, report.summary
        assert [head.size for head in report.anchors] == [before.size]
        assert report.redaction_count > 1
        redaction = report.redactions[0]
        assert redaction.position < before.size <= redaction.redacted_by
        proof = stage.stores.ledger.prove(redaction.event_id)
        evidence = verify_proof(str(proof), [KEY.public])
        assert evidence.event.payload is None
        assert "its payload was erased" in evidence.summary

    def test_of_many_erased_entries_few_have_to_be_remembered(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write_life(stage.stores)
        grow(stage, 20)
        stage.stores.erasure.erase(NAME, reason="request 17", **ERASED_WITH)
        seal(stage)
        monkeypatch.setattr("aureus.ledger.verifying.ENTRIES_MAX", 2)
        monkeypatch.setattr("aureus.ledger.verifying.UNRECORDED_MAX", 2)
        monkeypatch.setattr("aureus.ledger.contents.ERASED_MAX", 4)
        report = stage.stores.ledger.verify()
        assert report.is_intact, report.summary
        assert report.erasures_unchecked == 0
        assert report.redaction_count > 4

    def test_what_is_erased_while_it_is_verified_raises_no_alarm(self, stage: Stage) -> None:
        write_life(stage.stores)
        seal(stage)
        head = stage.stores.ledger.get_head()
        work = verifying(Scope("aureus"))
        answer: Any = None
        is_erased, report = False, None
        while report is None:
            try:
                ask = work.send(answer)
            except StopIteration as end:
                report = end.value
                continue
            if ask.operation == "read_page" and not is_erased:
                stage.stores.erasure.erase(NAME, reason="request 17", **ERASED_WITH)
                is_erased = True
            ledger = stage.stores.ledger
            stores = getattr(ledger, "_target", ledger)._driver.stores
            operation = getattr(stores[ask.store], ask.operation)
            answer = run(stage, operation(*ask.arguments, **ask.options))
        assert is_erased
        assert report.is_intact, report.summary
        assert (report.head.size, report.redaction_count > 1) == (head.size, True)


def never(head: Head) -> str:
    raise AssertionError(f"{head} must not be signed")


def pretend_lost(stage: Stage, count: int) -> Head:
    """Keep a head outside the database that has more entries than there are, as if they were lost since."""
    state = stage.stores.ledger.get_head()
    head: Head = stage.stores.ledger.head()
    lost = replace(head, size=head.size + count, root=bytes(32))
    folder = SeenHeads(Path(str(stage.backend.settings.ledger.heads)))
    seen = folder.get(state.tenant_key)
    assert seen is not None
    folder.accept(state.tenant_key, replace(seen, head=lost))
    return lost


def run(stage: Stage, result: Any) -> Any:
    """Return the result of a call, awaited on the backend's loop where it has one."""
    thread = stage.backend._thread
    return result if thread is None else thread.run(result)

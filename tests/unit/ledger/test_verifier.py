"""Whatever is changed in a ledger is found and called by its name, and nothing is found in one that was left alone."""

from __future__ import annotations

import random  # noqa: TID251 - seeded, so that a case can be repeated
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.errors import IntegrityFailure
from aureus.ledger.findings import Findings
from aureus.ledger.keys import SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.proofs import VerifiedHead
from aureus.ledger.verifier import Verifier
from aureus.model.heads import Head
from aureus.model.leaf import commitment, leaf_hash
from aureus.model.merkle import Tree
from aureus.model.verification import FindingKind, SealedEntry, Verification
from tests.support.ledgers import (
    ORIGIN,
    LedgerMaker,
    MemoryLedger,
    changed,
    head_at,
    many_entries,
)

patient = settings(deadline=None)
"""Machines are crowded at times; nothing here is about speed."""

CASES = 100
"""Random cases of each kind of damage."""

KEY = SigningKey("aureus", bytes(32)).public
MAKER = many_entries(900)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), inner
        )
    ),
    max_leaves=6,
)


def signed(head: Head) -> VerifiedHead:
    return VerifiedHead(head, (KEY,))


def cases(seed: str, *, large: int = 300) -> Iterator[tuple[random.Random, MemoryLedger]]:
    """Yield ledgers of random sizes: most of a block, each fifth up to ``large``, each twentieth of several blocks."""
    chosen = seeded(seed)
    for number in range(CASES):
        size_max = 900 if number % 20 == 0 else large if number % 5 == 0 else 60
        yield chosen, MAKER.ledger(chosen.randint(2, size_max))


def seeded(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - cases of a test, no secrets


def other_bytes(chosen: random.Random, value: bytes) -> bytes:
    at = chosen.randrange(len(value))
    return value[:at] + bytes([value[at] ^ 1 << chosen.randrange(8)]) + value[at + 1 :]


def kinds(report: Verification) -> set[FindingKind]:
    return {finding.kind for finding in report.findings}


class TestNothingIsInvented:
    def test_a_thousand_ledgers_that_were_left_alone_are_intact(self) -> None:
        chosen = seeded("clean")
        for number in range(1000):
            size = chosen.randint(0, 60) if number % 8 else chosen.randint(61, 900)
            ledger = MAKER.ledger(size)
            seen = sorted(chosen.sample(range(size + 1), min(3, size)))
            ledger.heads = [
                VerifiedHead(head_at(ledger, at), (KEY,) if at % 2 else ()) for at in seen
            ]
            report = ledger.verify(page=chosen.choice([1, 7, 100, 256, 1000]))
            assert report.is_intact, report.summary
            assert report.entry_count == size
            assert [head.size for head in report.anchors] == [at for at in seen if at % 2]
            assert report.versions_unchecked == 0

    @patient
    @given(
        st.lists(
            st.dictionaries(
                st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
                JSON,
                max_size=4,
            ),
            max_size=8,
        )
    )
    def test_whatever_json_is_stored_it_is_intact(self, payloads: list[dict[str, Any]]) -> None:
        maker = LedgerMaker()
        for payload in payloads:
            maker.append(payload, metadata=payload)
        report = maker.ledger().verify()
        assert report.is_intact, report.summary

    @patient
    @given(st.integers(0, 900), st.integers(0, 900))
    def test_going_on_from_any_head_is_intact_too(self, one: int, two: int) -> None:
        size, begin = max(one, two), min(one, two)
        ledger = MAKER.ledger(size)
        start = Tree()
        start.extend([entry.sealed_hash for entry in ledger.entries[:begin]])
        ledger.heads = [signed(head_at(ledger, begin)), signed(ledger.head)]
        report = ledger.verify(start=start)
        assert report.is_intact, report.summary
        assert (report.first_position, report.entry_count) == (begin, size - begin)
        expected = {at for at in (begin, size) if at}
        assert {head.size for head in report.anchors} == expected

    def test_without_kept_roots_it_is_intact_too(self) -> None:
        ledger = MAKER.ledger(900)
        ledger.nodes = {}
        assert ledger.verify().is_intact

    def test_more_streams_than_are_remembered_raise_no_alarm(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aureus.ledger.contents.STREAMS_MAX", 3)
        report = MAKER.ledger(200).verify()
        assert report.is_intact
        assert report.versions_unchecked > 0

    def test_an_unsigned_head_is_no_anchor(self) -> None:
        ledger = MAKER.ledger(20)
        ledger.heads = [VerifiedHead(head_at(ledger, 10))]
        report = ledger.verify()
        assert not report.is_anchored
        assert [head.size for head in report.unsigned_heads] == [10]
        assert "NOT ANCHORED" in report.summary

    def test_the_report_says_how_far_it_is_anchored(self) -> None:
        ledger = MAKER.ledger(20)
        ledger.heads = [signed(head_at(ledger, 10))]
        report = ledger.verify()
        assert "anchored up to size 10; behind that it is not" in report.summary
        assert report.to_dict()["is_intact"] is True
        ledger.heads = [signed(ledger.head)]
        assert ledger.verify().summary.endswith("anchored up to size 20.")


class TestRows:
    def found(self, ledger: MemoryLedger, position: int, kind: FindingKind) -> None:
        report = ledger.verify()
        assert [(one.kind, one.position) for one in report.findings] == [(kind, position)]
        assert report.findings[0].entry_no == position + 10

    @pytest.mark.parametrize("part", ["payload", "metadata", "salt"])
    def test_a_changed_payload_is_found(self, part: str) -> None:
        for chosen, ledger in cases(part):
            at = chosen.randrange(len(ledger.entries))
            entry = ledger.entries[at]
            assert entry.event is not None
            old = getattr(entry.event, part)
            new = b'{"trace":7}' if old is None else other_bytes(chosen, old)
            ledger.entries[at] = changed(entry, **{part: new})
            self.found(ledger, at, FindingKind.PAYLOAD)

    @pytest.mark.parametrize(
        "column",
        [
            "event_id",
            "stream",
            "type",
            "actor",
            "occurred_at_micros",
            "correlation_id",
            "action",
            "resource",
            "outcome",
        ],
    )
    def test_a_changed_column_is_found(self, column: str) -> None:
        for chosen, ledger in cases(column):
            at = chosen.randrange(len(ledger.entries))
            entry = ledger.entries[at]
            assert entry.event is not None
            old: Any = getattr(entry.event.fields, column)
            new: Any = "" if old is None else old + 1 if isinstance(old, int) else old + "x"
            if column == "stream":  # as somebody would who moves an event to another stream
                ledger.entries[at] = changed(entry, stream=new, version=1)
                report = ledger.verify()
                assert FindingKind.COLUMN in kinds(report)
                assert (report.findings[0].kind, report.findings[0].position) == (
                    FindingKind.COLUMN,
                    at,
                )
                continue
            ledger.entries[at] = changed(entry, **{column: new})
            self.found(ledger, at, FindingKind.COLUMN)

    @pytest.mark.parametrize("column", ["commitment", "leaf_hash", "version", "sealed_hash"])
    def test_a_changed_number_or_hash_is_found(self, column: str) -> None:
        for chosen, ledger in cases(column):
            at = chosen.randrange(len(ledger.entries))
            entry = ledger.entries[at]
            assert entry.event is not None
            if column == "version":
                ledger.entries[at] = changed(
                    entry, version=entry.event.version + chosen.randint(1, 9)
                )
            elif column == "sealed_hash":
                ledger.entries[at] = replace(
                    entry, sealed_hash=other_bytes(chosen, entry.sealed_hash)
                )
            else:
                new = other_bytes(chosen, getattr(entry.event, column))
                ledger.entries[at] = changed(entry, **{column: new})
            self.found(ledger, at, FindingKind.COLUMN)

    def test_a_kept_root_that_was_changed_is_told_from_changed_entries(self) -> None:
        ledger = MAKER.ledger(900)
        ledger.nodes[8, 1] = bytes(32)
        report = ledger.verify()
        (finding,) = report.findings
        assert (finding.kind, finding.position, finding.last_position) == (
            FindingKind.COLUMN,
            256,
            511,
        )
        assert "the entries are right" in finding.message

    def test_an_entry_that_was_changed_with_its_hash_in_both_places_is_found(self) -> None:
        for chosen, ledger in cases("both hashes", large=100):
            at = chosen.randrange(len(ledger.entries))
            ledger.entries[at] = rewritten(ledger.entries[at])
            report = ledger.verify()
            assert kinds(report) == {FindingKind.RECOMPUTED}
            (finding,) = report.findings
            assert finding.position is not None
            assert finding.last_position is not None
            assert finding.position <= at <= finding.last_position
            assert finding.last_position - finding.position < 256

    def test_two_events_that_changed_places_are_found(self) -> None:
        for chosen, ledger in cases("two events"):
            one, two = sorted(chosen.sample(range(len(ledger.entries)), 2))
            first, second = ledger.entries[one], ledger.entries[two]
            ledger.entries[one] = replace(first, event=second.event)
            ledger.entries[two] = replace(second, event=first.event)
            report = ledger.verify()
            assert kinds(report) == {FindingKind.REORDERED}
            assert [finding.position for finding in report.findings] == [one, two]

    def test_a_report_lists_the_first_hundred_and_counts_all(self) -> None:
        ledger = MAKER.ledger(300)
        ledger.entries = [changed(entry, actor="nobody") for entry in ledger.entries]
        report = ledger.verify()
        assert report.finding_count == 300
        assert [finding.position for finding in report.findings] == list(range(100))
        assert report.summary.startswith("BROKEN: 300 findings, the first: column at position 0")

    def test_no_kind_is_hidden_behind_a_hundred_of_another(self) -> None:
        ledger = MAKER.ledger(600)
        ledger.heads = [signed(ledger.head)]
        ledger.entries[599] = rewritten(ledger.entries[599])
        ledger.sealed_anew()
        for at in range(300):
            ledger.entries[at] = changed(ledger.entries[at], actor="nobody")
        report = ledger.verify()
        assert kinds(report) == {FindingKind.COLUMN, FindingKind.RECOMPUTED}
        assert len(report.findings) == 100


def rewritten(entry: SealedEntry, payload: bytes = b'{"other":1}') -> SealedEntry:
    """Return an entry with another payload, and every hash of it computed anew."""
    event = entry.event
    assert event is not None
    assert event.salt is not None
    committed = commitment(event.salt, payload, event.metadata)
    leaf = leaf_hash(event.fields, committed)
    new = changed(entry, payload=payload, commitment=committed, leaf_hash=leaf)
    return replace(new, sealed_hash=leaf)


class TestOrder:
    def test_a_missing_event_is_found(self) -> None:
        for chosen, ledger in cases("missing event"):
            at = chosen.randrange(len(ledger.entries))
            ledger.entries[at] = replace(ledger.entries[at], event=None)
            report = ledger.verify()
            assert [(one.kind, one.position) for one in report.findings] == [
                (FindingKind.MISSING, at)
            ]

    def test_a_missing_entry_is_found(self) -> None:
        for chosen, ledger in cases("missing"):
            at = chosen.randrange(len(ledger.entries) - 1)
            del ledger.entries[at]
            report = ledger.verify()
            assert [(one.kind, one.position) for one in report.findings] == [
                (FindingKind.MISSING, at)
            ]

    def test_a_missing_entry_is_found_though_the_others_moved_up(self) -> None:
        exact = 0
        for chosen, ledger in cases("moved up"):
            at = chosen.randrange(len(ledger.entries) - 1)
            del ledger.entries[at]
            ledger.positioned(ledger.entries)
            report = ledger.verify()
            (finding,) = report.findings
            assert finding.position is not None
            assert finding.last_position is not None
            if (
                finding.kind == FindingKind.TRUNCATED
            ):  # from the last few entries, which nothing kept tells apart
                assert finding.position - at <= 128
            else:
                assert finding.kind == FindingKind.MISSING
                assert finding.position <= at <= finding.last_position
            exact += finding.kind == FindingKind.MISSING
        assert exact > CASES // 2

    @pytest.mark.parametrize(("size", "at", "last"), [(7, 1, 3), (300, 257, 287), (60, 20, 31)])
    def test_a_missing_entry_of_the_last_block_is_told_to_a_subtree(
        self, size: int, at: int, last: int
    ) -> None:
        ledger = MAKER.ledger(size)
        del ledger.entries[at]
        ledger.positioned(ledger.entries)
        (finding,) = ledger.verify().findings
        assert finding.kind == FindingKind.MISSING
        assert finding.position is not None
        assert finding.last_position is not None
        assert finding.position <= at <= finding.last_position <= last

    def test_what_may_be_gone_before_the_end_is_said(self) -> None:
        maker = LedgerMaker()
        for number in range(64):
            maker.append({}, stream=f"alone/{number}")
        ledger = maker.ledger()
        del ledger.entries[60]
        ledger.positioned(ledger.entries)
        (finding,) = ledger.verify().findings
        assert (finding.kind, finding.position) == (FindingKind.TRUNCATED, 63)
        assert "or as many of those from position 0 on" in finding.message
        ledger = MAKER.ledger(65)
        del ledger.entries[64]
        (finding,) = ledger.verify().findings
        assert (finding.kind, finding.message) == (FindingKind.TRUNCATED, "the last entry is gone")

    def test_any_other_order_is_found_with_its_first_and_last_place(self) -> None:
        for chosen, ledger in cases("any order"):
            entries = list(ledger.entries)
            low, high = sorted(chosen.sample(range(len(entries)), 2))
            part = entries[low : high + 1]
            moved = part[1:] + part[:1] if chosen.random() < 0.5 else part[::-1]
            entries[low : high + 1] = moved
            ledger.positioned(entries)
            (finding,) = ledger.verify().findings
            places = (finding.kind, finding.position, finding.last_position)
            assert places == (FindingKind.REORDERED, low, high)

    def test_an_inserted_entry_is_found(self) -> None:
        stranger = LedgerMaker().append({"never": "happened"}, stream="x/1")
        for chosen, ledger in cases("inserted", large=100):
            at = chosen.randrange(len(ledger.entries) + 1)
            ledger.positioned([*ledger.entries[:at], stranger, *ledger.entries[at:]])
            report = ledger.verify()
            assert [(one.kind, one.position) for one in report.findings] == [
                (FindingKind.INSERTED, at)
            ]

    def test_a_second_entry_at_a_position_is_found(self) -> None:
        for chosen, ledger in cases("second"):
            at = chosen.randrange(len(ledger.entries))
            ledger.entries.insert(at + 1, rewritten(ledger.entries[at]))
            report = ledger.verify()
            assert [(one.kind, one.position) for one in report.findings] == [
                (FindingKind.INSERTED, at)
            ]

    def test_an_event_beside_the_ledger_is_found(self) -> None:
        verifier = Verifier(head_at(MAKER.ledger(0), 0), b"")
        verifier.add_stray(7, "e-7")
        (finding,) = verifier.finish().findings
        assert finding.kind == FindingKind.INSERTED
        assert "e-7" in finding.message

    def test_two_entries_in_another_order_are_found(self) -> None:
        for chosen, ledger in cases("order", large=100):
            one, two = sorted(chosen.sample(range(len(ledger.entries)), 2))
            entries = list(ledger.entries)
            entries[one], entries[two] = entries[two], entries[one]
            ledger.positioned(entries)
            report = ledger.verify()
            assert [(one_.kind, one_.position, one_.last_position) for one_ in report.findings] == [
                (FindingKind.REORDERED, one, two)
            ]

    def test_a_cut_end_is_found(self) -> None:
        for chosen, ledger in cases("cut"):
            kept = chosen.randrange(len(ledger.entries))
            ledger.entries = ledger.entries[:kept]
            report = ledger.verify()
            (finding,) = report.findings
            assert (finding.kind, finding.position) == (FindingKind.TRUNCATED, kept)
            assert finding.last_position == ledger.head.size - 1

    def test_a_gap_of_any_size_ends(self) -> None:
        ledger = MAKER.ledger(300)
        ledger.entries[-1] = replace(ledger.entries[-1], position=2**60)
        ledger.head = Head(ORIGIN, 2**61, bytes(32))
        report = ledger.verify()
        assert FindingKind.MISSING in kinds(report)

    def test_damage_is_confined_to_its_place(self) -> None:
        ledger = MAKER.ledger(900)
        ledger.heads = [signed(head_at(ledger, 600)), signed(ledger.head)]
        del ledger.entries[300]
        report = ledger.verify()
        assert [(one.kind, one.position) for one in report.findings] == [(FindingKind.MISSING, 300)]
        assert [head.size for head in report.anchors] == [600, 900]


class TestHeads:
    def test_a_rewrite_of_everything_is_found_by_a_head_from_outside(self) -> None:
        for chosen, ledger in cases("recomputed"):
            at = chosen.randrange(len(ledger.entries))
            sizes = sorted({chosen.randint(1, len(ledger.entries)), len(ledger.entries)})
            ledger.heads = [signed(head_at(ledger, size)) for size in sizes]
            ledger.entries[at] = rewritten(ledger.entries[at])
            ledger.sealed_anew()
            report = ledger.verify()
            assert kinds(report) == {FindingKind.RECOMPUTED}
            first = report.findings[0]
            assert first.position is not None
            assert first.last_position is not None
            assert first.position <= at <= first.last_position

    def test_a_rewrite_of_everything_does_not_show_without_one_and_that_is_said(self) -> None:
        ledger = MAKER.ledger(20)
        ledger.entries[3] = rewritten(ledger.entries[3])
        ledger.sealed_anew()
        report = ledger.verify()
        assert report.is_intact
        assert not report.is_anchored
        assert "NOT ANCHORED" in report.summary

    def test_a_head_that_was_changed_is_found(self) -> None:
        for chosen, ledger in cases("own head"):
            ledger.head = replace(ledger.head, root=other_bytes(chosen, ledger.head.root))
            assert FindingKind.RECOMPUTED in kinds(ledger.verify())

    def test_an_older_state_is_found(self) -> None:
        for chosen, ledger in cases("rewound"):
            seen = signed(ledger.head)
            kept = chosen.randrange(len(ledger.entries))
            older = MAKER.ledger(kept)
            older.heads = [seen]
            report = older.verify()
            (finding,) = report.findings
            assert (finding.kind, finding.position) == (FindingKind.REWOUND, kept)

    def test_two_signed_histories_are_found(self) -> None:
        for chosen, ledger in cases("forked"):
            size = len(ledger.entries)
            at = chosen.randrange(size)
            split = chosen.randint(at + 1, size)
            other = MAKER.ledger(size)
            other.entries[at] = rewritten(other.entries[at])
            other.sealed_anew()
            ledger.heads = [signed(head_at(other, split)), signed(ledger.head)]
            report = ledger.verify()
            assert kinds(report) == {FindingKind.FORKED}

    def test_a_wrong_key_is_found(self) -> None:
        chosen = seeded("keys")
        for _ in range(CASES):
            ledger = MAKER.ledger(chosen.randint(1, 30))
            right = SigningKey("aureus", chosen.randbytes(32))
            wrong = SigningKey("aureus", chosen.randbytes(32))
            findings = Findings()
            note = Note(ledger.head.text()).signed_by(wrong)
            assert findings.add_note(note, [right.public], origin=ORIGIN) is None
            verifier = Verifier(ledger.head, ledger.tree.to_bytes(), findings=findings)
            verifier.read(ledger.entries)
            (finding,) = verifier.finish().findings
            assert finding.kind == FindingKind.WRONG_KEY

    def test_what_was_verified_before_is_not_taken_back(self) -> None:
        ledger = MAKER.ledger(20)
        with pytest.raises(IntegrityFailure, match="30 were verified before"):
            ledger.verify(start=MAKER.ledger(30).tree)

    def test_another_beginning_is_found_when_going_on(self) -> None:
        for chosen, ledger in cases("going on"):
            begin = chosen.randrange(1, len(ledger.entries))
            other = MAKER.ledger(len(ledger.entries))
            other.entries[chosen.randrange(begin)] = rewritten(other.entries[0])
            other.sealed_anew()
            start = Tree()
            start.extend([entry.sealed_hash for entry in ledger.entries[:begin]])
            assert kinds(other.verify(start=start)) == {FindingKind.RECOMPUTED}

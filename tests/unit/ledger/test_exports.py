"""An export is verified with its two files and a public key; what was changed in either is found."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.errors import IntegrityFailure
from aureus.ledger.exports import (
    ExportProof,
    SignedHead,
    range_lines,
    read_lines,
    selection_line,
    verify_export,
)
from aureus.ledger.keys import SigningKey
from aureus.ledger.lines import entry_line, entry_of, is_what_was_sealed
from aureus.ledger.notes import Note
from aureus.model.merkle import Tree, consistency_proof, inclusion_proof, subtrees_of
from aureus.model.verification import FindingKind
from tests.support.ledgers import LedgerMaker, MemoryLedger, changed, head_at, many_entries

patient = settings(deadline=None)
"""Machines are crowded at times; nothing here is about speed."""

KEY = SigningKey("aureus", bytes(32))
OTHER = SigningKey("aureus", bytes(range(32)))
MAKER = many_entries(700)


def signed(
    ledger: MemoryLedger, size: int, consistency: tuple[bytes, ...] | None = None
) -> SignedHead:
    return SignedHead(Note(head_at(ledger, size).text()).signed_by(KEY), consistency)


def exported(size: int = 700, begin: int = 0, *sizes: int) -> tuple[list[bytes], ExportProof]:
    """Return a range, with signed heads of some sizes."""
    ledger = MAKER.ledger(size)
    subtrees = subtrees_of(
        {(0, at): one.sealed_hash for at, one in enumerate(ledger.entries)} | ledger.nodes
    )
    start = Tree()
    start.extend([entry.sealed_hash for entry in ledger.entries[:begin]])
    heads = [
        signed(ledger, at, None if at > begin else tuple(consistency_proof(at, size, subtrees)))
        for at in sizes
    ]
    proof = ExportProof(
        ledger.head, ledger.tree.to_bytes(), start if begin else None, signed_heads=tuple(heads)
    )
    return list(range_lines(ledger.entries[begin:], ledger.nodes)), ExportProof.from_text(
        str(proof)
    )


def selected(*positions: int) -> tuple[list[bytes], ExportProof]:
    ledger = MAKER.ledger()
    subtrees = subtrees_of(
        {(0, at): one.sealed_hash for at, one in enumerate(ledger.entries)} | ledger.nodes
    )
    lines = [
        selection_line(ledger.entries[at], inclusion_proof(at, 700, subtrees)) for at in positions
    ]
    heads = (signed(ledger, 300, tuple(consistency_proof(300, 700, subtrees))), signed(ledger, 700))
    proof = ExportProof(ledger.head, b"", is_selection=True, signed_heads=heads)
    return lines, ExportProof.from_text(str(proof))


class TestLines:
    @patient
    @given(st.integers(0, 699))
    def test_an_entry_comes_back_from_its_line(self, at: int) -> None:
        entry = MAKER.entries[at]
        assert entry_of(entry_line(entry)) == entry
        assert is_what_was_sealed(entry)

    def test_erased_and_missing_ones_do_too(self) -> None:
        erased = changed(MAKER.entries[0], salt=None, payload=None, metadata=None)
        gone = replace(MAKER.entries[1], event=None)
        for entry in (erased, gone):
            assert entry_of(entry_line(entry)) == entry
        assert is_what_was_sealed(erased)
        assert not is_what_was_sealed(gone)
        assert not is_what_was_sealed(changed(MAKER.entries[2], actor="x"))
        assert not is_what_was_sealed(changed(MAKER.entries[2], payload=b"{}"))
        assert not is_what_was_sealed(changed(MAKER.entries[2], salt=None))

    def test_a_payload_that_is_no_text_is_written_and_does_not_hold(self) -> None:
        entry = changed(MAKER.entries[3], payload=b'{"a":"\xff\x00"}')
        assert not is_what_was_sealed(entry_of(entry_line(entry)))

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("position", None),
            ("position", 1.5),
            ("position", True),
            ("entry_no", 2**63),
            ("leaf_hash", "00"),
            ("leaf_hash", 7),
            ("salt", "zz"),
            ("stream", None),
            ("payload", {}),
            ("version", "1"),
            ("occurred_at_micros", 2**63),
        ],
    )
    def test_a_line_with_another_kind_of_value_is_no_entry(self, name: str, value: Any) -> None:
        from aureus.codec import decode, encode_made

        line = decode(entry_line(MAKER.entries[0])) | {name: value}
        with pytest.raises(IntegrityFailure, match="is no entry"):
            entry_of(encode_made(line))
        del line[name]
        with pytest.raises(IntegrityFailure, match="is no entry"):
            entry_of(encode_made(line))

    @pytest.mark.parametrize("line", [b"", b"\xff", b"[]", b"{}", b'"text"', b'{"position":'])
    def test_what_is_no_entry_is_refused(self, line: bytes) -> None:
        with pytest.raises(IntegrityFailure):
            entry_of(line)

    @pytest.mark.parametrize(
        "part",
        [
            b'"payload":"{}","position":0',
            b'"note":"made up","position":0',
            b'"proof":[],"position":0',
            b'"\\u0070osition":9,"position":0',
        ],
    )
    def test_a_line_with_something_that_no_entry_has_is_refused(self, part: bytes) -> None:
        line = entry_line(MAKER.entries[0]).replace(b'"position":0', part)
        with pytest.raises(IntegrityFailure):
            entry_of(line)

    def test_a_line_that_was_written_in_another_way_says_the_same(self) -> None:
        from aureus.codec import decode

        line = json.dumps(decode(entry_line(MAKER.entries[0])), indent=1, sort_keys=True)
        assert entry_of(f" {line}\r\n") == MAKER.entries[0]

    def test_a_line_without_an_event_has_nothing_of_one(self) -> None:
        gone = entry_line(replace(MAKER.entries[1], event=None))
        with pytest.raises(IntegrityFailure, match="'actor', which no entry has"):
            entry_of(gone.replace(b"{", b'{"actor":"ada",'))

    def test_deep_json_is_refused(self) -> None:
        for depth in (2_000, 200_000):
            deep = b"[" * depth + b"]" * depth
            with pytest.raises(IntegrityFailure):
                entry_of(entry_line(MAKER.entries[0])[:-1] + b',"x":' + deep + b"}")

    @pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
    def test_another_encoding_is_refused(self, encoding: str) -> None:
        with pytest.raises(IntegrityFailure):
            entry_of(entry_line(MAKER.entries[0]).decode().encode(encoding))


class TestRanges:
    @patient
    @given(st.integers(1, 700), st.data())
    def test_a_range_is_intact_and_anchored(self, size: int, data: st.DataObject) -> None:
        begin = data.draw(st.integers(0, size - 1))
        sizes = sorted(data.draw(st.sets(st.integers(1, size), max_size=3)))
        report = verify_export(*exported(size, begin, *sizes), [KEY.public])
        assert report.is_intact, report.summary
        assert [head.size for head in report.anchors] == sizes
        assert (report.first_position, report.entry_count) == (begin, size - begin)

    def test_without_a_key_nothing_is_anchored(self) -> None:
        report = verify_export(*exported(700, 0, 700))
        assert report.is_intact
        assert not report.is_anchored

    def test_a_wrong_key_is_found(self) -> None:
        report = verify_export(*exported(700, 0, 700), [OTHER.public])
        assert [finding.kind for finding in report.findings] == [FindingKind.WRONG_KEY]

    @pytest.mark.parametrize("at", [0, 255, 256, 400, 698])
    def test_changed_missing_and_exchanged_lines_are_found(self, at: int) -> None:
        lines, proof = exported()
        place = next(
            number for number, line in enumerate(lines) if f'"position":{at},'.encode() in line
        )
        following = place + (2 if b'"level"' in lines[place + 1] else 1)
        edited = [*lines]
        edited[place] = edited[place].replace(b"tester", b"nobody")
        assert found(edited, proof) == [(FindingKind.COLUMN, at)]
        assert found(lines[:place] + lines[place + 1 :], proof) == [(FindingKind.MISSING, at)]
        assert found(lines[:-1], proof) == [(FindingKind.TRUNCATED, 699)]
        swapped = [*lines]
        first, second = entry_of(lines[place]), entry_of(lines[following])
        swapped[place] = entry_line(replace(second, position=first.position))
        swapped[following] = entry_line(replace(first, position=second.position))
        assert found(swapped, proof)[0] == (FindingKind.REORDERED, at)

    def test_a_signed_head_of_another_tenant_vouches_for_nothing(self) -> None:
        """The key speaks for all tenants of the ledger, so the origin has to tell them apart."""
        lines, proof = exported()
        stranger = replace(proof.head, origin="aureus/0b")
        other = SignedHead(Note(stranger.text()).signed_by(KEY))
        report = verify_export(lines, replace(proof, signed_heads=(other,)), [KEY.public])
        assert [finding.kind for finding in report.findings] == [FindingKind.WRONG_KEY]
        assert not report.is_anchored

    def test_two_exports_cannot_be_put_together(self) -> None:
        lines, proof = exported(600)
        other = LedgerMaker()
        for number in range(700):
            other.append({"other": number})
        later = list(range_lines(other.ledger().entries[300:600], {}))
        place = next(at for at, line in enumerate(lines) if b'"position":300,' in line)
        assert not verify_export([*lines[:place], *later], proof, [KEY.public]).is_intact
        _, longer = exported(700)
        assert found(lines, longer) == [(FindingKind.TRUNCATED, 600)]

    def test_kept_roots_without_end_are_refused(self) -> None:
        lines, proof = exported()
        flood = [
            f'{{"level":8,"index":{number},"hash":"{"00" * 32}"}}'.encode()
            for number in range(1000)
        ]
        with pytest.raises(IntegrityFailure, match="a kept root too many"):
            verify_export([*flood, *lines], proof)
        with pytest.raises(IntegrityFailure, match="more in it"):
            verify_export([flood[0].replace(b"{", b'{"actor":"ada",')], proof)

    def test_another_beginning_is_found(self) -> None:
        lines, proof = exported(700, 300, 200)
        ledger = MAKER.ledger()
        ledger.entries[0] = ledger.entries[1]
        start = Tree()
        start.extend([entry.sealed_hash for entry in ledger.entries[:300]])
        assert found(lines, replace(proof, start=start))[0][0] == FindingKind.RECOMPUTED

    def test_a_proof_between_heads_that_does_not_hold_is_found(self) -> None:
        lines, proof = exported(700, 300, 200)
        (one,) = proof.signed_heads
        assert one.consistency is not None
        cut = replace(one, consistency=one.consistency[:-1])
        assert found(lines, replace(proof, signed_heads=(cut,))) == [(FindingKind.RECOMPUTED, 0)]

    def test_an_erased_entry_names_its_record(self) -> None:
        maker = LedgerMaker()
        maker.append({"secret": 1}, stream="s/2")
        name = maker.entries[0].event.fields.event_id  # type: ignore[union-attr] # it has one
        maker.append({"event_ids": [name]}, type="payloads_erased")
        ledger = maker.ledger()
        ledger.entries[0] = changed(ledger.entries[0], salt=None, payload=None)
        lines = list(range_lines(ledger.entries, {}))
        assert not any(b"secret" in line for line in lines)
        report = verify_export(lines, ExportProof(ledger.head, ledger.tree.to_bytes()))
        assert report.is_intact
        assert [(one.position, one.redacted_by) for one in report.redactions] == [(0, 1)]

    def test_memory_does_not_grow_with_the_export(self) -> None:
        entry = MAKER.entries[0]
        tree = Tree()

        def lines(count: int) -> Iterator[bytes]:
            for position in range(count):
                yield entry_line(replace(entry, position=position, entry_no=position)) + b"\n"

        peaks = []
        for count in (2_000, 10_000):
            tree = Tree()
            tree.extend([entry.sealed_hash] * count)
            proof = ExportProof(
                replace(MAKER.ledger().head, size=count, root=tree.root()), tree.to_bytes()
            )
            tracemalloc.start()
            verify_export(lines(count), proof)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        assert peaks[1] < peaks[0] + 1_000_000


class TestSelections:
    def test_a_selection_is_intact_and_anchored(self) -> None:
        report = verify_export(*selected(3, 256, 699), [KEY.public])
        assert report.is_intact, report.summary
        assert report.entry_count == 3
        assert [head.size for head in report.anchors] == [300, 700]

    def test_a_changed_line_is_found(self) -> None:
        lines, proof = selected(3, 256)
        edited = [lines[0], lines[1].replace(b"tester", b"nobody")]
        assert found(edited, proof) == [(FindingKind.COLUMN, 256)]
        payload = [lines[0].replace(b'{\\"number\\":3', b'{\\"number\\":4'), lines[1]]
        assert found(payload, proof) == [(FindingKind.PAYLOAD, 3)]

    def test_an_entry_that_was_not_sealed_is_found(self) -> None:
        lines, proof = selected(3)
        entry = LedgerMaker().append({"never": 1})
        forged = selection_line(replace(entry, position=3), [])
        assert found([*lines, forged], proof) == [(FindingKind.INSERTED, 3)]
        moved = lines[0].replace(b'"position":3', b'"position":4')
        assert found([moved], proof) == [(FindingKind.INSERTED, 4)]

    def test_a_signed_head_that_nothing_leads_from_is_no_anchor(self) -> None:
        lines, proof = selected(3)
        early = replace(proof.signed_heads[0], consistency=None)
        report = verify_export(lines, replace(proof, signed_heads=(early,)), [KEY.public])
        assert (report.is_intact, report.is_anchored) == (True, False)

    def test_a_line_that_stands_there_twice_is_found(self) -> None:
        lines, proof = selected(3, 256)
        again = lines[0].replace(b'"entry_no":13', b'"entry_no":14')
        assert found([*lines, again], proof) == [(FindingKind.INSERTED, 3)]

    def test_a_payload_that_was_taken_out_is_counted(self) -> None:
        lines, proof = selected(3, 256)
        entry = changed(MAKER.entries[3], salt=None, payload=None, metadata=None)
        tail = lines[0][lines[0].index(b',"proof"') :]
        report = verify_export([entry_line(entry)[:-1] + tail, lines[1]], proof, [KEY.public])
        assert (report.is_intact, report.erasures_unchecked) == (True, 1)
        assert "1 erased without a look for their record" in report.summary

    def test_a_line_without_its_proof_is_refused(self) -> None:
        _, proof = selected(3)
        with pytest.raises(IntegrityFailure, match="no proof"):
            verify_export([entry_line(MAKER.entries[3])], proof)


class TestProofFiles:
    def test_it_comes_back_from_its_text(self) -> None:
        for _, proof in (exported(), exported(600, 257, 100, 500), selected(1)):
            assert str(ExportProof.from_text(str(proof))) == str(proof)

    @pytest.mark.parametrize(
        "change",
        [
            ("aureus-export@v1", "other"),
            ('"range"', '"all"'),
            ('"peaks"', '"peak"'),
            ("\\n700\\n", "\\n07\\n"),
            ('"size":3', '"size":7'),
            ("— ", "- "),
            ('"kind":"range"', '"kind":"range","kind":"selection"'),
            ('"kind":"range"', '"kind":"range","note":"made up"'),
            ('"size":300', '"size":300,"by":"ada"'),
            ('"consistency"', '"by":"ada","consistency"'),
        ],
        ids=repr,
    )
    def test_a_damaged_one_is_refused(self, change: tuple[str, str]) -> None:
        _, proof = exported(700, 300, 700)
        text = str(proof).replace(*change)
        assert text != str(proof)
        with pytest.raises(IntegrityFailure):
            ExportProof.from_text(text)

    def test_a_line_of_any_length_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("aureus.ledger.exports.LINE_BYTES_MAX", 100)
        with pytest.raises(IntegrityFailure, match="line 2 is longer"):
            list(read_lines(io.BytesIO(b"{}\n" + b"x" * 200)))
        assert list(read_lines(io.BytesIO(b"{}\n[]"))) == [b"{}\n", b"[]"]

    @pytest.mark.parametrize(
        "line",
        [
            b'{"level":7,"index":0,"hash":"00"}',
            b'{"level":8}',
            b'{"level":8,"index":0,"hash":"00"}',
        ],
    )
    def test_what_is_no_kept_root_is_refused(self, line: bytes) -> None:
        lines, proof = exported()
        with pytest.raises(IntegrityFailure, match="line 1 is no kept root"):
            verify_export([line, *lines], proof)


def found(lines: list[bytes], proof: ExportProof) -> list[tuple[FindingKind, int | None]]:
    report = verify_export(lines, proof, [KEY.public])
    return [(finding.kind, finding.position) for finding in report.findings]

"""A payload that is gone is excused by a sealed record that names it, and by nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from aureus.ledger.erasures import RECORD_TYPE
from aureus.ledger.verifier import Verifier
from aureus.model.verification import FindingKind, SealedEntry
from tests.support.ledgers import LedgerMaker, changed
from tests.unit.ledger.test_verifier import MAKER, cases, rewritten


class TestErasure:
    def erased(self, entry: SealedEntry) -> SealedEntry:
        return changed(entry, salt=None, payload=None, metadata=None)

    def test_an_erasure_on_record_is_no_alarm(self) -> None:
        for chosen, ledger in cases("erased"):
            targets = chosen.sample(range(len(ledger.entries)), chosen.randint(1, 2))
            maker = LedgerMaker()
            maker.entries = list(ledger.entries)
            maker._recorder._ids._count = 10**6  # type: ignore[attr-defined] # identifiers of its own
            names = [MAKER.entries[at].event.fields.event_id for at in targets]  # type: ignore[union-attr] # they have one
            record = maker.append({"event_ids": names}, stream="erasures/1", type=RECORD_TYPE)
            later = maker.ledger()
            for at in targets:
                later.entries[at] = self.erased(later.entries[at])
            report = later.verify()
            assert report.is_intact, report.summary
            assert report.redaction_count == len(targets)
            assert {one.position for one in report.redactions} == set(targets)
            assert {one.redacted_by for one in report.redactions} == {record.position}

    def test_an_erasure_without_a_record_is_found(self) -> None:
        for chosen, ledger in cases("gone"):
            at = chosen.randrange(len(ledger.entries))
            ledger.entries[at] = self.erased(ledger.entries[at])
            report = ledger.verify()
            assert [(one.kind, one.position) for one in report.findings] == [
                (FindingKind.PAYLOAD, at)
            ]
            assert report.redaction_count == 0

    @pytest.mark.parametrize("part", ["salt", "payload"])
    def test_a_part_that_is_gone_is_found(self, part: str) -> None:
        ledger = MAKER.ledger(20)
        ledger.entries[4] = changed(ledger.entries[4], **{part: None})
        report = ledger.verify()
        assert [(one.kind, one.position) for one in report.findings] == [(FindingKind.PAYLOAD, 4)]

    @pytest.mark.parametrize("part", ["salt", "metadata"])
    def test_a_part_that_is_left_of_an_erased_entry_is_found(self, part: str) -> None:
        """Whoever has the salt may guess what was erased."""
        ledger = MAKER.ledger(20)
        maker = LedgerMaker()
        maker.entries = list(ledger.entries)
        maker._recorder._ids._count = 10**6  # type: ignore[attr-defined] # identifiers of its own
        event = ledger.entries[4].event
        assert event is not None
        maker.append({"event_ids": [event.fields.event_id]}, stream="e/1", type=RECORD_TYPE)
        later = maker.ledger()
        later.entries[4] = changed(self.erased(ledger.entries[4]), **{part: getattr(event, part)})
        report = later.verify()
        assert [(one.kind, one.position) for one in report.findings] == [(FindingKind.PAYLOAD, 4)]

    def test_a_record_whose_own_row_is_not_what_was_sealed_excuses_nothing(self) -> None:
        """Payload and commitment agree with each other, and not with the hash that was sealed."""
        ledger = MAKER.ledger(20)
        name = ledger.entries[3].event.fields.event_id  # type: ignore[union-attr] # it has one
        ledger.entries[3] = self.erased(ledger.entries[3])
        sealed = ledger.entries[9].sealed_hash
        forged = rewritten(
            changed(ledger.entries[9], type=RECORD_TYPE), f'{{"event_ids":["{name}"]}}'.encode()
        )
        ledger.entries[9] = replace(forged, sealed_hash=sealed)
        report = ledger.verify()
        assert (FindingKind.PAYLOAD, 3) in [(one.kind, one.position) for one in report.findings]
        assert report.redaction_count == 0

    def test_a_later_record_that_was_not_sealed_excuses_nothing(self) -> None:
        ledger = MAKER.ledger(20)
        name = ledger.entries[3].event.fields.event_id  # type: ignore[union-attr] # it has one
        ledger.entries[3] = self.erased(ledger.entries[3])
        record = LedgerMaker().append({"event_ids": [name]}, type=RECORD_TYPE)
        verifier = Verifier(ledger.head, ledger.tree.to_bytes())
        verifier.read(ledger.entries)
        verifier.read_later([replace(record, position=20, sealed_hash=bytes(32))])
        assert verifier.has_unrecorded
        assert not verifier.finish().is_intact

    def test_more_erased_entries_than_are_remembered_are_counted(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("aureus.ledger.contents.ERASED_MAX", 3)
        maker = LedgerMaker()
        for number in range(5):
            maker.append({"n": number})
        names = [entry.event.fields.event_id for entry in maker.entries]  # type: ignore[union-attr] # they have one
        maker.append({"event_ids": names}, type=RECORD_TYPE)
        ledger = maker.ledger()
        for at in range(5):
            ledger.entries[at] = self.erased(ledger.entries[at])
        report = ledger.verify()
        assert report.is_intact, report.summary
        assert (report.redaction_count, report.erasures_unchecked) == (3, 2)
        assert "2 more erased without a look for their record" in report.summary

    def test_a_record_that_was_not_sealed_excuses_nothing(self) -> None:
        ledger = MAKER.ledger(20)
        name = ledger.entries[3].event.fields.event_id  # type: ignore[union-attr] # it has one
        ledger.entries[3] = self.erased(ledger.entries[3])
        forged = changed(
            ledger.entries[9], type=RECORD_TYPE, payload=f'{{"event_ids":["{name}"]}}'.encode()
        )
        ledger.entries[9] = forged
        report = ledger.verify()
        assert (FindingKind.PAYLOAD, 3) in [(one.kind, one.position) for one in report.findings]

    def test_a_record_that_was_sealed_meanwhile_counts(self) -> None:
        ledger = MAKER.ledger(20)
        maker = LedgerMaker()
        name = ledger.entries[3].event.fields.event_id  # type: ignore[union-attr] # it has one
        ledger.entries[3] = self.erased(ledger.entries[3])
        record = maker.append({"event_ids": [name]}, type=RECORD_TYPE)
        verifier = Verifier(ledger.head, ledger.tree.to_bytes())
        verifier.read(ledger.entries)
        waiting = [verifier.has_unrecorded]
        verifier.read_later([replace(record, position=20)])
        waiting.append(verifier.has_unrecorded)
        assert waiting == [True, False]
        report = verifier.finish()
        assert report.is_intact
        assert [one.redacted_by for one in report.redactions] == [20]

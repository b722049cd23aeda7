"""Checks what each entry of the ledger says against its hash, one entry at a time.

Memory is bounded: the newest version of the streams seen last, the erased entries that no record has named yet, and the
entries whose hash differs, each up to a number. What goes beyond is counted, never passed over in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from aureus.ledger.erasures import destroyed_by, erased_by
from aureus.ledger.findings import Findings
from aureus.ledger.withheld import WithheldEntries
from aureus.model.events import category_of
from aureus.model.leaf import commitment, leaf_hash
from aureus.model.verification import (
    REDACTIONS_MAX,
    FindingKind,
    Redaction,
    SealedEntry,
    StoredEvent,
)

STREAMS_MAX = 100_000
"""Streams whose newest version is remembered: 25 MB. The one that was not seen for the longest time is forgotten."""

ERASED_MAX = 100_000
"""Erased entries that wait for the entry that records their erasure: 30 MB. Those that come when so many wait are
counted as unchecked; a database is asked for records long before."""

DIFFERING_MAX = 1_000
"""Entries with another hash than was sealed that are compared with each other, to tell a new order from an edit."""


COLUMN_EDITED = "a column of the event, or its hash in the ledger, is not what was sealed"
"""What is said of an entry whose row gives another hash than the ledger holds."""


@dataclass(frozen=True, slots=True)
class VersionFault:
    """An entry whose version does not follow that of the stream's entry before."""

    entry: SealedEntry
    expected: int
    found: int


@dataclass(frozen=True, slots=True)
class Differing:
    """An entry whose row gives another hash than the ledger holds."""

    entry: SealedEntry
    recomputed: bytes


class Contents:
    """The checks of single entries, in the order of positions."""

    def __init__(self, findings: Findings, *, from_beginning: bool) -> None:
        self._findings = findings
        self._knows_all_streams = from_beginning
        self._versions: dict[str, int] = {}
        self._erased: dict[str, tuple[int, int]] = {}
        self.erasures_unchecked = 0
        self.redactions: list[Redaction] = []
        self.redaction_count = 0
        self.versions_unchecked = 0
        self.version_faults: list[VersionFault] = []
        self.differing: list[Differing] = []
        self.missing_count = 0
        self.withheld = WithheldEntries()

    @property
    def has_unrecorded(self) -> bool:
        """Whether there are erased entries whose record was not seen yet."""
        return bool(self._erased)

    @property
    def unrecorded_count(self) -> int:
        """Return how many erased entries wait for their record."""
        return len(self._erased)

    def unrecorded(self, limit: int) -> list[int]:
        """Return the entry numbers of those that have waited for the longest time."""
        return [entry_no for _, entry_no in islice(self._erased.values(), limit)]

    def check(self, entry: SealedEntry) -> None:
        """Check one entry, and remember what later ones need."""
        event = entry.event
        if event is None:
            self.missing_count += 1
            message = f"the ledger has entry {entry.entry_no} here, and there is no such event"
            self._findings.add(FindingKind.MISSING, message, entry.position, entry=entry)
            return
        self._check_hashes(entry, event)
        self._check_version(entry, event)

    def check_records(self, entry: SealedEntry) -> None:
        """Look at an entry behind the head for the erasures that it records, and at nothing else."""
        event = entry.event
        if event is not None and event.payload is not None and event.salt is not None:
            committed = commitment(event.salt, event.payload, event.metadata)
            if leaf_hash(event.fields, committed) == entry.sealed_hash:
                self._take_record(entry, event.payload)

    def check_alone(self, entry: SealedEntry) -> None:
        """Check an entry without those around it: of an erased one the record is not at hand, and it is counted."""
        event = entry.event
        if event is None:
            self.check(entry)
            return
        self._check_hashes(entry, event)
        self.erasures_unchecked += len(self._erased)
        self._erased.clear()
        for differing in self.differing:
            self._findings.add(
                FindingKind.COLUMN, COLUMN_EDITED, differing.entry.position, entry=entry
            )
        self.differing.clear()

    def finish(self) -> None:
        """Report what was not explained by any later entry."""
        for event_id, (position, entry_no) in self._erased.items():
            message = "the payload is gone, and no entry records that it was erased"
            self._findings.add_of(FindingKind.PAYLOAD, message, position, entry_no, event_id)

    def _check_hashes(self, entry: SealedEntry, event: StoredEvent) -> None:
        recomputed = leaf_hash(event.fields, event.commitment)
        is_sealed = recomputed == entry.sealed_hash
        if event.withheld is not None:
            if event.withheld.is_damaged:
                message = "the encrypted payload was changed, or belongs to another entry: its keys do not open it"
                self._findings.add(FindingKind.PAYLOAD, message, entry.position, entry=entry)
            else:
                self.withheld.take(event.withheld.key_ids)
        elif event.salt is None or event.payload is None:
            committed = None
            if event.salt is None and event.payload is None and event.metadata is None:
                self._take_erased(entry, event)
            else:
                message = "a part of salt, payload and metadata is gone, and not all of them"
                self._findings.add(FindingKind.PAYLOAD, message, entry.position, entry=entry)
        else:
            committed = commitment(event.salt, event.payload, event.metadata)
            if committed == event.commitment:
                if is_sealed:
                    self._take_record(entry, event.payload)
            elif leaf_hash(event.fields, committed) == entry.sealed_hash:
                message = "the column commitment is not what was sealed; the payload is"
                self._findings.add(FindingKind.COLUMN, message, entry.position, entry=entry)
                return
            else:
                message = "the payload, its metadata or its salt is not what was sealed"
                self._findings.add(FindingKind.PAYLOAD, message, entry.position, entry=entry)
        if event.category is not None and event.category != category_of(event.fields.stream):
            message = "the column category is not what the stream says"
            self._findings.add(FindingKind.COLUMN, message, entry.position, entry=entry)
        if not is_sealed:
            self._take_differing(entry, recomputed)
        elif event.leaf_hash != recomputed:
            message = "the column leaf_hash is not what was sealed"
            self._findings.add(FindingKind.COLUMN, message, entry.position, entry=entry)

    def _take_differing(self, entry: SealedEntry, recomputed: bytes) -> None:
        if len(self.differing) < DIFFERING_MAX:
            self.differing.append(Differing(entry, recomputed))
        else:
            self._findings.add(FindingKind.COLUMN, COLUMN_EDITED, entry.position, entry=entry)

    def _check_version(self, entry: SealedEntry, event: StoredEvent) -> None:
        stream, version = event.fields.stream, event.version
        before = self._versions.pop(stream, None)
        self._versions[stream] = version  # now the last in the order of the dictionary
        if before is None:
            if len(self._versions) > STREAMS_MAX:
                del self._versions[next(iter(self._versions))]
                self._knows_all_streams = False
            if version != 1 and not self._knows_all_streams:
                self.versions_unchecked += 1
                return
            before = 0
        if version != before + 1:
            if len(self.version_faults) < DIFFERING_MAX:
                self.version_faults.append(VersionFault(entry, before + 1, version))
            else:
                self.versions_unchecked += 1

    def _take_erased(self, entry: SealedEntry, event: StoredEvent) -> None:
        if len(self._erased) < ERASED_MAX:
            self._erased[event.fields.event_id] = (entry.position, entry.entry_no)
        else:
            self.erasures_unchecked += 1

    def _take_record(self, entry: SealedEntry, payload: bytes) -> None:
        event = entry.event
        if event is None:
            return
        self.withheld.destroyed(destroyed_by(event.fields.type, payload))
        for event_id in erased_by(event.fields.type, payload):
            erased = self._erased.pop(event_id, None)
            if erased is None:
                continue
            self.redaction_count += 1
            if len(self.redactions) < REDACTIONS_MAX:
                self.redactions.append(Redaction(erased[0], event_id, entry.position))

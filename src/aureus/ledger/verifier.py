"""Verifies a ledger, entry by entry in the order of positions, in constant memory.

Three things are compared: what each entry says with its hash (`contents`), the order of hashes with the kept roots and
the head (`structure`), and the head with heads that were seen elsewhere before. What does not fit is named by kind and
position. Nothing is believed because the database says so, except where no head from outside reaches: then the report
says NOT ANCHORED, because a rewrite of everything would not show.

The order of versions in a stream is no part of the leaves. It is compared for the streams seen last (`STREAMS_MAX`);
an entry of a stream out of sight is counted in the report. That costs nothing of the proof: order and content of all
entries are held by the tree, a version is only the number that counting them yields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aureus.errors import AureusError, IntegrityFailure
from aureus.ledger.contents import Contents
from aureus.ledger.explaining import Evidence, explain
from aureus.ledger.findings import Findings
from aureus.ledger.proofs import VerifiedHead
from aureus.ledger.structure import HeadCheck, Structure
from aureus.model.heads import Head
from aureus.model.merkle import Tree
from aureus.model.verification import FindingKind, SealedEntry, Verification

EXTRA_MAX = 100
"""Entries behind the head that are named; further ones are counted."""

_NO_NODES: Mapping[tuple[int, int], bytes] = {}


class Verifier:
    """One verification: entries go in page by page, a report comes out."""

    def __init__(
        self,
        head: Head,
        peaks: bytes,
        *,
        heads: Sequence[VerifiedHead] = (),
        start: Tree | None = None,
        findings: Findings | None = None,
        keeps_nodes: bool = False,
    ) -> None:
        """Verify up to this head, which is the ledger's own, with the peaks that are stored with it.

        ``heads`` were seen before, or come from elsewhere. ``start`` is the tree of a head that was verified before;
        reading then begins behind it. ``findings`` are what was found already. Where the ledger
        ``keeps_nodes`` each block has to come with its kept root. Raises ``IntegrityFailure`` when the
        ledger is behind where it begins.
        """
        begin = start or Tree()
        if begin.size > head.size:
            raise IntegrityFailure(
                f"the ledger has {head.size} entries, and {begin.size} were verified before"
            )
        self._head = head
        self._begin = begin
        self._findings = findings or Findings()
        self._contents = Contents(self._findings, from_beginning=begin.size == 0)
        self._checks = [HeadCheck(one.head, one.is_anchored) for one in heads]
        own = peaks if self._check_own_state(peaks) else None
        self._structure = Structure(head, own, begin, self._checks, keeps_nodes=keeps_nodes)
        self._extra: list[SealedEntry] = []
        self._extra_count = 0
        self._entry_count = 0

    @property
    def next_position(self) -> int:
        """Return which position comes next."""
        return self._structure.next_position

    @property
    def findings(self) -> Findings:
        """What was found so far; who looks at more than the verifier does adds to it."""
        return self._findings

    @property
    def has_unrecorded(self) -> bool:
        """Whether erased entries wait for their record, which may lie behind the head: see `read_later`."""
        return self._contents.has_unrecorded

    def read(
        self, entries: Iterable[SealedEntry], nodes: Mapping[tuple[int, int], bytes] = _NO_NODES
    ) -> None:
        """Read what comes next, in the order of positions, with the kept roots of the blocks that it completes."""
        structure, contents = self._structure, self._contents
        for entry in entries:
            expected = structure.next_position
            if entry.position >= self._head.size:
                self._take_extra(entry)
                continue
            if entry.position < expected:
                self._findings.add(
                    FindingKind.INSERTED,
                    "there are two entries for this position",
                    entry.position,
                    entry=entry,
                )
                continue
            if entry.position > expected:
                self._skip(expected, entry.position, nodes)
            contents.check(entry)
            structure.add(entry.sealed_hash, nodes, entry.entry_no)
            self._entry_count += 1

    @property
    def unrecorded_count(self) -> int:
        """Return how many erased entries wait for their record."""
        return self._contents.unrecorded_count

    def unrecorded(self, limit: int) -> list[int]:
        """Return the entry numbers of those that have waited for the longest time."""
        return self._contents.unrecorded(limit)

    @property
    def may_have_strays(self) -> bool:
        """Whether other entries may stand in the place of some, so that only their numbers add up.

        That is so where entries are missing, and where one may have been sealed twice.
        """
        contents = self._contents
        is_doubtful = bool(contents.versions_unchecked and not self._begin.size)
        return bool(contents.missing_count or contents.version_faults or is_doubtful)

    @property
    def has_wrong_versions(self) -> bool:
        """Whether versions of events are wrong, so that nothing can be said of what follows from them."""
        return bool(self._contents.version_faults)

    def add_unsealed(self, entries: Iterable[SealedEntry]) -> None:
        """Report entries behind the head that no sealing brought there."""
        for entry in entries:
            self._take_extra(entry)

    def read_later(self, entries: Iterable[SealedEntry]) -> None:
        """Read entries that were sealed behind the head while this went on, for the erasures they record."""
        for entry in entries:
            self._contents.check_records(entry)

    def add_stray(self, entry_no: int, event_id: str) -> None:
        """Report an event that the ledger does not know, neither sealed nor waiting to be."""
        self._findings.add(
            FindingKind.INSERTED,
            f"event {event_id} (entry {entry_no}) is neither sealed nor waiting to be: it was not appended",
        )

    def finish(self) -> Verification:
        """Return what was found."""
        self._contents.finish()
        result = self._structure.finish(self._extra[0].sealed_hash if self._extra else None)
        explain(
            Evidence(
                head=self._head,
                begin=self._begin,
                findings=self._findings,
                contents=self._contents,
                structure=self._structure,
                result=result,
                checks=self._checks,
                extra=self._extra,
                extra_count=self._extra_count,
            )
        )
        agreeing = [check for check in self._checks if check.agrees]
        return Verification(
            head=self._head,
            first_position=self._begin.size,
            entry_count=self._entry_count,
            findings=self._findings.in_order(),
            finding_count=self._findings.count,
            redactions=tuple(self._contents.redactions),
            redaction_count=self._contents.redaction_count,
            anchors=_by_size(check.head for check in agreeing if check.is_signed),
            unsigned_heads=_by_size(check.head for check in agreeing if not check.is_signed),
            versions_unchecked=self._contents.versions_unchecked,
            erasures_unchecked=self._contents.erasures_unchecked,
            withheld_count=self._contents.withheld.withheld_count,
            unreadable_count=self._contents.withheld.unreadable_count,
        )

    def _check_own_state(self, peaks: bytes) -> bool:
        try:
            if Tree.from_bytes(self._head.size, peaks).root() == self._head.root:
                return True
        except AureusError:
            pass
        self._findings.add(
            FindingKind.RECOMPUTED,
            "the ledger's head contradicts itself: its root does not follow from its peaks",
        )
        return False

    def _skip(self, first: int, end: int, nodes: Mapping[tuple[int, int], bytes]) -> None:
        message = "the entry is gone" if end - first == 1 else f"{end - first} entries are gone"
        self._findings.add(FindingKind.MISSING, message, first, end - 1)
        self._contents.missing_count += end - first
        self._structure.skip(end, nodes)

    def _take_extra(self, entry: SealedEntry) -> None:
        self._extra_count += 1
        if len(self._extra) < EXTRA_MAX:
            self._extra.append(entry)


def _by_size(heads: Iterable[Head]) -> tuple[Head, ...]:
    return tuple(sorted(set(heads), key=lambda head: (head.size, head.root)))

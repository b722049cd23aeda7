"""What a verification of a ledger finds: entries as they are stored, findings by their kind, and the report."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aureus.model.heads import Head
from aureus.model.leaf import LeafFields
from aureus.model.plain import plain_record
from aureus.model.subject_keys import Withheld

FINDINGS_MAX = 100
"""Findings that a report lists; further ones are counted."""

REDACTIONS_MAX = 100
"""Redacted entries that a report lists; further ones are counted."""


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event's row, and what lies beside it: salt, payload and metadata, which erasure takes away."""

    fields: LeafFields
    version: int
    commitment: bytes
    leaf_hash: bytes
    salt: bytes | None
    payload: bytes | None
    """The exact bytes that were hashed."""
    metadata: bytes | None = None
    category: str | None = None
    """What events are listed by beside their stream; None where it is not at hand, as in an export."""
    withheld: Withheld | None = None
    """Why payload, metadata and salt are not here although they are stored: encrypted, and not to be read."""


@dataclass(frozen=True, slots=True)
class SealedEntry:
    """What the ledger holds at one position."""

    position: int
    entry_no: int
    sealed_hash: bytes
    """The leaf hash in the ledger."""
    event: StoredEvent | None
    """The event with that entry number; None when there is none."""


def beside(
    salt: Any, payload: Any, metadata: Any, category: str | None = None
) -> tuple[bytes | None, bytes | None, bytes | None, str | None, Withheld | None]:
    """Return what lies beside an event, as a row has it, in the order in which `StoredEvent` takes it."""
    if isinstance(payload, Withheld):
        return None, None, None, category, payload
    return _bytes(salt), _bytes(payload), _bytes(metadata), category, None


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


class FindingKind(StrEnum):
    """What is wrong."""

    PAYLOAD = "payload"
    """The payload, its metadata or its salt is not what was sealed, or is gone without a record of its erasure."""
    COLUMN = "column"
    """A column that queries read is not what was sealed."""
    MISSING = "missing"
    """An entry is gone, though the ledger has those behind it."""
    INSERTED = "inserted"
    """There is an entry that was not sealed."""
    REORDERED = "reordered"
    """Entries were sealed in another order."""
    TRUNCATED = "truncated"
    """The last entries are gone."""
    RECOMPUTED = "recomputed"
    """Hashes were written anew: they agree with each other, and not with what was known before."""
    REWOUND = "rewound"
    """The ledger is shorter than a head that was seen before."""
    FORKED = "forked"
    """Two signed heads contradict each other."""
    WRONG_KEY = "wrong_key"
    """A head was not signed by a key that was given, or its signature is false."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where."""

    kind: FindingKind
    message: str
    position: int | None = None
    """The first position that it is about; None when it is about no entry."""
    last_position: int | None = None
    """The last one, where it is known only to lie between the two, or concerns all of them."""
    entry_no: int | None = None
    event_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class Redaction:
    """An entry whose payload was erased on record, and the position of the entry that records it."""

    position: int
    event_id: str
    redacted_by: int

    def to_dict(self) -> dict[str, Any]:
        """Return the redaction as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class Verification:
    """What a verification looked at, and what it found."""

    head: Head
    """The head of the ledger that was verified."""
    first_position: int
    """Where it began: 0, or the size of the head that it went on from."""
    entry_count: int
    findings: tuple[Finding, ...]
    """What is wrong, the first bad entry first; at most 100."""
    finding_count: int
    redactions: tuple[Redaction, ...]
    redaction_count: int
    anchors: tuple[Head, ...]
    """Signed heads from outside, the largest last, that the ledger agrees with."""
    unsigned_heads: tuple[Head, ...] = ()
    """Heads seen before, without a signature, that the ledger agrees with."""
    versions_unchecked: int = 0
    """Entries whose version was not compared with that of the stream's entry before: that one was out of sight."""

    erasures_unchecked: int = 0
    """Erased entries whose record was not looked for: too many others waited for theirs, or only some entries are at
    hand."""
    unkept: str | None = None
    """Why the head could not be kept outside the database as the last one seen; None when nothing went wrong there."""
    withheld_count: int = 0
    """Entries whose payload is encrypted under a key that is not here: it was not compared with its hash."""
    unreadable_count: int = 0
    """Entries whose payload is encrypted under a key that was destroyed on record: nobody can read it."""

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return self.finding_count == 0

    @property
    def is_anchored(self) -> bool:
        """Whether a signed head from outside vouches for a part of it."""
        return bool(self.anchors)

    @property
    def summary(self) -> str:
        """Return one sentence for a person."""
        if not self.is_intact:
            first = self.findings[0]
            place = "" if first.position is None else f" at position {first.position}"
            several = (
                f"{self.finding_count} findings, the first: " if self.finding_count > 1 else ""
            )
            return f"BROKEN: {several}{first.kind.value}{place}: {first.message}"
        redacted = f", {self.redaction_count} redacted" if self.redaction_count else ""
        entries = "1 entry" if self.entry_count == 1 else f"{self.entry_count:,} entries"
        more = " more" if self.redaction_count else ""
        unchecked = (
            f", {self.erasures_unchecked:,}{more} erased without a look for their record"
            if self.erasures_unchecked
            else ""
        )
        what = f"intact: {entries}{redacted}{unchecked}{self._encrypted}, size {self.head.size}"
        if not self.is_anchored:
            return (
                f"{what}. NOT ANCHORED: no signed head from outside was compared, so a rewrite of everything, "
                "hashes too, would not show."
            )
        reach = self.anchors[-1].size
        beyond = "" if reach == self.head.size else f"; behind that it is not anchored ({reach} on)"
        return f"{what}, anchored up to size {reach}{beyond}."

    @property
    def _encrypted(self) -> str:
        """Return what is to be said of payloads that nobody compared with their hashes."""
        unreadable = (
            f", {self.unreadable_count:,} unreadable since their key was destroyed on record"
            if self.unreadable_count
            else ""
        )
        withheld = (
            f", {self.withheld_count:,} NOT COMPARED: encrypted, and the key is not here"
            if self.withheld_count
            else ""
        )
        return unreadable + withheld

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values, with its verdict."""
        return {
            "is_intact": self.is_intact,
            "is_anchored": self.is_anchored,
            "summary": self.summary,
            **plain_record(self),
        }

"""Proof files: one entry, and how it lies under a head, in the form of C2SP's tlog-proof version 1.

Such a file is verified with nothing but a public key, by anybody. Its ``extra`` line holds what the entry said (as
in an export), because a proof about a hash convinces nobody of a sentence: the leaf is computed from it anew, so it
need not be trusted. Without a signed head a file still shows that the entry lies under some head; `verify` says so,
and whoever reads it must know that head from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aureus.clock import from_micros
from aureus.codec import decode
from aureus.errors import IntegrityFailure, Invalid, LimitExceeded
from aureus.ledger.keys import PublicKey
from aureus.ledger.lines import entry_of, is_what_was_sealed
from aureus.ledger.notes import NOTE_BYTES_MAX, Note
from aureus.model.heads import Head, base64_bytes, base64_text, decimal, is_same_ledger
from aureus.model.merkle import HASH_BYTES, verify_inclusion
from aureus.model.plain import plain
from aureus.model.verification import SealedEntry, StoredEvent

FIRST_LINE = "c2sp.org/tlog-proof@v1"
"""What every proof file begins with."""

PROOF_HASHES_MAX = 63
"""Hashes of a proof: one for each level of the largest tree."""

EXTRA_BYTES_MAX = 16 * 1024 * 1024
"""Bytes of the extra line as base64: an entry with the largest payload and metadata, and room."""


@dataclass(frozen=True, slots=True)
class VerifiedHead:
    """A head, and which of the keys that were given signed it: none when nobody did."""

    head: Head
    keys: tuple[PublicKey, ...] = ()

    @property
    def is_anchored(self) -> bool:
        """Whether somebody's signature stands behind it."""
        return bool(self.keys)

    def to_dict(self) -> dict[str, Any]:
        """Return head and keys as plain JSON values."""
        return {
            "head": self.head.to_dict(),
            "is_anchored": self.is_anchored,
            "signed_by": [key.text for key in self.keys],
        }


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That one leaf lies at one position under one head."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note
    """The head as text, with its signatures: none when it was not signed."""
    extra: bytes | None = None
    """What the application adds; part of no signature."""

    @property
    def head(self) -> Head:
        """Return the head that it is about; nothing vouches for it before `verify` returned."""
        return Head.from_text(self.checkpoint.text)

    def __str__(self) -> str:
        extra = [] if self.extra is None else [f"extra {base64_text(self.extra)}"]
        hashes = [base64_text(value) for value in self.hashes]
        return "\n".join(
            [FIRST_LINE, *extra, f"index {self.index}", *hashes, "", str(self.checkpoint)]
        )

    @classmethod
    def from_text(cls, text: str) -> InclusionProof:
        """Return the proof in the text of a file, with nothing verified. Raises ``Invalid`` and ``LimitExceeded``."""
        if len(text) > EXTRA_BYTES_MAX + NOTE_BYTES_MAX:
            raise LimitExceeded("this is larger than any proof file", limit_bytes=EXTRA_BYTES_MAX)
        top, separator, checkpoint = text.partition("\n\n")
        lines = top.split("\n")
        if lines.pop(0) != FIRST_LINE or not separator:
            raise Invalid(
                f"a proof file begins with {FIRST_LINE}, and has an empty line before its head"
            )
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = base64_bytes(lines.pop(0).removeprefix("extra "), "the extra line of a proof")
        if not lines or not lines[0].startswith("index "):
            raise Invalid("a proof file says with a line `index N` where its entry lies")
        index = decimal(lines.pop(0).removeprefix("index "), "the index of a proof")
        if len(lines) > PROOF_HASHES_MAX:
            raise LimitExceeded(
                f"a proof has at most {PROOF_HASHES_MAX} hashes, and this one has {len(lines)}",
                limit=PROOF_HASHES_MAX,
            )
        hashes = tuple(base64_bytes(line, "a hash of a proof") for line in lines)
        if any(len(value) != HASH_BYTES for value in hashes):
            raise Invalid(f"the hashes of a proof have {HASH_BYTES} bytes each")
        note = Note.from_text(checkpoint, signed=False)
        Head.from_text(note.text)
        return cls(index, hashes, note, extra)

    def verify(
        self, leaf_hash: bytes, keys: Iterable[PublicKey] = (), *, origin: str | None = None
    ) -> VerifiedHead:
        """Return the head under which the leaf lies, with the keys that signed it.

        With keys given, at least one of them must have signed, and must speak for the head's origin. Raises
        ``IntegrityFailure`` when something does not hold.
        """
        verified = verified_head(self.checkpoint, keys, origin=origin)
        head = verified.head
        if not verify_inclusion(leaf_hash, self.index, head.size, self.hashes, head.root):
            raise IntegrityFailure(
                f"the proof does not lead from this entry at position {self.index} to the root of "
                f"{head.origin} at size {head.size}: entry, proof or head was changed",
                origin=head.origin,
                position=self.index,
            )
        return verified


def verified_head(
    checkpoint: Note, keys: Iterable[PublicKey] = (), *, origin: str | None = None
) -> VerifiedHead:
    """Return the head in a note, and who signed it. With no keys given nothing vouches for it.

    The head may be of another incarnation than the origin expected. Keys that do not speak for the head's origin count
    as unknown. Raises ``IntegrityFailure`` when keys are given and none of them signed it, a signature is false, or
    the origin is not the one expected; ``Invalid`` when the note holds no head.
    """
    head = Head.from_text(checkpoint.text)
    if origin is not None and not is_same_ledger(head.origin, origin):
        raise IntegrityFailure(
            f"this is a head of {head.origin}, not of {origin}", origin=head.origin, expected=origin
        )
    given = list(keys)
    speaking = [key for key in given if key.speaks_for(head.origin)]
    if given and not speaking:
        names = ", ".join(sorted({key.name for key in given}))
        raise IntegrityFailure(
            f"this is a head of {head.origin}, and the keys given ({names}) do not speak for it",
            origin=head.origin,
            key_names=names,
        )
    signers = checkpoint.verify(speaking) if speaking else ()
    return VerifiedHead(head, tuple(signers))


@dataclass(frozen=True, slots=True)
class ProvedEvent:
    """An event that a proof file shows to be sealed."""

    entry: SealedEntry
    event: StoredEvent
    verified: VerifiedHead

    @property
    def summary(self) -> str:
        """Return one sentence for a person."""
        fields = self.event.fields
        moment = plain(from_micros(fields.occurred_at_micros))
        if self.event.withheld is not None:
            what = "its payload is encrypted, and who made the proof did not have the key"
        elif self.event.payload is None:
            what = "its payload was erased"
        else:
            what = "its payload is what was sealed"
        head = self.verified.head
        return (
            f"proved: event {fields.event_id} ({fields.type} in {fields.stream}, by {fields.actor} at {moment}) lies "
            f"at position {self.entry.position} of {head.origin} at size {head.size}; {what}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the event, its place and the head as plain JSON values."""
        event, fields = self.event, self.event.fields
        return {
            "position": self.entry.position,
            "event": {
                **plain(fields),
                "occurred_at": plain(from_micros(fields.occurred_at_micros)),
                "payload": None if event.payload is None else decode(event.payload),
                "metadata": None if event.metadata is None else decode(event.metadata),
                "is_erased": event.payload is None and event.withheld is None,
                "is_withheld": event.withheld is not None,
            },
            **self.verified.to_dict(),
        }


def verify_proof(text: str, keys: Iterable[PublicKey] = ()) -> ProvedEvent:
    """Return what a proof file of `Ledger.prove` shows.

    Raises ``IntegrityFailure`` when the event does not give the leaf, the leaf does not lead to the head, or none of
    the keys that are given signed the head; ``Invalid`` for what is no proof file.
    """
    proof = InclusionProof.from_text(text)
    if proof.extra is None:
        raise IntegrityFailure("the proof file does not hold the event that it is about")
    entry = entry_of(proof.extra, "the event in the proof file")
    if entry.event is None or not is_what_was_sealed(entry):
        raise IntegrityFailure(
            "the event in the proof file does not give the hash that it names: it was changed",
            position=proof.index,
        )
    if entry.position != proof.index:
        raise IntegrityFailure(
            f"the event says that it lies at position {entry.position}, and the proof is for {proof.index}",
            position=proof.index,
        )
    return ProvedEvent(entry, entry.event, proof.verify(entry.sealed_hash, keys))

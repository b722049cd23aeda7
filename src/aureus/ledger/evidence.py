"""Verifies a proof file with nothing but the file and public keys, and says what it proves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from aureus.clock import from_micros
from aureus.codec import decode
from aureus.errors import IntegrityFailure
from aureus.ledger.keys import PublicKey
from aureus.ledger.lines import entry_of, is_what_was_sealed
from aureus.ledger.proofs import InclusionProof, VerifiedHead
from aureus.model.plain import plain
from aureus.model.verification import SealedEntry, StoredEvent


@dataclass(frozen=True, slots=True)
class Evidence:
    """An event that a proof file shows to be sealed."""

    entry: SealedEntry
    event: StoredEvent
    verified: VerifiedHead

    @property
    def summary(self) -> str:
        """Return one sentence for a person."""
        fields = self.event.fields
        moment = plain(from_micros(fields.occurred_at_micros))
        what = (
            "its payload was erased"
            if self.event.payload is None
            else "its payload is what was sealed"
        )
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
                "is_erased": event.payload is None,
            },
            **self.verified.to_dict(),
        }


def verify_proof(text: str, keys: Iterable[PublicKey] = ()) -> Evidence:
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
    return Evidence(entry, entry.event, proof.verify(entry.sealed_hash, keys))

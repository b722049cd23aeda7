"""Proving one event, step by step: the proof file of an event that is sealed."""

from __future__ import annotations

from aureus.errors import IntegrityFailure, NotFound
from aureus.ledger.lines import entry_line
from aureus.ledger.notes import Note
from aureus.ledger.proofs import InclusionProof
from aureus.ledger.steps import Ask, Scope, Steps, current_state
from aureus.model.signed_heads import SignedHead
from aureus.model.verification import SealedEntry
from aureus.stores.proofs import head_from


def proving(scope: Scope, event_id: str) -> Steps[InclusionProof]:
    """Return the proof that an event is sealed: under the newest signed head, or under the current one."""
    position: int | None = yield Ask("proofs", "get_position", (event_id,))
    if position is None:
        raise NotFound(
            f"event {event_id} is not sealed yet; `aureus ledger seal` seals what is waiting",
            event_id=event_id,
        )
    state = yield from current_state()
    signed: SignedHead | None = yield Ask("proofs", "get_newest_signed", (state.incarnation,))
    if signed is not None and signed.size > position:
        size, note = signed.size, Note.from_text(signed.note)
    else:
        size, note = state.size, Note(head_from(scope.name, state).text())
    hashes: list[bytes] = yield Ask("proofs", "prove_inclusion", (position, size))
    entries: list[SealedEntry] = yield Ask("proofs", "read_page", (position, position + 1))
    if not entries or entries[0].event is None or entries[0].event.fields.event_id != event_id:
        raise IntegrityFailure(
            f"the ledger has another entry where event {event_id} was sealed; run: aureus ledger verify",
            event_id=event_id,
            position=position,
        )
    proof = InclusionProof(position, tuple(hashes), note, entry_line(entries[0]))
    proof.verify(entries[0].sealed_hash)
    return proof

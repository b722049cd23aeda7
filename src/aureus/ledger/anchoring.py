"""The operator's step: anchor the heads of all tenants, and sign one head for all of them.

The head goes on from the last one that this host has seen, or nothing is signed: a log must never vouch for two
histories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aureus.errors import HistoryRewound, IntegrityFailure
from aureus.ledger.keys import SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.seen_heads import SeenHead
from aureus.ledger.steps import Scope
from aureus.model.heads import Head
from aureus.model.merkle import verify_consistency
from aureus.stores.anchors import AnchorStore


@dataclass(frozen=True, slots=True)
class Anchoring:
    """What anchoring did: how many heads it anchored, the head of the log, and its signed note if there is a key."""

    anchored_count: int
    head: Head
    note: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "anchored_count": self.anchored_count,
            "head": self.head.to_dict(),
            "note": self.note,
        }


def anchor(store: AnchorStore, scope: Scope, keys: Sequence[SigningKey] = ()) -> Anchoring:
    """Anchor every head that has grown, and sign the head of the log where keys are given.

    Repeating it anchors nothing new and signs the same head. Raises ``HistoryRewound`` when the log is shorter than it
    was seen before, and ``IntegrityFailure`` when it does not begin with what was seen.
    """
    count = 0
    while anchored := store.append():
        count += len(anchored)
    state = store.get_head()
    head = Head(f"{scope.name}/anchors/{state.log_key}", state.size, state.root)
    seen = None if scope.seen is None else scope.seen().get(state.log_key)
    if seen is not None:
        _check_goes_on(store, head, seen.head)
    note = str(Note(head.text()).signed_by(*keys)) if keys else None
    if scope.seen is not None:
        scope.seen().keep(state.log_key, SeenHead(head, note))
    return Anchoring(count, head, note)


def _check_goes_on(store: AnchorStore, head: Head, before: Head) -> None:
    if before.size > head.size:
        raise HistoryRewound(
            f"the anchor log has {head.size} anchors, and {before.size} were seen before: this database is an older "
            "state, and nothing is signed",
            size=head.size,
            seen_size=before.size,
        )
    if not before.size:
        return
    proof = store.prove_consistency(before.size, head.size)
    if not verify_consistency(before.size, head.size, proof, before.root, head.root):
        raise IntegrityFailure(
            f"the anchor log does not begin with the head of size {before.size} that was seen before: it was changed, "
            "and nothing is signed",
            size=head.size,
            seen_size=before.size,
        )

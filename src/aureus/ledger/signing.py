"""What is done with the head, step by step: telling how far the ledger is, signing, and going on after a restore."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from aureus.errors import Invalid, LimitExceeded, NotFound
from aureus.ledger.keys import SigningKey
from aureus.ledger.notes import Note
from aureus.ledger.seen_heads import SeenHead
from aureus.ledger.steps import (
    Ask,
    Scope,
    Steps,
    check_goes_on,
    check_history,
    goes_on,
    keep_seen,
    state_and_seen,
)
from aureus.model.heads import Head, is_same_ledger
from aureus.model.ledger import LedgerHead
from aureus.model.signed_heads import LedgerStatus, SignedHead
from aureus.stores.proofs import head_from


def status(scope: Scope) -> Steps[LedgerStatus]:
    """Return how far the ledger is sealed, signed and known elsewhere."""
    state, seen = yield from state_and_seen(scope)
    pending_count: int = yield Ask("proofs", "count_pending")
    signed: SignedHead | None = yield Ask("proofs", "get_newest_signed", (state.incarnation,))
    return LedgerStatus(
        head=head_from(scope.name, state),
        incarnation=state.incarnation,
        sealed_at=state.sealed_at,
        pending_count=pending_count,
        signed_size=None if signed is None else signed.size,
        signed_at=None if signed is None else signed.signed_at,
        seen_size=None if seen is None else seen.head.size,
    )


def current_head(scope: Scope) -> Steps[Head]:
    """Return the head, after it was proved to go on from the last one seen, and keep it outside the database."""
    state, seen = yield from state_and_seen(scope)
    head = head_from(scope.name, state)
    if seen is not None:
        yield from check_goes_on(head, seen.head)
    yield from _keep(scope, state, SeenHead(head), seen)
    return head


def signing(scope: Scope, keys: Sequence[SigningKey]) -> Steps[SignedHead]:
    """Sign the head, and keep it outside the database when it is committed."""
    state, seen = yield from state_and_seen(scope)

    def make_note(head: Head, earlier: str | None) -> str:
        return str(begun_note(head, earlier).signed_by(*keys))

    signed: SignedHead = yield Ask(
        "proofs",
        "sign",
        (scope.name, make_note),
        {"seen": None if seen is None else seen.head},
    )
    head = Head.from_text(Note.from_text(signed.note).text)
    yield from _keep(scope, state, SeenHead(head, signed.note), seen)
    return signed


def restoring(scope: Scope, actor: str) -> Steps[LedgerHead]:
    """Accept a ledger that is behind what was seen; see `Ledger.accept_restore`."""
    state, seen = yield from state_and_seen(scope)
    head = head_from(scope.name, state)
    if seen is None:
        raise NotFound(
            "no head of this ledger was kept outside the database, so nothing is behind one"
        )
    if seen.head.size <= head.size and is_same_ledger(seen.head.origin, head.origin):
        is_ahead = yield from goes_on(head, seen.head)
        if is_ahead:
            raise NotFound(
                f"the ledger goes on from the last head seen (size {seen.head.size}); there is nothing to accept"
            )
    begun: LedgerHead = yield Ask(
        "proofs", "begin_incarnation", (state.incarnation, seen.head), {"actor": actor}
    )
    scope.accept(begun.tenant_key, SeenHead(head_from(scope.name, begun)))
    return begun


def _keep(scope: Scope, state: LedgerHead, head: SeenHead, proved: SeenHead | None) -> Steps[None]:
    yield from keep_seen(scope, state.tenant_key, head, proved, partial(check_history, scope))


def begun_note(head: Head, earlier: str | None) -> Note:
    """Return the note of a head with the signatures that it has already: keys of others, or one that is replaced."""
    if earlier is not None:
        with suppress(Invalid, LimitExceeded):  # whoever owns the database may have damaged it
            note = Note.from_text(earlier)
            if note.text == head.text():
                return note
    return Note(head.text())

"""What asks the stores step by step, without a database: each step asks one thing of them.

The same steps serve threads and event loops: whoever drives them carries out what is asked for and sends the answer
back. An event loop runs the work between two questions in a thread, since a page takes some milliseconds to verify
and a file has to be synced. What the steps do is in `signing`, `proving`, `verifying`, `verifying_parts`, `exporting`
and `anchoring`; here is what they share.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aureus.errors import DatabaseError, HistoryRewound, IntegrityFailure, Invalid, NotFound
from aureus.ledger.seen_heads import SeenHead, SeenHeads
from aureus.model.heads import Head
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import verify_consistency
from aureus.stores.proofs import head_from

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """A call of an operation of one of the stores that a driver has."""

    store: str
    operation: str
    arguments: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict[str, Any])


Steps = Generator[Ask, Any, T]


@dataclass(frozen=True, slots=True)
class Scope:
    """How the ledger is called, and where heads are kept outside the database; None for nowhere."""

    name: str
    seen: Callable[[], SeenHeads] | None = None

    def last_seen(self, key: str) -> SeenHead | None:
        """Return what was last seen of the ledger with this key."""
        return None if self.seen is None else self.seen().get(key)

    def keep(self, key: str, seen: SeenHead, proved: SeenHead | None) -> bool:
        """Keep a head outside the database; False when another one than ``proved`` is kept there by now."""
        return self.seen is None or self.seen().keep(key, seen, proved)

    def accept(self, key: str, seen: SeenHead) -> None:
        """Keep a head outside the database, whatever was kept before."""
        if self.seen is not None:
            self.seen().accept(key, seen)


UNNAMED = Scope("aureus")
"""A ledger of the default name, of which nothing is kept outside the database."""


def readable(work: Steps[T]) -> Steps[T]:
    """Carry out steps that read what whoever owns the database may have written over.

    What cannot even be read, since it is no value that Aureus writes, raises ``IntegrityFailure``.
    """
    try:
        return (yield from work)
    except (Invalid, DatabaseError) as error:
        if type(error) not in {Invalid, DatabaseError}:
            raise  # a folder that cannot be used, a database that is gone
        raise IntegrityFailure(
            f"what is stored is nothing that Aureus wrote, and cannot be read: {error.message}"
        ) from error


def state_and_seen(scope: Scope) -> Steps[tuple[LedgerHead, SeenHead | None]]:
    """Return the state of the ledger and the head that was last seen of it, which is not ahead just for being newer."""
    state = yield from current_state()
    seen = scope.last_seen(state.tenant_key)
    if seen is not None and seen.head.size > state.size:
        state = yield from current_state()  # somebody may have sealed and signed between the two looks
    return state, seen


def keep_seen(
    scope: Scope,
    key: str,
    seen: SeenHead,
    proved: SeenHead | None,
    check: Callable[[Head], Steps[None]],
) -> Steps[None]:
    """Keep a head outside the database that goes on from ``proved``.

    When somebody has kept another one since, ``check`` raises unless the history goes on from that one too.
    """
    while not scope.keep(key, seen, proved):
        proved = scope.last_seen(key)
        if proved is not None and proved.head != seen.head:
            yield from check(proved.head)


def check_history(scope: Scope, before: Head) -> Steps[None]:
    """Raise ``HistoryRewound`` or ``IntegrityFailure`` unless the ledger as it is now goes on from a head."""
    state = yield from current_state()
    yield from check_goes_on(head_from(scope.name, state), before)


def current_state() -> Steps[LedgerHead]:
    """Return the state of the ledger. Raises ``NotFound`` before anything was sealed."""
    state: LedgerHead | None = yield Ask("ledger", "get_head")
    if state is None and (yield Ask("proofs", "get_next_position", (0,))) is not None:
        raise IntegrityFailure(
            "the head of the ledger is gone, and there are sealed entries: somebody deleted its row. "
            "Restore the database from a backup."
        )
    if state is None:
        raise NotFound(
            "nothing was sealed for this tenant yet; `aureus ledger seal` seals what is waiting"
        )
    return state


def check_goes_on(head: Head, before: Head) -> Steps[None]:
    """Raise ``HistoryRewound`` or ``IntegrityFailure`` unless a head goes on from one that was seen before."""
    if before.size > head.size:
        raise HistoryRewound(
            f"the ledger has {head.size} entries, and a head of size {before.size} was seen before: this database is "
            "an older state. If that is meant, run: aureus ledger accept-restore",
            size=head.size,
            seen_size=before.size,
        )
    if not (yield from goes_on(head, before)):
        raise IntegrityFailure(
            f"the ledger does not begin with the head of size {before.size} that was seen before: its history was "
            "changed. Run: aureus ledger verify",
            size=head.size,
            seen_size=before.size,
        )


def goes_on(head: Head, before: Head) -> Steps[bool]:
    """Return whether the tree under a head begins with that under an earlier one."""
    if before.size == 0:
        return True
    try:
        proof: list[bytes] = yield Ask("proofs", "prove_consistency", (before.size, head.size))
    except IntegrityFailure:
        return False  # hashes that every proof needs are gone
    return verify_consistency(before.size, head.size, proof, before.root, head.root)

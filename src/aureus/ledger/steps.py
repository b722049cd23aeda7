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

from aureus.errors import HistoryRewound, IntegrityFailure, NotFound
from aureus.ledger.seen_heads import SeenHead, SeenHeads
from aureus.model.heads import Head
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import verify_consistency

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

    def last_seen(self, state: LedgerHead) -> SeenHead | None:
        """Return what was last seen of a ledger."""
        return None if self.seen is None else self.seen().get(state.tenant_key)

    def keep(self, state: LedgerHead, seen: SeenHead) -> None:
        """Keep a head outside the database."""
        if self.seen is not None:
            self.seen().keep(state.tenant_key, seen)


def current_state() -> Steps[LedgerHead]:
    """Return the state of the ledger. Raises ``NotFound`` before anything was sealed."""
    state: LedgerHead | None = yield Ask("ledger", "get_head")
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

"""Proofs: reading what is sealed, proving from the kept hashes, and keeping the heads that were signed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
    last_all,
    record,
)
from aureus.errors import Conflict, HistoryRewound, IntegrityFailure, Invalid, NotFound
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.heads import Head, incarnation_of, origin_of
from aureus.model.leaf import LeafFields
from aureus.model.ledger import LedgerHead
from aureus.model.merkle import (
    HASH_BYTES,
    TILE_LEVELS,
    Span,
    Tree,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    peak_spans,
    subtrees_of,
    tree_of,
    verify_consistency,
)
from aureus.model.signed_heads import ACTIONS, DECISIONS, SignedHead
from aureus.model.verification import SealedEntry, StoredEvent, beside
from aureus.subject_keys.opening import opened_entries

sql = Queries("proofs")

ENTRIES_MAX: Final = 1024
"""Entries of one page."""

PAGE_BYTES: Final = 8 * 1024 * 1024
"""Bytes of payloads after which a page ends; the entry that reaches them is its last."""

SIGNED_MAX: Final = 1000
"""Signed heads of one list."""

_NO_HASH = bytes(HASH_BYTES)
"""What stands for bytes that are no hash, where whoever owns the database has put some: nothing gives this one."""

Hashes = dict[tuple[int, int], bytes]


class ProofOperations(Operations):
    """What verifying and proving needs of a tenant's ledger."""

    @read
    def read_page(self, first: int, end: int) -> Op[list[SealedEntry]]:
        """Return what the ledger holds from a position on, before another, in order, at most 1,024 entries.

        A page may end earlier, after 8 MiB of payloads; what is not there is left out. An entry without its event has
        None for it. Raises ``Invalid`` for positions that are none.
        """
        _check_range(first, end)
        rows = yield from fetch_all(
            sql.read_page,
            lambda row: row,
            first=first,
            end=min(end, first + ENTRIES_MAX),
            bytes_max=PAGE_BYTES,
        )
        return [_entry(row) for row in (yield from opened_entries(rows, event_id=3, salt=16))]

    @read
    def get_next_position(self, first: int) -> Op[int | None]:
        """Return where the next batch begins, from a position on; None where there is none."""
        return (yield from last(sql.get_next_position, lambda row: row[0], first=first))

    @read
    def list_nodes(self, first: int, end: int, size: int) -> Op[Hashes]:
        """Return the kept roots of blocks that end within a range of positions, by level and index.

        The roots above those are among them. Raises ``Invalid`` for positions that are none.
        """
        _check_range(first, end)
        spans: list[Span] = []
        level = TILE_LEVELS
        while (span := Span(level, first >> level, min(end, size) >> level)).end > span.first:
            spans.append(span)
            level += TILE_LEVELS
        return (yield from _hashes(spans))

    @read
    def get_position(self, event_id: str) -> Op[int | None]:
        """Return at which position an event is sealed; None while it is not. Raises ``NotFound``."""
        entry_no = yield from fetch_one(sql.get_entry_no, _number, event_id=event_id)
        if entry_no is None:
            raise NotFound(
                f"there is no event {event_id}; it is named by its identifier, as `aureus events read STREAM` shows it",
                event_id=event_id,
            )
        return (yield from last(sql.get_position, _number, entry_no=entry_no))

    @read
    def prove_inclusion(self, position: int, size: int) -> Op[list[bytes]]:
        """Return what leads from the leaf at a position to the root of the first ``size``. Raises ``Invalid``."""
        hashes = yield from _hashes(inclusion_spans(position, size))
        return inclusion_proof(position, size, subtrees_of(hashes))

    @read
    def prove_consistency(self, old_size: int, new_size: int) -> Op[list[bytes]]:
        """Return what shows that the tree of one size begins with that of another. Raises ``Invalid``."""
        return (yield from _consistency(old_size, new_size))

    @read
    def get_tree(self, size: int, within: int) -> Op[Tree]:
        """Return the tree of the first entries of a ledger that has more, from the kept hashes. Raises ``Invalid``."""
        hashes = yield from _hashes(peak_spans(size, within))
        return tree_of(size, subtrees_of(hashes))

    @read
    def list_records(self, entry_nos: Sequence[int]) -> Op[list[str]]:
        """Return the identifiers of the events that record the erasure of these entries, without repetition."""
        return (
            yield from last_all(
                sql.list_records, lambda row: str(row[0]), entry_nos=list(entry_nos)
            )
        )

    @read
    def count_pending(self) -> Op[int]:
        """Return how many events are committed and not sealed yet."""
        return (yield from last(sql.count_pending, _number)) or 0

    @read
    def get_newest_signed(self, incarnation: int) -> Op[SignedHead | None]:
        """Return the signed head of the largest size in an incarnation, or None."""
        return (yield from last(sql.get_newest_signed, _signed, incarnation=incarnation))

    @read
    def list_signed(self, *, limit: int = 100) -> Op[list[SignedHead]]:
        """Return signed heads, the newest first. Raises ``Invalid`` for a limit outside 1 to 1,000."""
        if not 1 <= limit <= SIGNED_MAX:
            raise Invalid(f"limit is {limit}; it is 1 to {SIGNED_MAX:,}")
        return (yield from last_all(sql.list_signed, _signed, limit=limit))

    @write
    def sign(
        self, name: str, make_note: Callable[[Head, str | None], str], *, seen: Head | None = None
    ) -> Op[SignedHead]:
        """Sign the tenant's head as it is now, and keep it in the same commit; the note leaves after that.

        ``make_note`` turns a head into a signed note, and gets the note of the same head from before, if it was signed
        already; it is called once for each attempt, with the head locked. The head must go on from the last one
        that was signed, and from ``seen``, the last one known outside the database:
        that is proved from the kept hashes. Raises ``HistoryRewound`` when the ledger is behind one of them,
        ``IntegrityFailure`` when it does not begin with one of them, and ``NotFound`` when nothing is sealed.
        """
        state = yield from fetch_one(sql.lock_head, head_of)
        if state is None or state.size == 0:
            raise NotFound("nothing was sealed for this tenant yet, so there is no head to sign")
        head = head_from(name, state)
        before = yield from fetch_one(sql.get_newest_signed, _signed, incarnation=state.incarnation)
        if before is not None:
            signed = Head(head.origin, before.size, before.root)
            yield from _check_goes_on(head, signed, "signed")
        if seen is not None and seen.size > 0:
            yield from _check_goes_on(head, seen, "seen outside the database")
        now = yield from current_time()
        kept = yield from last(
            sql.keep_signed,
            _signed,
            incarnation=state.incarnation,
            size=head.size,
            root=head.root,
            note=make_note(
                head, None if before is None or before.size < head.size else before.note
            ),
            now=now,
        )
        if kept is None:
            raise IntegrityFailure(
                f"a head of size {head.size} and another root was signed before; this one is not signed",
                size=head.size,
            )
        return kept

    @write
    def begin_incarnation(self, incarnation: int, seen: Head, *, actor: str) -> Op[LedgerHead]:
        """Go on with a history that is behind ``seen``, as a new incarnation, and record who decided that.

        ``incarnation`` is the one that ends. The next one has a number that neither it nor ``seen`` had, since a backup
        from before an earlier restore may be restored too. Repeating it is harmless. Raises ``Conflict`` when the
        ledger has another one, and ``NotFound`` when nothing is sealed.
        """
        head = yield from fetch_one(sql.lock_head, head_of)
        if head is None:
            raise NotFound(
                "nothing was sealed for this tenant yet, so there is nothing to go on with"
            )
        following = max(incarnation, incarnation_of(seen.origin)) + 1
        if head.incarnation == following:
            return head
        if head.incarnation != incarnation:
            raise Conflict(
                f"the ledger is at incarnation {head.incarnation}, not at {incarnation}; look again"
            )
        stream = f"ledgers/{head.tenant_key}"
        yield from record(
            Fact(
                stream=stream,
                type=EventType.LEDGER_RESTORED,
                payload={
                    "incarnation": following,
                    "size": head.size,
                    "root": head.root.hex(),
                    "seen": seen.to_dict(),
                },
                actor=actor,
                audit=AuditPoint(
                    ACTIONS[EventType.LEDGER_RESTORED],
                    stream,
                    is_decision=EventType.LEDGER_RESTORED in DECISIONS,
                ),
            )
        )
        begun = yield from last(
            sql.begin_incarnation, head_of, incarnation=incarnation, following=following
        )
        if begun is None:
            raise Conflict("somebody else changed the ledger in the same moment; repeat the call")
        return begun


def head_from(name: str, state: LedgerHead) -> Head:
    """Return what others see of the state of a tenant's tree. Raises ``IntegrityFailure`` for a state that none has."""
    try:
        return Head(origin_of(name, state.tenant_key, state.incarnation), state.size, state.root)
    except Invalid as error:
        raise IntegrityFailure(f"the state of the tree was changed: {error.message}") from error


def head_of(row: Row) -> LedgerHead:
    """Return the state of a tree that a row holds."""
    key, incarnation, size, root, peaks, last_entry_no, sealed_at = row[:7]
    return LedgerHead(key, incarnation, size, bytes(root), bytes(peaks), last_entry_no, sealed_at)


def _check_goes_on(head: Head, before: Head, how: str) -> Op[None]:
    """Raise unless the tree under a head begins with that under an earlier one."""
    if before.size > head.size:
        raise HistoryRewound(
            f"the ledger has {head.size} entries, and a head of size {before.size} was {how}: this database is "
            "an older state. If that is meant, run: aureus ledger accept-restore",
            size=head.size,
            seen_size=before.size,
        )
    proof = yield from _consistency(before.size, head.size)
    if not verify_consistency(before.size, head.size, proof, before.root, head.root):
        raise IntegrityFailure(
            f"the ledger does not begin with the head of size {before.size} that was {how}: its history was "
            "changed. Run: aureus ledger verify",
            size=head.size,
            seen_size=before.size,
        )


def _consistency(old_size: int, new_size: int) -> Op[list[bytes]]:
    hashes = yield from _hashes(consistency_spans(old_size, new_size))
    return consistency_proof(old_size, new_size, subtrees_of(hashes))


def _hashes(spans: Iterable[Span]) -> Op[Hashes]:
    found: Hashes = {}
    for level, first, end in spans:
        if level:
            rows = yield from fetch_all(
                sql.list_node_hashes, _hash, level=level, first=first, end=end
            )
            found |= {(level, at): value for at, value in rows}
            continue
        runs = yield from fetch_all(sql.list_leaf_hashes, _hash, first=first, end=end)
        found |= {
            (0, position + at): joined[HASH_BYTES * at : HASH_BYTES * (at + 1)]
            for position, joined in runs
            for at in range(len(joined) // HASH_BYTES)
        }
    return found


def _check_range(first: int, end: int) -> None:
    if not 0 <= first <= end:
        raise Invalid(
            f"positions begin at 0, and the last comes after the first; got {first} to {end}"
        )


def _entry(row: Row) -> SealedEntry:
    position, entry_no, sealed_hash, event_id, stream, version, kind, actor, micros, *rest = row
    (
        correlation_id,
        action,
        resource,
        outcome,
        category,
        committed,
        leaf,
        salt,
        payload,
        metadata,
    ) = rest
    event = None
    if event_id is not None:
        event = StoredEvent(
            LeafFields(
                event_id, stream, kind, actor, micros or 0, correlation_id, action, resource, outcome
            ),
            version, bytes(committed), bytes(leaf), *beside(salt, payload, metadata, category),
        )  # fmt: skip
    sealed = bytes(sealed_hash or b"")
    return SealedEntry(position, entry_no, sealed if len(sealed) == HASH_BYTES else _NO_HASH, event)


def _hash(row: Row) -> tuple[int, bytes]:
    return row[0], bytes(row[1] or b"")


def _number(row: Row) -> int:
    return int(row[0])


def _signed(row: Row) -> SignedHead:
    incarnation, size, root, note, signed_at = row
    return SignedHead(incarnation, size, bytes(root), note, signed_at)


class ProofStore(ProofOperations, Store):
    """Proofs, for threads."""


class AsyncProofStore(ProofOperations, AsyncStore):
    """Proofs, awaited."""

"""The ledger: sealing what was appended, and reading what is sealed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Row,
    composed,
    current_time,
    fetch_all,
    fetch_one,
    last,
    last_all,
    new_id,
)
from aureus.codec import decode, encode
from aureus.errors import Conflict, IntegrityFailure, Invalid
from aureus.model.ledger import SEAL_ENTRIES_MAX, LedgerBatch, LedgerHead, SealingRound
from aureus.model.merkle import (
    HASH_BYTES,
    Node,
    Span,
    Subtrees,
    Tree,
    empty_root,
    subtrees_of,
)

sql = Queries("ledger")

BATCHES_MAX = 1000
"""Batches of one page."""


class LedgerOperations(Operations):
    """Operations on the ledger of a tenant."""

    @write
    def seal(self, *, limit: int = SEAL_ENTRIES_MAX) -> Op[SealingRound]:
        """Give positions to what is committed and has none, at most ``limit`` entries and the rest of the last append.

        One round: it takes the right to seal, and in a later statement what is visible then, in the order of the
        appends' lowest entry numbers; so positions have no gaps, the entries of a stream keep their order, and whoever
        commits late gets a later position. Whoever comes second finds the right taken and does nothing. Atomic;
        repeating it is harmless. Raises ``Conflict`` when the tree was extended in spite of that, and then nothing
        happened, and ``IntegrityFailure`` when the state of the tree was changed.
        """
        if limit < 1:
            raise Invalid(f"limit is {limit}; a round seals at least one entry")
        head = yield from fetch_one(sql.lock_head, head_of)
        now = yield from current_time()
        if head is None:
            key = yield from new_id()
            head = yield from fetch_one(
                sql.open_head, head_of, tenant_key=key, root=empty_root(), peaks=b"", now=now
            )
        if head is None:
            return SealingRound(0, 0, is_done=False)
        sealed = yield from _extended(head, limit, now)
        count = sealed.size - head.size
        return SealingRound(sealed.size, count, is_done=count < limit)

    @read
    def get_head(self) -> Op[LedgerHead | None]:
        """Return the state of the tenant's tree; None before anything was sealed."""
        return (yield from last(sql.get_head, head_of))

    @read
    def list_batches(self, *, from_position: int = 0, limit: int = 100) -> Op[list[LedgerBatch]]:
        """Return sealed batches in their order, beginning with the one that holds a position.

        Raises ``Invalid`` for a position below 0 or a limit outside 1 to 1,000.
        """
        if from_position < 0 or not 1 <= limit <= BATCHES_MAX:
            raise Invalid(
                f"positions begin at 0 and a page holds 1 to {BATCHES_MAX:,} batches; "
                f"got from_position={from_position}, limit={limit}"
            )
        return (
            yield from last_all(
                sql.list_batches, _batch_of, from_position=from_position, limit=limit
            )
        )


def sealed_head() -> Op[LedgerHead]:
    """Seal all that this transaction sees, hold the head until its end, and return it.

    For an operation that looks at one moment: what it reads is then what the entries of the tree have brought about,
    no more and no less. It waits for whoever seals, and has to come before all else that the operation locks.
    """
    now = yield from current_time()
    head = yield from fetch_one(sql.hold_head, head_of)
    if head is None:
        key = yield from new_id()
        yield from fetch_one(
            sql.open_head, head_of, tenant_key=key, root=empty_root(), peaks=b"", now=now
        )
        head = yield from fetch_one(sql.hold_head, head_of)
    if head is None:
        raise Conflict("somebody else began the ledger in the same moment; repeat the call")
    size = -1
    while head.size != size:
        size = head.size
        head = yield from composed(_extended(head, SEAL_ENTRIES_MAX, now))
    return head


def subtrees_for(spans: Sequence[Span]) -> Op[Subtrees]:
    """Return the subtrees of the tree that follow from the hashes of these spans."""
    hashes: dict[tuple[int, int], bytes] = {}
    for level, first, end in spans:
        if level:
            found = yield from fetch_all(
                sql.list_nodes, _node, level=level, first_no=first, end_no=end
            )
            hashes.update(((level, number), root) for number, root in found)
            continue
        position = first
        while position < end:
            batches = yield from composed(
                LedgerOperations().list_batches(from_position=position, limit=1)
            )
            if not batches or not batches[0].holds(position):
                break
            batch = batches[0]
            for at in range(position, min(end, batch.end_position)):
                hashes[0, at] = batch.leaf_hash(at)
            position = batch.end_position
    return subtrees_of(hashes)


def position_of(entry_no: int) -> Op[tuple[int, bytes] | None]:
    """Return the position of a sealed entry and the hash of its leaf; None when it is not sealed."""
    batches = yield from fetch_all(sql.find_batches_of_entry, _batch_of, entry_no=entry_no)
    for batch in batches:
        if entry_no in batch.entry_nos:
            position = batch.first_position + batch.entry_nos.index(entry_no)
            return position, batch.leaf_hash(position)
    return None


class Cut:
    """Which entries lie in front of a position, by their numbers."""

    def __init__(self, last_entry_no: int, late: frozenset[int]) -> None:
        self._last_entry_no = last_entry_no
        self._late = late

    def holds(self, entry_no: int) -> bool:
        """Return whether an entry lies in front of the position."""
        return entry_no <= self._last_entry_no and entry_no not in self._late


def pass_head() -> Op[None]:
    """Go before or behind each operation that looks at one moment (`sealed_head`), and never beside one.

    For what must reach everything that was captured: what such an operation is about to keep is there when this
    returns, and one that has looked before begins anew. It comes before all else that the operation locks.
    """
    yield from fetch_one(sql.pass_head, bool)


def cut_at(position: int) -> Op[Cut]:
    """Return the cut at a position: of two entries the one with the higher number may have been sealed first."""
    last_entry_no = yield from fetch_one(
        sql.get_last_entry_before, lambda row: int(row[0] or 0), position=position
    )
    late: set[int] = set()
    reached = position
    while True:
        batches = yield from fetch_all(
            sql.list_late_batches,
            _batch_of,
            position=reached,
            entry_no=last_entry_no,
            limit=BATCHES_MAX,
        )
        for batch in batches:
            late.update(batch.entry_nos[max(0, position - batch.first_position) :])
        if len(batches) < BATCHES_MAX:
            return Cut(last_entry_no or 0, frozenset(late))
        reached = batches[-1].end_position


def size_at(moment: datetime) -> Op[int]:
    """Return how many entries were sealed at a moment."""
    size = yield from fetch_one(sql.get_size_at, lambda row: int(row[0] or 0), moment=moment)
    return size or 0


def _extended(head: LedgerHead, limit: int, now: datetime) -> Op[LedgerHead]:
    """Seal one batch behind a head whose lock is held; return the head as it then is: the same without a batch."""
    batch = yield from fetch_one(sql.seal_batch, _sealed, size=head.size, limit=limit, now=now)
    if batch is None:
        return head
    _, last_entry_no, leaf_hashes = batch
    tree = Tree.from_bytes(head.size, head.peaks)
    if tree.root() != head.root:
        raise IntegrityFailure(
            "the head of the ledger contradicts itself: its root does not follow from its peaks. Somebody changed it, "
            "and nothing is sealed behind it. Run: aureus ledger verify",
            size=head.size,
        )
    nodes = tree.extend(leaf_hashes)
    sealed = LedgerHead(
        tenant_key=head.tenant_key,
        incarnation=head.incarnation,
        size=tree.size,
        root=tree.root(),
        peaks=tree.to_bytes(),
        last_entry_no=max(head.last_entry_no, last_entry_no),
        sealed_at=now,
    )
    values = {
        "size_before": head.size,
        "size": sealed.size,
        "root": sealed.root,
        "peaks": sealed.peaks,
        "last_entry_no": last_entry_no,
        "now": now,
    }
    if nodes:
        kept = last(sql.set_head_and_nodes, _size, nodes=_as_json(nodes), **values)
    else:
        kept = last(sql.set_head, _size, **values)
    size = yield from kept
    if size is None:
        raise Conflict("somebody else sealed in the same moment; nothing was sealed by this call")
    return sealed


def head_of(row: Row) -> LedgerHead:
    """Return the head that a row holds."""
    key, incarnation, size, root, peaks, last_entry_no, sealed_at = row
    return LedgerHead(key, incarnation, size, bytes(root), bytes(peaks), last_entry_no, sealed_at)


def _sealed(row: Row) -> tuple[int, int, list[bytes]]:
    count, last_entry_no, joined = row
    hashes = bytes(joined)
    return (
        count,
        last_entry_no,
        [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)],
    )


def _batch_of(row: Row) -> LedgerBatch:
    first_position, entry_nos, leaf_hashes, sealed_at = row
    numbers = decode(entry_nos.encode()) if isinstance(entry_nos, str) else entry_nos
    return LedgerBatch(first_position, tuple(numbers), bytes(leaf_hashes), sealed_at)


def _node(row: Row) -> tuple[int, bytes]:
    return int(row[0]), bytes(row[1])


def _size(row: Row) -> int:
    return int(row[0])


def _as_json(nodes: list[Node]) -> str:
    described = [
        {"level": node.level, "node_no": node.index, "hash": node.hash.hex()} for node in nodes
    ]
    return encode(described, what="nodes of the tree").decode()


class LedgerStore(LedgerOperations, Store):
    """The ledger, for threads."""


class AsyncLedgerStore(LedgerOperations, AsyncStore):
    """The ledger, awaited."""

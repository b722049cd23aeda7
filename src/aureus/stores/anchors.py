"""The anchor log: the heads of all tenants' trees under one root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
    new_id,
    record,
)
from aureus.codec import encode
from aureus.errors import Conflict, IntegrityFailure, Invalid, NotFound
from aureus.model.anchors import Anchor, AnchorHead, AnchorProof, anchor_leaf
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.heads import Head
from aureus.model.merkle import (
    TILE_LEVELS,
    Span,
    Subtrees,
    Tree,
    consistency_proof,
    consistency_spans,
    inclusion_proof,
    inclusion_spans,
    subtrees_of,
)
from aureus.model.signed_heads import ACTIONS, DECISIONS

sql = Queries("anchors")

ANCHORS_MAX = 1000
"""Anchors of one round and of one page."""

ANCHORS_STREAM = "ledgers/anchors"
"""The stream of what happens to the anchor log itself, of the tenant in whose name it was done."""

Hashes = dict[tuple[int, int], bytes]
"""Hashes of the log's tree by level and index."""

_Unanchored = tuple[str, int, int, bytes]


class AnchorOperations(Operations):
    """Operations on the anchor log, which is the operator's and no tenant's."""

    @write
    def append(self, *, limit: int = ANCHORS_MAX) -> Op[list[Anchor]]:
        """Anchor the heads of trees that have grown since they were last anchored, at most ``limit``; return them.

        One head each, in the order of their keys; none when nothing has grown, so that repeating it is harmless. Others
        that anchor wait. Atomic.
        """
        _check_limit(limit)
        head = _there((yield from fetch_one(sql.begin_anchoring, _head)))
        grown = yield from fetch_all(sql.list_unanchored, _unanchored, limit=limit)
        yield from fetch_one(sql.end_anchoring, _nothing)
        if not grown:
            return []
        now = yield from current_time()
        anchors = [
            Anchor(
                head.size + at, key, incarnation, size, root,
                anchor_leaf(key, incarnation, size, root), now,
            )
            for at, (key, incarnation, size, root) in enumerate(grown)
        ]  # fmt: skip
        tree = Tree.from_bytes(head.size, head.peaks)
        nodes = tree.extend(anchor.leaf_hash for anchor in anchors)
        size = yield from last(
            sql.append_anchors,
            _first,
            size_before=head.size,
            size=tree.size,
            root=tree.root(),
            peaks=tree.to_bytes(),
            anchors=_as_json([anchor.to_dict() for anchor in anchors]),
            nodes=_as_json(
                [
                    {"level": one.level, "node_no": one.index, "hash": one.hash.hex()}
                    for one in nodes
                ]
            ),
            now=now,
        )
        if size is None:
            raise Conflict("somebody else anchored in the same moment; nothing was anchored here")
        return anchors

    @read
    def get_head(self) -> Op[AnchorHead]:
        """Return the state of the anchor log."""
        return _there((yield from last(sql.get_anchor_head, _head)))

    @read
    def list(self, *, from_position: int = 0, limit: int = 100) -> Op[list[Anchor]]:
        """Return anchors in their order from a position on. Raises ``Invalid`` for a limit outside 1 to 1,000."""
        _check_limit(limit)
        return (
            yield from last_all(sql.list_anchors, _anchor, from_position=from_position, limit=limit)
        )

    @read
    def find(self, tenant_key: str) -> Op[Anchor | None]:
        """Return the newest anchor of a tenant's tree; None for one that was never anchored."""
        return (yield from last(sql.find_anchor, _anchor, tenant_key=tenant_key))

    @read
    def prove(self, tenant_key: str) -> Op[AnchorProof]:
        """Return the newest anchor of a tenant's tree with the proof that it lies under the log's root.

        Raises ``NotFound`` for a tree that was never anchored.
        """
        head = _there((yield from fetch_one(sql.get_anchor_head, _head)))
        anchor = yield from fetch_one(sql.find_anchor, _anchor, tenant_key=tenant_key)
        if anchor is None:
            raise NotFound(f"the tree {tenant_key} was never anchored", tenant_key=tenant_key)
        subtrees = yield from _subtrees(inclusion_spans(anchor.position, head.size))
        path = inclusion_proof(anchor.position, head.size, subtrees)
        return AnchorProof(anchor, head.size, head.root, tuple(path))

    @read
    def list_nodes(self, first: int, end: int) -> Op[Hashes]:
        """Return the kept roots of blocks that end within a range of positions, by level and index."""
        found: Hashes = {}
        level = TILE_LEVELS
        while first >> level < end >> level:
            rows = yield from fetch_all(
                sql.list_anchor_hashes, _hash, level=level, first=first >> level, end=end >> level
            )
            found |= {(level, at): one for at, one in rows}
            level += TILE_LEVELS
        return found

    @write
    def begin_log(self, log_key: str, seen: Head, *, actor: str) -> Op[AnchorHead]:
        """Go on with a log that is behind ``seen`` under a new key, and record who decided that.

        ``log_key`` is the one that ends. Raises ``Conflict`` when the log has another one.
        """
        head = _there((yield from fetch_one(sql.get_anchor_head, _head)))
        chosen = yield from new_id()
        yield from record(
            Fact(
                stream=ANCHORS_STREAM,
                type=EventType.LEDGER_RESTORED,
                payload={
                    "logKey": chosen,
                    "before": log_key,
                    "size": head.size,
                    "root": head.root.hex(),
                    "seen": seen.to_dict(),
                },
                actor=actor,
                audit=AuditPoint(
                    ACTIONS[EventType.LEDGER_RESTORED],
                    f"{ANCHORS_STREAM}/{chosen}",
                    is_decision=EventType.LEDGER_RESTORED in DECISIONS,
                ),
            )
        )
        begun = yield from last(sql.begin_anchor_log, _head, log_key=chosen, before=log_key)
        if begun is None:
            raise Conflict("somebody else changed the anchor log in the same moment; look again")
        return begun

    @read
    def prove_consistency(self, old_size: int, new_size: int) -> Op[Sequence[bytes]]:
        """Return the proof that the log of ``new_size`` anchors begins with that of ``old_size``.

        Raises ``Invalid`` for sizes that nothing can be proved between, and ``IntegrityFailure`` when hashes are gone.
        """
        subtrees = yield from _subtrees(consistency_spans(old_size, new_size))
        return consistency_proof(old_size, new_size, subtrees)


def _subtrees(spans: Sequence[Span]) -> Op[Subtrees]:
    hashes: dict[tuple[int, int], bytes] = {}
    for level, first, end in spans:
        rows = yield from fetch_all(
            sql.list_anchor_hashes, _hash, level=level, first=first, end=end
        )
        hashes |= {(level, at): one for at, one in rows}
    return subtrees_of(hashes)


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= ANCHORS_MAX:
        raise Invalid(f"limit is {limit}; it is 1 to {ANCHORS_MAX:,}")


def _there(head: AnchorHead | None) -> AnchorHead:
    if head is None:
        raise IntegrityFailure(
            "the head of the anchor log is not there: somebody deleted the row that the schema made"
        )
    return head


def _nothing(_: Row) -> None:
    """Take a row that says nothing."""


def _head(row: Row) -> AnchorHead:
    key, size, root, peaks, anchored_at = row[:5]
    return AnchorHead(key, size, bytes(root), bytes(peaks), anchored_at)


def _anchor(row: Row) -> Anchor:
    position, key, incarnation, size, root, leaf, anchored_at = row
    return Anchor(position, key, incarnation, size, bytes(root), bytes(leaf), anchored_at)


def _unanchored(row: Row) -> _Unanchored:
    key, incarnation, size, root = row
    return key, incarnation, size, bytes(root)


def _hash(row: Row) -> tuple[int, bytes]:
    return row[0], bytes(row[1])


def _first(row: Row) -> int:
    return int(row[0])


def _as_json(items: list[dict[str, Any]]) -> str:
    return encode(items, what="anchors").decode()


class AnchorStore(AnchorOperations, Store):
    """The anchor log, for threads."""


class AsyncAnchorStore(AnchorOperations, AsyncStore):
    """The anchor log, awaited."""

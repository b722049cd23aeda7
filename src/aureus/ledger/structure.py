"""Checks the order of entries: positions without gaps, and the tree over them, in blocks of 256 leaves.

Each block is compared with the root that was kept for it, so that damage is told to a block, and what lies behind it
can still be verified. Two trees grow: one of the leaves that are there, one of the kept roots. Which of them leads to
the head says which of the two was changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from aureus.ledger.damage import Hole, find_hole
from aureus.model.heads import Head
from aureus.model.merkle import HASH_BYTES, TILE_LEVELS, TILE_WIDTH, Tree
from aureus.model.verification import FINDINGS_MAX

BAD_BLOCKS_MAX = 8
"""Damaged blocks whose leaves are kept for an explanation."""

GAP_MAX = 100_000
"""Missing positions side by side up to which the tree behind them is still verified."""


@dataclass(slots=True)
class BadBlock:
    """A block whose leaves do not give the root that was kept."""

    first: int
    """The position of its first leaf."""
    leaves: Sequence[bytes | None]
    numbers: Sequence[int]
    """The entry numbers of its leaves; 0 for one that is missing."""
    root: bytes
    following: bytes | None = None
    """The leaf behind it."""
    before: bytes | None = None
    """The leaf before it."""

    @property
    def last(self) -> int:
        """Return the position of its last leaf."""
        return self.first + len(self.leaves) - 1


@dataclass(slots=True)
class HeadCheck:
    """A head from outside, and whether the ledger agrees with it: None where damage leaves it open."""

    head: Head
    is_signed: bool
    agrees: bool | None = None


@dataclass(slots=True)
class _Block:
    """The leaves of the block that is being read."""

    number: int
    prefix: Tree
    """What of it lies before the first entry; only where a verification goes on inside a block."""
    leaves: list[bytes | None] = field(default_factory=list[bytes | None])
    numbers: list[int] = field(default_factory=list[int])

    @property
    def first(self) -> int:
        return self.number * TILE_WIDTH + self.prefix.size

    @property
    def end(self) -> int:
        return self.first + len(self.leaves)

    def tree(self, end: int) -> Tree | None:
        """Return the tree of its leaves before a position; None where one is unknown."""
        known = [leaf for leaf in self.leaves[: end - self.first] if leaf is not None]
        if len(known) < end - self.first:
            return None
        tree = self.prefix.copy()
        tree.extend(known)
        return tree


class Structure:
    """The tree of the entries in the order of positions."""

    def __init__(
        self,
        head: Head,
        peaks: bytes | None,
        start: Tree,
        heads: Sequence[HeadCheck],
        *,
        keeps_nodes: bool = False,
    ) -> None:
        """Begin behind ``start``; without peaks the last block, which is not complete, has nothing to compare with.

        Where the ledger ``keeps_nodes``, one that is not there is missing.
        """
        self._keeps_nodes = keeps_nodes
        self._head = head
        low_size = head.size % TILE_WIDTH
        low = b"" if peaks is None else peaks[len(peaks) - HASH_BYTES * low_size.bit_count() :]
        self._low_peaks = None if peaks is None else low
        high_count = (start.size >> TILE_LEVELS).bit_count()
        upper = Tree.from_bytes(start.size >> TILE_LEVELS, b"".join(start.peaks[:high_count]))
        self._of_leaves: Tree | None = upper
        self._of_kept: Tree | None = upper.copy()
        self._block = _Block(
            start.size >> TILE_LEVELS,
            Tree.from_bytes(start.size % TILE_WIDTH, b"".join(start.peaks[high_count:])),
        )
        self._heads = sorted(
            (check for check in heads if start.size < check.head.size <= head.size),
            key=lambda check: check.head.size,
        )
        self._last_leaf: bytes | None = None
        self.bad_blocks: list[BadBlock] = []
        self.bad_block_count = 0
        self.bad_nodes: list[tuple[int, int]] = []
        self.missing_nodes: list[tuple[int, int]] = []
        """Kept roots that are gone, by level and index; the first hundred."""

    @property
    def next_position(self) -> int:
        """Return the position that comes next."""
        return self._block.end

    def add(
        self, leaf: bytes | None, nodes: Mapping[tuple[int, int], bytes], entry_no: int = 0
    ) -> None:
        """Add the leaf at the next position, None for one that is missing; nodes are kept roots by level and index.

        The number of its entry proves nothing, and tells in which order entries may have been sealed.
        """
        block = self._block
        if not block.leaves and self.bad_blocks and self.bad_blocks[-1].last + 1 == block.first:
            self.bad_blocks[-1].following = leaf
        block.leaves.append(leaf)
        block.numbers.append(entry_no)
        if block.prefix.size + len(block.leaves) == TILE_WIDTH:
            self._close_block(nodes)

    def skip(self, position: int, nodes: Mapping[tuple[int, int], bytes]) -> None:
        """Go on at a position, with what lies before it missing; where that is far, the tree in between is given up."""
        if position - self.next_position <= GAP_MAX:
            while self.next_position < position:
                self.add(None, nodes)
            return
        self._of_leaves = self._of_kept = None
        number, unknown = divmod(position, TILE_WIDTH)
        self._block = _Block(number, Tree(), [None] * unknown, [0] * unknown)
        self._last_leaf = None

    def finish(self, extra: bytes | None) -> FinishedStructure:
        """Close the last block; ``extra`` is the hash of the first entry behind the head, if there is one."""
        block, head = self._block, self._head
        here = block.tree(block.end)
        self._compare_heads(here, None)
        is_whole = block.end == head.size
        low_peaks = self._low_peaks
        if block.leaves and is_whole and low_peaks:
            reference = Tree.from_bytes(head.size % TILE_WIDTH, low_peaks).root()
            if here is None or here.root() != reference:
                self._note_bad(reference, extra)
        known = None if here is None else here.to_bytes()
        kept = self._final_root(self._of_kept, known if low_peaks is None else low_peaks)
        return FinishedStructure(
            leads_to_head=self._final_root(self._of_leaves, known) == head.root,
            kept_leads_to_head=kept == head.root,
            is_cut_clean=self._is_cut_clean(here),
            hole=self._hole(),
            is_known=self._of_leaves is not None and here is not None,
        )

    def _final_root(self, upper: Tree | None, low_peaks: bytes | None) -> bytes | None:
        if upper is None or low_peaks is None or self._block.end != self._head.size:
            return None
        return Tree.from_bytes(self._head.size, upper.to_bytes() + low_peaks).root()

    def _is_cut_clean(self, here: Tree | None) -> bool:
        """Return whether what is there of an unfinished block agrees with the head as far as can be told."""
        if here is None:
            return False
        if self._block.number != self._head.size >> TILE_LEVELS or self._low_peaks is None:
            return True
        left, at, position = self._head.size % TILE_WIDTH, 0, self._block.number * TILE_WIDTH
        while left:
            width = 1 << left.bit_length() - 1
            position += width
            if position > self._block.end:
                break
            tree = self._block.tree(position)
            if tree is None or tree.peaks[-1] != self._low_peaks[at : at + HASH_BYTES]:
                return False
            left, at = left - width, at + HASH_BYTES
        return True

    def _hole(self) -> Hole | None:
        """Return where entries are missing whose followers moved up, when that is in the last block."""
        block, head = self._block, self._head
        leaves = [leaf for leaf in block.leaves if leaf is not None]
        is_last = block.number == head.size >> TILE_LEVELS and not block.prefix.size
        if not is_last or not self._low_peaks or len(leaves) < len(block.leaves):
            return None
        hole = find_hole(leaves, self._low_peaks, head.size % TILE_WIDTH)
        return (
            None
            if hole is None
            else replace(hole, first=hole.first + block.first, end=hole.end + block.first)
        )

    def _close_block(self, nodes: Mapping[tuple[int, int], bytes]) -> None:
        block = self._block
        here = block.tree(block.end)
        reference = nodes.get((TILE_LEVELS, block.number))
        if reference is None:
            self._miss_node(TILE_LEVELS, block.number)
        self._compare_heads(here, reference)
        computed = None if here is None else here.root()
        if reference is not None and computed != reference:
            self._note_bad(reference, None)
        self._of_leaves = self._grown(self._of_leaves, computed, None)
        self._of_kept = self._grown(self._of_kept, reference or computed, nodes)
        self._last_leaf = block.leaves[-1]
        self._block = _Block(block.number + 1, Tree())

    def _grown(
        self, upper: Tree | None, root: bytes | None, nodes: Mapping[tuple[int, int], bytes] | None
    ) -> Tree | None:
        if upper is None or root is None:
            return None
        for node in upper.append(root):
            if nodes is None:
                continue
            key = (node.level + TILE_LEVELS, node.index)
            if key not in nodes:
                self._miss_node(*key)
            elif nodes[key] != node.hash:
                self.bad_nodes.append(key)
        return upper

    def _miss_node(self, level: int, index: int) -> None:
        if self._keeps_nodes and len(self.missing_nodes) < FINDINGS_MAX:
            self.missing_nodes.append((level, index))

    def _note_bad(self, reference: bytes, following: bytes | None) -> None:
        self.bad_block_count += 1
        if len(self.bad_blocks) < BAD_BLOCKS_MAX:
            block, before = self._block, self._last_leaf
            leaves, numbers = list(block.leaves), list(block.numbers)
            bad = BadBlock(block.first, leaves, numbers, reference, following, before)
            self.bad_blocks.append(bad)

    def _compare_heads(self, here: Tree | None, reference: bytes | None) -> None:
        """Compare the heads whose size lies in the block that ends here."""
        block = self._block
        while self._heads and self._heads[0].head.size <= block.end:
            check = self._heads.pop(0)
            size = check.head.size
            if size <= block.first:
                continue
            low = here if size == block.end else block.tree(size)
            roots = [
                _root_at(size, upper, low)
                for upper in (self._of_leaves, self._of_kept)
                if upper is not None and low is not None
            ]
            if reference is not None and size == block.end and self._of_kept is not None:
                upper = self._of_kept.copy()
                upper.append(reference)
                roots.append(Tree.from_bytes(size, upper.to_bytes()).root())
            if roots:
                check.agrees = check.head.root in roots


@dataclass(frozen=True, slots=True)
class FinishedStructure:
    """What the trees say at the end."""

    leads_to_head: bool
    """The leaves that are there give the head's root."""
    kept_leads_to_head: bool
    """The kept roots give the head's root."""
    is_cut_clean: bool
    """Where entries are missing at the end: those that are there agree with the head, as far as can be told."""
    is_known: bool
    """No leaf is missing."""
    hole: Hole | None
    """Where entries are too few in the last block; None when that is another one, or cannot be told."""


def _root_at(size: int, upper: Tree, low: Tree) -> bytes:
    if low.size == TILE_WIDTH:
        upper = upper.copy()
        upper.append(low.root())
        return Tree.from_bytes(size, upper.to_bytes()).root()
    return Tree.from_bytes(size, upper.to_bytes() + low.to_bytes()).root()

"""Explains a block of leaves whose root is not the one that was kept: which few changes would make it right.

Such a block is certainly damaged; what happened to it is a guess that is tried out. Another order, a leaf too many
and a leaf that was written over are found exactly, because undoing them gives the kept root, which nothing else
does. Trying costs up to half a second for a block, so only the first bad blocks of a ledger are explained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from aureus.model.merkle import HASH_BYTES, Tree, node_hash


class Block:
    """The leaves of one block, with the rows of the tree above them."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._rows = [list(leaves)]
        while len(self._rows[-1]) > 1:
            below = self._rows[-1]
            row = [
                node_hash(below[at], below[at + 1]) if at + 1 < len(below) else below[at]
                for at in range(0, len(below), 2)
            ]
            self._rows.append(row)

    @property
    def leaves(self) -> Sequence[bytes]:
        """Return the leaves from left to right."""
        return self._rows[0]

    def root_with(self, changes: Mapping[int, bytes]) -> bytes:
        """Return the root that the block has with other leaves at some places."""
        current = dict(changes)
        for row in self._rows[:-1]:
            above: dict[int, bytes] = {}
            for at in current:
                if at >> 1 in above:
                    continue
                left = at & ~1
                right = left + 1
                left_hash = current.get(left) or row[left]
                if right < len(row):
                    above[at >> 1] = node_hash(left_hash, current.get(right) or row[right])
                else:
                    above[at >> 1] = left_hash
            current = above
        return current[0]

    def root_with_one(self, at: int, leaf: bytes, first_row: int = 0) -> bytes:
        """Return the root with another leaf, or with another hash in a row above."""
        for row in self._rows[first_row:-1]:
            if at & 1:
                leaf = sha256(b"\x01" + row[at - 1] + leaf).digest()
            elif at + 1 < len(row):
                leaf = sha256(b"\x01" + leaf + row[at + 1]).digest()
            at >>= 1
        return leaf

    def root_with_swapped(self, left: int, right: int) -> bytes:
        """Return the root with the leaves of two places exchanged; the left place comes first."""
        rows = self._rows
        left_hash, right_hash = rows[0][right], rows[0][left]
        for number, row in enumerate(rows):
            if left ^ right == 1:
                met = sha256(b"\x01" + left_hash + right_hash).digest()
                return self.root_with_one(left >> 1, met, number + 1)
            left_hash = (
                sha256(b"\x01" + row[left - 1] + left_hash).digest()
                if left & 1
                else sha256(b"\x01" + left_hash + row[left + 1]).digest()
            )
            if right & 1:
                right_hash = sha256(b"\x01" + row[right - 1] + right_hash).digest()
            elif right + 1 < len(row):
                right_hash = sha256(b"\x01" + right_hash + row[right + 1]).digest()
            left, right = left >> 1, right >> 1
        raise AssertionError("two leaves of one tree have a common root")


def find_swap(block: Block, root: bytes) -> tuple[int, int] | None:
    """Return the two places in a block whose leaves have to change places for it to be right."""
    leaves = block.leaves
    for left in range(len(leaves)):
        for right in range(left + 1, len(leaves)):
            if block.root_with_swapped(left, right) == root:
                return left, right
    return None


def find_exchange(
    block: Block, root: bytes, other: Block, other_root: bytes
) -> tuple[int, int] | None:
    """Return a place in each of two blocks whose leaves have to change places for both to be right."""
    for place in range(len(block.leaves)):
        for other_place, leaf in enumerate(other.leaves):
            if (
                block.root_with_one(place, leaf) == root
                and other.root_with_one(other_place, block.leaves[place]) == other_root
            ):
                return place, other_place
    return None


def find_extra(leaves: Sequence[bytes], following: bytes, root: bytes) -> int | None:
    """Return the place of a leaf too many: without it, and with the leaf that follows the block, it is right."""
    for place in range(len(leaves)):
        tree = Tree()
        tree.extend([*leaves[:place], *leaves[place + 1 :], following])
        if tree.root() == root:
            return place
    return None


def is_shifted(before: Sequence[bytes], leaves: Sequence[bytes], root: bytes) -> bool:
    """Return whether the block is right when it begins some leaves earlier: then as many are missing before it."""
    tree = Tree()
    tree.extend([*before, *leaves[: len(leaves) - len(before)]])
    return tree.root() == root


@dataclass(frozen=True, slots=True)
class Hole:
    """Where leaves are missing in a block that is not complete: between two places, the second one exclusive."""

    first: int
    end: int
    is_certain: bool
    """Whether leaves behind it were found, moved up. Else the last ones may as well be those that are gone."""


def find_hole(leaves: Sequence[bytes], peaks: bytes, size: int) -> Hole | None:
    """Return where leaves are missing of a block that had ``size`` of them and these peaks; None when none are.

    The others moved up. A subtree below a peak either is where it was, or as many places further on as leaves are
    missing before it, or holds a place where some are missing.
    """
    missing = size - len(leaves)
    if missing <= 0:
        return None
    first: int | None = None
    at = end = 0
    for number in range(size.bit_count()):
        width = 1 << (size - at).bit_length() - 1
        peak = peaks[HASH_BYTES * number : HASH_BYTES * (number + 1)]
        shift = _shift(leaves, at, width, peak, missing)
        if shift and first is not None:
            return Hole(first, end, is_certain=True)
        if shift is None and first is None:
            first = at
        at = end = at + width
    return None if first is None else Hole(first, end, is_certain=False)


def _shift(leaves: Sequence[bytes], at: int, width: int, root: bytes, shift_max: int) -> int | None:
    """Return how many places before its own a subtree is found; None when it is at none of them."""
    for shift in range(min(shift_max, at) + 1):
        part = leaves[at - shift : at - shift + width]
        tree = Tree()
        tree.extend(part)
        if len(part) == width and tree.root() == root:
            return shift
    return None


def find_order(blocks: Sequence[tuple[Sequence[bytes], Sequence[int], bytes]]) -> list[int] | None:
    """Return where the leaves of damaged blocks belong, if they are right in the order of their entry numbers.

    Each block has its leaves, their entry numbers and the root that it should give. What is returned says for each
    place, counted through all blocks, which leaf belongs there. That numbers rise is only what is tried: that the roots
    come out right is what shows it.
    """
    leaves = [leaf for block, _, _ in blocks for leaf in block]
    numbers = [number for _, block, _ in blocks for number in block]
    order = sorted(range(len(leaves)), key=lambda at: numbers[at])
    at = 0
    for block, _, root in blocks:
        tree = Tree()
        tree.extend(leaves[place] for place in order[at : at + len(block)])
        if tree.root() != root:
            return None
        at += len(block)
    return order

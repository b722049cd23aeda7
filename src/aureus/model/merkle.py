"""The Merkle tree of a tenant's ledger, as RFC 6962 section 2.1 (and RFC 9162, which keeps the hashing) defines it.

    leaf = SHA-256(0x00 ‖ entry)      node = SHA-256(0x01 ‖ left ‖ right)      root of no leaves = SHA-256()

A `Tree` is all that extending needs: the roots of the complete subtrees that the binary digits of its size name, at
most 64 hashes. A proof needs hashes further down. Of the complete subtrees those of every eighth level are kept (256
leaves, 65,536 and so on); whatever lies between is computed from at most 256 hashes of the level below, so that one
proof reads at most two blocks of 256 hashes a level: `inclusion_spans` and `consistency_spans` say which.

Verifying is strict: a proof with one hash too many or too few proves nothing, and neither does one that begins at an
empty tree. Hashes of leaves are made by `aureus.model.leaf`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from aureus.errors import IntegrityFailure, Invalid

HASH_BYTES = 32
"""Bytes of a hash: SHA-256."""

SIZE_MAX = 2**63 - 1
"""Leaves of a tree: what a signed 64-bit column counts."""

TILE_LEVELS = 8
"""Levels of the tree between two that are kept."""

TILE_WIDTH = 1 << TILE_LEVELS
"""Hashes of one kept level that lie below one hash of the next."""

Subtrees = Callable[[int, int], bytes]
"""Gives the root of a complete subtree by its level and index: level 0 are leaf hashes, level 8 the roots of 256."""


@dataclass(frozen=True, slots=True)
class Node:
    """The root of a complete subtree: it covers the leaves from ``index << level`` on, ``1 << level`` of them."""

    level: int
    index: int
    hash: bytes


class Span(NamedTuple):
    """Hashes of a kept level that lie side by side: from ``first`` up to, and without, ``end``."""

    level: int
    first: int
    end: int


class Tree:
    """The state of a tree that grows at its right end: its size and its peaks."""

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[bytes] = []

    @classmethod
    def from_bytes(cls, size: int, peaks: bytes) -> Tree:
        """Return the tree that `to_bytes` was called on. Raises ``IntegrityFailure`` when size and peaks disagree."""
        if not 0 <= size <= SIZE_MAX or len(peaks) != size.bit_count() * HASH_BYTES:
            raise IntegrityFailure(
                f"a tree of {size} leaves cannot have {len(peaks)} bytes of peaks: its state was changed",
                size=size,
            )
        tree = cls()
        tree._size = size
        tree._peaks = [peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES)]
        return tree

    def to_bytes(self) -> bytes:
        """Return the peaks one behind the other; with the size they are the whole state."""
        return b"".join(self._peaks)

    def copy(self) -> Tree:
        """Return a tree of its own with the same leaves."""
        tree = Tree()
        tree._size = self._size
        tree._peaks = list(self._peaks)
        return tree

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        """The roots of the largest complete subtrees from left to right: one for each 1 in the size, largest first."""
        return tuple(self._peaks)

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return _folded(self._peaks) if self._peaks else empty_root()

    def append(self, leaf_hash: bytes) -> list[Node]:
        """Add one leaf; see `extend`."""
        return self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> list[Node]:
        """Add leaves and return the roots of the subtrees of kept levels that they complete, lowest level first.

        One hash for each leaf, made level by level: a million leaves take about a second. Raises ``Invalid`` for a
        leaf that is no hash, and leaves the tree as it was.
        """
        rising = list(leaf_hashes)
        if not set(map(len, rising)) <= {HASH_BYTES}:
            raise Invalid(f"a leaf hash has {HASH_BYTES} bytes; one of these has not")
        old, level = self._size, 0
        kept: list[Node] = []
        new_peaks: list[bytes] = []
        self._size += len(rising)
        while rising:
            if level and level % TILE_LEVELS == 0:
                first = old >> level
                kept.extend(Node(level, first + at, root) for at, root in enumerate(rising))
            if old >> level & 1:
                rising.insert(0, self._peaks.pop())
            if len(rising) & 1:
                new_peaks.append(rising.pop())
            pairs = iter(rising)
            rising = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(pairs, pairs, strict=True)
            ]
            level += 1
        self._peaks.extend(reversed(new_peaks))
        return kept


def empty_root() -> bytes:
    """Return the root of a tree without leaves."""
    return sha256().digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def inclusion_proof(index: int, size: int, subtrees: Subtrees) -> list[bytes]:
    """Return what leads from the leaf at ``index`` to the root of the first ``size`` leaves, from the leaf upwards.

    Raises ``Invalid`` when there is no such leaf.
    """
    return [_range_root(first, end, subtrees) for first, end in _inclusion_ranges(index, size)]


def consistency_proof(old_size: int, new_size: int, subtrees: Subtrees) -> list[bytes]:
    """Return what shows that the tree of ``new_size`` leaves begins with that of ``old_size``.

    The proof between equal sizes is empty. Raises ``Invalid`` for sizes that nothing can be proved between; that
    every tree begins with the empty one says nothing about a tree, so it is no proof either.
    """
    return [
        _range_root(first, end, subtrees) for first, end in _consistency_ranges(old_size, new_size)
    ]


def root_at(size: int, subtrees: Subtrees) -> bytes:
    """Return the root over the first ``size`` leaves. Raises ``Invalid`` for a size that no tree has."""
    _check_size(size)
    return _range_root(0, size, subtrees) if size else empty_root()


def root_spans(size: int) -> list[Span]:
    """Return which kept hashes `root_at` needs: at most one span a level, of at most 256 hashes."""
    _check_size(size)
    return _spans([(0, size)], size) if size else []


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Return which kept hashes `inclusion_proof` needs: at most two spans a level, of at most 256 hashes each."""
    return _spans(_inclusion_ranges(index, size), size)


def consistency_spans(old_size: int, new_size: int) -> list[Span]:
    """Return which kept hashes `consistency_proof` needs: at most two spans a level, of at most 256 each."""
    return _spans(_consistency_ranges(old_size, new_size), new_size)


def peak_spans(size: int, within: int) -> list[Span]:
    """Return which kept hashes of a tree `tree_of` needs for its first leaves: one span a level, of at most 256."""
    return _spans([(0, size)] if size else [], within)


def tree_of(size: int, subtrees: Subtrees) -> Tree:
    """Return the tree of the first leaves of one that grew on. Raises ``Invalid`` for a size that is none."""
    if not 0 <= size <= SIZE_MAX:
        raise Invalid(f"no tree has {size} leaves", size=size)
    peaks = [subtrees(level, index) for level, index in _complete_subtrees(0, size)]
    return Tree.from_bytes(size, b"".join(peaks))


def subtrees_of(hashes: Mapping[tuple[int, int], bytes]) -> Subtrees:
    """Return the subtrees that follow from hashes of kept levels, by level and index, as the spans asked for them.

    What it returns raises ``IntegrityFailure`` when a hash that it needs is not there.
    """

    def root_of(level: int, index: int) -> bytes:
        kept = level - level % TILE_LEVELS
        width = 1 << (level - kept)
        try:
            row = [hashes[kept, at] for at in range(index * width, (index + 1) * width)]
        except KeyError as error:
            missing_level, missing = error.args[0]
            raise IntegrityFailure(
                f"the hash at level {missing_level}, index {missing} of the tree is not there; "
                "without it nothing can be proved about its leaves",
                level=missing_level,
                index=missing,
            ) from None
        while len(row) > 1:
            pairs = iter(row)
            row = [node_hash(left, right) for left, right in zip(pairs, pairs, strict=True)]
        return row[0]

    return root_of


def verify_inclusion(
    leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Return whether the leaf is the one at ``index`` among the ``size`` under the root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes([leaf_hash, root, *proof]):
        return False
    at, last, reached = index, size - 1, leaf_hash
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            reached = node_hash(sibling, reached)
            lone = _lone_levels(at)
            at, last = at >> lone, last >> lone
        else:
            reached = node_hash(reached, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and reached == root


def verify_consistency(
    old_size: int, new_size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> bool:
    """Return whether the tree under the new root begins with the one under the old root (RFC 9162, 2.1.4.2).

    False for an old size of 0: the empty tree is the beginning of every tree, and proves nothing.
    """
    if not 0 < old_size <= new_size or not _are_hashes([old_root, new_root, *proof]):
        return False
    if old_size == new_size:
        return not proof and old_root == new_root
    path = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not path:
        return False
    whole = (
        old_size ^ (old_size - 1)
    ).bit_length() - 1  # levels of the complete subtree at the end of the old tree
    at, last = (old_size - 1) >> whole, (new_size - 1) >> whole
    old_reached = new_reached = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            old_reached = node_hash(sibling, old_reached)
            new_reached = node_hash(sibling, new_reached)
            lone = _lone_levels(at)
            at, last = at >> lone, last >> lone
        else:
            new_reached = node_hash(new_reached, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and old_reached == old_root and new_reached == new_root


def _lone_levels(at: int) -> int:
    """Return through how many levels a node at the right border is carried up without a sibling."""
    return (at & -at).bit_length() - 1 if at else 0


def _are_hashes(values: Iterable[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)


def _folded(peaks: Sequence[bytes]) -> bytes:
    """Return the root over complete subtrees from left to right: a lone one is carried up, never doubled."""
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def _check_size(size: int) -> None:
    if not 0 <= size <= SIZE_MAX:
        raise Invalid(f"there is no tree of {size} leaves", size=size)


def _inclusion_ranges(index: int, size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots make the proof: RFC 6962, section 2.1.1, without the recursion."""
    if not 0 <= index < size <= SIZE_MAX:
        raise Invalid(f"there is no leaf {index} in a tree of {size}", index=index, size=size)
    first, end = 0, size
    ranges: list[tuple[int, int]] = []
    while end - first > 1:
        middle = first + _left_width(end - first)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((first, middle))
            first = middle
    return ranges[::-1]


def _consistency_ranges(old_size: int, new_size: int) -> list[tuple[int, int]]:
    """Return the ranges of leaves whose roots make the proof: RFC 6962, section 2.1.2, without the recursion."""
    if not 0 < old_size <= new_size <= SIZE_MAX:
        raise Invalid(
            f"nothing can be proved from a tree of {old_size} leaves to one of {new_size}: "
            "the first needs at least one leaf, and the second no fewer than the first",
            old_size=old_size,
            new_size=new_size,
        )
    first, end = 0, new_size
    ranges: list[tuple[int, int]] = []
    while old_size != end:
        middle = first + _left_width(end - first)
        if old_size <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((first, middle))
            first = middle
    if first:
        ranges.append((first, end))
    return ranges[::-1]


def _left_width(width: int) -> int:
    """Return the largest power of two below the width of a range of at least two leaves."""
    return 1 << (width - 1).bit_length() - 1


def _complete_subtrees(first: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield level and index of the complete subtrees of a range that begins at one, from left to right."""
    while first < end:
        level = (end - first).bit_length() - 1
        yield level, first >> level
        first += 1 << level


def _range_root(first: int, end: int, subtrees: Subtrees) -> bytes:
    return _folded([subtrees(level, index) for level, index in _complete_subtrees(first, end)])


def _spans(ranges: Iterable[tuple[int, int]], size: int) -> list[Span]:
    """Return the tiles below the subtrees of the ranges, whole but for what the tree does not complete yet."""
    tiles: set[tuple[int, int]] = set()
    for first, end in ranges:
        for level, index in _complete_subtrees(first, end):
            kept = level - level % TILE_LEVELS
            tiles.add((kept, index << (level - kept) >> TILE_LEVELS))
    return [
        Span(level, tile * TILE_WIDTH, min((tile + 1) * TILE_WIDTH, size >> level))
        for level, tile in sorted(tiles)
    ]

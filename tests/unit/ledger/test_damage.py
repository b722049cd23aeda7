"""What is tried out on a damaged block is the tree of RFC 6962, at whatever size the block has."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.ledger.damage import Block, find_extra, find_swap, is_shifted
from aureus.model.merkle import Tree

patient = settings(deadline=None)
"""Machines are crowded at times; nothing here is about speed."""

LEAVES = [sha256(bytes([number])).digest() for number in range(256)]


def root_of(leaves: list[bytes]) -> bytes:
    tree = Tree()
    tree.extend(leaves)
    return tree.root()


@patient
@given(st.integers(1, 256), st.data())
def test_other_leaves_give_the_root_of_a_tree_with_them(size: int, data: st.DataObject) -> None:
    block, leaves = Block(LEAVES[:size]), LEAVES[:size]
    places = st.integers(0, size - 1)
    changes = data.draw(st.dictionaries(places, st.binary(min_size=32, max_size=32), min_size=1))
    for at, leaf in changes.items():
        leaves[at] = leaf
    assert block.root_with(changes) == root_of(leaves)
    at, leaf = next(iter(changes.items()))
    assert block.root_with_one(at, leaf) == block.root_with({at: leaf})


@patient
@given(st.integers(2, 256), st.data())
def test_two_exchanged_leaves_give_the_root_of_that_tree(size: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(1, size - 1))
    left = data.draw(st.integers(0, right - 1))
    leaves = LEAVES[:size]
    leaves[left], leaves[right] = leaves[right], leaves[left]
    assert Block(LEAVES[:size]).root_with_swapped(left, right) == root_of(leaves)


def test_nothing_is_found_where_nothing_explains_it() -> None:
    assert find_swap(Block(LEAVES[:20]), bytes(32)) is None
    assert find_extra(LEAVES[:20], LEAVES[20], bytes(32)) is None
    assert not is_shifted(LEAVES[0], LEAVES[1:20], bytes(32))

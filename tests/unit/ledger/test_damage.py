"""What is tried out on a damaged block is the tree of RFC 6962, at whatever size the block has."""

from __future__ import annotations

from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.ledger.damage import Block, find_extra, find_hole, find_order, find_swap, is_shifted
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
    assert not is_shifted(LEAVES[:1], LEAVES[1:20], bytes(32))


@patient
@given(st.integers(1, 255), st.data())
def test_leaves_that_are_gone_are_told_to_a_subtree(size: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, size - 1))
    count = data.draw(st.integers(1, min(3, size - at)))
    tree = Tree()
    tree.extend(LEAVES[:size])
    left = [*LEAVES[:at], *LEAVES[at + count : size]]
    hole = find_hole(left, tree.to_bytes(), size)
    assert hole is not None
    assert hole.first <= at < hole.end
    assert not (hole.is_certain and at + count == size), "the last ones are gone: nothing moved up"
    assert find_hole(LEAVES[:size], tree.to_bytes(), size) is None


@patient
@given(st.integers(1, 200), st.permutations(range(40)), st.integers(1, 39))
def test_any_order_is_found_where_numbers_rise(first: int, order: list[int], split: int) -> None:
    leaves, parts = LEAVES[first : first + 40], ((0, split), (split, 40))
    blocks = [
        (
            [leaves[at] for at in order[low:high]],
            [7 * at for at in order[low:high]],
            root_of(leaves[low:high]),
        )
        for low, high in parts
    ]
    found = find_order(blocks)
    assert found is not None
    assert [order[place] for place in found] == list(range(40))
    assert find_order([(leaves, list(range(40)), bytes(32))]) is None

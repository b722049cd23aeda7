"""The leaf of the anchor log keeps its bytes, and says everything that it is made of."""

from __future__ import annotations

from aureus.model.anchors import anchor_leaf


def test_a_leaf_is_made_as_the_format_says() -> None:
    assert anchor_leaf("ab", 1, 258, bytes(32)).hex() == (
        "922fffd97838f035e25999f185af239f614d90937be0ae634ad419f5d7b370f0"
    )


def test_whatever_differs_gives_another_leaf() -> None:
    leaves = {
        anchor_leaf(key, incarnation, size, root)
        for key in ("a", "ab")
        for incarnation in (1, 2)
        for size in (1, 2)
        for root in (bytes(32), bytes([1] * 32))
    }
    assert len(leaves) == 16

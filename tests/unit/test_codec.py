"""Values that are to become JSON: the quick look and the one that names the place refuse the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus import codec
from aureus.errors import Invalid, LimitExceeded

ODD = st.sampled_from(
    [2**63, -(2**63), -(2**63) - 1, float("nan"), float("inf"), "a\x00b", "\ud800", b"x", {1}, object(), "🦀é"]
)  # fmt: skip
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | ODD
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=12,
)  # fmt: skip


def nested(depth: int) -> Any:
    """Return a value with so many levels."""
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


@given(VALUES)
def test_the_quick_look_refuses_what_the_exact_one_refuses(value: Any) -> None:
    assert refusal(lambda: codec.check(value)) == refusal(lambda: codec._check(value, "value", 0))
    assert codec._is_sound(value, 0) == (refusal(lambda: codec.check(value)) is None)


def refusal(look: Callable[[], None]) -> str | None:
    """Return with which words a look refuses a value; None when it lets it through."""
    try:
        look()
    except (Invalid, LimitExceeded) as error:
        return f"{type(error).__name__}: {error}"
    return None


def test_levels_are_counted_alike() -> None:
    codec.check(nested(codec.JSON_DEPTH_MAX))
    with pytest.raises(LimitExceeded, match="nested deeper than 64 levels"):
        codec.check(nested(codec.JSON_DEPTH_MAX + 1))
    with pytest.raises(LimitExceeded) as caught:
        codec.check({"k" * 1_000: nested(10_000)}, "state")
    assert len(caught.value.message) < 300, "the path is shown without its middle"
    assert caught.value.message.startswith("state.kkk")
    assert codec._is_sound(nested(codec.JSON_DEPTH_MAX), 0)
    assert not codec._is_sound(nested(codec.JSON_DEPTH_MAX + 1), 0)

"""Differences of JSON values: exact, bounded, and the same every time."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.model.differences import (
    ABSENT,
    DIFFERENCES_MAX,
    Difference,
    DifferenceKind,
    apply_differences,
    differences,
    resolve,
)

KEYS = st.sampled_from(["", "a", "b", "a/b", "m~n", "~1", "0", "1", "ä"])

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
)

JSON = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=5) | st.dictionaries(KEYS, below, max_size=5),
    max_leaves=25,
)

VALUES = JSON | st.just(ABSENT)


def text_of(value: Any) -> str:
    """Return what tells two values apart: their JSON, with keys in one order."""
    return "absent" if value is ABSENT else json.dumps(value, sort_keys=True)


@given(VALUES, VALUES, st.integers(1, 12))
def test_differences_applied_to_the_one_value_make_the_other(
    before: Any, after: Any, places_max: int
) -> None:
    unchanged = text_of(before)
    for found in (differences(before, after), differences(before, after, places_max=places_max)):
        assert text_of(apply_differences(found, before)) == text_of(after)
        assert (not found) == (text_of(before) == text_of(after))
    assert len(differences(before, after, places_max=places_max)) <= places_max
    assert text_of(before) == unchanged


@given(VALUES, VALUES)
def test_every_pointer_leads_to_the_value_that_it_tells(before: Any, after: Any) -> None:
    found = differences(before, after)
    assert len({one.pointer for one in found}) == len(found)
    for one in found:
        assert text_of(resolve(one.pointer, before)) == text_of(one.before)
        assert text_of(resolve(one.pointer, after)) == text_of(one.after)
        kinds = {
            (True, False): DifferenceKind.ADDED,
            (False, True): DifferenceKind.REMOVED,
            (False, False): DifferenceKind.CHANGED,
        }
        assert one.kind is kinds[one.before is ABSENT, one.after is ABSENT]


@given(st.dictionaries(KEYS, JSON, max_size=6), JSON)
def test_the_order_of_keys_makes_no_difference(value: dict[str, Any], other: Any) -> None:
    turned = dict(reversed(value.items()))
    assert differences(value, turned) == ()
    assert differences(value, other) == differences(turned, other)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (ABSENT, ABSENT, []),
        (None, None, []),
        (ABSENT, None, [("added", "")]),
        (None, ABSENT, [("removed", "")]),
        (ABSENT, {"a": 1}, [("added", "")]),
        ({"a": 1}, None, [("changed", "")]),
        ({"a": None}, {}, [("removed", "/a")]),
        ({}, {"a": None}, [("added", "/a")]),
        ({"a": 1}, {"a": True}, [("changed", "/a")]),
        ({"a": 1}, {"a": 1.0}, [("changed", "/a")]),
        ({"a": 0.0}, {"a": -0.0}, [("changed", "/a")]),
        ({"a": 0}, {"a": False}, [("changed", "/a")]),
        ({"a": ""}, {"a": None}, [("changed", "/a")]),
        ({"a": []}, {"a": {}}, [("changed", "/a")]),
        ([1, 2, 3], [1, 9], [("changed", "/1"), ("removed", "/2")]),
        ([1], [1, 2, [3]], [("added", "/1"), ("added", "/2")]),
        ((1, 2), [1, 2], []),
        ({"a/b": {"~": 1}}, {"a/b": {"~": 2}}, [("changed", "/a~1b/~0")]),
        (
            {"b": {"x": 1, "y": 2}, "a": 1},
            {"b": {"y": 3, "z": 1}, "c": 1},
            [("removed", "/a"), ("removed", "/b/x"), ("changed", "/b/y"), ("added", "/b/z"), ("added", "/c")],
        ),
    ],
)  # fmt: skip
def test_places_are_told_by_pointer(before: Any, after: Any, told: list[tuple[str, str]]) -> None:
    assert [(one.kind.value, one.pointer) for one in differences(before, after)] == told


def test_too_many_places_are_told_as_one_where_most_of_them_are() -> None:
    before = {
        "few": {"a": 1, "b": 2},
        "many": {str(n): n for n in range(50)},
        "wide": list(range(5)),
    }
    after = {"few": {"a": 2, "b": 3}, "many": {str(n): -n - 1 for n in range(50)}, "wide": [0] * 5}
    assert len(differences(before, after)) == 2 + 50 + 4
    few = differences(before, after, places_max=10)
    assert [one.pointer for one in few] == [
        "/few/a",
        "/few/b",
        "/many",
        "/wide/1",
        "/wide/2",
        "/wide/3",
        "/wide/4",
    ]
    assert [one.pointer for one in differences(before, after, places_max=3)] == [
        "/few",
        "/many",
        "/wide",
    ]
    assert [one.pointer for one in differences(before, after, places_max=2)] == [""]
    bound = differences(list(range(DIFFERENCES_MAX + 1)), [-1] * (DIFFERENCES_MAX + 1))
    assert [one.pointer for one in bound] == [""]


def test_a_difference_shows_what_is_there() -> None:
    added = Difference(DifferenceKind.ADDED, "/a", ABSENT, None)
    assert added.to_dict() == {"kind": "added", "pointer": "/a", "after": None}
    assert (repr(ABSENT), bool(ABSENT)) == ("ABSENT", False)
    assert resolve("/a/0/x", {"a": [1]}) is ABSENT

"""What a state contains, what names may be, and the streams of sessions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.errors import Invalid
from aureus.model.sessions import check_collection, contains, has_facet, stream_of

SCALARS = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 0.5, "a", ""])
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
)


@given(VALUES)
def test_a_value_contains_itself_and_every_part_of_it(value: Any) -> None:
    assert contains(value, value)
    if isinstance(value, dict):
        assert all(contains(value, {key: value[key]}) for key in value)
        assert contains(value, {})
    if isinstance(value, list):
        assert contains(value, value[::-1][:2])


@given(VALUES, VALUES, VALUES)
def test_containing_carries_over(one: Any, other: Any, third: Any) -> None:
    if contains(one, other) and contains(other, third):
        assert contains(one, third)


@given(VALUES, VALUES)
def test_what_is_contained_has_no_value_that_is_not_there(value: Any, wanted: Any) -> None:
    if contains(value, wanted):
        assert scalars(wanted) <= scalars(value)


def scalars(value: Any) -> set[tuple[bool, Any]]:
    """Return the single values of a value; truth apart from numbers."""
    if isinstance(value, dict):
        return {found for item in value.values() for found in scalars(item)}
    if isinstance(value, list):
        return {found for item in value for found in scalars(item)}
    return {(isinstance(value, bool), value)}


@given(VALUES)
def test_a_value_has_a_facet_when_it_has_a_single_value(value: Any) -> None:
    assert has_facet(value) == bool(scalars(value))


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (True, 1),
        (0, False),
        ("1", 1),
        ({"a": 1}, {"b": 1}),
        ([1], {}),
        ({}, []),
        (None, 0),
        ([1], 1),
    ],
)
def test_what_is_not_contained(value: Any, wanted: Any) -> None:
    assert not contains(value, wanted)


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.text(min_size=1))
def test_no_two_sessions_share_a_stream(a: str, b: str, c: str, d: str) -> None:
    same = stream_of("sessions", a, b) == stream_of("sessions", c, d)
    assert same == ((a, b) == (c, d))


def test_streams_are_named_after_collection_agent_and_session() -> None:
    assert stream_of("sessions", "planner", "s1") == "sessions/planner/s1"
    assert stream_of("coach", "a/b", "50%") == "sessions:coach/a%2Fb/50%25"
    assert stream_of("coach", "planner") == "sessions:coach/planner"


def test_a_collection_has_the_name_of_an_identifier() -> None:
    for name in ("coach", "_a", "agent-states", "A1", "x" * 63):
        assert check_collection(name) == name
    for name in ("", "1a", "a b", "a;", 'a"', "a\n", "ä", "x" * 64):
        with pytest.raises(Invalid):
            check_collection(name)

"""The rule by which parts of a profile are merged."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aureus.model.profiles import merged

KEYS = st.dictionaries(st.text(max_size=3), st.none() | st.integers(0, 3) | st.lists(st.none()))
SECTIONS = st.dictionaries(st.text(max_size=2), KEYS, max_size=4)


def test_a_key_is_replaced_as_a_whole_and_none_removes_it() -> None:
    before: dict[str, dict[str, Any]] = {
        "goals": {"run": {"km": 42, "by": "May"}, "swim": 1},
        "pets": {"dog": "Bo"},
    }
    changes: dict[str, dict[str, Any]] = {
        "goals": {"run": {"km": 10}, "swim": None, "nap": {"min": None}},
        "pets": {"dog": None},
    }
    assert merged(before, changes) == {"goals": {"nap": {"min": None}, "run": {"km": 10}}}


@given(before=SECTIONS, changes=SECTIONS)
def test_after_a_merge_every_key_is_as_the_changes_say_or_as_before(
    before: dict[str, dict[str, Any]], changes: dict[str, dict[str, Any]]
) -> None:
    after = merged(before, changes)
    for name in {*before, *changes}:
        for key in {*before.get(name, {}), *changes.get(name, {})}:
            last = changes if key in changes.get(name, {}) else before
            assert after.get(name, {}).get(key) == last[name][key]
    assert merged(after, changes) == after
    assert all(after.values())
    assert list(after) == sorted(after)
    assert all(list(keys) == sorted(keys) and None not in keys.values() for keys in after.values())


@given(before=SECTIONS, one=SECTIONS, other=SECTIONS)
def test_merges_of_different_keys_may_come_in_any_order(
    before: dict[str, dict[str, Any]],
    one: dict[str, dict[str, Any]],
    other: dict[str, dict[str, Any]],
) -> None:
    apart = {
        name: {key: value for key, value in keys.items() if key not in one.get(name, {})}
        for name, keys in other.items()
    }
    assert merged(merged(before, one), apart) == merged(merged(before, apart), one)

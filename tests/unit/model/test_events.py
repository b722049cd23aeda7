"""Rules about events that need no database: what is expected, what is looked for, and by which index."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus import ANY, EXISTS, NO_STREAM
from aureus.codec import decode, encode
from aureus.errors import Invalid
from aureus.model.appends import conflict_with, number_of_expected
from aureus.model.event_filters import Wanted
from aureus.model.events import ExpectedVersion
from aureus.stores.events.stating import WORDS_MAX, words_json

CLEAN = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)


@given(st.one_of(st.sampled_from([ANY, NO_STREAM, EXISTS]), st.integers(0, 4)), st.integers(0, 4))
def test_an_expectation_is_broken_by_exactly_the_other_versions(
    expected: ExpectedVersion, actual: int
) -> None:
    fits = expected == actual
    if not isinstance(expected, int):
        fits = {ANY: True, NO_STREAM: actual == 0, EXISTS: actual > 0}[expected]
    conflict = conflict_with("s", expected, actual)
    assert (conflict is None) is fits
    if conflict is not None:
        assert conflict.actual_version == actual
        assert f"version {actual}" in str(conflict)


def test_what_is_no_expectation_is_refused() -> None:
    for wrong in (None, True, -1, 2**63, 1.0, "any"):
        with pytest.raises(Invalid):
            number_of_expected(wrong)  # type: ignore[arg-type]  # refused for it
    assert [number_of_expected(some) for some in (ANY, NO_STREAM, EXISTS, 7)] == [-1, 0, -2, 7]


@given(CLEAN, CLEAN, CLEAN)
def test_words_are_found_in_the_bytes_of_any_payload_that_has_them(
    before: str, text: str, behind: str
) -> None:
    words = text.split()
    if not words or len(set(words)) > WORDS_MAX:
        return
    stored = encode({"k": [before + text + behind]}).lower().decode()
    assert all(word in stored for word in decode(words_json(text)))


def test_the_narrowest_filter_with_an_index_finds_events() -> None:
    since = datetime(2026, 1, 1, tzinfo=UTC)
    cases = [
        (Wanted(), "all", True),
        (Wanted(actor="a"), "all", False),
        (Wanted(since=since), "all", False),
        (Wanted(type="t"), "type", True),
        (Wanted(category="c"), "category", True),
        (Wanted(type="t", category="c"), "type", False),
        (Wanted(stream="s"), "stream", True),
        (Wanted(stream="s", type="t"), "stream", False),
    ]
    assert [(one.index, one.is_served) for one, _, _ in cases] == [case[1:] for case in cases]

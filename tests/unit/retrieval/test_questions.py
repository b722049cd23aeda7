"""What a text asks for: the forms of web searches, and any text whatever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.retrieval.questions import Question, all_words, any_word, web

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=60)


def matches(query: str, text: str) -> bool:
    return web(query, "english").is_answered_by(text, "english")


@pytest.mark.parametrize(
    ("query", "yes", "no"),
    [
        ("tide moon", "the moon moves the tides", "the moon"),
        ("the tide", "tides rise", "the moon"),
        ('"spring tide"', "a spring tide came", "tide in spring"),
        ('"spring tide" -moon', "Spring tides!", "spring tides and the moon"),
        ('tide -"full moon"', "tide, moon full", "tide at full moon"),
        ("tide OR ebb OR flow sea", "the sea ebbs", "tide and ebb"),
        ('"low tide" OR ebb', "low tides", "tide, low"),
        ("e-mail", "an e mail came", "mail e"),
        ("OR tide", "tide", "or"),
        ("tide OR", "tide", "or"),
        ("tide OR -moon", "tide", "tide moon"),
        ('"tide', "tide", "moon"),
        ('"to be or not to be"', "To be, or not to be: that", "to be or not"),
        ("the of", "of the", "the"),
    ],
)
def test_a_web_search_means_what_people_expect(query: str, yes: str, no: str) -> None:
    assert matches(query, yes)
    assert not matches(query, no)


def test_what_must_be_there_is_known_before_texts_are_read() -> None:
    question = web('"spring tide" sea OR "high water" -moon -"full moon"', "english")
    assert question.groups() == (("spring",), ("tide",), ("sea", "water"))
    assert question.excluded() == ("moon",)
    assert question.terms == ("spring", "tide", "sea", "high", "water")
    assert question.needs_text
    assert not web("sea -moon", "english").needs_text


def test_nothing_is_ranked_by_words_that_are_not_wanted() -> None:
    assert web("-moon", "english") == Question((), (), (("moon",),))
    assert web("", "english") == Question(())


@given(TEXTS, TEXTS)
def test_no_text_is_wrong(query: str, text: str) -> None:
    question = web(query, "english")
    if question.is_answered_by(text, "english"):
        terms = set(any_word(text, "none").terms) or {""}
        assert terms
    every = all_words(query, "english")
    assert set(any_word(query, "english").terms) == set(every.terms)
    assert every.is_answered_by(query, "english")


@given(TEXTS)
def test_groups_and_exclusions_follow_from_what_is_wanted(text: str) -> None:
    question = web(text, "english")
    for group in question.groups():
        assert any(
            any(term in phrase for term in group) for wanted in question.wanted for phrase in wanted
        )
    assert all((term,) in question.unwanted for term in question.excluded())

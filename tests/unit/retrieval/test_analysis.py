"""Text becomes terms: forms of one word meet, any text has terms, and nothing but words is left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.codec import decode
from aureus.errors import Invalid
from aureus.retrieval.analysis import (
    TERM_CHARACTERS_MAX,
    analyze,
    label,
    languages,
    question_terms,
    terms_in,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Running", "runs"),
        ("preferences", "PREFERENCE"),
        ("café", "cafe"),
        ("cafe\u0301", "CAFÉ"),
        ("straße", "STRASSE"),
        ("\uff21\uff22\uff23", "abc"),
        ("the user\u2019s", "the user's"),
        ("ﬁle", "files"),
    ],
)
def test_forms_of_one_word_give_one_term(one: str, other: str) -> None:
    assert terms_in(one) == terms_in(other)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("… --- !!! '' \u2003", []),
        ("run_id=7, e-mail", ["run", "id", "7", "e", "mail"]),
        ("version 3.11.7 of 192.168.0.1.", ["version", "3.11.7", "of", "192.168.0.1"]),
        ("東京都に行く", ["東京", "京都", "都に", "に行", "行く"]),
        ("GPT4は猫 x猫y", ["gpt4", "は猫", "x", "猫", "y"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("a" * 200, ["a" * TERM_CHARACTERS_MAX]),
    ],
)
def test_words_are_cut_where_they_end(text: str, terms: list[str]) -> None:
    assert terms_in(text) == terms


def test_a_language_has_its_own_stems() -> None:
    assert terms_in("Häuser Haus", "german") == ["haus", "haus"]
    assert terms_in("running runs", "none") == ["running", "runs"]
    assert {"english", "german", "french", "none"} <= set(languages())
    with pytest.raises(Invalid, match="klingon"):
        analyze("x", "klingon")


def test_a_question_is_ranked_without_its_stop_words_while_it_has_others() -> None:
    assert question_terms("What did the user's dog eat? Dogs!") == ["user", "dog", "eat"]
    assert question_terms("Who is it?") == ["who", "is", "it"]
    assert question_terms("wer ist der Hund", "german") == ["wer", "ist", "der", "hund"]


def test_counts_lengths_and_labels_are_kept_as_json() -> None:
    labels = [label("agent", "planner"), label("tag", "a=b")]
    terms = analyze("tide, tides and the moon", labels=labels)
    assert (terms.counts, terms.length) == ({"tide": 2, "and": 1, "the": 1, "moon": 1}, 5)
    assert decode(terms.encoded()) == {
        "tide": 2, "and": 1, "the": 1, "moon": 1, "=agent=planner": 0, "=tag=a=b": 0,
    }  # fmt: skip


@given(TEXTS)
def test_any_text_has_terms_that_are_words_of_bounded_length(text: str) -> None:
    terms = analyze(text)
    assert sum(terms.counts.values()) == terms.length
    assert all(term and len(term) <= 3 * TERM_CHARACTERS_MAX for term in terms.counts)
    assert not any(term.startswith("=") or " " in term or "\x00" in term for term in terms.counts)
    assert decode(terms.encoded()) == dict(terms.counts)


@given(TEXTS)
def test_case_makes_no_difference(text: str) -> None:
    assert terms_in(text.casefold(), "none") == terms_in(text, "none")


def test_threads_do_not_share_a_stemmer() -> None:
    words = [
        f"{stem}{ending}" for stem in ("walk", "talk", "work") for ending in ("ing", "ed", "s")
    ]
    text = " ".join(words * 300)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(terms_in, [text] * 40))
    assert all(
        answer == ["walk"] * 3 + ["talk"] * 3 + ["work"] * 3
        for answer in ([a[:9] for a in answers])
    )

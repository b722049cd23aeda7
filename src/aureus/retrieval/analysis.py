"""Text becomes terms: the same words, in whatever form, give the same terms on every engine and machine.

Letters are folded (case, width, accents), words are cut at everything that is neither letter nor digit, and stemmed by
the Snowball algorithm of their language. Scripts that write no spaces are cut into overlapping pairs of characters.
Stored terms and the terms of a question must come from the same rules: ``ANALYSIS_VERSION`` rises with any change.

Weak spots: there are no synonyms, compounds are not taken apart, and a text is of one language.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from aureus.codec import check_text, encode_made
from aureus.errors import Invalid
from aureus.retrieval.stop_words import STOP_WORDS

ANALYSIS_VERSION = 1
"""Names these rules; an index that was made under other ones has to be made anew."""

TERM_CHARACTERS_MAX = 64
"""Characters of a term: what is longer is no word, and is found by its beginning."""

UNSTEMMED = "none"
"""The language of texts whose words are kept as they are, such as names and codes."""

LABEL_MARK = "="
"""Begins a label; no word can."""

_MARKS = "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff\u200d"
"""Signs inside the words of scripts that write vowels around letters; Python counts them as no part of a word."""

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese."""

_WORD = re.compile(r"\d+(?:\.\d+)+|[^\W_]+(?:'[^\W_]+)*")
_ANY_WORD = re.compile(
    rf"(?P<unspaced>[{_UNSPACED}]+)"
    rf"|\d+(?:\.\d+)+"
    rf"|(?:(?![{_UNSPACED}])(?:[^\W_]|[{_MARKS}]))+(?:'(?:(?![{_UNSPACED}])(?:[^\W_]|[{_MARKS}]))+)*"
)
_ACCENTS = re.compile("[\u0300-\u036f]")
_APOSTROPHES = str.maketrans("\u2018\u2019\u02bc\uff07", "''''")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a text is found by: each term with its number of occurrences, and labels that are compared as a whole."""

    counts: Mapping[str, int]
    length: int
    """Words of the text, repeated ones counted again."""
    labels: tuple[str, ...] = field(default=())

    def encoded(self) -> str:
        """Return the JSON text that a text index keeps: an object of term and count; labels count 0."""
        return encode_made({**self.counts, **dict.fromkeys(self.labels, 0)})


def analyze(text: str, language: str = "english", *, labels: Iterable[str] = ()) -> Terms:
    """Return the terms of a text.

    ``language`` is one of ``languages()``; ``labels`` are made by ``label``. Raises ``Invalid`` for another language,
    and for text that a database cannot hold.
    """
    check_text(text, "text")
    counts = Counter(terms_in(text, language))
    return Terms(counts, counts.total(), tuple(labels))


def terms_in(text: str, language: str = "english") -> list[str]:
    """Return the terms of a text in their order, repeated ones too. Raises ``Invalid`` for an unknown language."""
    stem = _stemming(language)
    return [stem(word) for word in _words(text)]


def question_terms(text: str, language: str = "english") -> list[str]:
    """Return the distinct terms that a question is ranked by, in their order: its stop words only if it has no others.

    Raises ``Invalid`` for an unknown language.
    """
    stem = _stemming(language)
    words = list(_words(text))
    stop_words = STOP_WORDS.get(language, frozenset[str]())
    telling = [word for word in words if word not in stop_words]
    return list(dict.fromkeys(stem(word) for word in telling or words))


def label(name: str, value: str) -> str:
    """Return the label that says that a property has a value; it collides with no word and no other label."""
    return f"{LABEL_MARK}{name}={value}"


@cache
def languages() -> tuple[str, ...]:
    """Return the names of the languages whose words are stemmed, and ``none``."""
    return (*sorted(_snowball().algorithms()), UNSTEMMED)


def _words(text: str) -> Iterator[str]:
    """Yield the folded words of a text in their order, cut to their longest length."""
    if text.isascii():
        for found in _WORD.finditer(text.lower()):
            yield found[0][:TERM_CHARACTERS_MAX]
        return
    for found in _ANY_WORD.finditer(_folded(text)):
        if found["unspaced"]:
            yield from _pairs(found["unspaced"])
        else:
            yield found[0][:TERM_CHARACTERS_MAX]


def _folded(text: str) -> str:
    """Return text without differences of case, width, accents and forms of one character."""
    plain = text.translate(_APOSTROPHES)
    decomposed = unicodedata.normalize("NFKD", plain).casefold()
    return unicodedata.normalize("NFKC", _ACCENTS.sub("", decomposed)).casefold()


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for start in range(len(run) - 1):
        yield run[start : start + 2]


class _Stems(threading.local):
    """The stemmers of one thread: the library's objects may not be shared."""

    def __init__(self) -> None:
        self.by_language: dict[str, Callable[[str], str]] = {}


_stems = _Stems()


def _stemming(language: str) -> Callable[[str], str]:
    found = _stems.by_language.get(language)
    if found is None:
        found = _stems.by_language[language] = _make_stemming(language)
    return found


def _make_stemming(language: str) -> Callable[[str], str]:
    if language not in languages():
        raise Invalid(
            f"there are no rules for the words of {language!r}; there are those of {', '.join(languages())}",
            language=language,
        )
    if language == UNSTEMMED:
        return str
    stem: Callable[[str], str] = _snowball().Stemmer(language).stemWord
    return stem


def _snowball() -> Any:
    """Return the C library, which is imported with the first text."""
    import Stemmer  # type: ignore[import-not-found]  # it has no annotations

    return Stemmer  # pyright: ignore[reportUnknownVariableType] - as above

"""Texts made from nothing but this repository, as many as are wanted, questions for them, and the right answers.

The first half of each text is phrases of three to twelve words out of the project's own pages; the second half is
single words drawn by Zipf's law from a vocabulary of 60,000: the words of those pages, most frequent first, and then
made-up ones. A text has 20 to 110 words. Questions are phrases of five to ten words of the same pages, stop words and
all, and words by their rank of frequency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from aureus.retrieval import bm25
from aureus.retrieval.analysis import question_terms, terms_in
from aureus.stores.memories.stating import TEXT_CHARACTERS_MAX
from benchmarks.manual import read_manual

CHUNK: Final = 16_384
"""Texts that are made at once; four of them fill a segment."""
VOCABULARY: Final = 60_000
QUESTIONS: Final = 300
"""Questions of each kind."""

_SYLLABLES = [consonant + vowel for consonant in "bdklmr" for vowel in "aeiou"]

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Chunk:
    """Some texts, as numbers of words and of terms."""

    first: int
    """Number of its first text."""
    lengths: Numbers
    words: Numbers
    terms: Numbers

    @cached_property
    def occurrences(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return each pair of term and text within the chunk, by term and then text, and how often it occurs."""
        texts = np.repeat(np.arange(CHUNK), self.lengths)
        pairs, counts = np.unique(self.terms * CHUNK + texts, return_counts=True)
        return pairs // CHUNK, pairs % CHUNK, counts


class Texts:
    """The texts, made chunk by chunk of numbers of words, so that a million of them take a minute."""

    def __init__(self, pages: str | None = None) -> None:
        """Make them of the words of a text, in place of those of the pages as they are now."""
        self.pages = all_pages() if pages is None else pages
        written = self.pages.split()
        frequent = [word for word, _ in Counter(written).most_common()]
        known = {word: terms_in(word) for word in frequent}
        self.words = [word for word in frequent if len(known[word]) == 1]
        self.words += [_made_up(number) for number in range(VOCABULARY - len(self.words))]
        terms = [terms_in(word)[0] for word in self.words]
        self.terms = list(dict.fromkeys(terms))
        numbers = {term: number for number, term in enumerate(self.terms)}
        self._term_of = np.array([numbers[term] for term in terms])
        places = {word: number for number, word in enumerate(self.words)}
        self._page = np.array([places[word] for word in written if word in places])
        weights = 1 / np.arange(1, len(self.words) + 1)
        self._cumulated = np.cumsum(weights) / weights.sum()

    def chunk(self, number: int) -> Chunk:
        """Return the words of one chunk of texts."""
        source = np.random.default_rng([2026, number])
        lengths = source.integers(20, 111, CHUNK)
        total = int(lengths.sum())
        drawn = np.searchsorted(self._cumulated, source.random(total))
        starts = source.integers(0, len(self._page) - 12, total // 6)
        sizes = source.integers(3, 13, len(starts))
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        phrases = self._page[np.repeat(starts, sizes) + within]
        # The first half of each text is cut from the phrases, the rest is drawn.
        ends = np.cumsum(lengths)
        place = np.arange(total) - np.repeat(ends - lengths, lengths)
        is_phrase = 2 * place < np.repeat(lengths, lengths)
        words = np.where(is_phrase, np.resize(phrases, total), drawn)
        return Chunk(number * CHUNK, lengths, words, self._term_of[words])

    def texts(self, chunk: Chunk) -> list[str]:
        """Return the texts of a chunk."""
        ends = np.cumsum(chunk.lengths)
        words = [self.words[word] for word in chunk.words.tolist()]
        return [
            " ".join(words[end - length : end])
            for length, end in zip(chunk.lengths.tolist(), ends.tolist(), strict=True)
        ]

    def questions(self) -> dict[str, list[str]]:
        """Return questions by kind."""
        source = np.random.default_rng(2027)

        def phrase() -> list[str]:
            start = source.integers(0, len(self._page) - 10)
            return [self.words[word] for word in self._page[start : start + source.integers(5, 11)]]

        def ranked(low: int, high: int, number: int) -> list[str]:
            chosen = source.choice(np.arange(low, high), number, replace=False)
            return [self.words[word] for word in chosen]

        kinds: dict[str, Callable[[], Sequence[str]]] = {
            "phrases": phrase,
            "4 words, rank 100-3,000": lambda: ranked(100, 3000, 4),
            "6 words, rank 100-300": lambda: ranked(100, 300, 6),
            "3 words, rank 20-100": lambda: ranked(20, 100, 3),
        }
        return {kind: [" ".join(make()) for _ in range(QUESTIONS)] for kind, make in kinds.items()}


class BruteForce:
    """All scores of a question, from the texts themselves."""

    def __init__(self, texts: Texts, chunks: Sequence[Chunk]) -> None:
        self._places = {term: number for number, term in enumerate(texts.terms)}
        self._chunks = chunks
        self._lengths = np.concatenate([chunk.lengths for chunk in chunks]).astype(np.float64)
        norm = 1 - bm25.B + bm25.B * self._lengths / self._lengths.mean()
        self._norm = bm25.K1 * norm

    def best(self, question: str) -> tuple[list[int], float]:
        """Return the ten best texts, and the score of the tenth."""
        scores = np.zeros(len(self._lengths))
        for term in question_terms(question):
            place = self._places.get(term)
            if place is None:
                continue
            rows, counts = self._containing(place)
            weight = bm25.weight(len(scores), len(rows))
            scores[rows] += weight * counts * (bm25.K1 + 1) / (counts + self._norm[rows])
        top = np.argsort(-scores, kind="stable")[:10]
        return [int(number) for number in top if scores[number] > 0], float(scores[top[-1]])

    def _containing(self, term: int) -> tuple[Numbers, Numbers]:
        found: list[Numbers] = []
        counted: list[Numbers] = []
        for chunk in self._chunks:
            terms, texts, counts = chunk.occurrences
            begin, end = np.searchsorted(terms, [term, term + 1])
            found.append(texts[begin:end] + chunk.first)
            counted.append(counts[begin:end])
        return np.concatenate(found), np.concatenate(counted)


def all_pages() -> str:
    """Return the words of the project's pages as one text, short enough to be a memory."""
    words = (word for document in read_manual().documents for word in document.text.split())
    return " ".join(words)[:TEXT_CHARACTERS_MAX]


def _made_up(number: int) -> str:
    """Return a word that is none."""
    syllables: list[str] = []
    while number or not syllables:
        number, place = divmod(number, len(_SYLLABLES))
        syllables.append(_SYLLABLES[place])
    return f"z{''.join(syllables)}q"

"""How much a word in a text tells: the formula BM25, and the two numbers in it.

S. Robertson and H. Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
Information Retrieval 3 (2009), with the logarithm that stays positive for words in more than half of all texts, as
Apache Lucene has it. A text's score is the sum over the words of the question of ``weight`` times ``impact``.
"""

from __future__ import annotations

import math

K1 = 1.2
"""How slowly a repeated word stops to tell more; the usual value."""

B = 0.75
"""How much longer texts are held against their words, from 0 to 1; the usual value."""


def weight(document_count: int, containing_count: int) -> float:
    """Return what a word tells that this many of all documents contain (its inverse document frequency)."""
    return math.log1p((document_count - containing_count + 0.5) / (containing_count + 0.5))


def impact(occurrences: float, length: float, average_length: float) -> float:
    """Return how strongly a text speaks of a word that occurs in it; between 0 and ``K1`` + 1."""
    norm = 1 - B + B * length / average_length if average_length else 1.0
    return occurrences * (K1 + 1) / (occurrences + K1 * norm)

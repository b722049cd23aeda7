"""One ranking out of two: reciprocal rank fusion of what was found by words and by vectors.

Scores of the two cannot be compared, ranks can. Each list gives a document ``weight / (k + rank)``, and the sums decide
(Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
SIGIR 2009; they have k = 60 and no weights). What only one list holds takes part too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RANK_CONSTANT = 10
"""The k of the formula: how little the first ranks count above the next ones. With 60 and equal weights, answers found
by a small model's vectors too were poorer than those found by words alone, for three of five sets of questions
(``benchmarks retrieval``); with these two numbers they were so for none."""

VECTOR_WEIGHT = 0.25
"""What a rank among vectors counts, where the same rank among words counts 1."""


@dataclass(frozen=True, slots=True)
class Fused:
    """A document with its place in each list that holds it; ranks count from 1."""

    target_id: str
    score: float
    word_rank: int | None = None
    word_score: float | None = None
    vector_rank: int | None = None
    vector_score: float | None = None

    @property
    def best_rank(self) -> int:
        """Return the better one of its places."""
        return min(rank for rank in (self.word_rank, self.vector_rank) if rank is not None)


def fuse(
    by_words: Sequence[tuple[str, float]],
    by_vectors: Sequence[tuple[str, float]],
    *,
    limit: int,
    rank_constant: int = RANK_CONSTANT,
    vector_weight: float = VECTOR_WEIGHT,
) -> list[Fused]:
    """Return the documents of both lists, (id and score, best first), in one order, best first.

    What has the same sum is ordered by its better place, and then by its id, so that the order is total and the same
    everywhere.
    """
    words = {target_id: (rank, score) for rank, (target_id, score) in enumerate(by_words, 1)}
    vectors = {target_id: (rank, score) for rank, (target_id, score) in enumerate(by_vectors, 1)}
    nowhere: tuple[None, None] = (None, None)
    fused = [
        _fused(
            target_id,
            words.get(target_id, nowhere),
            vectors.get(target_id, nowhere),
            rank_constant,
            vector_weight,
        )
        for target_id in {**words, **vectors}
    ]
    fused.sort(key=lambda one: (-one.score, one.best_rank, one.target_id))
    return fused[: max(0, limit)]


def _fused(
    target_id: str,
    word: tuple[int | None, float | None],
    vector: tuple[int | None, float | None],
    rank_constant: int,
    vector_weight: float,
) -> Fused:
    score = 0.0
    for rank, weight in ((word[0], 1.0), (vector[0], vector_weight)):
        if rank is not None:
            score += weight / (rank_constant + rank)
    return Fused(target_id, score, *word, *vector)

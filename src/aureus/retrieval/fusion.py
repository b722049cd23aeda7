"""One ranking out of two: reciprocal rank fusion of what was found by words and by vectors.

Scores of the two cannot be compared, ranks can. Each list gives a document ``1 / (k + rank)``, and the sums decide
(Cormack, Clarke and Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank learning methods",
SIGIR 2009, with their k = 60). What only one list holds takes part too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RANK_CONSTANT = 60
"""The k of the formula, as its authors chose it: how little the first ranks count above the next ones."""


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
) -> Fused:
    ranks = [rank for rank in (word[0], vector[0]) if rank is not None]
    score = sum(1 / (rank_constant + rank) for rank in sorted(ranks))
    return Fused(target_id, score, *word, *vector)

"""The best documents of a search, where the most common terms may have been left out at first.

What was left out can add so much and no more to the score of a document. So documents are read and scored by all their
terms in the order of what is known of them, until no other can reach the ones that are asked for: the rule of MaxScore
(H. Turtle and J. Flood, "Query Evaluation: Strategies and Optimizations", 1995), usually over after some dozens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aureus._database.statement import Op, Queries, Row, fetch_all
from aureus.codec import decode
from aureus.retrieval.segments import Places

if TYPE_CHECKING:
    from aureus.retrieval.ranking import Ranking

sql = Queries("text_index")

RESCORED_MAX = 512
"""Documents that are scored anew; where they do not suffice, the answer is bounded, not exact."""

RESCORED_FIRST = 48
"""Documents that are scored anew before it is known how good the answer is."""


class Best:
    """The documents of a search, best first, by all their terms."""

    def __init__(self, space: str, ranking: Ranking, places: Places) -> None:
        self._space = space
        self._ranking = ranking
        self._places = places
        self._partial: Sequence[tuple[float, int]] = ()
        self._taken = 0
        self._left_out_max = 0.0

    def rescore(self, partial: Ranking, left_out_max: float) -> None:
        """Let the documents be those of a ranking that lacks terms, which add at most so much to a score."""
        self._partial = partial.best(RESCORED_MAX + 1)
        self._left_out_max = left_out_max

    @property
    def missed_score_max(self) -> float:
        """The highest score that a document may have which was not looked at; 0 when all were."""
        if not self._left_out_max:
            return 0.0
        known = self._partial[self._taken][0] if self._taken < len(self._partial) else 0.0
        return known + self._left_out_max

    def best(self, count: int) -> Op[list[tuple[float, int]]]:
        """Return the score and place of the best documents, best first."""
        found = self._ranking.best(count)
        while self._left_out_max:
            lowest = found[-1][0] if len(found) == count else 0.0
            following = self._following(lowest)
            if not following:
                break
            yield from score_documents(self._space, self._ranking, self._places, following)
            self._taken += len(following)
            found = self._ranking.best(count)
        return found

    def _following(self, lowest: float) -> list[int]:
        """Return the next documents that may score more than this, a few at first."""
        end = RESCORED_MAX if self._taken else RESCORED_FIRST
        return [
            place
            for score, place in self._partial[self._taken : end]
            if score + self._left_out_max > lowest
        ]


def score_documents(
    space: str, ranking: Ranking, places: Places, wanted: Sequence[int]
) -> Op[None]:
    """Read the documents at some places and let a ranking score them by their own terms."""
    if not wanted:
        return
    by_number = {places.number_at(place): place for place in wanted}
    rows: list[Row] = yield from fetch_all(
        sql.list_documents, tuple, space=space, document_nos=list(by_number), with_terms=True
    )
    ranking.add_documents(
        [(by_number[number], decode(packed), length) for number, _, length, packed in rows]
    )

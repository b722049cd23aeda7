"""The best documents of a question, computed from postings: pure, with numpy.

Every term adds its weight times its impact to the documents that contain it, in 32-bit floats and always in the same
order, rarest term first, so that both engines come to the same bits. Documents of one score follow each other newest
number first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from aureus.retrieval import postings
from aureus.retrieval.conditions import Condition
from aureus.retrieval.postings import Flags, Scores
from aureus.retrieval.segments import SegmentRange

Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Scorer:
    """The terms of a question, rarest first, with the weight of each, and the impacts by occurrences and length."""

    weights: Mapping[str, np.float32]
    impacts: Scores

    def score(self, counts: Mapping[str, int], length: int) -> float:
        """Return the score of one document, to the bit as the postings give it."""
        code = postings.length_code(length)
        total = np.float32(0)
        for term, weight in self.weights.items():
            if count := counts.get(term):
                impact = self.impacts[min(count, postings.OCCURRENCES_MAX) << 8 | code]
                total += np.float32(impact * weight)
        return float(total)


def scorer(weights: Mapping[str, float], average_length: float) -> Scorer:
    """Return what scores documents; ``weights`` are in the order of the sum."""
    return Scorer(
        {term: np.float32(weight) for term, weight in weights.items()},
        postings.impacts(average_length),
    )


class Ranking:
    """The documents that a question finds, best first."""

    def __init__(self, scorer: Scorer, condition: Condition) -> None:
        self._scorer = scorer
        self._condition = condition
        self._scores: list[tuple[int, Scores]] = []
        self._single: list[int] = []

    def add_segment(
        self,
        segment: SegmentRange,
        rows: Mapping[str, bytes],
        dead_numbers: Sequence[int],
    ) -> None:
        """Score the documents of a segment by its postings; ``rows`` has those of each term that was read."""
        scores = np.zeros(segment.span, dtype=np.float32)
        for term, weight in self._scorer.weights.items():
            if row := rows.get(term):
                impacts = self._scorer.impacts.take(postings.codes(row))
                np.add.at(scores, postings.offsets(row), impacts * weight)
        admitted = self._admitted(segment.span, rows)
        if admitted is not None:
            scores *= admitted
        for number in dead_numbers:
            if segment.first_no <= number < segment.end_no:
                scores[number - segment.first_no] = 0
        self._scores.append((segment.first_no, scores))

    def add_document(self, number: int, counts: Mapping[str, int], length: int) -> None:
        """Score one document by its own terms."""
        if not self._condition.admits(counts):
            return
        score = self._scorer.score(counts, length)
        if score > 0:
            self._single.append(_key(score, number))

    def best(self, count: int) -> list[tuple[float, int]]:
        """Return the score and number of the best documents, best first."""
        best = np.array(sorted(self._single)[-count:], dtype=np.uint64)
        for first_no, scores in self._scores:
            threshold = np.uint64(0) if len(best) < count else best[0]
            best = _merged(best, _keys_above(scores, first_no, threshold, count), count)
        return [_parts(int(key)) for key in best[::-1]]

    def _admitted(self, span: int, rows: Mapping[str, bytes]) -> Flags | None:
        condition = self._condition
        if not condition.any_of and not condition.none_of:
            return None
        admitted = np.ones(span, dtype=np.bool_)
        for group in condition.any_of:
            admitted &= _containing(span, [rows[term] for term in group if term in rows])
        for term in condition.none_of:
            if term in rows:
                admitted[postings.offsets(rows[term])] = False
        return admitted


def _containing(span: int, rows: Sequence[bytes]) -> Flags:
    found = np.zeros(span, dtype=np.bool_)
    for row in rows:
        found[postings.offsets(row)] = True
    return found


def _keys_above(scores: Scores, first_no: int, threshold: np.uint64, count: int) -> Keys:
    """Return the keys of the best documents of a segment, as far as they can be above a key."""
    lowest = np.array([int(threshold) >> 32], dtype=np.uint32).view(np.float32)[0]
    places = np.flatnonzero(scores >= lowest if lowest > 0 else scores > 0)
    if len(places) > 4 * count:
        # Of many, only those that reach the score of the count-th can be among the best.
        found = scores[places]
        places = places[found >= np.partition(found, -count)[-count]]
    high = scores[places].view(np.uint32).astype(np.uint64)
    return high << np.uint64(32) | (places + first_no).astype(np.uint64)


def _merged(best: Keys, more: Keys, count: int) -> Keys:
    if not len(more):
        return best
    return np.sort(np.concatenate([best, more]))[-count:]


def _key(score: float, number: int) -> int:
    return int(np.array([score], dtype=np.float32).view(np.uint32)[0]) << 32 | number


def _parts(key: int) -> tuple[float, int]:
    score = np.array([key >> 32], dtype=np.uint32).view(np.float32)[0]
    return float(score), key & 0xFFFFFFFF

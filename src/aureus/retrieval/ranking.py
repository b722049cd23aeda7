"""The best documents of a question, computed from postings: pure, with numpy.

Every term adds its weight times its impact to the documents that contain it, in 32-bit floats and always in the same
order, rarest term first, so that both engines come to the same bits. Documents of one score follow each other newest
number first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from aureus.retrieval import postings
from aureus.retrieval.conditions import Condition
from aureus.retrieval.postings import Flags, Scores
from aureus.retrieval.segments import SegmentRange

Keys = npt.NDArray[np.uint64]
"""Score and number in one: the bits of the score, and below them the number."""

Places = npt.NDArray[np.intp]
"""Documents of a segment, in their order."""

Scored = tuple[Places, Scores]

_NO_KEYS: Keys = np.empty(0, dtype=np.uint64)
_NOTHING: Scored = (np.empty(0, dtype=np.intp), np.empty(0, dtype=np.float32))

LOOKUP_COST = 12
"""Postings that are added up in the time in which one document is looked up among them."""

_ANYTHING = float(np.finfo(np.float32).smallest_subnormal)
"""The lowest score above zero."""

_ROUNDING = 1e-5
"""Share by which a sum of 32-bit floats may be off, and more."""


@dataclass(frozen=True, slots=True)
class SegmentPostings:
    """What a search has read of a segment."""

    range: SegmentRange
    rows: Mapping[str, bytes]
    """The postings of each term, apart."""
    peaks: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Scorer:
    """The terms of a question, rarest first, with the weight of each, and the impacts by occurrences and length."""

    weights: Mapping[str, np.float32]
    impacts: Scores

    def score(self, documents: Sequence[tuple[Mapping[str, int], int]]) -> Scores:
        """Return the scores of documents, given as counts and length, to the bit as the postings give them."""
        lengths = np.array([postings.length_code(length) for _, length in documents], dtype=np.intp)
        totals = np.zeros(len(documents), dtype=np.float32)
        for term, weight in self.weights.items():
            counts = np.array([counts.get(term, 0) for counts, _ in documents], dtype=np.intp)
            codes = np.minimum(counts, postings.OCCURRENCES_MAX) << 8 | lengths
            totals += self.impacts.take(codes) * weight
        return totals


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
        self._segments: list[SegmentPostings] = []
        self._dead = np.empty(0, dtype=np.int64)
        self._single: list[int] = []
        self._keys = _NO_KEYS
        self._depth = 0

    def add_segments(
        self, segments: Iterable[SegmentPostings], dead_numbers: Sequence[int]
    ) -> None:
        """Take the documents of segments."""
        self._segments += segments
        self._dead = np.array(dead_numbers, dtype=np.int64)

    def add_documents(self, documents: Sequence[tuple[int, Mapping[str, int], int]]) -> None:
        """Score documents, given as number, counts and length, by their own terms."""
        admitted = [one for one in documents if self._condition.admits(one[1])]
        scores = self._scorer.score([(counts, length) for _, counts, length in admitted])
        for (number, _, _), bits in zip(admitted, scores.view(np.uint32).tolist(), strict=True):
            if bits:
                self._single.append(bits << 32 | number)

    def best(self, count: int) -> list[tuple[float, int]]:
        """Return the score and number of the best documents, best first.

        Only those are computed: a later call that asks for more adds the postings up again.
        """
        if count > self._depth and self._segments:
            # Whoever asks again will ask once more; so that takes a logarithmic number of times.
            self._depth = 4 * count if self._depth else count
            self._keys = self._best_keys(self._depth)
        single = np.array(self._single, dtype=np.uint64)
        keys = _merged(self._keys[-count:], single, count)
        return [(_score_of(int(key)), int(key) & 0xFFFFFFFF) for key in keys[::-1]]

    def _best_keys(self, count: int) -> Keys:
        """Return the keys of the best documents of all segments, the best one last."""
        best = _NO_KEYS
        # One array for all segments: memory that a process has not touched yet costs more than adding up.
        room = np.empty(max(one.range.span for one in self._segments), dtype=np.float32)
        for segment in self._segments:
            lowest = 0.0 if len(best) < count else _score_of(int(best[0]))
            places, scores = self._scored(segment, room[: segment.range.span], lowest)
            best = _merged(best, _keys_of(places, scores, segment.range.first_no, count), count)
        return best

    def _scored(self, segment: SegmentPostings, room: Scores, lowest: float) -> Scored:
        """Return the documents of a segment that score at least ``lowest`` and more than nothing, with their scores."""
        admitted = self._admitted(segment)
        reached = lowest * (1 - _ROUNDING)
        parts = self._parts(segment)
        if not parts or reached > parts[0].further + parts[0].most:
            return _NOTHING
        left, found, done = self._begun(parts, admitted, reached, room)
        for part in parts[done:]:
            is_held, codes = postings.looked_up(part.row, left)
            found[is_held] += self._scorer.impacts.take(codes) * part.weight
            enough = found >= reached - part.further
            left, found = left[enough], found[enough]
        counts = found >= max(lowest, _ANYTHING)
        if len(self._dead):
            counts &= ~np.isin(left + segment.range.first_no, self._dead)
        return left[counts], found[counts]

    def _begun(
        self, parts: Sequence[_Part], admitted: Flags | None, reached: float, room: Scores
    ) -> tuple[Places, Scores, int]:
        """Add terms up until few documents are left that count, and return them, and how many terms that took.

        A document does not count any more when it cannot reach a score with what further terms add.
        """
        first = parts[0]
        if reached > first.further:
            # Only documents with the rarest term count: its postings are gone through, not all documents.
            places, scores = self._alone(first, reached - first.further, admitted)
            if len(parts) == 1 or _are_few(len(places), parts[1]):
                return places, scores, 1
        room.fill(0)
        for done, part in enumerate(parts):
            if done and (admitted is not None or reached > part.further + part.most):
                enough = _enough(room, admitted, reached - part.further - part.most)
                if _are_few(int(np.count_nonzero(enough)), part):
                    places = np.flatnonzero(enough)
                    return places, room[places], done
            added = self._scorer.impacts.take(postings.codes(part.row))
            added *= part.weight
            np.add.at(room, postings.offsets(part.row), added)
        places = np.flatnonzero(_enough(room, admitted, max(reached, _ANYTHING)))
        return places, room[places], len(parts)

    def _alone(self, part: _Part, reach: float, admitted: Flags | None) -> Scored:
        """Return the documents whose score by one term is at least so high."""
        scores = self._scorer.impacts.take(postings.codes(part.row))
        scores *= part.weight
        enough = scores >= reach
        places = postings.offsets(part.row)[enough].astype(np.intp)
        scores = scores[enough]
        if admitted is None:
            return places, scores
        passing = admitted[places]
        return places[passing], scores[passing]

    def _parts(self, segment: SegmentPostings) -> list[_Part]:
        """Return the postings of each term, rarest first, with what it and all further terms can add to a score."""
        held = [term for term in self._scorer.weights if term in segment.rows]
        if not held:
            return []
        weights = [self._scorer.weights[term] for term in held]
        bounds = postings.bounds([segment.peaks[term] for term in held], self._scorer.impacts)
        highest = [float(weight) * most for weight, most in zip(weights, bounds, strict=True)]
        further = list(accumulate(reversed(highest[1:]), initial=0.0))[::-1]
        return [
            _Part(segment.rows[term], weight, most, rest)
            for term, weight, most, rest in zip(held, weights, highest, further, strict=True)
        ]

    def _admitted(self, segment: SegmentPostings) -> Flags | None:
        condition, span, rows = self._condition, segment.range.span, segment.rows
        if not condition.any_of and not condition.none_of:
            return None
        admitted = np.ones(span, dtype=np.bool_)
        for group in condition.any_of:
            admitted &= _containing(span, [rows[term] for term in group if term in rows])
        for term in condition.none_of:
            if term in rows:
                admitted[postings.offsets(rows[term])] = False
        return admitted


@dataclass(frozen=True, slots=True)
class _Part:
    """What one term says of a segment."""

    row: bytes
    weight: np.float32
    most: float
    """What it can add to a score."""
    further: float
    """What all further terms can add."""


def _are_few(count: int, part: _Part) -> bool:
    """Return whether so many documents are looked up in a term's postings in less time than adding these up takes."""
    return LOOKUP_COST * count < len(part.row) // 4


def _enough(scores: Scores, admitted: Flags | None, reach: float) -> Flags:
    """Return a flag for each document, set for those that are admitted and have this score or more."""
    enough = scores >= reach
    if admitted is not None:
        enough &= admitted
    return enough


def _containing(span: int, rows: Sequence[bytes]) -> Flags:
    found = np.zeros(span, dtype=np.bool_)
    for row in rows:
        found[postings.offsets(row)] = True
    return found


def _keys_of(places: Places, scores: Scores, first_no: int, count: int) -> Keys:
    """Return the keys of the best of some documents of a segment."""
    if len(places) > 4 * count:
        # Of many, only those that reach the score of the count-th can be among the best.
        enough = scores >= np.partition(scores, -count)[-count]
        places, scores = places[enough], scores[enough]
    high = scores.view(np.uint32).astype(np.uint64)
    return high << np.uint64(32) | (places + first_no).astype(np.uint64)


def _merged(best: Keys, more: Keys, count: int) -> Keys:
    if not len(more):
        return best
    return np.sort(np.concatenate([best, more]))[-count:]


def _score_of(key: int) -> float:
    return float(np.array([key >> 32], dtype=np.uint32).view(np.float32)[0])

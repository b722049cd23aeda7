"""Segments of a text index, and which of them are to be merged or emptied: pure rules.

A segment covers a range of document numbers. Small ones are merged into larger ones, at least doubling all of them but
the largest, so that a document is rewritten a logarithmic number of times and a search reads tens of segments, not
thousands. A number whose document is gone stays taken; a segment with more empty numbers than documents is emptied by
numbering its documents anew.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from aureus.codec import decode

SPAN_MAX = 65_536
"""Numbers that a segment covers at most: what the 16 bits of a posting tell apart."""

MERGE_COUNT = 16
"""Segments of one merge; more make fewer merges and more segments."""

SPARSE_SPAN_MIN = 4096
"""Smaller segments are not emptied: they are merged soon."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment as it stands."""

    segment_no: int
    status: str
    first_no: int
    span: int
    document_count: int
    """Documents that its postings were made of."""
    dead_count: int
    """Those of them that are gone by now."""
    length_total: int
    dead_length_total: int
    sources: tuple[int, ...]
    """The segments that it is being made of."""
    built_to: str
    """The last term that is written while it is being made."""

    @property
    def end_no(self) -> int:
        """Return the first number behind it."""
        return self.first_no + self.span

    @property
    def living_count(self) -> int:
        """Return how many of its documents are still there."""
        return self.document_count - self.dead_count


@dataclass(frozen=True, slots=True)
class SegmentRange:
    """A living segment as searches see it."""

    first_no: int
    """The place of its first document, see ``Places``."""
    span: int
    document_count: int
    length_total: int


class Places:
    """Where the documents of a search stand: its living segments one behind the other, counted from 0.

    Numbers of documents rise for ever. Scores are sorted with 32 bits for a document, which its place never needs.
    """

    def __init__(self, segments: Sequence[tuple[int, int]]) -> None:
        """Take the first number and the span of each segment, in their order."""
        self._firsts = [first_no for first_no, _ in segments]
        self._starts = list(accumulate((span for _, span in segments), initial=0))

    @property
    def end(self) -> int:
        """Return the first place behind all segments."""
        return self._starts[-1]

    def of(self, number: int) -> int | None:
        """Return the place of a document; None for a number that no segment covers."""
        index = bisect_right(self._firsts, number) - 1
        if index < 0:
            return None
        place = self._starts[index] + number - self._firsts[index]
        return place if place < self._starts[index + 1] else None

    def number_at(self, place: int) -> int:
        """Return the number of the document at a place within the segments."""
        index = bisect_right(self._starts, place) - 1
        return self._firsts[index] + place - self._starts[index]


def segment_of(row: Sequence[object]) -> Segment:
    """Return the segment that a row of ``list_segments`` describes."""
    *plain, sources, built_to = row
    return Segment(*plain, tuple(decode(sources)), built_to)  # type: ignore[call-arg,arg-type]  # columns in order


def due_for_merge(living: Sequence[Segment]) -> Sequence[Segment]:
    """Return the neighbours, in the order of their numbers, whose merge is due; none when no merge is."""
    best: Sequence[Segment] = ()
    for start in range(len(living) - MERGE_COUNT + 1):
        window = living[start : start + MERGE_COUNT]
        covered = window[-1].end_no - window[0].first_no
        spans = [segment.span for segment in window]
        if covered > SPAN_MAX or 2 * max(spans) > sum(spans):
            continue
        if not best or covered < best[-1].end_no - best[0].first_no:
            best = window
    return best


def due_for_emptying(living: Sequence[Segment]) -> Segment | None:
    """Return the segment whose documents are to be numbered anew, or that has none left; None when there is none."""
    for segment in living:
        if segment.living_count <= 0:
            return segment
        if segment.span >= SPARSE_SPAN_MIN and 2 * segment.living_count < segment.span:
            return segment
    return None

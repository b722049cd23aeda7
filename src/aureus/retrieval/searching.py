"""A search in a text index: what is read, in which order, and when enough is known.

All statements see one snapshot: living segments and what is pending, the postings of the question's terms, and then, as
often as the caller needs more, documents by their numbers. Everything that is committed is found, indexed or not.

A filter that leaves few documents is evaluated first, and those are scored by their own terms. Otherwise the postings
of all terms are added up, rarest term first. Only where they are more than ``POSTINGS_MAX`` the most common ones are
left out, and the best documents of the others are scored by their own terms (``rescoring``); where those do not
suffice, the result says by how much it may err.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from aureus._database.statement import (
    Op,
    Queries,
    Row,
    beside,
    fetch_all,
    fetch_one,
    find_kept,
    keep,
)
from aureus.codec import decode, encode_made
from aureus.retrieval import bm25
from aureus.retrieval.conditions import Condition
from aureus.retrieval.rescoring import Best, score_documents
from aureus.retrieval.segments import Places, SegmentRange

if TYPE_CHECKING:
    from aureus.retrieval.ranking import Ranking, Scorer, SegmentPostings

sql = Queries("text_index")

POSTINGS_MAX = 3_000_000
"""Postings up to which a search adds all of them up: about 6 ms of computing, 2 ms and 4 MB of reading."""

POSTINGS_FEW = 1_500_000
"""Postings that it adds up where there are more than ``POSTINGS_MAX``, to have as much time for reading documents."""

FILTERED_MAX = 256
"""Documents up to which a filter is evaluated first: reading their terms costs as much as 100,000 postings."""

INLINE_MAX = 2048
"""Postings that come along with the first look at a term; longer ones are read when they are needed."""

PENDING_USUAL = 512
"""Pending states whose terms are kept decoded: twice as many as upkeep leaves to be read by searches."""

PENDING_MAX = 4096
"""Pending states that a search reads; more are there only while an index is far behind."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that a search found."""

    target_id: str
    score: float


class Search:
    """A search under way: gives candidates, best first, a few at a time."""

    def __init__(
        self,
        space: str,
        best: Best,
        places: Places,
        pending: Mapping[int, str],
        *,
        is_complete: bool,
    ) -> None:
        self._space = space
        self._best = best
        self._places = places
        self._pending = pending
        self._given = 0
        self.is_complete = is_complete
        """Whether everything that is pending was read."""

    @property
    def missed_score_max(self) -> float:
        """A bound on the score of documents that were not looked at as a whole; 0 when all were."""
        return self._best.missed_score_max

    def next(self, count: int) -> Op[list[Candidate]]:
        """Return the candidates behind those given before; fewer than ``count`` may come although there are more.

        None at all are left when the list is empty.
        """
        candidates: list[Candidate] = []
        while not candidates:
            best = (yield from self._best.best(self._given + count))[self._given :]
            if not best:
                return []
            self._given += len(best)
            by_number = {
                self._places.number_at(place): place
                for _, place in best
                if place not in self._pending
            }
            targets = dict(self._pending)
            if by_number:
                rows: list[Row] = yield from fetch_all(
                    sql.list_documents,
                    tuple,
                    space=self._space,
                    document_nos=list(by_number),
                    with_terms=False,
                )
                targets |= {by_number[row[0]]: row[1] for row in rows}
            candidates = [
                Candidate(targets[place], score) for score, place in best if place in targets
            ]
        return candidates


def search(
    space: str,
    terms: Sequence[str],
    condition: Condition,
    *,
    target_ids: Sequence[str] | None = None,
) -> Op[Search]:
    """Begin a search for documents that contain any of the terms and meet a condition.

    ``target_ids``, where the caller knows that only these few can be wanted, are scored by their own terms.
    """
    waiting = yield from beside(sql.list_pending, space=space, limit=PENDING_MAX + 1)
    wanted = list(dict.fromkeys([*terms, *condition.terms()]))
    rows: list[Row] = yield from fetch_all(
        sql.find_postings, tuple, space=space, terms=wanted, inline_max=INLINE_MAX
    )
    pending = waiting.rows
    reading = _Reading(
        space,
        [
            (target_id, length, _counts(packed))
            for target_id, length, packed, _ in pending
            if packed
        ],
        [number for *_, number in pending if number is not None],
        len(pending),
        rows,
        condition,
    )
    return (yield from reading.search(terms, target_ids))


@lru_cache(maxsize=PENDING_USUAL)
def _counts(packed: str) -> Mapping[str, int]:
    """Return the terms of a pending state; the next search finds most of the same states pending."""
    counts: Mapping[str, int] = decode(packed)
    return counts


class _Reading:
    """The snapshot of an index as far as one search has read it."""

    def __init__(
        self,
        space: str,
        pending: Sequence[tuple[str, int, Mapping[str, int]]],
        outdated: Sequence[int],
        pending_count: int,
        rows: Sequence[Row],
        condition: Condition,
    ) -> None:
        self._space = space
        self._pending = pending
        self._pending_count = pending_count
        self._condition = condition
        self._segments: dict[int, SegmentRange] = {}
        self._counts: dict[str, int] = {}
        self._rows: dict[int, dict[str, bytes]] = {}
        self._unread: dict[str, list[int]] = {}
        self._peaks: dict[int, dict[str, bytes]] = {}
        self._identities: dict[int, str] = {}
        from aureus.retrieval.postings import apart  # numpy is loaded with the first search

        covered = dict.fromkeys(
            (row[2], row[3]) for row in rows
        )  # each living segment, in their order
        self._places = Places(list(covered))
        self._outdated = self._placed(outdated)
        end = 0
        for number, identity, _, span, documents, length, term, count, peaks, packed in rows:
            if number not in self._segments:
                self._segments[number] = SegmentRange(end, span, documents, length)
                end += span
                self._identities[number] = identity
                self._rows[number] = {}
                self._peaks[number] = {}
            if term is None:
                continue
            self._counts[term] = self._counts.get(term, 0) + count
            self._peaks[number][term] = bytes(peaks)
            if packed is None:
                self._unread.setdefault(term, []).append(number)
            else:
                self._rows[number][term] = apart(packed)

    def search(self, terms: Sequence[str], target_ids: Sequence[str] | None) -> Op[Search]:
        """Rank what is wanted."""
        from aureus.retrieval.ranking import Ranking  # numpy is loaded with the first search

        scorer = self._scorer(terms)
        ranking = Ranking(scorer, self._condition)
        best = Best(self._space, ranking, self._places)
        few = self._few()
        if target_ids is not None:
            yield from self._add_targets(ranking, target_ids)
        elif few is not None:
            yield from self._read(few)
            yield from self._add_few(ranking, few)
        else:
            chosen, left_out = self._choose(list(scorer.weights))
            yield from self._read([*self._condition.terms(), *chosen])
            scored = Ranking(scorer, self._condition) if left_out else ranking
            scored.add_segments(self._postings(), self._outdated)
            if left_out:
                best.rescore(scored, self._bound(scorer, left_out))
        pending = list(enumerate(self._pending, self._places.end))
        ranking.add_documents([(place, counts, length) for place, (_, length, counts) in pending])
        named = {place: entry[0] for place, entry in pending}
        is_complete = self._pending_count <= PENDING_MAX
        return Search(self._space, best, self._places, named, is_complete=is_complete)

    def _postings(self) -> Iterator[SegmentPostings]:
        """Yield what was read of each segment."""
        from aureus.retrieval.ranking import SegmentPostings  # as above

        for number, segment in self._segments.items():
            yield SegmentPostings(segment, self._rows[number], self._peaks[number])

    def _scorer(self, terms: Sequence[str]) -> Scorer:
        """Return what scores documents, by the statistics of all that is indexed and pending."""
        from aureus.retrieval.ranking import scorer  # as above

        number = sum(one.document_count for one in self._segments.values()) + len(self._pending)
        total = sum(one.length_total for one in self._segments.values())
        total += sum(length for _, length, _ in self._pending)
        containing = {
            term: self._counts.get(term, 0) + sum(term in counts for _, _, counts in self._pending)
            for term in terms
        }
        order = sorted(
            (term for term in terms if containing[term]), key=lambda term: (containing[term], term)
        )
        return scorer(
            {term: bm25.weight(number, containing[term]) for term in order},
            total / number if number else 0.0,
        )

    def _few(self) -> Sequence[str] | None:
        """Return the group of the condition that leaves few documents; None when none does."""
        sizes = [
            (sum(self._counts.get(term, 0) for term in group), group)
            for group in self._condition.any_of
        ]
        smallest = min(sizes, default=None)
        return smallest[1] if smallest is not None and smallest[0] <= FILTERED_MAX else None

    def _add_few(self, ranking: Ranking, group: Sequence[str]) -> Op[None]:
        """Score the documents of a small group by their own terms."""
        from aureus.retrieval.postings import numbers_of  # as above

        wanted: set[int] = set()
        for segment_no, segment in self._segments.items():
            for term in group:
                if packed := self._rows[segment_no].get(term):
                    wanted.update(numbers_of(packed, segment.first_no))
        yield from self._score(ranking, wanted)

    def _add_targets(self, ranking: Ranking, target_ids: Sequence[str]) -> Op[None]:
        """Score the documents of some targets by their own terms."""
        numbers: str | None = yield from fetch_one(
            sql.list_numbers, lambda row: row[0], space=self._space, target_ids=target_ids
        )
        found = self._placed(map(int, numbers.split(","))) if numbers else []
        yield from self._score(ranking, found)

    def _score(self, ranking: Ranking, wanted: Iterable[int]) -> Op[None]:
        """Score the documents at some places by their own terms, but for those of which a newer state is pending."""
        current = sorted(set(wanted).difference(self._outdated))
        yield from score_documents(self._space, ranking, self._places, current)

    def _placed(self, numbers: Iterable[int]) -> list[int]:
        """Return the places of documents that living segments have."""
        found = map(self._places.of, numbers)
        return [place for place in found if place is not None]

    def _choose(self, order: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return which terms' postings are read, and which are left out because they are too many."""
        conditional = set(self._condition.terms())
        costs = {term: 0 if term in conditional else self._counts.get(term, 0) for term in order}
        room = POSTINGS_MAX if sum(costs.values()) <= POSTINGS_MAX else POSTINGS_FEW
        chosen: list[str] = []
        left_out: list[str] = []
        for term in order:
            room -= costs[term]
            (chosen if room >= 0 or not chosen or not costs[term] else left_out).append(term)
        return chosen, left_out

    def _read(self, terms: Sequence[str]) -> Op[None]:
        """Read the long postings of terms, as far as this client has not kept them."""
        from aureus.retrieval.postings import apart  # as above

        wanted = [
            (number, term) for term in dict.fromkeys(terms) for number in self._unread.pop(term, ())
        ]
        kept = yield from find_kept([(self._identities[number], term) for number, term in wanted])
        for number, term in wanted:
            if (found := kept.get((self._identities[number], term))) is not None:
                self._rows[number][term] = found
        missing = [[number, term] for number, term in wanted if term not in self._rows[number]]
        if not missing:
            return
        rows: list[Row] = yield from fetch_all(
            sql.get_postings, tuple, space=self._space, wanted=encode_made(missing)
        )
        for number, term, packed in rows:
            self._rows[number][term] = apart(packed)
        yield from keep(
            {(self._identities[number], term): self._rows[number][term] for number, term, _ in rows}
        )

    def _bound(self, scorer: Scorer, left_out: Sequence[str]) -> float:
        """Return what terms that were left out can add to a score at most."""
        from aureus.retrieval.postings import bounds  # as above

        highest = 0.0
        for peaks in self._peaks.values():
            held = [term for term in left_out if term in peaks]
            if held:
                most = bounds([peaks[term] for term in held], scorer.impacts)
                weights = (float(scorer.weights[term]) for term in held)
                highest = max(highest, sum(map(operator.mul, most, weights)))
        return highest

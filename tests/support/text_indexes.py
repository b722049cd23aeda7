"""A text index on any backend, and what it should answer: BM25 computed from the documents themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aureus._database.drive import Call
from aureus._database.statement import Op
from aureus.retrieval import bm25
from aureus.retrieval.analysis import Terms
from aureus.retrieval.conditions import Condition
from aureus.retrieval.postings import LENGTHS, length_code
from aureus.retrieval.searching import Candidate, Search, search
from aureus.retrieval.upkeep import put, step
from tests.support.backends import Backend

ALL = Condition()

STEPS_MAX = 10_000


class Index:
    """One space of one tenant."""

    def __init__(self, backend: Backend, tenant: str, space: str = "tests") -> None:
        self._backend = backend
        self._call = Call(tenant)
        self.space = space

    def write(self, make: Callable[[], Op[Any]]) -> Any:
        """Carry out an operation that writes."""
        return self._run(self._backend.client._database.write, make)

    def read(self, make: Callable[[], Op[Any]]) -> Any:
        """Carry out an operation that reads."""
        return self._run(self._backend.client._database.read, make)

    def _run(self, perform: Callable[..., Any], make: Callable[[], Op[Any]]) -> Any:
        thread = self._backend._thread
        return (
            perform(make, self._call) if thread is None else thread.run(perform(make, self._call))
        )

    def put(self, documents: Mapping[str, Terms | None]) -> None:
        """Let documents be the newest states of their targets."""
        self.write(lambda: put(self.space, documents.items()))

    def step(self, **options: Any) -> bool:
        """Do one step of upkeep; return whether there was something to do."""
        return not self.write(lambda: step(self.space, **options)).is_done

    def settle(self, **options: Any) -> int:
        """Do all upkeep that is due; return the number of steps."""
        for count in range(STEPS_MAX):
            if not self.step(**options):
                return count
        raise AssertionError("upkeep never ends")

    def find(
        self, terms: Sequence[str], condition: Condition = ALL, count: int = 10
    ) -> list[Candidate]:
        """Return the best documents."""
        return self.find_all(terms, condition, count)[:count]

    def find_all(
        self, terms: Sequence[str], condition: Condition = ALL, count: int = 10
    ) -> list[Candidate]:
        """Return all documents, asking for a few at a time."""
        found: list[Candidate] = []

        def body() -> Op[float]:
            begun: Search = yield from search(self.space, terms, condition)
            found.clear()
            while more := (yield from begun.next(count)):
                found.extend(more)
            return begun.missed_score_max

        self.missed = self.read(body)
        return found


@dataclass(frozen=True, slots=True)
class Statistics:
    """What scores are computed from: numbers over all documents, and how many contain each term."""

    number: int
    length_total: int
    containing: Mapping[str, int]


def statistics_of(documents: Iterable[Terms]) -> Statistics:
    """Return the statistics of documents."""
    counted = list(documents)
    containing = Counter(term for one in counted for term in one.counts)
    return Statistics(len(counted), sum(one.length for one in counted), containing)


def expected_scores(
    documents: Mapping[str, Terms],
    terms: Sequence[str],
    condition: Condition = ALL,
    statistics: Statistics | None = None,
) -> dict[str, float]:
    """Return the score of every document that is found, by the statistics of the documents unless others are given."""
    known = statistics or statistics_of(documents.values())
    average = known.length_total / known.number if known.number else 0.0
    weights = {
        term: bm25.weight(known.number, known.containing[term])
        for term in terms
        if known.containing.get(term)
    }
    scores: dict[str, float] = {}
    for target_id, one in documents.items():
        if condition.admits({*one.counts, *one.labels}):
            length = int(LENGTHS[length_code(one.length)])
            score = sum(
                weight * bm25.impact(min(one.counts[term], 255), length, average)
                for term, weight in weights.items()
                if term in one.counts
            )
            if score > 0:
                scores[target_id] = score
    return scores

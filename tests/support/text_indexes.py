"""A text index on any backend, and what it should answer: BM25 computed from the documents themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aureus._database.drive import Call
from aureus._database.statement import Op
from aureus.retrieval import bm25
from aureus.retrieval.analysis import Terms
from aureus.retrieval.postings import LENGTHS, length_code
from aureus.retrieval.ranking import Condition
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

    def step(self, **options: int) -> bool:
        """Do one step of upkeep; return whether there was something to do."""
        return not self.write(lambda: step(self.space, **options)).is_done

    def settle(self, **options: int) -> int:
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


def expected_scores(
    documents: Mapping[str, Terms],
    terms: Sequence[str],
    condition: Condition = ALL,
    counted: Sequence[Terms] | None = None,
) -> dict[str, float]:
    """Return the score of every document that is found.

    ``counted`` are the documents of the statistics, where these are not the documents themselves.
    """
    counted = list(documents.values()) if counted is None else counted
    number = len(counted)
    average = sum(one.length for one in counted) / number if number else 0.0
    weights = {
        term: bm25.weight(number, containing)
        for term in terms
        if (containing := sum(term in one.counts for one in counted))
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

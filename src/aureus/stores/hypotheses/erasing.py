"""What an erasure removes of hypotheses; it records that itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aureus._database.statement import (
    Op,
    Queries,
    fetch_all,
)

sql = Queries("hypotheses")


def list_subject_hypotheses(user_id: str, *, after_id: str, limit: int) -> Op[list[str]]:
    """Return the ids of hypotheses about a user, deleted ones too, in their order behind one of them."""
    return (
        yield from fetch_all(
            sql.list_subject_hypotheses,
            lambda row: str(row[0]),
            user_id=user_id,
            after_id=after_id,
            limit=limit,
        )
    )


def erase_hypotheses(user_id: str, hypothesis_ids: Sequence[str]) -> Op[Counter[str]]:
    """Remove those of these hypotheses that are about the user, with all evidence; return rows by table.

    For an erasure that records it. Unlike ``delete`` it leaves no bare rows behind, so an id may be used again.
    """
    found = yield from fetch_all(
        sql.lock_hypotheses,
        lambda row: str(row[0]),
        hypothesis_ids=list(hypothesis_ids),
        user_id=user_id,
    )
    if not found:
        return Counter()
    evidence = yield from fetch_all(sql.erase_hypothesis_evidence, bool, hypothesis_ids=found)
    hypotheses = yield from fetch_all(sql.erase_hypotheses, bool, hypothesis_ids=found)
    return Counter(hypotheses=len(hypotheses), hypothesis_evidence=len(evidence))

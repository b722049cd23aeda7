"""The reads of hypotheses: one, lists, the evidence, and what an agent's hypotheses came to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aureus._database.operation import Operations, read
from aureus._database.statement import (
    Op,
    Queries,
    Row,
    fetch_all,
    fetch_one,
)
from aureus.model.hypotheses import (
    Evidence,
    EvidenceSide,
    Hypothesis,
    HypothesisStatistics,
    HypothesisStatus,
)
from aureus.stores.hypotheses.stating import (
    checked_status,
    missing,
    side_of,
)

sql = Queries("hypotheses")


PAGE_MAX = 1000
"""Hypotheses, or pieces of evidence, of one page."""


_NEWEST = (datetime.max.replace(tzinfo=UTC), "")


class HypothesisReads(Operations):
    """Operations that read hypotheses."""

    @read
    def get(self, hypothesis_id: str) -> Op[Hypothesis]:
        """Return one hypothesis. Raises ``NotFound``."""
        hypothesis = yield from self.find(hypothesis_id)
        if hypothesis is None:
            raise missing(hypothesis_id)
        return hypothesis

    @read
    def find(self, hypothesis_id: str) -> Op[Hypothesis | None]:
        """Return one hypothesis, or None."""
        return (
            yield from fetch_one(
                sql.get_hypothesis, Hypothesis.from_row, hypothesis_id=hypothesis_id
            )
        )

    @read
    def list(
        self,
        *,
        agent_id: str | None = None,
        user_id: str | None = None,
        status: HypothesisStatus | str | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> Op[Sequence[Hypothesis]]:
        """Return a page of hypotheses, newest first, of an agent, about a user, in a status; at most 1,000 at once.

        ``before`` is (created_at, hypothesis_id) of the last one of the page before. Rows that appear while paging are
        neither doubled nor skipped. Each page is read along an index: that of the user, of the agent, or of all
        hypotheses. There is none for a status, nor for an agent beside a user: that one is read on until the page is
        full.
        """
        before_at, before_id = before or _NEWEST
        page: dict[str, Any] = {
            "status": "" if status is None else checked_status(status).value,
            "before_at": before_at,
            "before_id": before_id,
            "limit": max(1, min(limit, PAGE_MAX)),
        }
        query = sql.list_hypotheses
        if user_id or (user_id is not None and agent_id is None):
            query = sql.list_hypotheses_of_user
            page |= {"user_id": user_id, "agent_id": agent_id or ""}
        elif agent_id is not None:
            query, page = sql.list_hypotheses_of_agent, {**page, "agent_id": agent_id}
        return (yield from fetch_all(query, Hypothesis.from_row, **page))

    @read
    def history(
        self,
        hypothesis_id: str,
        *,
        side: EvidenceSide | str | None = None,
        after: int = 0,
        limit: int = 100,
    ) -> Op[Sequence[Evidence]]:
        """Return the evidence of a hypothesis with what each did to the confidence, oldest first; at most 1,000.

        ``after`` is the ``evidence_no`` of the last one of the page before; ``side`` picks those for or against it.
        """
        return (
            yield from fetch_all(
                sql.list_hypothesis_evidence,
                Evidence.from_row,
                hypothesis_id=hypothesis_id,
                side="" if side is None else side_of(side).value,
                after=after,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )

    @read
    def statistics(self, agent_id: str, *, user_id: str | None = None) -> Op[HypothesisStatistics]:
        """Return what an agent's hypotheses, all or those about one user, came to; zeros when there is none."""
        found = yield from fetch_one(
            sql.get_hypothesis_statistics, _statistics, agent_id=agent_id, user_id=user_id or ""
        )
        return found or HypothesisStatistics(0, 0, 0, 0, 0, 0.0)

    @read
    def learning_rate(self, agent_id: str, *, user_id: str | None = None) -> Op[float]:
        """Return validated / total × (1 − mean |confidence change|) over an agent's hypotheses; 0.0 without any.

        The mean is over all evidence, changes of 0.0 included. Deleted hypotheses do not count.
        """
        return (yield from self.statistics(agent_id, user_id=user_id)).learning_rate


def _statistics(row: Row) -> HypothesisStatistics:
    total, active, validated, rejected, changes, change_total = row
    mean = change_total / changes if changes else 0.0
    return HypothesisStatistics(total, active, validated, rejected, changes, mean)

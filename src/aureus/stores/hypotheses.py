"""Hypotheses: what agents believe, how the evidence moved it, and how well they learn."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    last,
    new_id,
    record,
)
from aureus.codec import check_text
from aureus.errors import AlreadyExists, Conflict, Invalid, NotFound, VersionConflict
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.hypotheses import (
    AGENT_ID_CHARACTERS_MAX,
    HYPOTHESIS_ID_CHARACTERS_MAX,
    SOURCE_CHARACTERS_MAX,
    STATEMENT_CHARACTERS_MAX,
    Evidence,
    EvidenceSide,
    Hypothesis,
    HypothesisStatistics,
    HypothesisStatus,
    status_of,
    stream_of,
)
from aureus.model.profiles import USER_ID_CHARACTERS_MAX

sql = Queries("hypotheses")

PAGE_MAX = 1000
"""Hypotheses, or pieces of evidence, of one page."""

ACTIONS = {
    EventType.HYPOTHESIS_FORMED: "hypothesis.form",
    EventType.HYPOTHESIS_TESTED: "hypothesis.test",
    EventType.HYPOTHESIS_VALIDATED: "hypothesis.validate",
    EventType.HYPOTHESIS_REJECTED: "hypothesis.reject",
    EventType.HYPOTHESIS_REOPENED: "hypothesis.reopen",
    EventType.HYPOTHESIS_DELETED: "hypothesis.delete",
}
"""What an audit entry calls each event."""

DECISIONS = frozenset({EventType.HYPOTHESIS_DELETED})
"""The events that are audit entries in every mode but off."""

_NEWEST = (datetime.max.replace(tzinfo=UTC), "")

_EVENT_TYPES = {
    HypothesisStatus.VALIDATED: EventType.HYPOTHESIS_VALIDATED,
    HypothesisStatus.REJECTED: EventType.HYPOTHESIS_REJECTED,
    HypothesisStatus.ACTIVE: EventType.HYPOTHESIS_REOPENED,
}


class HypothesisOperations(Operations):
    """Operations on hypotheses."""

    @write
    def propose(
        self,
        statement: str,
        *,
        agent_id: str,
        user_id: str | None = None,
        confidence: float = 0.5,
        hypothesis_id: str | None = None,
    ) -> Op[Hypothesis]:
        """Form a hypothesis. Atomic.

        A repeated call with the same ``hypothesis_id`` and the same content returns the hypothesis as it stands and
        writes nothing; with other content it raises ``AlreadyExists``, also after the first one was deleted. Raises
        ``Invalid`` for a confidence outside 0 to 1.
        """
        _check(statement, "statement", STATEMENT_CHARACTERS_MAX)
        _check(agent_id, "agent_id", AGENT_ID_CHARACTERS_MAX)
        if user_id is not None:
            _check(user_id, "user_id", USER_ID_CHARACTERS_MAX)
        confidence = _confidence(confidence)
        if hypothesis_id is not None:
            _check(hypothesis_id, "hypothesis_id", HYPOTHESIS_ID_CHARACTERS_MAX)
        chosen = hypothesis_id or (yield from new_id())
        now = yield from current_time()
        payload = {
            "hypothesisId": chosen,
            "agentId": agent_id,
            "userId": user_id,
            "confidence": confidence,
            "status": status_of(confidence).value,
            "sha256": _hash(statement),
        }
        yield from record(_fact(EventType.HYPOTHESIS_FORMED, chosen, agent_id, user_id, payload))
        hypothesis = yield from last(
            sql.propose_hypothesis,
            Hypothesis.from_row,
            hypothesis_id=chosen,
            agent_id=agent_id,
            user_id=user_id or "",
            statement=statement,
            confidence=confidence,
            now=now,
        )
        if hypothesis is None:
            raise Refused(lambda: self._why_not_formed(chosen))
        return hypothesis

    def _why_not_formed(self, hypothesis_id: str) -> Op[None]:
        found = yield from fetch_one(
            sql.get_hypothesis_state,
            lambda row: (str(row[0]), row[1] is not None),
            hypothesis_id=hypothesis_id,
        )
        if found is None:
            return
        agent_id, is_deleted = found
        there_is = "was deleted" if is_deleted else f"is another one, of agent {agent_id!r}"
        raise AlreadyExists(
            f"hypothesis {hypothesis_id!r} {there_is}; choose another id for another statement",
            hypothesis_id=hypothesis_id,
        )

    @write
    def add_evidence(
        self,
        hypothesis_id: str,
        text: str,
        *,
        side: EvidenceSide | str,
        confidence: float | None = None,
        source: str | None = None,
        agent_id: str | None = None,
        expected_version: int | None = None,
        evidence_id: str | None = None,
    ) -> Op[Hypothesis]:
        """Note a test of a hypothesis, ``side`` "for" or "against", and what the agent believes after it. Atomic.

        ``confidence`` is the new one; without it the test leaves it as it was, which counts as a change of 0.0.
        ``agent_id`` is who tested, by default whose hypothesis it is; ``source`` names what the evidence rests on.
        A repeated call with the same ``evidence_id`` writes nothing and returns the hypothesis as it stands. One event
        tells of it: that the hypothesis was validated, rejected or opened again, or else that it was tested.

        Raises ``NotFound``, ``VersionConflict``, ``Invalid``.
        """
        points = _side(side)
        _check(text, "evidence", STATEMENT_CHARACTERS_MAX)
        for value, what, characters_max in (
            (source, "source", SOURCE_CHARACTERS_MAX),
            (agent_id, "agent_id", AGENT_ID_CHARACTERS_MAX),
            (evidence_id, "evidence_id", HYPOTHESIS_ID_CHARACTERS_MAX),
        ):
            if value is not None:
                _check(value, what, characters_max)
        given = None if confidence is None else _confidence(confidence)
        chosen = evidence_id or (yield from new_id())
        found = yield from self._locked(hypothesis_id, chosen)
        hypothesis = found.hypothesis
        if found.is_known:
            return hypothesis
        found.expect(expected_version)
        after = hypothesis.confidence if given is None else given
        actor = agent_id or hypothesis.agent_id
        now = yield from current_time()
        yield from record(_tested(hypothesis, points, after, text, chosen, actor))
        tested = yield from last(
            sql.add_hypothesis_evidence,
            Hypothesis.from_row,
            hypothesis_id=hypothesis_id,
            version=hypothesis.version,
            evidence_id=chosen,
            side=points.value,
            text=text,
            source=source,
            agent_id=actor,
            confidence=after,
            now=now,
        )
        if tested is None:
            raise _changed(hypothesis_id)
        return tested

    @write
    def delete(
        self,
        hypothesis_id: str,
        *,
        agent_id: str | None = None,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Op[bool]:
        """Remove the statement and all evidence of a hypothesis for good; return whether it was there. Atomic.

        Its id stays taken. A repeated call with the same ``operation_id`` returns True. Raises ``VersionConflict``.
        """
        operation = operation_id or (yield from new_id())
        check_text(operation, "operation_id", characters_max=HYPOTHESIS_ID_CHARACTERS_MAX)
        found = yield from fetch_one(
            sql.lock_hypothesis, _locked, hypothesis_id=hypothesis_id, evidence_id=""
        )
        if found is None or found.is_deleted:
            return found is not None and found.hypothesis.operation_id == operation
        found.expect(expected_version)
        actor = agent_id or found.hypothesis.agent_id
        version = found.hypothesis.version
        now = yield from current_time()
        payload = {"hypothesisId": hypothesis_id, "version": version + 1}
        about = found.hypothesis.user_id
        yield from record(_fact(EventType.HYPOTHESIS_DELETED, hypothesis_id, actor, about, payload))
        done = yield from last(
            sql.delete_hypothesis,
            bool,
            hypothesis_id=hypothesis_id,
            version=version,
            operation_id=operation,
            now=now,
        )
        if done is None:
            raise _changed(hypothesis_id)
        return True

    def _locked(self, hypothesis_id: str, evidence_id: str) -> Op[_Locked]:
        found = yield from fetch_one(
            sql.lock_hypothesis, _locked, hypothesis_id=hypothesis_id, evidence_id=evidence_id
        )
        if found is None or found.is_deleted:
            raise _missing(hypothesis_id)
        return found

    @read
    def get(self, hypothesis_id: str) -> Op[Hypothesis]:
        """Return one hypothesis. Raises ``NotFound``."""
        hypothesis = yield from self.find(hypothesis_id)
        if hypothesis is None:
            raise _missing(hypothesis_id)
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
        neither doubled nor skipped.
        """
        before_at, before_id = before or _NEWEST
        page: dict[str, Any] = {
            "status": "" if status is None else _status(status).value,
            "before_at": before_at,
            "before_id": before_id,
            "limit": max(1, min(limit, PAGE_MAX)),
        }
        query = sql.list_hypotheses
        if agent_id is not None:
            query = sql.list_hypotheses_of_agent
            page |= {"agent_id": agent_id, "user_id": user_id or ""}
        elif user_id is not None:
            query = sql.list_hypotheses_of_user
            page |= {"user_id": user_id}
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
                side="" if side is None else _side(side).value,
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


class HypothesisStore(HypothesisOperations, Store):
    """Hypotheses of one tenant."""


class AsyncHypothesisStore(HypothesisOperations, AsyncStore):
    """Hypotheses of one tenant, awaited."""


@dataclass(frozen=True, slots=True)
class _Locked:
    hypothesis: Hypothesis
    is_deleted: bool
    is_known: bool

    def expect(self, expected_version: int | None) -> None:
        """Raise ``VersionConflict`` when the caller expects another version."""
        actual = self.hypothesis.version
        if expected_version is not None and expected_version != actual:
            raise VersionConflict(
                f"hypothesis {self.hypothesis.hypothesis_id!r} is at version {actual}, not at version "
                f"{expected_version}; read it and decide anew",
                hypothesis_id=self.hypothesis.hypothesis_id,
                expected_version=expected_version,
                actual_version=actual,
            )


def _locked(row: Row) -> _Locked:
    return _Locked(Hypothesis.from_row(row), row[15] is not None, bool(row[16]))


def _statistics(row: Row) -> HypothesisStatistics:
    total, active, validated, rejected, changes, change_total = row
    mean = change_total / changes if changes else 0.0
    return HypothesisStatistics(total, active, validated, rejected, changes, mean)


def _tested(
    hypothesis: Hypothesis,
    side: EvidenceSide,
    confidence: float,
    text: str,
    evidence_id: str,
    actor: str,
) -> Fact:
    """Return the fact that tells of a test: of the status that it led to, or that it left the status as it was."""
    status = status_of(confidence)
    kind = EventType.HYPOTHESIS_TESTED if status is hypothesis.status else _EVENT_TYPES[status]
    payload = {
        "hypothesisId": hypothesis.hypothesis_id,
        "version": hypothesis.version + 1,
        "evidenceId": evidence_id,
        "side": side.value,
        "confidenceBefore": hypothesis.confidence,
        "confidenceAfter": confidence,
        "status": status.value,
        "sha256": _hash(text),
    }
    return _fact(kind, hypothesis.hypothesis_id, actor, hypothesis.user_id, payload)


def _fact(
    kind: EventType,
    hypothesis_id: str,
    actor: str,
    user_id: str | None,
    payload: dict[str, Any],
) -> Fact:
    stream = stream_of(hypothesis_id)
    return Fact(
        stream=stream,
        type=kind,
        payload=payload,
        actor=actor,
        audit=AuditPoint(ACTIONS[kind], stream, is_decision=kind in DECISIONS),
        subjects=() if user_id is None else (user_id,),
    )


def _hash(text: str) -> str:
    """Return what stands in an event for text, which stays out of it so that erasing it erases it."""
    return sha256(text.encode()).hexdigest()


def _check(text: str, what: str, characters_max: int) -> None:
    if not text:
        raise Invalid(f"{what} has at least one character", what=what)
    check_text(text, what, characters_max=characters_max)


def _confidence(value: float) -> float:
    if isinstance(value, bool) or not math.isfinite(value) or not 0.0 <= value <= 1.0:
        raise Invalid(f"confidence is {value}; it lies between 0 and 1", what="confidence")
    return float(value)


def _side(side: EvidenceSide | str) -> EvidenceSide:
    try:
        return EvidenceSide(side)
    except ValueError as error:
        raise Invalid(f"side is {side!r}; it is 'for' or 'against'", what="side") from error


def _status(status: HypothesisStatus | str) -> HypothesisStatus:
    try:
        return HypothesisStatus(status)
    except ValueError as error:
        known = ", ".join(HypothesisStatus)
        raise Invalid(f"status is {status!r}; it is one of {known}", what="status") from error


def _missing(hypothesis_id: str) -> NotFound:
    return NotFound(
        f"there is no hypothesis {hypothesis_id!r}; `hypotheses.list` shows what there is",
        hypothesis_id=hypothesis_id,
    )


def _changed(hypothesis_id: str) -> Conflict:
    return Conflict(
        f"hypothesis {hypothesis_id!r} changed in the same moment; nothing was stored, repeat the call",
        hypothesis_id=hypothesis_id,
    )


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

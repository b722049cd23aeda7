"""The writes of hypotheses: proposals, tests of them, and deletions, each with its event."""

from __future__ import annotations

from dataclasses import dataclass

from aureus._database.operation import Operations, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    beside,
    current_time,
    fetch_one,
    last,
    new_id,
    record,
)
from aureus.codec import check_text
from aureus.errors import AlreadyExists, VersionConflict
from aureus.model.events import EventType
from aureus.model.hypotheses import (
    AGENT_ID_CHARACTERS_MAX,
    HYPOTHESIS_ID_CHARACTERS_MAX,
    SOURCE_CHARACTERS_MAX,
    STATEMENT_CHARACTERS_MAX,
    EvidenceSide,
    Hypothesis,
    status_of,
)
from aureus.model.profiles import USER_ID_CHARACTERS_MAX
from aureus.stores.hypotheses.stating import (
    changed,
    check,
    confidence_of,
    fact_of,
    hash_of,
    missing,
    side_of,
    tested_fact,
)

sql = Queries("hypotheses")


class HypothesisWrites(Operations):
    """Operations that change hypotheses."""

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
        check(statement, "statement", STATEMENT_CHARACTERS_MAX)
        check(agent_id, "agent_id", AGENT_ID_CHARACTERS_MAX)
        if user_id is not None:
            check(user_id, "user_id", USER_ID_CHARACTERS_MAX)
        confidence = confidence_of(confidence)
        if hypothesis_id is not None:
            check(hypothesis_id, "hypothesis_id", HYPOTHESIS_ID_CHARACTERS_MAX)
        chosen = hypothesis_id or (yield from new_id())
        now = yield from current_time()
        payload = {
            "hypothesisId": chosen,
            "agentId": agent_id,
            "userId": user_id,
            "confidence": confidence,
            "status": status_of(confidence).value,
            "sha256": hash_of(statement),
        }
        yield from record(fact_of(EventType.HYPOTHESIS_FORMED, chosen, agent_id, user_id, payload))
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
        points = side_of(side)
        check(text, "evidence", STATEMENT_CHARACTERS_MAX)
        for value, what, characters_max in (
            (source, "source", SOURCE_CHARACTERS_MAX),
            (agent_id, "agent_id", AGENT_ID_CHARACTERS_MAX),
            (evidence_id, "evidence_id", HYPOTHESIS_ID_CHARACTERS_MAX),
        ):
            if value is not None:
                check(value, what, characters_max)
        given = None if confidence is None else confidence_of(confidence)
        chosen = evidence_id or (yield from new_id())
        found, is_known = yield from self._locked(hypothesis_id, chosen)
        hypothesis = found.hypothesis
        if is_known:
            return hypothesis
        found.expect(expected_version)
        after = hypothesis.confidence if given is None else given
        actor = agent_id or hypothesis.agent_id
        now = yield from current_time()
        yield from record(tested_fact(hypothesis, points, after, text, chosen, actor))
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
            raise changed(hypothesis_id)
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
        found = yield from fetch_one(sql.lock_hypothesis, _locked, hypothesis_id=hypothesis_id)
        if found is None or found.is_deleted:
            return found is not None and found.hypothesis.operation_id == operation
        found.expect(expected_version)
        actor = agent_id or found.hypothesis.agent_id
        version = found.hypothesis.version
        now = yield from current_time()
        payload = {"hypothesisId": hypothesis_id, "version": version + 1}
        about = found.hypothesis.user_id
        yield from record(
            fact_of(EventType.HYPOTHESIS_DELETED, hypothesis_id, actor, about, payload)
        )
        done = yield from last(
            sql.delete_hypothesis,
            bool,
            hypothesis_id=hypothesis_id,
            version=version,
            operation_id=operation,
            now=now,
        )
        if done is None:
            raise changed(hypothesis_id)
        return True

    def _locked(self, hypothesis_id: str, evidence_id: str) -> Op[tuple[_Locked, bool]]:
        """Return a hypothesis about to be tested, and whether the evidence is known already."""
        # Behind the lock: whoever has waited for it sees only what was committed before.
        known = yield from beside(
            sql.find_evidence, hypothesis_id=hypothesis_id, evidence_id=evidence_id
        )
        found = yield from fetch_one(sql.lock_hypothesis, _locked, hypothesis_id=hypothesis_id)
        if found is None or found.is_deleted:
            raise missing(hypothesis_id)
        return found, bool(known.rows)


@dataclass(frozen=True, slots=True)
class _Locked:
    hypothesis: Hypothesis
    is_deleted: bool

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
    return _Locked(Hypothesis.from_row(row), row[15] is not None)

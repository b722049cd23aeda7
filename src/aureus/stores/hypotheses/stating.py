"""What is said of hypotheses: checks of what a caller gives, the facts that tell of a write, and errors."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from aureus.codec import check_text
from aureus.errors import Conflict, Invalid, NotFound
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.hypotheses import (
    EvidenceSide,
    Hypothesis,
    HypothesisStatus,
    status_of,
    stream_of,
)

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


_EVENT_TYPES = {
    HypothesisStatus.VALIDATED: EventType.HYPOTHESIS_VALIDATED,
    HypothesisStatus.REJECTED: EventType.HYPOTHESIS_REJECTED,
    HypothesisStatus.ACTIVE: EventType.HYPOTHESIS_REOPENED,
}


def tested_fact(
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
        "sha256": hash_of(text),
    }
    return fact_of(kind, hypothesis.hypothesis_id, actor, hypothesis.user_id, payload)


def fact_of(
    kind: EventType,
    hypothesis_id: str,
    actor: str,
    user_id: str | None,
    payload: dict[str, Any],
) -> Fact:
    """Return the fact that tells of a write."""
    stream = stream_of(hypothesis_id)
    return Fact(
        stream=stream,
        type=kind,
        payload=payload,
        actor=actor,
        audit=AuditPoint(ACTIONS[kind], stream, is_decision=kind in DECISIONS),
        subjects=() if user_id is None else (user_id,),
    )


def hash_of(text: str) -> str:
    """Return what stands in an event for text, which stays out of it so that erasing it erases it."""
    return sha256(text.encode()).hexdigest()


def check(text: Any, what: str, characters_max: int) -> None:
    """Raise ``Invalid`` or ``LimitExceeded`` for what is no text, empty or too long."""
    if not isinstance(text, str) or not text:
        raise Invalid(f"{what} is {text!r}; it is text of at least one character", what=what)
    check_text(text, what, characters_max=characters_max)


def confidence_of(value: Any) -> float:
    """Return a confidence. Raises ``Invalid`` for what is no number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
        raise Invalid(f"confidence is {value!r}; it is a number between 0 and 1", what="confidence")
    return float(value)


def side_of(side: EvidenceSide | str) -> EvidenceSide:
    """Return the side of a test. Raises ``Invalid``."""
    try:
        return EvidenceSide(side)
    except ValueError as error:
        raise Invalid(f"side is {side!r}; it is 'for' or 'against'", what="side") from error


def checked_status(status: HypothesisStatus | str) -> HypothesisStatus:
    """Return a status. Raises ``Invalid``."""
    try:
        return HypothesisStatus(status)
    except ValueError as error:
        known = ", ".join(HypothesisStatus)
        raise Invalid(f"status is {status!r}; it is one of {known}", what="status") from error


def missing(hypothesis_id: str) -> NotFound:
    """Return the error of a hypothesis that is not there."""
    return NotFound(
        f"there is no hypothesis {hypothesis_id!r}; `hypotheses.list` shows what there is",
        hypothesis_id=hypothesis_id,
    )


def changed(hypothesis_id: str) -> Conflict:
    """Return the error of a hypothesis that somebody else has just changed."""
    return Conflict(
        f"hypothesis {hypothesis_id!r} changed in the same moment; nothing was stored, repeat the call",
        hypothesis_id=hypothesis_id,
    )

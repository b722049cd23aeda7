"""Hypotheses: formed, tested by evidence, given a status by one rule, and counted into a learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from aureus.errors import AlreadyExists, Invalid, NotFound, VersionConflict
from aureus.model.hypotheses import (
    STATEMENT_CHARACTERS_MAX,
    EvidenceSide,
    Hypothesis,
    HypothesisStatus,
    status_of,
)
from tests.contract.stage import Stage


def propose(stage: Stage, statement: str = "sleeps badly after coffee", **more: Any) -> Hypothesis:
    """Form a hypothesis of the agent coach."""
    found: Hypothesis = stage.stores.hypotheses.propose(
        statement, **{"agent_id": "coach", "user_id": "ada", **more}
    )
    return found


def types(stage: Stage, hypothesis: Hypothesis) -> list[str]:
    """Return the types of a hypothesis's events."""
    return [event.type for event in stage.stores.events.read_stream(hypothesis.stream)]


def test_evidence_moves_the_confidence_and_is_kept_in_order(stage: Stage) -> None:
    formed_at = stage.backend.clock.now()
    formed = propose(stage, confidence=0.6)
    assert (formed.version, formed.status, formed.test_count) == (1, "active", 0)
    assert (formed.confidence, formed.last_tested_at, formed.created_at) == (0.6, None, formed_at)
    stage.backend.clock.advance(60)
    add = stage.stores.hypotheses.add_evidence
    add(formed.hypothesis_id, "slept 8 h without", side="for", confidence=0.85, source="m_1")
    add(formed.hypothesis_id, "nothing new", side=EvidenceSide.AGAINST, agent_id="doctor")
    tested = add(formed.hypothesis_id, "slept 8 h with two", side="against", confidence=0.0)
    assert (tested.confidence, tested.status, tested.version) == (0.0, "rejected", 4)
    assert (tested.evidence_for_count, tested.evidence_against_count, tested.test_count) == (
        1,
        2,
        3,
    )
    assert (tested.initial_confidence, tested.statement) == (0.6, formed.statement)
    assert tested.last_tested_at == tested.updated_at == stage.backend.clock.now()
    assert stage.stores.hypotheses.get(formed.hypothesis_id) == tested
    history = stage.stores.hypotheses.history(formed.hypothesis_id)
    assert [
        (one.evidence_no, one.side, one.confidence_before, one.confidence_after, one.agent_id)
        for one in history
    ] == [
        (1, "for", 0.6, 0.85, "coach"),
        (2, "against", 0.85, 0.85, "doctor"),
        (3, "against", 0.85, 0.0, "coach"),
    ]
    assert (history[0].text, history[0].source) == ("slept 8 h without", "m_1")
    assert (history[1].confidence_change, history[2].confidence_change) == (0.0, -0.85)
    assert stage.stores.hypotheses.history(formed.hypothesis_id, side="for") == [history[0]]
    assert stage.stores.hypotheses.history(formed.hypothesis_id, after=1, limit=1) == [history[1]]
    assert tested.to_dict()["status"] == "rejected"


def test_the_database_gives_every_confidence_the_status_of_the_rule(stage: Stage) -> None:
    edges = [bound for edge in (0.2, 0.8) for bound in (math.nextafter(edge, 0), edge)]
    edges += [math.nextafter(edge, 1) for edge in (0.2, 0.8)]
    for confidence in (*edges, 0.0, -0.0, 1.0, 0.5, 5e-324, 0.1 + 0.2, 1):
        formed = propose(stage, confidence=confidence)
        assert formed.status is status_of(confidence), confidence
        tested = stage.stores.hypotheses.add_evidence(
            propose(stage).hypothesis_id, "x", side="for", confidence=confidence
        )
        assert (tested.confidence, tested.status) == (confidence, status_of(confidence))


def test_one_event_tells_of_every_write_and_of_a_status_only_when_it_changes(stage: Stage) -> None:
    formed = propose(stage)
    for confidence in (0.6, 0.9, 0.95, None, 0.7, 0.1, 0.85):
        stage.stores.hypotheses.add_evidence(
            formed.hypothesis_id, "seen again", side="for", confidence=confidence
        )
    assert types(stage, formed) == [
        "hypothesis_formed",
        "hypothesis_tested",
        "hypothesis_validated",
        "hypothesis_tested",
        "hypothesis_tested",
        "hypothesis_reopened",
        "hypothesis_rejected",
        "hypothesis_validated",
    ]
    events = stage.stores.events.read_stream(formed.stream)
    assert [event.payload["version"] for event in events[1:]] == list(range(2, 9))
    assert events[2].payload["confidenceBefore"] == 0.6
    assert events[2].payload["confidenceAfter"] == 0.9
    assert not any("coffee" in repr(event) or "seen again" in repr(event) for event in events)


def test_a_repeated_write_finds_what_it_has_written(stage: Stage) -> None:
    formed = propose(stage, hypothesis_id="h")
    assert propose(stage, hypothesis_id="h") == formed
    add = stage.stores.hypotheses.add_evidence
    tested = add("h", "x", side="for", confidence=0.9, expected_version=1, evidence_id="e")
    assert add("h", "x", side="for", confidence=0.9, expected_version=1, evidence_id="e") == tested
    assert propose(stage, hypothesis_id="h") == tested
    others: list[dict[str, Any]] = [
        {"statement": "other"},
        {"agent_id": "x"},
        {"user_id": None},
        {"confidence": 0.0},
    ]
    for other in others:
        with pytest.raises(AlreadyExists, match="another one, of agent 'coach'"):
            propose(stage, **{"hypothesis_id": "h", **other})
    assert types(stage, formed) == ["hypothesis_formed", "hypothesis_validated"]


def test_concurrent_tests_are_all_kept_and_an_expected_version_has_one_winner(stage: Stage) -> None:
    formed = propose(stage)

    def work(number: int) -> bool:
        try:
            stage.stores.hypotheses.add_evidence(
                formed.hypothesis_id,
                f"seen {number}",
                side="for" if number % 2 else "against",
                confidence=number / 32,
                expected_version=1 if number < 8 else None,
            )
        except VersionConflict as conflict:
            return bool(conflict.actual_version <= conflict.expected_version)
        return True

    with ThreadPoolExecutor(12) as pool:
        done = list(pool.map(work, range(32)))
    assert sum(done[:8]) <= 1
    assert all(done[8:])
    history = stage.stores.hypotheses.history(formed.hypothesis_id)
    found = stage.stores.hypotheses.get(formed.hypothesis_id)
    assert [one.evidence_no for one in history] == list(range(1, sum(done) + 1))
    assert (found.test_count, found.version) == (sum(done), sum(done) + 1)
    assert found.confidence == history[-1].confidence_after
    before = [formed.confidence, *(one.confidence_after for one in history)]
    assert [one.confidence_before for one in history] == before[:-1]


def test_the_learning_rate_counts_unchanged_confidence_too(stage: Stage) -> None:
    hypotheses = stage.stores.hypotheses
    assert hypotheses.learning_rate("coach") == 0.0
    assert hypotheses.statistics("coach").to_dict()["mean_confidence_change"] == 0.0
    first, second = propose(stage, confidence=0.5), propose(stage, confidence=0.5)
    propose(stage, confidence=0.1, user_id=None)
    propose(stage, confidence=0.9, agent_id="somebody else")
    gone = propose(stage, confidence=0.9)
    hypotheses.add_evidence(gone.hypothesis_id, "x", side="against", confidence=0.0)
    hypotheses.add_evidence(first.hypothesis_id, "x", side="for", confidence=0.9)
    for confidence in (0.3, None, 0.3):
        hypotheses.add_evidence(second.hypothesis_id, "x", side="against", confidence=confidence)
    hypotheses.delete(gone.hypothesis_id)
    found = hypotheses.statistics("coach")
    assert (found.total_count, found.active_count, found.validated_count) == (3, 1, 1)
    assert (found.rejected_count, found.change_count) == (1, 4)
    assert found.mean_confidence_change == pytest.approx(0.15)
    assert hypotheses.learning_rate("coach") == pytest.approx(1 / 3 * 0.85)
    assert hypotheses.learning_rate("coach", user_id="ada") == pytest.approx(1 / 2 * 0.85)


def test_hypotheses_are_listed_newest_first_by_agent_user_and_status(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    for name, confidence, agent_id, user_id in [
        ("a", 0.9, "coach", "ada"),
        ("b", 0.5, "coach", "bob"),
        ("c", 0.1, "doctor", "ada"),
        ("d", 0.5, "doctor", None),
        ("e", 0.9, "coach", None),
    ]:
        if name != "b":  # so that a and b share one moment
            stage.backend.clock.advance(1)
        propose(stage, name, confidence=confidence, agent_id=agent_id, user_id=user_id, hypothesis_id=name)  # fmt: skip
    find = stage.stores.hypotheses.list

    def found(**filters: Any) -> str:
        return "".join(one.hypothesis_id for one in find(**filters))

    assert found() == "edcba"
    assert found(status="validated") == "ea"
    assert found(agent_id="coach") == "eba"
    assert found(agent_id="coach", status=HypothesisStatus.ACTIVE) == "b"
    assert found(agent_id="coach", user_id="ada") == "a"
    assert found(user_id="ada") == "ca"
    assert found(user_id="ada", status="rejected") == "c"
    stage.stores.hypotheses.delete("d")
    pages, before = [], None
    while page := find(before=before, limit=2):
        pages.append("".join(one.hypothesis_id for one in page))
        before = (page[-1].created_at, page[-1].hypothesis_id)
    assert pages == ["ec", "ba"]
    globex = another_stage("globex")
    propose(globex, "theirs", hypothesis_id="a")
    assert [one.statement for one in globex.stores.hypotheses.list()] == ["theirs"]
    assert stage.stores.hypotheses.get("a").statement == "a"


def test_a_deleted_hypothesis_is_gone_with_its_evidence_and_its_id_stays_taken(
    stage: Stage,
) -> None:
    hypotheses = stage.stores.hypotheses
    assert not hypotheses.delete("h")
    formed = propose(stage, hypothesis_id="h")
    hypotheses.add_evidence("h", "drank coffee", side="for", confidence=0.9)
    with pytest.raises(VersionConflict):
        hypotheses.delete("h", expected_version=1)
    assert hypotheses.delete("h", expected_version=2, operation_id="gone", agent_id="clerk")
    assert hypotheses.delete("h", operation_id="gone")
    assert not hypotheses.delete("h")
    assert hypotheses.find("h") is None
    assert list(hypotheses.history("h")) == list(hypotheses.list()) == []
    with pytest.raises(NotFound, match="no hypothesis"):
        hypotheses.get("h")
    for hypothesis_id in ("h", "nobody"):
        with pytest.raises(NotFound, match="no hypothesis"):
            hypotheses.add_evidence(hypothesis_id, "late", side="for")
    with pytest.raises(AlreadyExists, match="was deleted"):
        propose(stage, hypothesis_id="h")
    with stage.backend.transaction(stage.tenant) as tx:
        rows = [
            tx.execute(f"SELECT * FROM {stage.table(table)}")
            for table in ("hypotheses", "hypothesis_evidence", "event_payloads")
        ]
    assert "coffee" not in repr(rows)
    (entry,) = stage.stores.audit.list().entries
    assert (entry.action, entry.resource, entry.actor) == (
        "hypothesis.delete",
        formed.stream,
        "clerk",
    )


REFUSED: list[dict[str, Any]] = [
    {"statement": ""},
    {"statement": "\x00"},
    {"statement": 5},
    {"agent_id": 5},
    {"statement": "x" * (STATEMENT_CHARACTERS_MAX + 1)},
    {"agent_id": ""},
    {"user_id": ""},
    {"hypothesis_id": ""},
    {"hypothesis_id": "\ud800"},
    *({"confidence": wrong} for wrong in (-0.01, 1.01, math.nan, math.inf, True, "0.5")),
]


def test_what_cannot_be_kept_is_refused_before_anything_is(stage: Stage) -> None:
    for values in REFUSED:
        with pytest.raises(Invalid):
            propose(stage, **values)
    assert list(stage.stores.hypotheses.list()) == []
    propose(stage, hypothesis_id="h")
    for values in ({"side": "maybe"}, {"confidence": 2}, {"text": ""}, {"source": "\x00"}):
        with pytest.raises(Invalid):
            stage.stores.hypotheses.add_evidence("h", **{"text": "x", "side": "for", **values})
    with pytest.raises(Invalid, match="active, validated, rejected"):
        stage.stores.hypotheses.list(status="open")
    assert stage.stores.hypotheses.get("h").version == 1


def test_a_test_commits_with_the_callers_own_rows_or_not_at_all(stage: Stage) -> None:
    formed = propose(stage)
    with suppress(_UndoneError), stage.backend.transaction(stage.tenant) as tx:
        tx.hypotheses.add_evidence(formed.hypothesis_id, "x", side="for", confidence=0.9)
        assert tx.hypotheses.get(formed.hypothesis_id).status is HypothesisStatus.VALIDATED
        assert tx.hypotheses.learning_rate("coach") == pytest.approx(0.6)
        raise _UndoneError
    assert stage.stores.hypotheses.get(formed.hypothesis_id) == formed
    assert types(stage, formed) == ["hypothesis_formed"]


class _UndoneError(Exception):
    """Ends a transaction that a test does not want to keep."""

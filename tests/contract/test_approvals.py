"""Approvals: asked by a transition, answered once."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from aureus.errors import IllegalTransition
from aureus.model.approvals import ApprovalRequest
from aureus.model.events import EventType
from aureus.model.states import APPROVAL_TRANSITIONS, ApprovalStatus, RunStatus, TaskStatus
from aureus.model.tasks import TaskChange, TaskKey
from tests.contract.stage import Stage, fact

ASK = TaskKey("", "ask")


@pytest.fixture
def asked(stage: Stage) -> Stage:
    """Give a stage whose run r1 asks for approval."""
    waiting = TaskChange(ASK, is_new=True, status=TaskStatus.WAITING, attempt=1)
    request = ApprovalRequest(ASK, "delete it?", "HIGH", "engine")
    stage.start("r1", changes=[waiting], approvals=[request])
    return stage


def decide(stage: Stage, status: ApprovalStatus = ApprovalStatus.APPROVED, **more: Any) -> Any:
    """Answer the question of run r1."""
    values = {"decision_id": stage.new_id(), "decided_by": "ada", "reason": "fine"}
    facts = [fact("r1", EventType.APPROVAL_GRANTED, "ask")]
    return stage.stores.approvals.decide(
        "r1", ASK, status=status, **{**values, "facts": facts, **more}
    )


def test_an_answer_is_kept_with_who_when_and_why_and_its_event(asked: Stage) -> None:
    approval, events = decide(asked)
    assert (approval.status, approval.decided_by, approval.reason) == ("approved", "ada", "fine")
    assert approval.decided_at == asked.backend.clock.now()
    assert [event.type for event in events] == ["APPROVAL_GRANTED"]
    assert list(asked.stores.approvals.list("r1")) == [approval]
    assert list(asked.stores.approvals.list_pending()) == []


def test_a_second_answer_finds_nothing_to_answer_and_records_nothing(asked: Stage) -> None:
    first, _ = decide(asked)
    before = asked.versions("r1")
    assert decide(asked, ApprovalStatus.DENIED) is None
    assert list(asked.stores.approvals.list("r1")) == [first]
    assert asked.versions("r1") == before


def test_of_many_answers_at_once_exactly_one_wins(asked: Stage) -> None:
    statuses = [ApprovalStatus.APPROVED, ApprovalStatus.DENIED] * 8
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda status: decide(asked, status), statuses))
    assert sum(answer is not None for answer in answers) == 1


def test_a_question_past_its_end_cannot_be_answered(stage: Stage) -> None:
    ends = stage.backend.clock.now() + timedelta(minutes=1)
    waiting = TaskChange(ASK, is_new=True, status=TaskStatus.WAITING, attempt=1)
    stage.start(
        "r1",
        changes=[waiting],
        approvals=[ApprovalRequest(ASK, "soon?", None, "engine", expires_at=ends)],
    )
    assert stage.stores.approvals.list("r1")[0].expires_at == ends
    stage.backend.clock.advance(60)
    assert decide(stage) is None


def test_the_holder_of_the_run_is_told_of_an_answer(asked: Stage) -> None:
    assert asked.stores.leases.list_notices(asked.lease_id) == []
    decide(asked)
    notices = asked.stores.leases.list_notices(asked.lease_id)
    assert [(notice.kind, notice.run_id) for notice in notices] == [("approval", "r1")]


def test_the_end_of_a_run_closes_its_questions(asked: Stage) -> None:
    run = asked.stores.runs.get("r1")
    asked.advance(
        run,
        status=RunStatus.CANCELLED,
        changes=[TaskChange(ASK, is_new=False, status=TaskStatus.CANCELLED, attempt=1)],
    )
    assert asked.stores.approvals.list("r1")[0].status is ApprovalStatus.CANCELLED
    assert decide(asked) is None


def test_the_database_allows_exactly_the_moves_of_the_table_for_approvals(asked: Stage) -> None:
    move = f"UPDATE {asked.table('approvals')} SET status = "
    for before, after in itertools.product(ApprovalStatus, ApprovalStatus):
        is_legal = after is before or after in APPROVAL_TRANSITIONS[before]
        with suppress(_UndoneError), asked.backend.transaction("acme") as tx:
            if before is not ApprovalStatus.PENDING:
                tx.execute(f"{move} '{before}'")
            if is_legal:
                tx.execute(f"{move} '{after}'")
            else:
                with pytest.raises(IllegalTransition):
                    tx.execute(f"{move} '{after}'")
            raise _UndoneError


class _UndoneError(Exception):
    """Ends a transaction that a test does not want to keep."""

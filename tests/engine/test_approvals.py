"""Runs that wait for people."""

from __future__ import annotations

import asyncio

import pytest

from aureus.errors import IllegalTransition, Invalid, NotFound
from aureus.model.states import ApprovalStatus, RunStatus
from aureus.model.workflows import Compensation, RiskTier, Workflow
from tests.engine.conftest import Perform
from tests.engine.workshop import (
    Gate,
    Scripted,
    Watcher,
    Workshop,
    nothing,
    statuses,
    task,
    workflow,
)


def question(**inputs: object) -> Workflow:
    """Return a workflow that asks before its second task."""
    return workflow(
        task("ask", tool="wait-for-approval", inputs={"message": "go?", **inputs}),
        task("b", "ask", tool="work", inputs={"by": "${{ tasks.ask.result.approvedBy }}"}),
    )


def test_a_run_pauses_and_goes_on_after_a_yes(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool, watcher = Scripted("work", nothing), Watcher()
        engine = shop.engine(tool, watcher=watcher)
        paused = await shop.run(engine, question())
        assert (paused.run.status, paused.run.lease_id) == (RunStatus.PAUSED, None)
        assert [approval.name for approval in paused.pending_approvals] == ["ask"]
        assert list(paused.pending_approvals) == list(
            await shop.stores.approvals.list(paused.run.run_id)
        )
        assert watcher.waiting == ["ask"]
        approval = await engine.decide(paused.run.run_id, approve=True, actor="ada", reason="fine")
        assert (approval.status, approval.decided_by) == (ApprovalStatus.APPROVED, "ada")
        outcome = await shop.run(engine, question())
        assert (outcome.run.status, outcome.was_resumed) == (RunStatus.COMPLETED, True)
        assert outcome.run.run_id == paused.run.run_id
        assert tool.calls[0].inputs == {"by": "ada"}
        assert await shop.told(outcome.run.run_id) == [
            "WORKFLOW_STARTED",
            "APPROVAL_REQUESTED ask",
            "WORKFLOW_PAUSED",
            "APPROVAL_GRANTED ask",
            "WORKFLOW_RESUMED",
            "TASK_COMPLETED ask",
            "TASK_STARTED b",
            "TASK_COMPLETED b",
            "WORKFLOW_COMPLETED",
        ]

    perform(body)


def test_running_a_paused_run_again_changes_nothing(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        watcher = Watcher()
        engine = shop.engine(Scripted("work", nothing), watcher=watcher)
        first = await shop.run(engine, question())
        again = await shop.run(engine, question())
        assert again.run == first.run
        assert again.pending_approvals == first.pending_approvals
        assert watcher.waiting == ["ask", "ask"]
        assert len(await shop.told(first.run.run_id)) == 3

    perform(body)


def test_a_no_fails_the_run_and_is_made_up_for(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        engine = shop.engine(Scripted("work", nothing))
        definition = workflow(
            task(
                "ask",
                tool="wait-for-approval",
                inputs={"message": "go?"},
                compensation=Compensation(on_failure="tell"),
            ),
            task("tell", tool="work"),
        )
        paused = await shop.run(engine, definition)
        await engine.decide(paused.run.run_id, "ask", approve=False, actor="ada", reason="no")
        outcome = await shop.run(engine, definition)
        assert (outcome.run.status, outcome.run.error_code) == (RunStatus.FAILED, "approval_denied")
        assert statuses(outcome) == {"ask": "failed", "compensation/ask/tell": "completed"}

    perform(body)


def test_a_question_that_expired_counts_as_denied(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        engine = shop.engine(Scripted("work", nothing))
        gate = Gate()
        definition = workflow(
            task("ask", tool="wait-for-approval", inputs={"message": "?", "expiresInMs": 30}),
            task("slow", tool="slow"),
        )
        engine = shop.engine(Scripted("slow", gate.work), watcher=(watcher := Watcher()))
        working = asyncio.create_task(shop.run(engine, definition))
        await gate.entered.wait()
        gate.opened.set()
        first = await working
        outcome = first
        if first.run.status is RunStatus.PAUSED:
            await asyncio.sleep(0.03)  # noqa: TID251 - nothing but time expires it
            outcome = await shop.run(engine, definition)
        assert outcome.run.error_code == "approval_expired"
        assert "APPROVAL_DENIED" in [event.type for event in watcher.events]
        with pytest.raises(IllegalTransition):
            await engine.decide(outcome.run.run_id, "ask", approve=True)

    perform(body)


def test_an_answer_reaches_a_run_that_is_being_worked_on(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        engine = shop.engine(Scripted("slow", gate.work), Scripted("work", nothing))
        definition = workflow(task("slow", tool="slow"), *question().tasks)
        working = asyncio.create_task(shop.run(engine, definition))
        await gate.entered.wait()
        (run,) = await shop.stores.runs.list()
        await engine.decide(run.run_id, approve=True)
        gate.opened.set()
        outcome = await working
        assert outcome.run.status is RunStatus.COMPLETED
        assert not outcome.was_resumed

    perform(body)


def test_a_risk_tier_asks_where_the_caller_says_so(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool = Scripted("work", nothing)
        engine = shop.engine(tool)
        definition = workflow(
            task("a", tool="work", risk_tier=RiskTier.LOW),
            task("b", "a", tool="work", risk_tier=RiskTier.CRITICAL),
        )
        paused = await shop.run(engine, definition, approve_from=RiskTier.HIGH)
        assert statuses(paused) == {"a": "completed", "b": "waiting"}
        await engine.decide(paused.run.run_id, "b", approve=True)
        outcome = await shop.run(engine, definition)
        assert (outcome.run.status, outcome.tasks[1].attempt) == (RunStatus.COMPLETED, 1)
        assert len(tool.calls) == 2
        audited = (await shop.audit.list()).entries
        assert [entry.type for entry in audited] == [
            "APPROVAL_REQUESTED", "APPROVAL_GRANTED", "TASK_STARTED", "TASK_COMPLETED",
        ]  # fmt: skip

    perform(body)


def test_a_question_is_answered_once_and_by_name_when_there_are_several(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        engine = shop.engine()
        definition = workflow(
            task("one", tool="wait-for-approval", inputs={"message": "1?"}),
            task("two", tool="wait-for-approval", inputs={"message": "2?"}),
            task("plain"),
        )
        paused = await shop.run(engine, definition)
        run_id = paused.run.run_id
        with pytest.raises(Invalid, match="one, two"):
            await engine.decide(run_id, approve=True)
        with pytest.raises(NotFound, match="'plain'"):
            await engine.decide(run_id, "plain", approve=True)
        with pytest.raises(NotFound, match="there is no run"):
            await engine.decide("r_none", approve=True)
        await engine.decide(run_id, "one", approve=True, actor="ada")
        with pytest.raises(IllegalTransition, match="approved by ada") as refused:
            await engine.decide(run_id, "one", approve=False, actor="bob")
        assert refused.value.decided_by == "ada"
        await engine.decide(run_id, approve=True)
        assert (await shop.run(engine, definition)).run.status is RunStatus.COMPLETED

    perform(body)


def test_of_two_answers_at_the_same_time_one_wins(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        engine = shop.engine(Scripted("work", nothing))
        paused = await shop.run(engine, question())
        answers = await asyncio.gather(
            engine.decide(paused.run.run_id, approve=True, actor="ada"),
            engine.decide(paused.run.run_id, approve=False, actor="bob"),
            return_exceptions=True,
        )
        assert sorted(type(answer).__name__ for answer in answers) == [
            "Approval",
            "IllegalTransition",
        ]

    perform(body)

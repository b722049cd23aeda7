"""Cancelling runs, whoever holds them."""

from __future__ import annotations

import asyncio

import pytest

from aureus.errors import DatabaseUnavailable, IllegalTransition, NotFound
from aureus.model.states import ApprovalStatus, RunStatus
from aureus.model.workflows import CompensationAction
from tests.engine.conftest import Perform
from tests.engine.workshop import (
    Gate,
    Scripted,
    Workshop,
    nothing,
    statuses,
    task,
    workflow,
)


def test_the_process_that_works_on_a_run_stops_its_tools_and_cancels_it(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        tool = Scripted("work", gate.work)
        engine = shop.engine(tool)
        definition = workflow(
            task("a", compensation_action=CompensationAction("work")),
            task("b", "a", tool="work"),
            task("c", "b"),
        )
        working = asyncio.create_task(shop.run(engine, definition))
        await gate.entered.wait()
        (run,) = await shop.stores.runs.list()
        await engine.cancel(run.run_id, actor="ada", reason="wrong folder")
        outcome = await working
        assert (outcome.run.status, outcome.run.error_code) == (
            RunStatus.CANCELLED,
            "run_cancelled",
        )
        assert statuses(outcome) == {"a": "completed", "b": "cancelled"}
        assert (tool.stopped, len(tool.calls)) == (1, 1)
        assert not outcome.stopped
        told = await shop.told(run.run_id)
        assert told[-3:] == ["WORKFLOW_CANCEL_REQUESTED", "TASK_CANCELLED b", "WORKFLOW_CANCELLED"]
        with pytest.raises(IllegalTransition, match="is cancelled"):
            await engine.cancel(run.run_id)

    perform(body)


def test_a_paused_run_is_cancelled_at_once_and_its_question_closed(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        engine = shop.engine()
        definition = workflow(task("ask", tool="wait-for-approval", inputs={"message": "?"}))
        paused = await shop.run(engine, definition)
        run = await engine.cancel(paused.run.run_id, actor="ada")
        assert run.status is RunStatus.CANCELLED
        assert run.error_message == "the run was cancelled by ada"
        (approval,) = await shop.stores.approvals.list(run.run_id)
        assert approval.status is ApprovalStatus.CANCELLED
        (row,) = await shop.stores.tasks.list(run.run_id)
        assert (row.status.value, row.finished_no) == ("cancelled", 1)
        events = await shop.events.read_stream(run.stream)
        assert events[-1].actor == "ada"
        with pytest.raises(IllegalTransition):
            await engine.decide(run.run_id, approve=True)
        with pytest.raises(NotFound):
            await engine.cancel("r_none")

    perform(body)


def test_the_run_of_a_dead_process_is_cancelled_at_once(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        first = shop.dying_engine(Scripted("work", nothing), at=2)
        with pytest.raises(DatabaseUnavailable):
            await shop.run(first, workflow(task("a", tool="work"), task("b", "a", tool="work")))
        (run,) = await shop.stores.runs.list()
        cancelled = await shop.engine().cancel(run.run_id)
        assert cancelled.status is RunStatus.CANCELLED
        rows = await shop.stores.tasks.list(run.run_id)
        assert [row.status.value for row in rows] == ["completed", "cancelled"]

    perform(body)


def test_a_run_that_another_process_works_on_is_only_asked_to_stop(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        holder = shop.engine(Scripted("work", gate.work))
        working = asyncio.create_task(shop.run(holder, workflow(task("a", tool="work"))))
        await gate.entered.wait()
        (run,) = await shop.stores.runs.list()
        other = shop.engine()
        asked = await other.cancel(run.run_id)
        assert asked.status is RunStatus.RUNNING
        assert asked.cancel_requested_at is not None
        await other.cancel(run.run_id)
        gate.opened.set()
        await working
        assert (await shop.told(run.run_id)).count("WORKFLOW_CANCEL_REQUESTED") == 1

    perform(body)


def test_a_run_that_was_to_be_cancelled_when_its_process_died_is_cancelled_by_the_next(
    perform: Perform,
) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        definition = workflow(task("a", tool="work"))
        holder = shop.engine(Scripted("work", gate.work))
        working = asyncio.create_task(shop.run(holder, definition))
        await gate.entered.wait()
        (run,) = await shop.stores.runs.list()
        await shop.stores.runs.request_cancel(run.run_id)
        holder.stop()
        await working
        tool = Scripted("work", nothing)
        outcome = await shop.run(shop.engine(tool), definition)
        assert (outcome.run.status, len(tool.calls)) == (RunStatus.CANCELLED, 0)
        assert statuses(outcome) == {"a": "cancelled"}

    perform(body)

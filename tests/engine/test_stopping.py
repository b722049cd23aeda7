"""Letting go of runs: handing over, giving up, being cancelled from outside, failing observers."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from aureus.codec import Json
from aureus.errors import WorkflowError
from aureus.model.states import RunStatus
from aureus.model.transitions import Advanced, RunStart, Transition
from aureus.model.workflows import RetryPolicy
from aureus.stores.runs import AsyncRunStore
from aureus.tools import ToolCall
from aureus.tools.command import CommandTool
from aureus.tools.supervision import Launcher
from tests.engine.conftest import Perform
from tests.engine.workshop import (
    Breaking,
    Gate,
    Scripted,
    Watcher,
    Workshop,
    nothing,
    statuses,
    task,
    workflow,
)
from tests.support.waiting import eventually


def test_stopping_hands_over_what_runs_without_using_its_budget(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        tool = Scripted("work", gate.work)
        first = shop.engine(tool)
        definition = workflow(task("a", tool="work"), task("b", "a", tool="work"))
        working = asyncio.create_task(shop.run(first, definition))
        await gate.entered.wait()
        first.stop()
        outcome = await working
        assert outcome.stopped
        assert (outcome.run.status, outcome.run.lease_id) == (RunStatus.RUNNING, None)
        assert statuses(outcome) == {"a": "retrying"}
        assert (outcome.tasks[0].interruptions, tool.stopped) == (1, 1)
        later = await shop.run(shop.engine(Scripted("work", nothing)), definition)
        assert (later.run.status, later.was_resumed) == (RunStatus.COMPLETED, True)
        assert later.tasks[0].attempt == 2

    perform(body)


def test_stopping_while_a_run_is_being_started_hands_it_over_too(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        class Stopping(Breaking):
            async def start(self, start: RunStart) -> Advanced:
                started = await self._runs.start(start)
                engine.stop()
                return started

        runs = cast(AsyncRunStore, Stopping(shop.stores.runs, 0, after=False))
        tool = Scripted("work", nothing)
        engine = shop.engine(tool, stores=replace(shop.stores, runs=runs))
        outcome = await shop.run(engine, workflow(task("a", tool="work")))
        assert (outcome.stopped, outcome.run.lease_id, tool.calls) == (True, None, [])
        assert statuses(outcome) == {"a": "retrying"}

    perform(body)


def test_a_task_that_finishes_while_the_engine_stops_stays_finished(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        entered = asyncio.Event()

        async def work(call: ToolCall) -> Json:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if call.task_id == "a":
                    return "too late: it counts as interrupted"
                raise
            return None

        engine = shop.engine(Scripted("work", work))
        definition = workflow(task("a", tool="work"), task("b"))
        working = asyncio.create_task(shop.run(engine, definition))
        await entered.wait()
        engine.stop()
        assert statuses(await working) == {"a": "retrying", "b": "completed"}

    perform(body)


def test_stopping_while_a_retry_is_awaited_gives_the_run_back_as_it_is(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        watcher = Watcher()
        retried = asyncio.Event()

        class Waiting(Watcher):
            async def on_events(self, run: object, events: object) -> None:
                await watcher.on_events(run, events)  # type: ignore[arg-type]  # handed on
                if any(event.type == "TASK_RETRY" for event in watcher.events):
                    retried.set()

        async def work(call: ToolCall) -> Json:
            raise ValueError

        engine = shop.engine(Scripted("work", work), watcher=Waiting())
        policy = RetryPolicy(attempts_max=2, backoff_ms=3_600_000)
        working = asyncio.create_task(
            shop.run(engine, workflow(task("a", tool="work", retry=policy)))
        )
        await retried.wait()
        engine.stop()
        outcome = await working
        assert (statuses(outcome), outcome.stopped) == ({"a": "retrying"}, True)
        assert (outcome.tasks[0].interruptions, outcome.run.lease_id) == (0, None)

    perform(body)


@pytest.mark.parametrize("database_url", ["sqlite-memory"], indirect=True)
def test_the_processes_of_a_tool_are_gone_when_its_run_was_handed_over(
    perform: Perform, tmp_path: Path
) -> None:
    async def body(shop: Workshop) -> None:
        pids = tmp_path / "pids"
        script = f"sleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait"
        engine = shop.engine(CommandTool(launcher))
        definition = workflow(task("a", tool="command", inputs={"command": ["sh", "-c", script]}))
        working = asyncio.create_task(shop.run(engine, definition))
        await asyncio.to_thread(
            eventually, lambda: pids.exists() and pids.read_text().count("\n") == 2, "it works"
        )
        engine.stop()
        assert statuses(await working) == {"a": "retrying"}
        for pid in pids.read_text().split():
            with pytest.raises(ProcessLookupError):
                os.kill(int(pid), 0)

    launcher = Launcher()
    try:
        perform(body)
    finally:
        launcher.close()


def test_a_second_stop_gives_up_without_writing_and_the_next_process_goes_on(
    perform: Perform,
) -> None:
    async def body(shop: Workshop) -> None:
        entered, cancelled_twice = asyncio.Event(), asyncio.Event()

        async def stubborn(call: ToolCall) -> Json:
            entered.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled_twice.set()
                    raise
            return None

        engine = shop.engine(Scripted("work", stubborn))
        definition = workflow(task("a", tool="work"))
        working = asyncio.create_task(engine.run(definition, {}, directory=shop.directory))
        await entered.wait()
        engine.stop()
        await asyncio.sleep(0)  # noqa: TID251 - lets the tool see its first cancellation
        engine.stop()
        outcome = await working
        assert cancelled_twice.is_set()
        assert (statuses(outcome), outcome.stopped) == ({"a": "running"}, True)
        await engine.close()
        later = await shop.run(shop.engine(Scripted("work", nothing)), definition)
        assert (later.run.status, later.was_resumed) == (RunStatus.COMPLETED, True)

    perform(body)


def test_a_caller_that_is_cancelled_leaves_the_run_in_good_order(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        tool = Scripted("work", gate.work)
        definition = workflow(task("a", tool="work"))
        engine = shop.engine(tool)
        working = asyncio.create_task(shop.run(engine, definition))
        await gate.entered.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        (run,) = await shop.stores.runs.list()
        assert (run.status, run.lease_id, tool.stopped) == (RunStatus.RUNNING, None, 1)
        gate.opened.set()
        assert (await shop.run(engine, definition)).was_resumed

    perform(body)


def test_a_caller_that_is_cancelled_during_a_commit_waits_for_it(perform: Perform) -> None:
    """What the commit began has not begun its work: it is recorded as interrupted, not left running."""

    async def body(shop: Workshop) -> None:
        committing, may_commit = asyncio.Event(), asyncio.Event()

        class Slow(Breaking):
            async def advance(self, transition: Transition) -> Advanced:
                if any(change.key.name == "b" and change.is_new for change in transition.changes):
                    committing.set()
                    await may_commit.wait()
                return await self._runs.advance(transition)

        slow = cast(AsyncRunStore, Slow(shop.stores.runs, 0, after=False))
        tool = Scripted("work", nothing)
        engine = shop.engine(tool, stores=replace(shop.stores, runs=slow))
        definition = workflow(task("a"), task("b", "a", tool="work"))
        working = asyncio.create_task(shop.run(engine, definition))
        await committing.wait()
        working.cancel()
        may_commit.set()
        with pytest.raises(asyncio.CancelledError):
            await working
        (run,) = await shop.stores.runs.list()
        rows = await shop.stores.tasks.list(run.run_id)
        assert [row.status.value for row in rows] == ["completed", "retrying"]
        assert (run.lease_id, tool.calls) == (None, [])

    perform(body)


@pytest.mark.parametrize(
    "fails_at", ["WORKFLOW_STARTED", "TASK_COMPLETED", "WORKFLOW_COMPLETED", "WORKFLOW_RESUMED"]
)
def test_a_watcher_that_fails_stops_the_run_and_nothing_is_lost(
    perform: Perform, fails_at: str
) -> None:
    async def body(shop: Workshop) -> None:
        definition = workflow(task("a", tool="work"), task("b", "a", tool="work"))
        if fails_at == "WORKFLOW_RESUMED":
            gate = Gate()
            other = shop.engine(Scripted("work", gate.work))
            working = asyncio.create_task(shop.run(other, definition))
            await gate.entered.wait()
            other.stop()
            await working
        watcher = Watcher()
        watcher.fails_at = fails_at
        engine = shop.engine(Scripted("work", nothing), watcher=watcher)
        with pytest.raises(WorkflowError, match="no room for the log") as failed:
            await shop.run(engine, definition)
        assert isinstance(failed.value.__cause__, OSError)
        watcher.fails_at = None
        (run,) = await shop.stores.runs.list()
        if fails_at == "WORKFLOW_COMPLETED":
            assert run.status is RunStatus.COMPLETED
            return
        assert (run.status, run.lease_id) == (RunStatus.RUNNING, None)
        outcome = await shop.run(engine, definition)
        assert (outcome.run.run_id, outcome.run.status) == (run.run_id, RunStatus.COMPLETED)
        told = await shop.told(run.run_id)
        assert told.count("TASK_COMPLETED a") == told.count("TASK_COMPLETED b") == 1

    perform(body)


def test_no_more_runs_are_worked_on_at_once_than_the_bound(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool = Scripted("work", nothing)
        engine = shop.engine(tool, concurrent_runs_max=2)
        definition = workflow(task("a", tool="work"), inputs=["n"])
        runs = [shop.run(engine, definition, {"n": number}) for number in range(8)]
        outcomes = await asyncio.gather(*runs)
        assert {outcome.run.status for outcome in outcomes} == {RunStatus.COMPLETED}
        assert tool.most_at_once <= 2

    perform(body)

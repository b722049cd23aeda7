"""Going on with a run: after a death at any commit, beside a living holder, with another definition."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from aureus.codec import Json
from aureus.engine.identity import read_identity
from aureus.engine.parts import RunOutcome
from aureus.engine.service import Engine
from aureus.errors import (
    Conflict,
    DatabaseUnavailable,
    DefinitionChanged,
    IllegalTransition,
    NotFound,
    ToolFailed,
)
from aureus.model.runs import stream_of
from aureus.model.states import RunStatus, TaskStatus
from aureus.model.workflows import Compensation, CompensationAction, RetryPolicy, Workflow
from aureus.stores.leases import AsyncLeaseStore
from aureus.stores.runs import AsyncRunStore
from aureus.tools import ToolCall
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

COMMITS_MAX = 40
"""Commits after which a run that dies at the n-th one must have ended."""


def diamond() -> Workflow:
    """Return a workflow with a fork, a join and a retry."""
    policy = RetryPolicy(attempts_max=2, backoff_ms=1)
    return workflow(
        task("a", tool="work"),
        task("b", "a", tool="work"),
        task("c", "a", tool="work", retry=policy),
        task("d", "b", "c", tool="work", inputs={"of": "${{ tasks.b.result }}"}),
    )


def failing() -> Workflow:
    """Return a workflow whose last task fails, with everything that makes up for it."""
    return workflow(
        task("a", tool="work", compensation_action=CompensationAction("work")),
        task("b", "a", tool="work", compensation_action=CompensationAction("work")),
        task("c", "b", tool="work", compensation=Compensation(on_failure="fix")),
        task("fix", tool="work"),
    )


class Deaths:
    """Runs a workflow in a process that dies at its n-th commit, and then in another one."""

    def __init__(self, shop: Workshop, definition: Workflow) -> None:
        self.shop = shop
        self.definition = definition
        self.finished: set[str] = set()
        self.later_calls: list[str] = []
        self.is_later = False

    async def work(self, call: ToolCall) -> Json:
        if self.is_later:
            self.later_calls.append(call.task_id)
        is_retried = any(one.retry.attempts_max > 1 for one in self.definition.tasks)
        if call.task_id == "c" and (call.attempt == 1 or not is_retried):
            raise ToolFailed("c")
        return call.task_id

    async def run(self, number: int, *, after: bool) -> RunOutcome | None:
        """Die at a commit and go on; None when the run has fewer commits."""
        first = self.shop.dying_engine(Scripted("work", self.work), at=number, after=after)
        try:
            await self.shop.run(first, self.definition)
        except DatabaseUnavailable:
            unfinished = await self.shop.stores.runs.list(status=RunStatus.RUNNING)
            for run in unfinished:
                rows = await self.shop.stores.tasks.list(run.run_id)
                self.finished |= {
                    str(row.key) for row in rows if row.status is TaskStatus.COMPLETED
                }
            self.is_later = True
            second = self.shop.engine(Scripted("work", self.work))
            outcome = await self.shop.run(second, self.definition)
            assert outcome.was_resumed == bool(unfinished)
            return outcome
        return None


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_may_die_at_any_commit_and_the_next_one_goes_on_at_once(
    perform: Perform, after: bool
) -> None:
    async def body(shop: Workshop) -> None:
        for number in range(1, COMMITS_MAX):
            deaths = Deaths(shop, diamond())
            outcome = await deaths.run(number, after=after)
            if outcome is None:
                assert number > 4
                return
            assert statuses(outcome) == dict.fromkeys("abcd", "completed")
            assert not deaths.finished & set(deaths.later_calls), "a finished task ran again"
            told = Counter(await shop.told(outcome.run.run_id))
            assert [told[f"TASK_COMPLETED {name}"] for name in "abcd"] == [1, 1, 1, 1]
        raise AssertionError("the run has more commits than expected")

    perform(body)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_process_may_die_at_any_commit_of_a_compensation(perform: Perform, after: bool) -> None:
    async def body(shop: Workshop) -> None:
        for number in range(1, COMMITS_MAX):
            deaths = Deaths(shop, failing())
            outcome = await deaths.run(number, after=after)
            if outcome is None:
                assert number > 6
                return
            told = await shop.told(outcome.run.run_id)
            assert [text for text in told if text.startswith("COMPENSATION_COMPLETED")] == [
                f"COMPENSATION_COMPLETED {name}" for name in ("fix", "b", "a")
            ]
            assert outcome.run.error_message == "task c failed: c"
            undone = {str(row.key) for row in outcome.tasks if row.scope}
            assert undone == {"compensation/c/fix", "compensation/b/work", "compensation/a/work"}
        raise AssertionError("the run has more commits than expected")

    perform(body)


def test_the_watcher_is_told_what_is_resumed_and_how_far_it_is(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        first = shop.dying_engine(Scripted("work", nothing), at=3)
        definition = workflow(
            task("a", tool="work"), task("b", "a", tool="work"), task("c", "b", tool="work")
        )
        with pytest.raises(DatabaseUnavailable):
            await shop.run(first, definition)
        watcher = Watcher()
        outcome = await shop.run(
            shop.engine(Scripted("work", nothing), watcher=watcher), definition
        )
        assert watcher.resumed == [(2, 3)]
        assert outcome.tasks[2].interruptions == 1
        stored = await shop.events.read_stream(stream_of(outcome.run.run_id))
        assert watcher.events == stored[-len(watcher.events) :]
        resumed = watcher.events[0]
        assert resumed.type == "WORKFLOW_RESUMED"
        assert resumed.payload["data"]["afterHost"] == read_identity().host

    perform(body)


def waiting_engine(shop: Workshop, tool: Scripted, waits: asyncio.Event) -> Engine:
    """Return an engine that says when it begins to wait for another one: it then gives its own lease back."""

    class Leases:
        def __getattr__(self, name: str) -> Any:
            if name == "release":
                waits.set()
            return getattr(shop.stores.leases, name)

    return shop.engine(tool, stores=replace(shop.stores, leases=cast(AsyncLeaseStore, Leases())))


def test_two_that_are_started_together_make_one_run(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        tool = Scripted("work", gate.work)
        definition = workflow(task("a", tool="work"))
        waits = asyncio.Event()
        first, second = shop.engine(tool), waiting_engine(shop, tool, waits)
        working = asyncio.create_task(shop.run(first, definition))
        await gate.entered.wait()
        with pytest.raises(Conflict, match="is being worked on by process") as refused:
            await shop.run(second, definition)
        me = read_identity()
        assert (refused.value.host, refused.value.pid) == (me.host, me.pid)
        with pytest.raises(Conflict, match="this process"):
            await shop.run(first, definition)
        waiting = asyncio.create_task(shop.run(second, definition, wait=True))
        await waits.wait()
        gate.opened.set()
        outcome = await working
        assert (await waiting).run == outcome.run
        assert len(tool.calls) == 1
        assert len(await shop.stores.runs.list()) == 1

    perform(body)


def test_one_that_waits_takes_over_when_the_holder_gives_up(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        definition = workflow(task("a", tool="work"))
        first = shop.engine(Scripted("work", gate.work))
        waits = asyncio.Event()
        second = waiting_engine(shop, Scripted("work", nothing), waits)
        working = asyncio.create_task(shop.run(first, definition))
        await gate.entered.wait()
        waiting = asyncio.create_task(shop.run(second, definition, wait=True))
        await waits.wait()
        first.stop()
        assert (await working).stopped
        outcome = await waiting
        assert (outcome.run.status, outcome.was_resumed) == (RunStatus.COMPLETED, True)

    perform(body)


def test_one_that_waits_can_be_stopped(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        definition = workflow(task("a", tool="work"))
        waits = asyncio.Event()
        first = shop.engine(Scripted("work", gate.work))
        second = waiting_engine(shop, Scripted("work", nothing), waits)
        working = asyncio.create_task(shop.run(first, definition))
        await gate.entered.wait()
        waiting = asyncio.create_task(
            second.run(definition, {}, directory=shop.directory, wait=True)
        )
        await waits.wait()
        second.stop()
        with pytest.raises(Conflict, match="stopped"):
            await shop.run(second, definition)
        gate.opened.set()
        assert (await waiting).stopped
        await working

    perform(body)


def test_new_starts_another_run_beside_an_unfinished_one(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        definition = workflow(task("a", tool="work"))
        engine = shop.engine(Scripted("work", gate.work))
        first = asyncio.create_task(shop.run(engine, definition))
        await gate.entered.wait()
        second = asyncio.create_task(shop.run(engine, definition, new=True))
        third = asyncio.create_task(shop.run(engine, definition, run_id="mine"))
        gate.opened.set()
        outcomes = await asyncio.gather(first, second, third)
        assert len({outcome.run.run_id for outcome in outcomes}) == 3

    perform(body)


async def leave_unfinished(shop: Workshop, definition: Workflow, commits: int) -> None:
    """Run a workflow in a process that dies after so many commits."""
    engine = shop.dying_engine(Scripted("work", nothing), at=commits)
    with pytest.raises(DatabaseUnavailable):
        await shop.run(engine, definition)


def test_a_changed_definition_is_refused_unless_it_is_accepted(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        before = workflow(task("a", tool="work"), task("b", "a", tool="work"))
        after = workflow(task("a", tool="work", timeout_ms=9_000), task("c", "a", tool="work"))
        await leave_unfinished(shop, before, 2)
        tool = Scripted("work", nothing)
        engine = shop.engine(tool)
        with pytest.raises(DefinitionChanged, match="added: c; removed: b; changed: a"):
            await shop.run(engine, after)
        outcome = await shop.run(engine, after, accept_changed_definition=True)
        assert outcome.run.status is RunStatus.COMPLETED
        assert statuses(outcome) == {"a": "completed", "b": "cancelled", "c": "completed"}
        assert [call.task_id for call in tool.calls] == ["c"], "a keeps its result"
        assert [one.code_version for one in outcome.tasks] == [before.hash, before.hash, after.hash]

    perform(body)


def test_a_run_can_be_resumed_without_its_file(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        definition = diamond()
        await leave_unfinished(shop, definition, 2)
        (run,) = await shop.stores.runs.list()
        engine = shop.engine(Scripted("work", nothing))
        outcome = await engine.resume(run.run_id, directory=shop.directory)
        await shop.check(outcome)
        assert (outcome.run.status, outcome.was_resumed) == (RunStatus.COMPLETED, True)
        with pytest.raises(IllegalTransition, match="it cannot be resumed"):
            await engine.resume(run.run_id, directory=shop.directory)
        with pytest.raises(NotFound):
            await engine.resume("r_none", directory=shop.directory)

    perform(body)


def test_the_key_of_a_task_is_the_same_after_a_death(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        definition = workflow(task("a", tool="work"), task("b", "a", tool="work"))
        await leave_unfinished(shop, definition, 2)
        (run,) = await shop.stores.runs.list()
        before = {one.name: one.idempotency_key for one in await shop.stores.tasks.list(run.run_id)}
        tool = Scripted("work", nothing)
        await shop.run(shop.engine(tool), definition)
        assert [(call.task_id, call.attempt) for call in tool.calls] == [("b", 2)]
        assert tool.calls[0].idempotency_key == before["b"]

    perform(body)


def test_a_lost_reply_to_the_start_is_not_a_second_run(perform: Perform) -> None:
    """The start was written, its reply lost, and repeated below the store: the run seems to be in its own way."""

    class LosingReply(Breaking):
        async def start(self, start: object) -> object:  # type: ignore[override]  # any start will do
            await self._runs.start(start)  # type: ignore[arg-type]  # the one it was given
            return await self._runs.start(start)  # type: ignore[arg-type]  # the same once more

    async def body(shop: Workshop) -> None:
        runs = cast(AsyncRunStore, LosingReply(shop.stores.runs, 0, after=False))
        ways: list[dict[str, Any]] = [{}, {"new": True}, {"run_id": "mine"}]
        for more in ways:
            tool = Scripted("work", nothing)
            engine = shop.engine(tool, stores=replace(shop.stores, runs=runs))
            outcome = await shop.run(engine, workflow(task("a", tool="work")), **more)
            assert (outcome.run.status, outcome.was_resumed) == (RunStatus.COMPLETED, False)
            assert len(tool.calls) == 1

    perform(body)

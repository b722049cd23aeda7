"""Running a workflow from its start to its end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from aureus.codec import Json
from aureus.engine.attempts import RESULT_BYTES_MAX
from aureus.engine.definition import load_text
from aureus.errors import AlreadyExists, Invalid, ToolFailed
from aureus.model.runs import stream_of
from aureus.model.states import RunStatus
from aureus.model.workflows import Compensation, CompensationAction, RetryPolicy
from aureus.tools import ToolCall
from tests.engine.conftest import Perform
from tests.engine.workshop import Scripted, Watcher, Workshop, nothing, statuses, task, workflow


def test_a_workflow_runs_to_its_end_and_tells_what_happened(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool, watcher = Scripted("work", nothing), Watcher()
        definition = workflow(
            task("a", tool="work", inputs={"x": "${{ input.x }}"}),
            task("b", "a", inputs={"got": "${{ tasks.a.result }}"}),
            inputs=["x"],
        )
        outcome = await shop.run(shop.engine(tool, watcher=watcher), definition, {"x": 7})
        assert outcome.run.status is RunStatus.COMPLETED
        assert [task.result for task in outcome.tasks] == ["a", {"got": "a"}]
        assert (outcome.was_resumed, outcome.stopped) == (False, False)
        (call,) = tool.calls
        assert (call.inputs, call.task_id, call.attempt) == ({"x": 7}, "a", 1)
        assert (call.tenant_id, call.run_id) == ("acme", outcome.run.run_id)
        assert call.idempotency_key == outcome.tasks[0].idempotency_key
        assert await shop.told(outcome.run.run_id) == [
            "WORKFLOW_STARTED",
            "TASK_STARTED a",
            "TASK_COMPLETED a",
            "TASK_STARTED b",
            "TASK_COMPLETED b",
            "WORKFLOW_COMPLETED",
        ]
        stored = await shop.events.read_stream(stream_of(outcome.run.run_id))
        assert watcher.events == stored

    perform(body)


def test_a_file_runs_as_it_is_loaded(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        loaded = load_text("{id: f, tasks: [{id: a, inputs: {n: 0}}]}", source="f.yaml")
        outcome = await shop.engine().run(loaded, {}, directory=shop.directory)
        assert outcome.tasks[0].result == {"n": 0}

    perform(body)


def test_results_that_look_empty_are_kept(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        results: dict[str, Json] = {
            "zero": 0,
            "empty": "",
            "false": False,
            "null": None,
            "list": [],
        }

        async def work(call: ToolCall) -> Json:
            return results[call.task_id]

        definition = workflow(*(task(name, tool="work") for name in results))
        outcome = await shop.run(shop.engine(Scripted("work", work)), definition)
        assert {task.name: task.result for task in outcome.tasks} == results
        assert all(task.has_result for task in outcome.tasks)

    perform(body)


def test_no_more_tasks_work_at_once_than_the_bound(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool = Scripted("work", nothing)
        definition = workflow(*(task(f"t{number}", tool="work") for number in range(60)))
        outcome = await shop.run(shop.engine(tool, parallel_tasks_max=10), definition)
        assert outcome.run.status is RunStatus.COMPLETED
        assert tool.most_at_once <= 10
        assert len(tool.calls) == 60

    perform(body)


def test_a_failed_attempt_is_repeated_with_the_same_key(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            if call.attempt < 3:
                raise ToolFailed(f"attempt {call.attempt}")
            return "third"

        tool = Scripted("work", work)
        policy = RetryPolicy(attempts_max=3, backoff_ms=1)
        outcome = await shop.run(shop.engine(tool), workflow(task("a", tool="work", retry=policy)))
        assert (outcome.tasks[0].result, outcome.tasks[0].attempt) == ("third", 3)
        assert len({call.idempotency_key for call in tool.calls}) == 1
        told = await shop.told(outcome.run.run_id)
        assert told.count("TASK_RETRY a") == 2

    perform(body)


@pytest.mark.parametrize(
    ("error", "code", "calls"),
    [
        (ToolFailed("exit 1"), "tool_failed", 2),
        (ValueError("a\x00b \ud800"), "tool_failed", 2),
        (Invalid("never"), "invalid", 1),
        (asyncio.CancelledError(), "tool_failed", 2),
    ],
    ids=["tool failed", "any exception", "refused", "cancelled itself"],
)
def test_an_attempt_fails_by_what_its_tool_raises(
    perform: Perform, error: BaseException, code: str, calls: int
) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            raise error

        tool = Scripted("work", work)
        policy = RetryPolicy(attempts_max=2, backoff_ms=1)
        outcome = await shop.run(shop.engine(tool), workflow(task("a", tool="work", retry=policy)))
        assert outcome.run.status is RunStatus.FAILED
        assert (outcome.run.error_code, outcome.tasks[0].error_code) == (code, code)
        assert len(tool.calls) == calls

    perform(body)


@pytest.mark.parametrize(
    "result", [float("nan"), {1: 2}, object(), "x" * RESULT_BYTES_MAX], ids=["nan", "key", "object", "large"]
)  # fmt: skip
def test_a_result_that_cannot_be_kept_fails_the_task(perform: Perform, result: object) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            return result  # type: ignore[return-value]  # what a careless tool does

        outcome = await shop.run(
            shop.engine(Scripted("work", work)), workflow(task("a", tool="work"))
        )
        assert outcome.run.status is RunStatus.FAILED
        assert outcome.run.error_code in {"invalid", "limit_exceeded"}

    perform(body)


def test_many_large_results_at_the_same_moment_are_all_kept(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        text = '"' * (RESULT_BYTES_MAX // 2 - 10)  # each quote doubles, twice
        gate = asyncio.Event()
        waiting = 0

        async def work(call: ToolCall) -> Json:
            nonlocal waiting
            waiting += 1
            if waiting == 6:
                gate.set()
            await gate.wait()
            return text

        definition = workflow(*(task(f"t{number}", tool="work") for number in range(6)))
        outcome = await shop.run(shop.engine(Scripted("work", work)), definition)
        assert outcome.run.status is RunStatus.COMPLETED
        assert all(task.result == text for task in outcome.tasks)

    perform(body)


def test_a_task_that_takes_too_long_is_stopped_and_its_late_result_ignored(
    perform: Perform,
) -> None:
    async def body(shop: Workshop) -> None:
        async def stubborn(call: ToolCall) -> Json:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return "late"
            return None

        definition = workflow(
            task("a", tool="work", timeout_ms=20, compensation=Compensation(on_timeout="fix")),
            task("fix"),
        )
        outcome = await shop.run(shop.engine(Scripted("work", stubborn)), definition)
        assert statuses(outcome) == {"a": "timeout", "compensation/a/fix": "completed"}
        assert (outcome.run.error_code, outcome.tasks[0].has_result) == ("task_timed_out", False)

    perform(body)


def test_a_task_is_timed_out_only_when_its_tool_has_stopped(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        stopping, may_stop = asyncio.Event(), asyncio.Event()

        async def slow_to_stop(call: ToolCall) -> Json:
            try:
                await asyncio.Event().wait()
            finally:
                stopping.set()
                await may_stop.wait()
            return None

        engine = shop.engine(Scripted("work", slow_to_stop))
        definition = workflow(task("a", tool="work", timeout_ms=10))
        working = asyncio.create_task(shop.run(engine, definition))
        await stopping.wait()
        for _ in range(50):
            (run,) = await shop.stores.runs.list()
            assert run.status is RunStatus.RUNNING
        may_stop.set()
        assert statuses(await working) == {"a": "timeout"}

    perform(body)


def test_the_default_time_limit_is_for_tasks_without_one(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def forever(call: ToolCall) -> Json:
            await asyncio.Event().wait()
            return None

        tool = Scripted("work", forever)
        engine = shop.engine(tool, task_timeout_seconds=0.02)
        outcome = await shop.run(engine, workflow(task("a", tool="work")))
        assert statuses(outcome) == {"a": "timeout"}
        assert tool.stopped == 1

    perform(body)


def test_a_run_that_takes_too_long_fails_as_a_whole(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def forever(call: ToolCall) -> Json:
            await asyncio.Event().wait()
            return None

        engine = shop.engine(Scripted("work", forever), workflow_timeout_seconds=0.1)
        policy = RetryPolicy(attempts_max=9, backoff_ms=1)
        outcome = await shop.run(engine, workflow(task("a", tool="work", retry=policy)))
        assert (outcome.run.status, outcome.run.error_code) == (RunStatus.FAILED, "run_timed_out")

    perform(body)


def test_a_failed_run_is_compensated_and_keeps_its_error(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            if call.task_id == "c":
                raise ToolFailed("boom")
            return {"did": call.inputs.get("what")}

        tool = Scripted("work", work)
        undo = CompensationAction("work", {"what": "undo ${{ tasks.a.result.did }}"})
        definition = workflow(
            task("a", tool="work", inputs={"what": "book"}, compensation_action=undo),
            task("c", "a", tool="work", compensation=Compensation(on_failure="fix")),
            task("fix", tool="work", inputs={"what": "${{ tasks.c.status }}"}),
        )
        outcome = await shop.run(shop.engine(tool), definition)
        assert outcome.run.error_message == "task c failed: boom"
        assert [task.result for task in outcome.tasks] == [
            {"did": "book"}, None, {"did": "failed"}, {"did": "undo book"},
        ]  # fmt: skip
        keys = [call.idempotency_key for call in tool.calls]
        assert len(set(keys)) == 4

    perform(body)


def test_unusable_inputs_and_tools_are_refused_before_anything_is_stored(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        engine = shop.engine(Scripted("work", nothing))
        undo = CompensationAction("missing-too")
        wrong = workflow(
            task("a", tool="missing"),
            task("b", tool="work", inputs={"bad": 1}),
            task("c", compensation_action=undo),
        )
        with pytest.raises(Invalid) as refused:
            await shop.run(engine, wrong)
        assert len(refused.value.problems) == 3
        with pytest.raises(Invalid, match="no input"):
            await shop.run(engine, workflow(task("a")), {"typo": 1})
        assert await shop.stores.runs.list() == []
        assert await shop.stores.workflows.list_versions("w") == []

    perform(body)


def test_a_run_id_names_one_run_for_good(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool = Scripted("work", nothing)
        engine = shop.engine(tool)
        definition = workflow(task("a", tool="work"), inputs=["x"])
        first = await shop.run(engine, definition, {"x": 1}, run_id="tides-1")
        again = await shop.run(engine, definition, {"x": 1}, run_id="tides-1")
        assert (first.run, len(tool.calls)) == (again.run, 1)
        with pytest.raises(AlreadyExists, match="other inputs"):
            await shop.run(engine, definition, {"x": 2}, run_id="tides-1")
        other = replace(definition, id="other")
        with pytest.raises(AlreadyExists, match="belongs to workflow 'w'"):
            await shop.run(engine, other, {"x": 1}, run_id="tides-1")
        for wrong in ("", " a", "a\nb", "x" * 513):
            with pytest.raises(Invalid):
                await shop.run(engine, definition, {"x": 1}, run_id=wrong)

    perform(body)


def test_a_run_that_has_ended_does_not_keep_the_next_one_from_starting(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        engine = shop.engine()
        first = await shop.run(engine, workflow(task("a")))
        second = await shop.run(engine, workflow(task("a")))
        assert first.run.run_id != second.run.run_id

    perform(body)


def test_tools_cannot_change_what_other_tasks_see(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            call.inputs["list"].append("mine")
            return None

        given = {"list": "${{ tasks.a.result.items }}"}
        definition = workflow(
            task("a", inputs={"items": ["first"]}),
            task("b", "a", tool="work", inputs=given),
            task("c", "b", inputs=given),
        )
        outcome = await shop.run(shop.engine(Scripted("work", work)), definition)
        assert outcome.tasks[2].result == {"list": ["first"]}

    perform(body)

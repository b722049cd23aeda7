"""Idempotency keys that authors give: one effect for a key, whichever run asks for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from aureus.codec import Json
from aureus.engine import attempts
from aureus.errors import Conflict, DatabaseUnavailable, ToolFailed
from aureus.model.states import RunStatus
from aureus.model.workflows import RetryPolicy
from aureus.stores.idempotency_keys import AsyncIdempotencyKeyStore
from aureus.tools import ToolCall
from tests.engine.conftest import Perform
from tests.engine.workshop import Gate, Scripted, Workshop, nothing, statuses, task, workflow


def test_a_second_run_gets_the_stored_result_flagged_as_replayed(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool = Scripted("work", nothing)
        engine = shop.engine(tool)
        definition = workflow(task("a", tool="work", idempotency_key="order-7"), task("b", "a"))
        first = await shop.run(engine, definition)
        second = await shop.run(engine, definition)
        assert len(tool.calls) == 1
        assert tool.calls[0].idempotency_key == "order-7"
        assert [one.replayed for one in first.tasks] == [False, False]
        assert [one.replayed for one in second.tasks] == [True, False]
        assert second.tasks[0].result == "a"
        events = await shop.events.read_stream(second.run.stream)
        completed = next(event for event in events if event.type == "TASK_COMPLETED")
        assert completed.payload["data"] == {"replayed": True}

    perform(body)


def test_without_a_key_of_the_author_every_run_does_its_work(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool = Scripted("work", nothing)
        engine = shop.engine(tool)
        for _ in range(2):
            await shop.run(engine, workflow(task("a", tool="work")))
        assert len({call.idempotency_key for call in tool.calls}) == 2

    perform(body)


def test_a_key_that_was_used_for_other_inputs_fails_the_task(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        tool = Scripted("work", nothing)
        engine = shop.engine(tool)
        policy = RetryPolicy(attempts_max=3, backoff_ms=1)
        definition = workflow(
            task(
                "a",
                tool="work",
                retry=policy,
                idempotency_key="k",
                inputs={"x": "${{ input.x }}"},
            ),
            inputs=["x"],
        )
        await shop.run(engine, definition, {"x": 1})
        outcome = await shop.run(engine, definition, {"x": 2})
        assert (outcome.run.status, outcome.run.error_code) == (RunStatus.FAILED, "already_exists")
        assert "used with other inputs" in str(outcome.run.error_message)
        assert len(tool.calls) == 1

    perform(body)


def test_work_that_is_under_way_elsewhere_is_waited_for_and_replayed(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "KEY_WAIT_SECONDS", 0.02)

    async def body(shop: Workshop) -> None:
        gate = Gate()
        busy = asyncio.Event()

        class Keys:
            async def reserve(self, *arguments: Any, **more: Any) -> Any:
                try:
                    return await shop.stores.idempotency_keys.reserve(*arguments, **more)
                except Conflict:
                    busy.set()
                    raise

        tool = Scripted("work", gate.work)
        keys = cast(AsyncIdempotencyKeyStore, Keys())
        engine = shop.engine(tool, stores=replace(shop.stores, idempotency_keys=keys))
        definition = workflow(task("a", tool="work", idempotency_key="k"))
        first = asyncio.create_task(shop.run(engine, definition))
        await gate.entered.wait()
        second = asyncio.create_task(shop.run(engine, definition, new=True))
        await busy.wait()
        gate.opened.set()
        assert (await first).tasks[0].replayed is False
        later = await second
        assert (later.tasks[0].replayed, later.tasks[0].attempt) == (True, 1)
        assert len(tool.calls) == 1

    perform(body)


def test_waiting_for_a_key_ends_as_a_failed_attempt(
    perform: Perform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempts, "KEY_WAIT_SECONDS", 0.001)
    monkeypatch.setattr(attempts, "KEY_WAIT_SECONDS_MAX", 0.01)

    async def body(shop: Workshop) -> None:
        gate = Gate()
        engine = shop.engine(Scripted("work", gate.work))
        definition = workflow(task("a", tool="work", idempotency_key="k"))
        first = asyncio.create_task(shop.run(engine, definition))
        await gate.entered.wait()
        second = await shop.run(engine, definition, new=True)
        assert (second.run.status, second.run.error_code) == (RunStatus.FAILED, "conflict")
        gate.opened.set()
        await first

    perform(body)


def test_a_key_whose_work_failed_is_free_for_the_next_run(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            if len(tool.calls) == 1:
                raise ToolFailed("the first time")
            return "second"

        tool = Scripted("work", work)
        engine = shop.engine(tool)
        definition = workflow(task("a", tool="work", idempotency_key="k"))
        assert (await shop.run(engine, definition)).run.status is RunStatus.FAILED
        later = await shop.run(engine, definition)
        assert (later.tasks[0].result, later.tasks[0].replayed) == ("second", False)

    perform(body)


def test_every_attempt_of_a_task_keeps_its_reservation(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            if call.attempt == 1:
                raise ToolFailed("once")
            return None

        policy = RetryPolicy(attempts_max=2, backoff_ms=1)
        definition = workflow(task("a", tool="work", retry=policy, idempotency_key="k"))
        outcome = await shop.run(shop.engine(Scripted("work", work)), definition)
        assert statuses(outcome) == {"a": "completed"}

    perform(body)


def test_a_database_that_cannot_reserve_a_key_does_not_fail_the_task(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        class Keys:
            async def reserve(self, *arguments: Any, **more: Any) -> Any:
                raise DatabaseUnavailable("gone")

        keys = cast(AsyncIdempotencyKeyStore, Keys())
        tool = Scripted("work", nothing)
        definition = workflow(task("a", tool="work", idempotency_key="k"))
        broken = shop.engine(tool, stores=replace(shop.stores, idempotency_keys=keys))
        with pytest.raises(DatabaseUnavailable):
            await shop.run(broken, definition)
        await broken.close()
        outcome = await shop.run(shop.engine(tool), definition)
        assert (statuses(outcome), outcome.was_resumed) == ({"a": "completed"}, True)

    perform(body)

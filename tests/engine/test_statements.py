"""How often the database is asked: counts, so that a change that doubles them is seen."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from aureus.codec import Json
from aureus.engine.parts import EngineStores
from aureus.tools import ToolCall
from tests.engine.conftest import Perform
from tests.engine.workshop import Scripted, Workshop, nothing, task, workflow


class Counting:
    """A store whose operations are noted by their name."""

    def __init__(self, noun: str, store: Any, log: list[str]) -> None:
        self._noun = noun
        self._store = store
        self._log = log

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        operation: Callable[..., Awaitable[Any]] = getattr(self._store, name)

        async def noted(*arguments: Any, **more: Any) -> Any:
            self._log.append(f"{self._noun}.{name}")
            return await operation(*arguments, **more)

        return noted


def counted(stores: EngineStores) -> tuple[EngineStores, list[str]]:
    """Return the stores with a log of what is asked of them."""
    log: list[str] = []
    wrapped: dict[str, Any] = {
        field.name: Counting(field.name, getattr(stores, field.name), log)
        for field in fields(stores)
    }
    return replace(stores, **wrapped), log


def test_three_tasks_one_after_the_other_take_five_writes_and_no_read(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        stores, log = counted(shop.stores)
        engine = shop.engine(Scripted("work", nothing), stores=stores)
        definition = workflow(
            task("a", tool="work"), task("b", "a", tool="work"), task("c", "b", tool="work")
        )
        await shop.run(engine, definition)
        assert log == [
            "workflows.save_version",
            "leases.acquire",
            "runs.start",
            "runs.advance",
            "runs.advance",
            "runs.advance",
        ]
        log.clear()
        await shop.run(engine, definition)
        assert log == ["runs.start", "runs.advance", "runs.advance", "runs.advance"]

    perform(body)


def test_a_thousand_tasks_take_a_write_each_at_most(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        async def work(call: ToolCall) -> Json:
            await asyncio.sleep(0)  # noqa: TID251 - lets the others begin
            return None

        stores, log = counted(shop.stores)
        tool = Scripted("work", work)
        engine = shop.engine(tool, stores=stores, parallel_tasks_max=10)
        await shop.run(engine, workflow(*(task(f"t{n}", tool="work") for n in range(1000))))
        assert tool.most_at_once == 10
        assert log.count("runs.advance") <= 1000
        assert set(log) == {
            "workflows.save_version",
            "leases.acquire",
            "runs.start",
            "runs.advance",
        }

    perform(body)


def test_going_on_reads_the_journal_once(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        definition = workflow(
            task("ask", tool="wait-for-approval", inputs={"message": "?"}),
            task("b", "ask", tool="work"),
        )
        first = shop.engine(Scripted("work", nothing))
        paused = await shop.run(first, definition)
        await first.decide(paused.run.run_id, approve=True)
        stores, log = counted(shop.stores)
        await shop.run(shop.engine(Scripted("work", nothing), stores=stores), definition)
        claimed = log.index("runs.claim")
        assert log[claimed + 1 :] == [
            "runs.get_inputs",
            "tasks.list",
            "approvals.list",
            "runs.advance",
            "runs.advance",
        ]

    perform(body)

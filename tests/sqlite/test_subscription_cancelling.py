"""A task that is cancelled while it handles, waits or has an event in hand leaves nothing half done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aureus import AsyncAureus
from tests.support.backends import settings_for

Work = Callable[[AsyncAureus], Coroutine[Any, Any, None]]


def run(work: Work, folder: Path) -> None:
    """Run work on an open database with three events."""

    async def opened() -> None:
        settings = settings_for(f"sqlite:///{folder}/aureus.db", folder)
        async with AsyncAureus(settings=settings) as db:
            for stream in "abc":
                await db.events.append(stream, "t", {})
            await work(db)

    asyncio.run(opened())


async def cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_handler_that_is_cancelled_is_undone_and_its_event_is_handled_by_the_next(
    tmp_path: Path,
) -> None:
    async def work(db: AsyncAureus) -> None:
        is_busy, calls = asyncio.Event(), list[str]()

        async def count(tx: Any, event: Any) -> None:
            calls.append(event.stream)
            await tx.world_state.increment("n")
            if len(calls) == 2:
                is_busy.set()
                await asyncio.Event().wait()

        consumer = db.subscription("s", types=["t"])
        task = asyncio.create_task(consumer.handle_each(count))
        await is_busy.wait()
        await cancelled(task)
        await consumer.close()
        async with db.subscription("s", live=False) as again:
            await again.handle_each(count, batch_size=10)
        assert calls == ["a", "b", "b", "c"]
        assert (await db.world_state.get("n")).value == 3
        assert list(await db.subscriptions.parked("s")) == []

    run(work, tmp_path)


def test_waiting_that_is_cancelled_can_be_taken_up_again(tmp_path: Path) -> None:
    async def work(db: AsyncAureus) -> None:
        async with db.subscription("s", types=["t"]) as events:
            told = [(await anext(events)).stream for _ in range(3)]
            waiting = asyncio.create_task(anext(events))
            async with asyncio.timeout(60):
                while (await db.subscriptions.get("s")).position < 2:
                    await asyncio.wait([waiting], timeout=0.01)
            await cancelled(waiting)
            await db.events.append("d", "t", {})
            told.append((await anext(events)).stream)
        assert told == ["a", "b", "c", "d"]

    run(work, tmp_path)


def test_a_member_that_is_cancelled_leaves_and_renews_nothing_any_more(tmp_path: Path) -> None:
    async def work(db: AsyncAureus) -> None:
        group = db.subscriptions.group("g", types=["t"], bucket_count=4)

        async def follow() -> None:
            async with group.join("m") as events:
                async for _ in events:
                    is_told.set()

        is_told = asyncio.Event()
        task = asyncio.create_task(follow())
        await is_told.wait()
        assert len(await db.subscriptions.members("g")) == 1
        await cancelled(task)
        assert list(await db.subscriptions.members("g")) == []
        left = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        await asyncio.wait(left or [asyncio.create_task(db.subscriptions.get("g"))], timeout=10)
        assert not [one for one in left if "_renew" in repr(one) and not one.done()]

    run(work, tmp_path)

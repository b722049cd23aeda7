"""The lease of a process: renewed while it works, lost in the open, and what reaches a run through it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from aureus.engine.service import Engine
from aureus.errors import Conflict, DatabaseUnavailable, LeaseLost
from aureus.model.states import RunStatus
from aureus.stores.leases import LeaseStore, Notice
from tests.engine.conftest import SHARED, Perform
from tests.engine.workshop import Gate, Scripted, Workshop, nothing, statuses, task, workflow

WORK = workflow(task("a", tool="work"))


class Renewals:
    """The lease operations of a heartbeat, which the test can break or watch."""

    def __init__(self, store: LeaseStore | None) -> None:
        self._store = store
        self.count = 0
        self.counted = asyncio.Event()
        self.is_away = False
        self._loop = asyncio.get_running_loop()

    def acquire(self, *arguments: Any, **more: Any) -> None:
        if self.is_away:
            raise DatabaseUnavailable("gone")
        if self._store is not None:
            self._store.acquire(*arguments, **more)
        self.count += 1
        if self.count == 5:
            self._loop.call_soon_threadsafe(self.counted.set)

    def list_notices(self, lease_id: str) -> Sequence[Notice]:
        return [] if self._store is None else self._store.list_notices(lease_id)

    def prune(self) -> int:
        return 0


def engine_with(shop: Workshop, renewals: Renewals, *tools: Scripted) -> Engine:
    """Return an engine with a lease of a second."""
    return shop.engine(*tools, renewals=cast(LeaseStore, renewals), lease_seconds=1.0)


@SHARED
def test_a_lease_is_renewed_as_long_as_work_lasts(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate, renewals = Gate(), Renewals(shop.heartbeat_store())
        engine = engine_with(shop, renewals, Scripted("work", gate.work))
        working = asyncio.create_task(shop.run(engine, WORK))
        await gate.entered.wait()
        await renewals.counted.wait()
        with pytest.raises(Conflict, match="is being worked on"):
            await shop.run(shop.engine(Scripted("work", nothing)), WORK)
        gate.opened.set()
        assert (await working).run.status is RunStatus.COMPLETED
        (lease_id,) = [row for row in [engine._parts.tenure.lease_id] if row]
        assert await shop.stores.leases.find(lease_id) is not None
        await engine.close()
        assert await shop.stores.leases.find(lease_id) is None

    perform(body)


def test_a_process_that_cannot_renew_stops_its_tools_before_others_begin(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate, renewals = Gate(), Renewals(None)
        renewals.is_away = True
        tool = Scripted("work", gate.work)
        engine = engine_with(shop, renewals, tool)
        with pytest.raises(LeaseLost, match="could not be renewed within 1 s"):
            await shop.run(engine, WORK)
        assert tool.stopped == 1
        later = await shop.run(shop.engine(Scripted("work", nothing)), WORK, wait=True)
        assert (later.run.status, later.was_resumed) == (RunStatus.COMPLETED, True)
        renewals.is_away = False
        again = await shop.run(engine, workflow(task("other")))
        assert again.run.status is RunStatus.COMPLETED

    perform(body)


def test_what_a_process_writes_after_it_was_taken_over_is_refused(perform: Perform) -> None:
    """It believes that it renews, but the database does not hear of it."""

    async def body(shop: Workshop) -> None:
        gate = Gate()
        zombie = engine_with(shop, Renewals(None), Scripted("work", gate.work))
        working = asyncio.create_task(shop.run(zombie, WORK))
        await gate.entered.wait()
        outcome = await shop.run(shop.engine(Scripted("work", nothing)), WORK, wait=True)
        assert (outcome.run.status, outcome.run.epoch) == (RunStatus.COMPLETED, 2)
        gate.opened.set()
        with pytest.raises(LeaseLost, match="taken over"):
            await working
        await shop.check(outcome)

    perform(body)


@SHARED
def test_a_request_to_cancel_reaches_the_process_that_holds_the_run(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate, renewals = Gate(), Renewals(shop.heartbeat_store())
        tool = Scripted("work", gate.work)
        working = asyncio.create_task(shop.run(engine_with(shop, renewals, tool), WORK))
        await gate.entered.wait()
        (run,) = await shop.stores.runs.list()
        await shop.engine().cancel(run.run_id)
        outcome = await working
        assert (outcome.run.status, tool.stopped) == (RunStatus.CANCELLED, 1)

    perform(body)


@SHARED
def test_an_answer_reaches_the_process_that_holds_the_run(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        slow, answered = Gate(), Gate()
        answered.opened.set()
        renewals = Renewals(shop.heartbeat_store())
        engine = engine_with(
            shop, renewals, Scripted("slow", slow.work), Scripted("work", answered.work)
        )
        definition = workflow(
            task("slow", tool="slow"),
            task("ask", tool="wait-for-approval", inputs={"message": "?"}),
            task("then", "ask", tool="work"),
        )
        working = asyncio.create_task(shop.run(engine, definition))
        await slow.entered.wait()
        (run,) = await shop.stores.runs.list()
        await shop.engine().decide(run.run_id, approve=True)
        await answered.entered.wait()
        slow.opened.set()
        outcome = await working
        assert statuses(outcome) == dict.fromkeys(("slow", "ask", "then"), "completed")

    perform(body)

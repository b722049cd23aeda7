"""The lease of a process: renewed while it works, lost in the open, and what reaches a run through it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import pytest

from aureus.engine.service import Engine
from aureus.errors import Conflict, DatabaseUnavailable, LeaseLost
from aureus.model.renewal import RENEWALS_PER_LEASE
from aureus.model.states import RunStatus
from aureus.stores.leases import LeaseStore, Notice
from aureus.stores.runs import AsyncRunStore
from tests.engine.conftest import SHARED, Perform
from tests.engine.workshop import (
    SECONDS_MAX,
    Breaking,
    Gate,
    Scripted,
    Workshop,
    nothing,
    statuses,
    task,
    workflow,
)

WORK = workflow(task("a", tool="work"))

LOST_SECONDS = 1.0
"""A lease that is to be lost."""

KEPT_SECONDS = 3.0
"""A lease that is to be kept: its holder may be held up for a second and a half on a busy machine."""


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
        if self.count == RENEWALS_PER_LEASE + 1:
            self._loop.call_soon_threadsafe(self.counted.set)

    def list_notices(self, lease_id: str) -> Sequence[Notice]:
        return [] if self._store is None else self._store.list_notices(lease_id)

    def prune(self) -> int:
        return 0


def engine_with(
    shop: Workshop, renewals: Renewals, *tools: Scripted, lease_seconds: float = LOST_SECONDS
) -> Engine:
    """Return an engine with a short lease."""
    return shop.engine(*tools, renewals=cast(LeaseStore, renewals), lease_seconds=lease_seconds)


@SHARED
def test_a_lease_is_renewed_as_long_as_work_lasts(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate, renewals = Gate(), Renewals(shop.heartbeat_store())
        engine = engine_with(
            shop, renewals, Scripted("work", gate.work), lease_seconds=KEPT_SECONDS
        )
        working = asyncio.create_task(shop.run(engine, WORK))
        await gate.entered.wait()
        await renewals.counted.wait()
        with pytest.raises(Conflict, match="is being worked on"):
            await shop.run(shop.engine(Scripted("work", nothing)), WORK)
        gate.opened.set()
        assert (await working).run.status is RunStatus.COMPLETED
        (term,) = engine._parts.tenure._terms
        lease_id = term.lease_id
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


def test_a_lease_is_lost_in_time_although_the_database_never_answers(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        answers = threading.Event()

        class Hanging(Renewals):
            def acquire(self, *arguments: Any, **more: Any) -> None:
                answers.wait(SECONDS_MAX)

        gate = Gate()
        tool = Scripted("work", gate.work)
        engine = engine_with(shop, Hanging(None), tool)
        working = asyncio.create_task(shop.run(engine, WORK))
        await tool.was_stopped.wait()
        answers.set()
        with pytest.raises(LeaseLost):
            await working

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


def test_a_run_whose_work_broke_off_is_free_although_its_process_lives(perform: Perform) -> None:
    """The database was away for a commit: nobody works on the run, so nobody keeps it."""

    async def body(shop: Workshop) -> None:
        for commit in (1, 2):
            breaking = cast(AsyncRunStore, Breaking(shop.stores.runs, commit, after=True))
            first = shop.engine(
                Scripted("work", nothing), stores=replace(shop.stores, runs=breaking)
            )
            with pytest.raises(DatabaseUnavailable):
                await shop.run(first, workflow(task("a", tool="work"), task("b", "a")))
            second = shop.engine(Scripted("work", nothing))
            outcome = await shop.run(second, workflow(task("a", tool="work"), task("b", "a")))
            assert (outcome.run.status, outcome.was_resumed) == (RunStatus.COMPLETED, True)
            assert (await shop.run(first, workflow(task("c")))).run.status is RunStatus.COMPLETED

    perform(body)


def test_a_lease_under_which_something_broke_off_is_kept_for_those_who_still_work(
    perform: Perform,
) -> None:
    async def body(shop: Workshop) -> None:
        gate = Gate()
        breaking = Breaking(shop.stores.runs, 3, after=True)
        engine = shop.engine(
            Scripted("work", gate.work),
            stores=replace(shop.stores, runs=cast(AsyncRunStore, breaking)),
        )
        working = asyncio.create_task(shop.run(engine, WORK))
        await gate.entered.wait()
        with pytest.raises(DatabaseUnavailable):
            await shop.run(engine, workflow(task("b"), task("c", "b")), run_id="broken")
        with pytest.raises(Conflict):
            await shop.run(shop.engine(Scripted("work", nothing)), WORK)
        again = await shop.run(engine, workflow(task("b"), task("c", "b")), run_id="broken")
        assert (again.run.status, again.was_resumed) == (RunStatus.COMPLETED, True)
        gate.opened.set()
        assert (await working).run.status is RunStatus.COMPLETED
        later = await shop.run(engine, workflow(task("d")))
        assert later.run.status is RunStatus.COMPLETED

    perform(body)


@SHARED
def test_a_request_to_cancel_reaches_the_process_that_holds_the_run(perform: Perform) -> None:
    async def body(shop: Workshop) -> None:
        gate, renewals = Gate(), Renewals(shop.heartbeat_store())
        tool = Scripted("work", gate.work)
        engine = engine_with(shop, renewals, tool, lease_seconds=KEPT_SECONDS)
        working = asyncio.create_task(shop.run(engine, WORK))
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
        tools = Scripted("slow", slow.work), Scripted("work", answered.work)
        engine = engine_with(shop, renewals, *tools, lease_seconds=KEPT_SECONDS)
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

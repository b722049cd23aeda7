"""Whose a database is: one process's, one event loop's, and how long a call may keep its caller waiting."""

from __future__ import annotations

import asyncio
import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from aureus.client import AsyncAureus, Aureus, OpenTransaction
from aureus.clock import SystemClock
from aureus.config import Settings, load
from aureus.errors import (
    AureusError,
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DeadlineExceeded,
    Invalid,
)
from tests.contract.stage import begun
from tests.postgres.conftest import MakeStage
from tests.support.postgres import PostgresDatabase


@pytest.fixture
def settings(postgres_database: PostgresDatabase, tmp_path: Path) -> Settings:
    """Give the settings of the test's database."""
    arguments = {"database.url": postgres_database.url()}
    return load(arguments=arguments, environ={}, directory=tmp_path)


def test_a_forked_child_opens_connections_of_its_own(settings: Settings) -> None:
    with Aureus(settings=settings) as db:
        assert list(db.runs.list()) == []
        child = os.fork()
        if child == 0:
            try:
                found = list(db.runs.list())
                os._exit(0 if found == [] else 1)
            finally:
                os._exit(2)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert list(db.runs.list()) == []


def test_a_database_for_asyncio_belongs_to_one_loop(settings: Settings) -> None:
    async def use(db: AsyncAureus) -> None:
        await db.runs.list()

    async def main() -> None:
        db = AsyncAureus(settings=settings)
        await use(db)
        for call in (use, AsyncAureus.close):
            with pytest.raises(Invalid, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(call(db)))  # noqa: B023 - it is over before the next
        await db.close()
        with pytest.raises(DatabaseError, match="closed"):
            await use(db)

    asyncio.run(main())


def test_a_loop_ends_although_nobody_closed_the_client(settings: Settings) -> None:
    """The first read returns while further connections of the pool are being made."""
    wanted = replace(settings, database=replace(settings.database, pool_min=6))

    async def forget() -> AsyncAureus:
        db = AsyncAureus(settings=wanted)
        await db.runs.list()
        return db

    for _ in range(4):
        asyncio.run(asyncio.run(forget()).close())


def test_a_database_whose_loop_has_ended_can_still_be_closed(settings: Settings) -> None:
    async def begin() -> AsyncAureus:
        db = AsyncAureus(settings=settings)
        await db.runs.list()
        return db

    db = asyncio.run(begin())
    asyncio.run(db.close())
    with pytest.raises(Invalid, match="another event loop"):
        asyncio.run(db.runs.list())


def test_a_write_beside_an_open_transaction_of_its_caller_is_refused_at_once(
    settings: Settings,
) -> None:
    """It would be no part of the transaction, and here it would wait for the stream that the transaction holds."""
    with Aureus(settings=settings) as db:
        with db.transaction() as tx:
            tx.memories.add("inside", agent_id="planner")
            with pytest.raises(Invalid, match=r"\(tx\)"):
                db.memories.add("beside", agent_id="planner")
            with pytest.raises(Invalid, match=r"\(tx\)"), db.transaction():
                pytest.fail("a transaction inside a transaction")
            assert db.memories.count() == 0, "what is committed can be read meanwhile"
            connection = tx.connection
        assert not connection.closed
        with pytest.raises(DatabaseError, match="has ended"):
            assert tx.connection
        db.memories.add("afterwards", agent_id="planner")
        assert [memory.text for memory in db.memories.query()] == ["afterwards", "inside"]


def test_a_write_beside_an_open_transaction_of_its_task_is_refused_at_once(
    settings: Settings,
) -> None:
    async def main() -> None:
        async with AsyncAureus(settings=settings) as db:
            both = asyncio.Barrier(2)

            async def inside() -> None:
                async with db.transaction() as tx:
                    await tx.memories.add("inside", agent_id="planner")
                    await both.wait()
                    with pytest.raises(Invalid, match=r"\(tx\)"):
                        await db.memories.add("beside", agent_id="planner")
                    with pytest.raises(Invalid, match=r"\(tx\)"):
                        async with db.transaction():
                            pytest.fail("a transaction inside a transaction")
                    await both.wait()
                with pytest.raises(DatabaseError, match="has ended"):
                    assert tx.connection
                await db.memories.add("afterwards", agent_id="planner")

            async def elsewhere() -> None:
                await both.wait()
                await db.memories.add("another task's", agent_id="coach")
                await both.wait()

            await asyncio.gather(inside(), elsewhere())
            assert await db.memories.count() == 3

    asyncio.run(main())


def test_blocking_calls_inside_a_running_loop_name_the_way_out(settings: Settings) -> None:
    async def main() -> None:
        with pytest.raises(AureusError, match="AsyncAureus"):
            Aureus(settings=settings)

    asyncio.run(main())


def test_a_call_ends_at_its_deadline_and_leaves_nothing_behind(
    make_stage: MakeStage, opened: Any, postgres_database: PostgresDatabase
) -> None:
    stage = make_stage(clock=SystemClock())
    run = stage.start("r1").run
    limit = {"database.call_deadline_seconds": 1.0}
    hasty = opened(postgres_database.url(), clock=SystemClock(), **limit).client.for_tenant("acme")
    with psycopg.connect(postgres_database.url()) as holder:
        holder.execute("SELECT * FROM aureus.runs FOR UPDATE")
        with pytest.raises((DatabaseBusy, DeadlineExceeded)):
            hasty.runs.advance(stage.a_transition(run, changes=[begun("late")]))
        holder.rollback()
    assert stage.stores.runs.get("r1") == run


def test_a_cancelled_caller_is_freed_and_the_others_have_their_answers(settings: Settings) -> None:
    """Callers leave at every moment; each answer still reaches the one who asked."""

    async def main() -> None:
        async with AsyncAureus(settings=settings) as db:
            await db.workflows.save_version("w", "h", name="W", definition={"n": 0})

            async def ask(number: int) -> bool:
                definition = {"n": number}
                await db.workflows.save_version(f"w{number}", "h", name="W", definition=definition)
                return await db.workflows.get_version(f"w{number}", "h") == definition

            tasks = [asyncio.create_task(ask(number)) for number in range(400)]
            for number, task in enumerate(tasks):
                if number % 2:
                    task.cancel()
                if number == 100:
                    await db.runs.list()
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert sum(isinstance(answer, asyncio.CancelledError) for answer in answers) > 100
            assert all(answer is True for answer in answers[::2])
            assert await db.workflows.get_version("w", "h") == {"n": 0}

    asyncio.run(main())


def test_a_deadlock_between_transactions_is_retried_by_run_in_transaction(
    settings: Settings, postgres_database: PostgresDatabase
) -> None:
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE mine (id int PRIMARY KEY, n int NOT NULL)")
        connection.execute("INSERT INTO mine VALUES (1, 0), (2, 0)")
    both = threading.Barrier(2)
    tries: list[int] = []

    def work(first: int, second: int) -> None:
        with Aureus(settings=settings) as db:

            def body(tx: OpenTransaction) -> None:
                tries.append(first)
                tx.execute("UPDATE mine SET n = n + 1 WHERE id = %s", [first])
                if len(tries) <= 2:
                    both.wait(30)
                tx.execute("UPDATE mine SET n = n + 1 WHERE id = %s", [second])

            db.run_in_transaction(body)

    threads = [threading.Thread(target=work, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with psycopg.connect(postgres_database.url()) as connection:
        rows = connection.execute("SELECT n FROM mine ORDER BY id").fetchall()
    assert rows == [(2,), (2,)]
    # The loser may take its first row again before the winner woke, and lose again: at least once, then.
    assert len(tries) >= 3


def test_a_with_block_that_lost_against_others_raises_a_conflict_to_retry(
    settings: Settings,
) -> None:
    lost = "DO $$ BEGIN RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001'; END $$"
    tries = 0
    with Aureus(settings=settings) as db:
        with pytest.raises(Conflict) as caught, db.transaction() as tx:
            tx.execute(lost)
        assert caught.value.retryable

        def work(tx: OpenTransaction) -> int:
            nonlocal tries
            tries += 1
            if tries < 3:
                tx.execute(lost)
            return tries

        assert db.run_in_transaction(work) == 3

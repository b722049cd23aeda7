"""The same engine for an event loop: gathered writes, cancellation, one loop, transactions in the worker."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

import pytest

from aureus._database.drive import Call, OperationBug
from aureus._database.sqlite.loop import AsyncSqliteDatabase
from aureus._database.sqlite.writer import GRACE_SECONDS
from aureus._database.statement import Op, fetch_one, last
from aureus.errors import (
    AlreadyExists,
    DatabaseBusy,
    DatabaseError,
    DeadlineExceeded,
    Invalid,
    MigrationError,
)
from tests.sqlite.gathering import CommitCounter
from tests.sqlite.notes import (
    CALL,
    NOW,
    add,
    add_two,
    catalog,
    fill,
    first,
    note_ids,
    one,
    open_notes,
    open_notes_async,
    sources,
    sql,
)

P = ParamSpec("P")


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 120))

    return run


@pytest.fixture(params=["file", "memory"])
def place(request: pytest.FixtureRequest, path: Path) -> Path | None:
    """Give the path of a file, and the place in memory."""
    return path if request.param == "file" else None


@asynccontextmanager
async def opened(place: Path | None) -> AsyncGenerator[AsyncSqliteDatabase]:
    """Open a database with notes and close it."""
    database = await open_notes_async(place)
    try:
        yield database
    finally:
        await database.close()


async def stored(database: AsyncSqliteDatabase) -> list[int]:
    """Return the notes in the order in which they were written."""
    return await database.read(note_ids(), CALL)


class Hold:
    """Keeps the worker busy inside a write until it is let go."""

    def __init__(self, database: AsyncSqliteDatabase, note_id: int) -> None:
        self._may_end = threading.Event()
        self._has_begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def between() -> None:
            loop.call_soon_threadsafe(self._has_begun.set)
            assert self._may_end.wait(60)

        self.task = asyncio.create_task(
            database.write(add_two(note_id, note_id + 1, between), Call("acme", timeout_seconds=60))
        )

    async def begun(self) -> None:
        """Wait until the worker is inside the write."""
        await self._has_begun.wait()

    def let_go(self) -> None:
        """Let the write go on."""
        self._may_end.set()


async def settled(*tasks: Awaitable[Any]) -> list[Any]:
    """Wait for all and return results and errors."""
    return await asyncio.gather(*tasks, return_exceptions=True)


async def queued(database: AsyncSqliteDatabase, count: int) -> None:
    """Let the loop run until so many callers stand in the queue."""
    while len(database._writer._lane) != count:
        ticked = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(ticked.set_result, None)
        await ticked


@in_a_loop
async def test_concurrent_writes_are_gathered_and_answered_each(place: Path | None) -> None:
    async with opened(place) as database:
        hold = Hold(database, 1000)
        await hold.begun()
        writes = [asyncio.create_task(database.write(add(number), CALL)) for number in range(50)]
        bad = asyncio.create_task(database.write(add(7), CALL))
        await queued(database, 51)
        commits = CommitCounter(database)
        hold.let_go()
        assert await asyncio.gather(*writes) == list(range(50))
        assert [type(answer) for answer in await settled(bad)] == [AlreadyExists]
        assert commits.count == 2, "that of the flush which was under way, and one for all 51"
        assert await stored(database) == [1000, 1001, *range(50)]
        await hold.task


@in_a_loop
async def test_every_acknowledged_write_of_many_tasks_is_stored(place: Path | None) -> None:
    async with opened(place) as database:

        async def work(number: int) -> list[int]:
            return [await database.write(add(number * 1000 + n), CALL) for n in range(100)]

        acknowledged = [n for many in await asyncio.gather(*map(work, range(32))) for n in many]
        assert len(acknowledged) == 3200
        assert sorted(await stored(database)) == sorted(acknowledged)


@in_a_loop
async def test_reads_run_in_the_loops_own_thread(path: Path) -> None:
    async with opened(path) as database:
        await database.write(add(1), CALL)
        seen: list[int] = []

        def look() -> Op[Any]:
            seen.append(threading.get_ident())
            yield from fetch_one(sql.count_notes, first)
            return (yield from last(sql.get_note, lambda row: row, note_id=1))

        assert await database.read(look, CALL) == (1, "text", NOW)
        assert seen == [threading.get_ident()]


@in_a_loop
async def test_a_read_that_meets_a_lock_waits_in_the_worker(path: Path) -> None:
    """Somebody rebuilds the file under an exclusive lock; the loop goes on meanwhile."""
    async with opened(path) as database:
        hold = Hold(database, 1)
        await hold.begun()
        readers = database._connections.readers
        reader = readers.take(10**9)
        reader.user = None
        fetch, met = reader.fetch, asyncio.Event()

        def locked_for_the_loop(text: str, values: Any, what: str) -> Any:
            if not reader.waits_for_locks:
                met.set()
                raise DatabaseBusy("locked")
            return fetch(text, values, what)

        reader.fetch = locked_for_the_loop  # type: ignore[method-assign]  # a lock that comes at the right moment
        reading = asyncio.create_task(database.read(note_ids(), CALL))
        await met.wait()
        hold.let_go()
        assert await reading == [1, 2]
        await hold.task


@in_a_loop
async def test_a_read_that_writes_is_a_bug(place: Path | None) -> None:
    async with opened(place) as database:
        with pytest.raises(OperationBug):
            await database.read(add(1), CALL)
        assert await stored(database) == []


@in_a_loop
async def test_cancelled_in_the_queue_means_that_nothing_happened(place: Path | None) -> None:
    async with opened(place) as database:
        hold = Hold(database, 1)
        await hold.begun()
        kept = asyncio.create_task(database.write(add(10), CALL))
        dropped = asyncio.create_task(database.write(add(11), CALL))
        await queued(database, 2)
        dropped.cancel()
        await queued(database, 1)
        hold.let_go()
        await settled(kept, dropped, hold.task)
        assert dropped.cancelled()
        assert await stored(database) == [1, 2, 10]


@in_a_loop
async def test_cancelled_in_flight_frees_the_caller_and_the_flush_goes_on(
    place: Path | None,
) -> None:
    async with opened(place) as database:
        hold = Hold(database, 1)
        await hold.begun()
        hold.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hold.task
        hold.let_go()
        await database.write(add(3), CALL)
        assert await stored(database) == [1, 2, 3]


@in_a_loop
async def test_a_deadline_in_the_queue_means_that_nothing_happened(place: Path | None) -> None:
    async with opened(place) as database:
        hold = Hold(database, 1)
        await hold.begun()
        with pytest.raises(DeadlineExceeded, match="nothing happened"):
            await database.write(add(10), Call("acme", timeout_seconds=0.05))
        hold.let_go()
        await hold.task
        assert await stored(database) == [1, 2]


@in_a_loop
async def test_a_deadline_in_flight_frees_the_caller_a_little_later(place: Path | None) -> None:
    assert GRACE_SECONDS == 1.0
    async with opened(place) as database:
        may_end = threading.Event()

        def between() -> None:
            assert may_end.wait(60)

        write = add_two(1, 2, between)
        with pytest.raises(DeadlineExceeded, match="may have happened"):
            await database.write(write, Call("acme", timeout_seconds=0.05))
        may_end.set()
        await database.write(add(3), CALL)
        assert (await stored(database))[-1] == 3


@in_a_loop
async def test_a_write_ends_at_its_deadline_and_takes_nobody_along(path: Path) -> None:
    async with opened(path) as database:
        slow = database.write(fill(1000, 100_000_000), Call("acme", timeout_seconds=0.3))
        answers = await settled(database.write(add(1), CALL), slow, database.write(add(2), CALL))
        assert [type(answer) for answer in answers] == [int, DeadlineExceeded, int]
        assert await stored(database) == [1, 2]


@in_a_loop
async def test_a_file_that_others_hold_is_busy_after_the_calls_time(path: Path) -> None:
    async with opened(path) as database:
        other = open_notes(path, is_new=False)
        with other.transaction(CALL):
            answers = await settled(
                database.write(add(1), Call("acme", timeout_seconds=0.1)),
                database.write(add(2), Call("acme", timeout_seconds=0.05)),
            )
        assert [type(answer) for answer in answers] == [DatabaseBusy, DatabaseBusy]
        other.close()
        assert await stored(database) == []


@in_a_loop
async def test_a_transaction_commits_together_or_not_at_all(place: Path | None) -> None:
    async with opened(place) as database:
        async with database.transaction(CALL) as tx:
            await tx.write(add(1), CALL)
            assert await tx.execute("SELECT body FROM notes") == [("text",)]
            assert await tx.read(note_ids(), CALL) == [1]
            assert tx.connection.in_transaction
            with pytest.raises(AlreadyExists):
                await tx.write(add(1), CALL)
            await tx.write(add(2), CALL)

        async def fail() -> None:
            async with database.transaction(CALL) as doomed:
                await doomed.write(add(3), CALL)
                raise RuntimeError("no")

        with pytest.raises(RuntimeError, match="no"):
            await fail()
        with pytest.raises(DatabaseError, match="has ended"):
            await tx.write(add(4), CALL)
        assert await stored(database) == [1, 2]


@in_a_loop
async def test_others_write_before_and_after_a_transaction_in_their_order(
    place: Path | None,
) -> None:
    async with opened(place) as database:
        hold = Hold(database, 1)
        await hold.begun()

        async def transact(note_id: int) -> None:
            async with database.transaction(CALL) as tx:
                await tx.write(add(note_id), CALL)

        tasks: list[asyncio.Task[Any]] = []
        for count, call in enumerate(
            [database.write(add(3), CALL), transact(4), transact(5), database.write(add(6), CALL)],
            1,
        ):
            tasks.append(asyncio.create_task(call))
            await queued(database, count)
        hold.let_go()
        await asyncio.gather(*tasks, hold.task)
        assert await stored(database) == [1, 2, 3, 4, 5, 6]


@in_a_loop
async def test_a_cancelled_transaction_is_undone_wherever_it_stands(place: Path | None) -> None:
    """Cancelled after 0, 1, 2 … turns of the loop: it happened as a whole or not at all, and others can write."""
    async with opened(place) as database:
        ended = False
        turns = 0
        while not ended:

            async def transact(base: int) -> None:
                async with database.transaction(CALL) as tx:
                    await tx.write(add(base), CALL)
                    await tx.write(add(base + 1), CALL)

            base = turns * 10 + 10
            task = asyncio.create_task(transact(base))
            for _ in range(turns):
                ticked = asyncio.get_running_loop().create_future()
                asyncio.get_running_loop().call_soon(ticked.set_result, None)
                await ticked
            ended = task.done()
            task.cancel()
            await settled(task)
            await database.write(add(base + 2), CALL)
            kept = [number - base for number in await stored(database) if number >= base]
            assert kept in ([2], [0, 1, 2]), turns
            turns += 1
        assert turns > 3


@in_a_loop
async def test_waiting_for_ones_own_transaction_is_refused_also_in_child_tasks(
    place: Path | None,
) -> None:
    async with opened(place) as database:
        async with database.transaction(CALL) as tx:
            with pytest.raises(Invalid, match=r"\(tx\)"):
                await database.write(add(1), CALL)
            with pytest.raises(Invalid, match=r"\(tx\)"):
                await asyncio.wait_for(asyncio.create_task(database.write(add(1), CALL)), 60)
            with pytest.raises(Invalid, match=r"\(tx\)"):
                async with database.transaction(CALL):
                    pytest.fail("a transaction inside a transaction")
            with pytest.raises(Invalid, match=r"\(tx\)"):
                await database.close()
            await tx.write(add(2), CALL)
        await database.write(add(3), CALL)
        assert await stored(database) == [2, 3]


def test_another_loop_is_told_to_open_a_database_of_its_own(place: Path | None) -> None:
    async def begin() -> AsyncSqliteDatabase:
        return await open_notes_async(place)

    async def go_on(database: AsyncSqliteDatabase) -> None:
        for use in (database.write(add(1), CALL), database.read(note_ids(), CALL), database.open()):
            with pytest.raises(Invalid, match="another event loop"):
                await use

    async def close(database: AsyncSqliteDatabase) -> None:
        await database.close()

    database = asyncio.run(begin())
    asyncio.run(go_on(database))
    asyncio.run(close(database))


@in_a_loop
async def test_a_closed_database_says_so(place: Path | None) -> None:
    database = await open_notes_async(place)
    hold = Hold(database, 1)
    await hold.begun()
    closing = asyncio.create_task(database.close())
    await queued(database, 1)
    hold.let_go()
    assert await hold.task == [1, 2], "what is in flight is finished"
    await asyncio.gather(closing, database.close())
    with pytest.raises(DatabaseError, match="closed"):
        await database.write(add(1), CALL)
    with pytest.raises(DatabaseError, match="closed"):
        await database.read(note_ids(), CALL)


@in_a_loop
async def test_what_is_wrong_with_the_file_is_told_at_the_first_call_and_again(
    tmp_path: Path,
) -> None:
    database = AsyncSqliteDatabase(tmp_path, sources(), catalog=catalog())
    for _ in range(2):
        answers = await settled(database.write(add(1), CALL), database.read(note_ids(), CALL))
        assert [type(answer) for answer in answers] == [DatabaseError] * 2
    await database.close()


@in_a_loop
async def test_a_schema_that_may_not_be_migrated_is_told_at_the_first_call(path: Path) -> None:
    database = AsyncSqliteDatabase(path, sources(), may_migrate=False)
    with pytest.raises(MigrationError, match="aureus db init"):
        await database.open()
    await database.close()


@in_a_loop
async def test_a_database_that_was_never_used_can_be_closed(place: Path | None) -> None:
    database = AsyncSqliteDatabase(place, sources())
    assert database.description == ("SQLite in memory" if place is None else f"SQLite {place}")
    await database.close()
    await database.close()


@in_a_loop
async def test_a_bug_in_the_engine_reaches_one_caller_and_the_lane_goes_on(
    place: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(place) as database:
        perform = database._writer._perform_all
        broken = [True]

        def fail_once(*arguments: Any) -> None:
            if broken.pop() if broken else False:
                raise RuntimeError("a bug")
            perform(*arguments)

        monkeypatch.setattr(database._writer, "_perform_all", fail_once)
        answers = await settled(database.write(add(1), CALL), database.write(add(2), CALL))
        assert [type(answer) for answer in answers] == [RuntimeError, int]
        assert await stored(database) == [2]


@in_a_loop
async def test_memory_reads_and_writes_are_one_line(place: Path | None) -> None:
    async with opened(None) as database:
        reads = [asyncio.create_task(stored(database))]
        writes = [asyncio.create_task(database.write(add(1), CALL))]
        reads.append(asyncio.create_task(stored(database)))
        assert await asyncio.gather(*writes) == [1]
        assert await asyncio.gather(*reads) == [[], [1]]
        assert await database.read(one("count_notes"), CALL) == (1,)

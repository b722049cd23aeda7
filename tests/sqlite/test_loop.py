"""The same engine for an event loop: gathered writes, reads inline, deadlines and cancellation."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from aureus._database.drive import Call, OperationBug
from aureus._database.sqlite.loop import AsyncSqliteDatabase
from aureus._database.sqlite.writer import GRACE_SECONDS
from aureus._database.statement import Op, fetch_one, last
from aureus.clock import ManualClock
from aureus.errors import (
    AlreadyExists,
    DatabaseBusy,
    DeadlineExceeded,
)
from tests.sqlite.gathering import CommitCounter
from tests.sqlite.looping import Hold, in_a_loop, one_turn, opened, queued, settled, stored
from tests.sqlite.notes import (
    CALL,
    NOW,
    add,
    add_two,
    fill,
    first,
    note_ids,
    open_notes,
    sql,
)
from tests.support.waiting import eventually


@in_a_loop
async def test_concurrent_writes_are_gathered_and_answered_each(place: Path | None) -> None:
    """On a clock that stands still: none of their flush's time passes, however slow the machine is."""
    async with opened(place, ManualClock()) as database:
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
async def test_whom_the_lane_passes_over_because_its_time_is_long_over_is_told(
    place: Path | None,
) -> None:
    """The loop stood still for longer than the call may take; its own timer comes too late, or is not due yet."""
    clock = ManualClock()
    async with opened(place, clock) as database:
        hold = Hold(database, 1)
        await hold.begun()
        writing = asyncio.create_task(database.write(add(10), CALL))
        await queued(database, 1)
        clock.advance(100.0)
        hold.let_go()
        with pytest.raises(DeadlineExceeded, match="nothing happened"):
            await writing
        await settled(hold.task)
        assert 10 not in await stored(database)


@in_a_loop
async def test_a_deadline_in_flight_frees_the_caller_a_little_later(place: Path | None) -> None:
    assert GRACE_SECONDS == 1.0
    async with opened(place) as database:
        has_begun, may_end = threading.Event(), threading.Event()

        def between() -> None:
            has_begun.set()
            assert may_end.wait(60)

        write = add_two(1, 2, between)
        writing = asyncio.create_task(database.write(write, Call("acme", timeout_seconds=0.05)))
        await one_turn()
        # The loop stands still meanwhile: the deadline finds the write in flight, however slow the machine is.
        assert has_begun.wait(60)
        with pytest.raises(DeadlineExceeded, match="may have happened"):
            await writing
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
            leading = asyncio.create_task(database.write(add(1), CALL))
            await one_turn()
            eventually(lambda: waits_for_the_file(database), "the worker to meet the lock")
            with pytest.raises(DatabaseBusy):
                await database.write(add(2), Call("acme", timeout_seconds=0.05))
            leading.cancel()
            await settled(leading)
        other.close()
        await database.write(add(3), CALL)
        assert await stored(database) == [3]


@in_a_loop
async def test_who_leads_is_busy_too_when_its_time_is_over(path: Path) -> None:
    async with opened(path) as database:
        other = open_notes(path, is_new=False)
        with other.transaction(CALL):
            writing = asyncio.create_task(
                database.write(add(1), Call("acme", timeout_seconds=0.05))
            )
            await one_turn()
            eventually(lambda: not len(database._writer._lane), "the worker to give up")
            with pytest.raises(DatabaseBusy):
                await writing
        other.close()
        assert await stored(database) == []


def waits_for_the_file(database: AsyncSqliteDatabase) -> bool:
    """Return whether the worker has met the lock of another connection."""
    writer = database._connections._writer
    return writer is not None and writer.is_waiting


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

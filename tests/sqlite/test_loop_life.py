"""The engine of an event loop from its first call to its last: transactions, one loop, opening and closing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aureus._database.sqlite.loop import AsyncSqliteDatabase
from aureus.errors import (
    AlreadyExists,
    DatabaseError,
    Invalid,
    MigrationError,
)
from tests.sqlite.looping import Hold, in_a_loop, one_turn, opened, queued, settled, stored
from tests.sqlite.notes import (
    CALL,
    add,
    catalog,
    note_ids,
    one,
    open_notes_async,
    sources,
)


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
                await one_turn()
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
async def test_memory_reads_and_writes_are_one_line(place: Path | None) -> None:
    async with opened(None) as database:
        reads = [asyncio.create_task(stored(database))]
        writes = [asyncio.create_task(database.write(add(1), CALL))]
        reads.append(asyncio.create_task(stored(database)))
        assert await asyncio.gather(*writes) == [1]
        assert await asyncio.gather(*reads) == [[], [1]]
        assert await database.read(one("count_notes"), CALL) == (1,)

"""What tests of the asynchronous engine share: a loop for each test, and callers that stand still where they should."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec

from aureus._database.drive import Call
from aureus._database.sqlite.loop import AsyncSqliteDatabase
from aureus.clock import Clock
from tests.sqlite.notes import CALL, add_two, note_ids, open_notes_async

P = ParamSpec("P")


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 120))

    return run


@asynccontextmanager
async def opened(
    place: Path | None, clock: Clock | None = None
) -> AsyncGenerator[AsyncSqliteDatabase]:
    """Open a database with notes and close it."""
    database = await open_notes_async(place, clock)
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
        await one_turn()


async def one_turn() -> None:
    """Let everything that is ready in the loop run once."""
    ticked = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(ticked.set_result, None)
    await ticked

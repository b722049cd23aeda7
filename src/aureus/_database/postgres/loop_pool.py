"""A pool of connections whose workers end with their event loop.

psycopg_pool 3.3 takes the cancellation of a worker that is connecting for a connection that failed, and lets the worker
wait for work again; and its scheduler waits by ``asyncio.wait_for``, which loses a cancellation before Python 3.12
(see `aureus.awaiting`). Either way ``asyncio.run`` of a program that forgot to close its client never returned.
"""

from __future__ import annotations

import asyncio
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from aureus.awaiting import waited

PlainConnection = AsyncConnection[Any]


class LoopPool(AsyncConnectionPool[PlainConnection]):
    """The pool of psycopg, with workers that notice that they were cancelled."""

    @classmethod
    async def worker(cls, q: Any) -> None:
        """Carry out what is in the queue, until the pool is closed or the loop ends."""
        seen: Any = _Work(q)
        await super().worker(seen)

    def _start_workers(self) -> None:
        scheduler: Any = self._sched
        scheduler._event = _Event()  # noqa: SLF001 - made right before, and not waited for yet
        super()._start_workers()


class _Event(asyncio.Event):
    """What the scheduler waits for."""

    async def wait_timeout(self, timeout: float) -> bool:  # noqa: ASYNC109 - psycopg_pool's own name
        """Wait for so many seconds at most; return whether the event is set."""
        await waited(self, timeout)
        return self.is_set()


class _Work:
    """The queue of a worker, as the worker sees it."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def get(self) -> Any:
        """Return what is next. Raises ``CancelledError`` where an earlier one was kept from the worker."""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError
        return await self._queue.get()

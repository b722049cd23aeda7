"""A pool of connections whose workers end with their event loop.

psycopg_pool 3.3 takes the cancellation of a worker that is connecting for a connection that failed, and lets the worker
wait for work again: ``asyncio.run`` of a program that forgot to close its client then never returned.
"""

from __future__ import annotations

import asyncio
from typing import Any

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

PlainConnection = AsyncConnection[Any]


class LoopPool(AsyncConnectionPool[PlainConnection]):
    """The pool of psycopg, with workers that notice that they were cancelled."""

    @classmethod
    async def worker(cls, q: Any) -> None:
        """Carry out what is in the queue, until the pool is closed or the loop ends."""
        seen: Any = _Work(q)
        await super().worker(seen)


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

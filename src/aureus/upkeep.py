"""What an open database does for itself between the calls of its users: bringing derived data up to date.

Writes only note that there is something to do, which costs nothing. When enough has gathered for a tenant, the
chores are done beside the callers: in a thread, or in a task of the event loop, that ends when nothing is due any
more. Closing does what is left. Nothing here is needed for an answer to be right: what was not brought up to date yet
is read the slow way, and another process, or the next one, does what this one left.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, Sized
from typing import Any, TypeVar

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.statement import Op
from aureus.errors import AureusError

R = TypeVar("R")

WRITES_DUE = 256
"""Writes of a tenant after which its chores are due: what that many left behind is still quick to read."""

_log = logging.getLogger("aureus")


class Due:
    """How much each tenant has written since its chores were last done. Not thread-safe: its owner holds a lock."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, tenant_id: str, count: int) -> bool:
        """Count writes of a tenant; return whether its chores are due."""
        total = self._counts[tenant_id] = self._counts.get(tenant_id, 0) + count
        return total >= WRITES_DUE

    def take(self, *, everything: bool = False) -> str | None:
        """Return a tenant whose chores are due, or, on request, one that wrote at all; its count begins anew."""
        for tenant_id, count in self._counts.items():
            if everything or count >= WRITES_DUE:
                del self._counts[tenant_id]
                return tenant_id
        return None


class ThreadUpkeep:
    """Upkeep of a database for threads."""

    def __init__(self, chore: Callable[[str], int]) -> None:
        """Take what does a part of a tenant's chores and returns how much it did; 0 is the end."""
        self._chore = chore
        self._lock = threading.Lock()
        self._due = Due()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._pid = os.getpid()

    def note(self, tenant_id: str, count: int = 1) -> None:
        """Note writes of a tenant, and begin its chores when they are due."""
        if os.getpid() != self._pid:
            self._begin_anew()
        with self._lock:
            is_due = self._due.note(tenant_id, count)
            if not is_due or self._thread is not None or self._is_closing:
                return
            self._thread = threading.Thread(target=self._work, name="aureus upkeep", daemon=True)
            self._thread.start()

    def _begin_anew(self) -> None:
        """Forget the thread of the process that this one was forked from; its lock may be held for ever."""
        self._lock, self._due, self._thread = threading.Lock(), Due(), None
        self._pid = os.getpid()

    def _work(self) -> None:
        while (tenant_id := self._next()) is not None:
            self._do(tenant_id)

    def _next(self) -> str | None:
        with self._lock:
            tenant_id = None if self._is_closing else self._due.take()
            if tenant_id is None:
                self._thread = None
            return tenant_id

    def _do(self, tenant_id: str) -> None:
        try:
            while self._chore(tenant_id) and not self._is_closing:
                pass
        except AureusError as error:
            _report(tenant_id, error)

    def close(self) -> None:
        """Wait for what is under way, and do what is left of every tenant that wrote. A second call does nothing."""
        if os.getpid() != self._pid:
            self._begin_anew()
        with self._lock:
            if self._is_closing:
                return
            self._is_closing = True
            thread = self._thread
        if thread is not None:
            thread.join()
        while (tenant_id := self._due.take(everything=True)) is not None:
            try:
                self._chore(tenant_id)
            except AureusError as error:
                _report(tenant_id, error)


class LoopUpkeep:
    """Upkeep of a database for one event loop."""

    def __init__(self, chore: Callable[[str], Awaitable[int]]) -> None:
        """Take what does a part of a tenant's chores and returns how much it did; 0 is the end."""
        self._chore = chore
        self._due = Due()
        self._task: asyncio.Task[None] | None = None
        self._is_closing = False

    def note(self, tenant_id: str, count: int = 1) -> None:
        """Note writes of a tenant, and begin its chores when they are due."""
        is_due = self._due.note(tenant_id, count)
        if is_due and self._task is None and not self._is_closing:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        try:
            while not self._is_closing and (tenant_id := self._due.take()) is not None:
                await self._do(tenant_id)
        finally:
            self._task = None

    async def _do(self, tenant_id: str) -> None:
        try:
            while await self._chore(tenant_id) and not self._is_closing:
                pass
        except AureusError as error:
            _report(tenant_id, error)

    async def close(self) -> None:
        """Wait for what is under way, and do what is left of every tenant that wrote. A second call does nothing."""
        if self._is_closing:
            return
        self._is_closing = True
        if self._task is not None:
            await asyncio.wait({self._task})
        while (tenant_id := self._due.take(everything=True)) is not None:
            try:
                await self._chore(tenant_id)
            except AureusError as error:
                _report(tenant_id, error)


Note = Callable[[str, int], None]
"""Takes note that a tenant has written, and how much."""


class Notes:
    """What was written inside a transaction, for when it is committed."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, tenant_id: str, count: int) -> None:
        """Remember it."""
        self._counts[tenant_id] = self._counts.get(tenant_id, 0) + count

    def pass_on(self, note: Note) -> None:
        """Note all of it."""
        for tenant_id, count in self._counts.items():
            note(tenant_id, count)


class Noting:
    """A runner whose writes are noted."""

    def __init__(self, runner: Runner, note: Note) -> None:
        self._runner = runner
        self._note = note

    def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing."""
        return self._runner.read(make, call)

    def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation, and note what it wrote."""
        result = self._runner.write(make, call)
        self._note(call.tenant_id, _count(result))
        return result


class AsyncNoting:
    """A runner for an event loop whose writes are noted."""

    def __init__(self, runner: AsyncRunner, note: Note) -> None:
        self._runner = runner
        self._note = note

    async def read(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation that changes nothing."""
        return await self._runner.read(make, call)

    async def write(self, make: Callable[[], Op[R]], call: Call) -> R:
        """Carry out an operation, and note what it wrote."""
        result = await self._runner.write(make, call)
        self._note(call.tenant_id, _count(result))
        return result


def _count(result: Any) -> int:
    """Return how many things a write has written: as many as it returns."""
    return len(result) if isinstance(result, Sized) and not isinstance(result, str) else 1


def _report(tenant_id: str, error: AureusError) -> None:
    """Tell of a failure once; the chores are due again after more writes, or in another process."""
    _log.warning("the upkeep of tenant %s has to wait: %s", tenant_id, error)

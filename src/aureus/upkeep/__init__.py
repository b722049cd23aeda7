"""What an open database does for itself between the calls of its users: bringing derived data up to date.

Writes only note that there is something to do, which costs nothing. When enough has gathered for a tenant, the
chores are done beside the callers: in a thread, or in a task of the event loop, that ends when nothing is due any
more. Closing does what is left. Nothing here is needed for an answer to be right: what was not brought up to date yet
is read the slow way, and another process, or the next one, does what this one left.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Sized
from dataclasses import dataclass
from typing import Any, TypeVar

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.statement import Op
from aureus.clock import Clock, SystemClock
from aureus.errors import AureusError

R = TypeVar("R")

WRITES_DUE = 256
"""Writes of a tenant after which its chores are due: what that many left behind is still quick to read."""

BUSY = -1
"""What a chore returns when another process is at it: it is tried again after a pause."""

BUSY_SECONDS = 0.02
"""The pause before it is tried again while a database is being closed."""

REST_SHARE = 0.5
"""A rest, as a share of the part before it: writers get a third of the time, and the index still catches up."""

REST_SECONDS_MAX = 0.1
"""The longest rest between two parts: a part that took longer waited for others itself."""

_log = logging.getLogger("aureus")


@dataclass(frozen=True, slots=True)
class Pace:
    """When chores are due, and how they are spread over time."""

    writes_due: int = WRITES_DUE
    """Writes of a tenant after which its chores are due."""
    pause_seconds: float = 0.0
    """From the end of one tenant's chores to the next ones, so that what is written meanwhile shares them."""
    closing_seconds: float = 0.0
    """How long closing goes on with a tenant whose chores are not at their end; one part is done in any case."""
    rests: bool = False
    """Whether a part is followed by a rest when somebody has written meanwhile: so writers wait for one part at most,
    and then have SQLite's only writer, or Python's lock, to themselves for a while."""

    def rest_seconds(self, part_seconds: float, *, has_company: bool) -> float:
        """Return how long to rest behind a part that took so long."""
        if not (self.rests and has_company):
            return 0.0
        return max(0.0, min(REST_SHARE * part_seconds, REST_SECONDS_MAX))


class Due:
    """How much each tenant has written since its chores were last done. Not thread-safe: its owner holds a lock."""

    def __init__(self, writes_due: int = WRITES_DUE) -> None:
        self._counts: dict[str, int] = {}
        self._writes_due = writes_due
        self.note_count = 0
        """How often writes were noted, of any tenant."""

    def note(self, tenant_id: str, count: int) -> bool:
        """Count writes of a tenant; return whether its chores are due."""
        self.note_count += 1
        total = self._counts[tenant_id] = self._counts.get(tenant_id, 0) + count
        return total >= self._writes_due

    def take(self, *, everything: bool = False) -> str | None:
        """Return a tenant whose chores are due, or, on request, one that wrote at all; its count begins anew."""
        for tenant_id, count in self._counts.items():
            if everything or count >= self._writes_due:
                del self._counts[tenant_id]
                return tenant_id
        return None


AT_ONCE = Pace()
"""Chores that are due are done without a pause, and closing does one part of what is left."""


class ThreadUpkeep:
    """Upkeep of a database for threads."""

    def __init__(
        self, chore: Callable[[str], int], pace: Pace = AT_ONCE, clock: Clock | None = None
    ) -> None:
        """Take what does a part of a tenant's chores and returns how much it did; 0 is the end, or ``BUSY``."""
        self._chore = chore
        self._pace = pace
        self._clock = clock or SystemClock()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._pid = 0
        self._begin_anew()

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
        self._lock = threading.Lock()
        self._due = Due(self._pace.writes_due)
        self._thread = None
        self._closing = threading.Event()
        self._pid = os.getpid()

    def _work(self) -> None:
        while (tenant_id := self._next()) is not None:
            self._do(tenant_id)
            if self._pace.pause_seconds:
                self._closing.wait(self._pace.pause_seconds)

    def _next(self) -> str | None:
        with self._lock:
            tenant_id = None if self._is_closing else self._due.take()
            if tenant_id is None:
                self._thread = None
            return tenant_id

    def _do(self, tenant_id: str) -> None:
        try:
            while done := self._part(tenant_id):
                if self._is_closing:
                    self._due.note(tenant_id, 1)
                    return
                if done == BUSY:
                    self._closing.wait(self._pace.pause_seconds)
        except AureusError as error:
            report(tenant_id, error)

    def _part(self, tenant_id: str) -> int:
        """Do a part, and rest."""
        began, noted = self._clock.monotonic(), self._due.note_count
        done = self._chore(tenant_id)
        rest = self._pace.rest_seconds(
            self._clock.monotonic() - began, has_company=self._due.note_count != noted
        )
        if rest:
            self._closing.wait(rest)
        return done

    def close(self) -> None:
        """Wait for what is under way, and do what is left of every tenant that wrote. A second call does nothing."""
        if os.getpid() != self._pid:
            self._begin_anew()
        with self._lock:
            if self._is_closing:
                return
            self._is_closing = True
            self._closing.set()
            thread = self._thread
        if thread is not None:
            thread.join()
        end = self._clock.monotonic() + self._pace.closing_seconds
        while (tenant_id := self._due.take(everything=True)) is not None:
            try:
                while (done := self._chore(tenant_id)) and self._clock.monotonic() < end:
                    if done == BUSY:
                        threading.Event().wait(BUSY_SECONDS)
            except AureusError as error:
                report(tenant_id, error)


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


def report(tenant_id: str, error: AureusError) -> None:
    """Tell of a failure once; the chores are due again after more writes, or in another process."""
    _log.warning("the upkeep of tenant %s has to wait: %s", tenant_id, error)

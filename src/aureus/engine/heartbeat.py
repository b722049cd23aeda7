"""Renews the lease of this process, from a thread and a connection of its own.

The thread does at most one statement a second, so that a renewal and a look at what others want never come together. It
tells the event loop what it found and asks it for a sign of life in return: when the loop has not answered for a while,
nothing is renewed, because tools that nobody supervises must not keep a run. A lease whose time ran out is never
renewed again: its runs may have a new holder.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aureus.clock import Clock
from aureus.errors import AureusError
from aureus.model.leases import ProcessIdentity
from aureus.model.renewal import Renewal, Rhythm
from aureus.stores.leases import LeaseStore, Notice

Beat = Literal["renewed", "looked", "pruned", "lost", "failed"]
"""What one beat did."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told, each time in the event loop."""

    on_renewed: Callable[[float], None]
    on_notices: Callable[[Sequence[Notice]], None]
    on_lost: Callable[[], None]


class Heartbeat:
    """The thread, and what it does at each beat. Attributes without a dash may be set from the event loop."""

    def __init__(
        self,
        leases: LeaseStore,
        lease_id: str,
        holder: ProcessIdentity,
        rhythm: Rhythm,
        *,
        acquired_at: float,
        clock: Clock,
        loop: asyncio.AbstractEventLoop,
        listener: Listener,
    ) -> None:
        self.is_watching = False
        """Whether there is anything that others could want."""
        self._leases = leases
        self._lease_id = lease_id
        self._holder = holder
        self._rhythm = rhythm
        self._clock = clock
        self._loop = loop
        self._listener = listener
        self._renewal = Renewal(rhythm, acquired_at)
        self._answered_at = acquired_at
        self._has_pruned = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="aureus heartbeat", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; a statement in flight is not waited for."""
        self._closing.set()

    async def close(self, *, seconds_max: float = 5.0) -> None:
        """Stop beating, and wait for the statement in flight."""
        self._closing.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, seconds_max)

    def beat(self) -> Beat | None:
        """Do what is due, at most one statement; return what was done."""
        now = self._clock.monotonic()
        self._tell(self._note_answer)
        if now >= self._renewal.deadline:
            self._closing.set()
            self._tell(self._listener.on_lost)
            return "lost"
        if not self._renewal.may_speak(now):
            return None
        try:
            return self._statement(now)
        except AureusError:
            self._renewal.spoke(now)
            return "failed"

    def _statement(self, now: float) -> Beat | None:
        if self._renewal.is_due(now):
            if now - self._answered_at > self._rhythm.silence_seconds_max:
                return None
            self._leases.acquire(
                self._lease_id, self._holder, lease_seconds=self._rhythm.lease_seconds
            )
            self._renewal.renewed(now)
            self._tell(self._listener.on_renewed, self._renewal.deadline)
            return "renewed"
        if not self._has_pruned:
            self._has_pruned = True
            self._leases.prune()
            self._renewal.spoke(now)
            return "pruned"
        if not self.is_watching:
            return None
        notices = self._leases.list_notices(self._lease_id)
        self._renewal.spoke(now)
        if notices:
            self._tell(self._listener.on_notices, notices)
        return "looked"

    def _run(self) -> None:
        while not self._closing.wait(self._rhythm.look_seconds):
            self.beat()

    def _note_answer(self) -> None:
        self._answered_at = self._clock.monotonic()

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:  # the loop is closed: nobody works any more
            self._closing.set()

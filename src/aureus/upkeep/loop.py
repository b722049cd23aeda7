"""Upkeep for an event loop: what ``ThreadUpkeep`` is for threads, which need no asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aureus.awaiting import waited
from aureus.clock import Clock, SystemClock
from aureus.errors import AureusError
from aureus.upkeep import AT_ONCE, BUSY, BUSY_SECONDS, Due, Pace, report


class LoopUpkeep:
    """Upkeep of a database for one event loop."""

    def __init__(
        self,
        chore: Callable[[str], Awaitable[int]],
        pace: Pace = AT_ONCE,
        clock: Clock | None = None,
    ) -> None:
        """Take what does a part of a tenant's chores and returns how much it did; 0 is the end, or ``BUSY``."""
        self._chore = chore
        self._pace = pace
        self._clock = clock or SystemClock()
        self._due = Due(pace.writes_due)
        self._closing = asyncio.Event()
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
                if self._pace.pause_seconds:
                    await self._pause()
        finally:
            self._task = None

    async def _pause(self) -> None:
        await waited(self._closing, self._pace.pause_seconds)

    async def _do(self, tenant_id: str) -> None:
        try:
            while done := await self._part(tenant_id):
                if self._is_closing:
                    self._due.note(tenant_id, 1)
                    return
                if done == BUSY:
                    await self._pause()
        except AureusError as error:
            report(tenant_id, error)

    async def _part(self, tenant_id: str) -> int:
        """Do a part, and rest."""
        began, noted = self._clock.monotonic(), self._due.note_count
        done = await self._chore(tenant_id)
        rest = self._pace.rest_seconds(
            self._clock.monotonic() - began, has_company=self._due.note_count != noted
        )
        if rest:
            await waited(self._closing, rest)
        return done

    async def close(self) -> None:
        """Wait for what is under way, and do what is left of every tenant that wrote. A second call does nothing."""
        if self._is_closing:
            return
        self._is_closing = True
        self._closing.set()
        if self._task is not None:
            await asyncio.wait({self._task})
        end = self._clock.monotonic() + self._pace.closing_seconds
        while (tenant_id := self._due.take(everything=True)) is not None:
            try:
                while (done := await self._chore(tenant_id)) and self._clock.monotonic() < end:
                    if done == BUSY:
                        await waited(asyncio.Event(), BUSY_SECONDS)
            except AureusError as error:
                report(tenant_id, error)

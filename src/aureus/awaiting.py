"""Waiting in an event loop, for so long and no longer."""

from __future__ import annotations

import asyncio
from contextlib import suppress


async def waited(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, and no longer than this.

    Not by ``asyncio.wait_for``: before Python 3.12 it loses a cancellation that comes in the moment of the event, and
    whoever cancelled waits for ever.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()

"""The only place of the engine that waits for time."""

from __future__ import annotations

import asyncio


async def until(event: asyncio.Event, seconds: float | None) -> bool:
    """Wait until an event is set, at most for some seconds; return whether it is set."""
    try:
        async with asyncio.timeout(None if seconds is None else max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return event.is_set()
    return True


async def pause(seconds: float) -> None:
    """Let time pass."""
    await asyncio.sleep(seconds)  # noqa: TID251 - the wait itself

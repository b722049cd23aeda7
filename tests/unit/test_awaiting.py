"""Waiting for an event in a loop: it ends with the event, with the time, and with a cancellation that is never lost."""

from __future__ import annotations

import asyncio

import pytest

from aureus.awaiting import waited


async def turns(count: int) -> None:
    """Let others have so many turns."""
    for _ in range(count):
        await asyncio.sleep(0)  # noqa: TID251 - no time passes


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("between", range(6))
def test_a_cancellation_in_the_moment_of_the_event_is_not_lost(before: int, between: int) -> None:
    async def work() -> None:
        event = asyncio.Event()
        waiting = asyncio.create_task(going_on(event))
        await turns(before)
        event.set()
        await turns(between)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.shield(waiting)
        assert waiting.cancelled()

    async def going_on(event: asyncio.Event) -> None:
        await waited(event, 3600)
        await asyncio.Event().wait()

    asyncio.run(asyncio.wait_for(work(), 60))


def test_it_ends_with_the_event_or_with_the_time() -> None:
    async def work() -> None:
        event = asyncio.Event()
        await waited(event, 0.001)
        event.set()
        await waited(event, 3600)

    asyncio.run(asyncio.wait_for(work(), 60))

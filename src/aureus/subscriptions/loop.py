"""Consumers for an event loop: the same loop, awaited."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aureus._database.bell import Bell
from aureus._database.database import AsyncRunner
from aureus._database.drive import Call
from aureus.clock import Clock
from aureus.errors import AureusError, Invalid
from aureus.ids import Ids
from aureus.model.events import Event
from aureus.subscriptions.following import Following
from aureus.subscriptions.handling import ATTEMPTS_DEFAULT, BACKOFF_SECONDS_DEFAULT, Handling
from aureus.subscriptions.holding import Plan
from aureus.subscriptions.steps import Ask, Deliver, Effect, Pause, Rest, Steps, Work

T = TypeVar("T")

CLOSE_SECONDS_MAX = 5.0
"""How long closing waits for what a consumer is just doing in another thread."""

_log = logging.getLogger("aureus.subscriptions")


class _FunctionFailed(Exception):
    """The caller's function raised: the transaction is rolled back with it."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True, slots=True)
class AsyncMeans(Generic[T]):
    """What consumers of a database work with."""

    runner: AsyncRunner
    call: Call
    transact: Callable[[], AbstractAsyncContextManager[tuple[T, AsyncRunner]]]
    """Opens a transaction, as the handler sees it and as operations do."""
    bell: Bell
    clock: Clock
    open_consumers: set[AsyncConsumer[Any]]
    """Those that are at work, to be closed before the database is."""
    ids: Ids
    poll_seconds: float
    lease_seconds: float
    seals: bool

    def settings(self) -> dict[str, Any]:
        """Return what plans are made with."""
        return {
            "poll_seconds": self.poll_seconds,
            "lease_seconds": self.lease_seconds,
            "seals": self.seals,
        }


class AsyncConsumer(Generic[T]):
    """The events of a subscription, in the order of their positions.

    Iterating yields each event and waits for more; an event counts as handled when the next one is asked for. Use it as
    a context manager, or close it: that stores how far it has come. One task at a time.
    """

    def __init__(self, plan: Plan, means: AsyncMeans[T]) -> None:
        """Follow a plan; nothing happens before the first event is asked for."""
        self._means = means
        self._following = Following(plan, means.clock)
        self._steps: Steps[None] | None = None
        self._function: Callable[[T, Event], Awaitable[object]] | None = None
        self._lock = asyncio.Lock()
        self._running: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._is_finished = False
        self._handed_to: asyncio.Task[Any] | None = None
        """The task that has an event in hand, until it asks for the next one."""
        self._returned = asyncio.Event()

    @property
    def name(self) -> str:
        """Return the name of the subscription."""
        return self._following.plan.name

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        self._following.acknowledge()
        event = await self._run()
        if event is None:
            self._returned.set()
            raise StopAsyncIteration
        self._returned.clear()
        self._handed_to = asyncio.current_task()
        return event

    def acknowledge(self) -> None:
        """Count the event that was yielded last as handled: before a ``break``, or before something that may fail."""
        self._following.acknowledge()

    async def handle_each(
        self,
        function: Callable[[T, Event], Awaitable[object]],
        *,
        attempts: int = ATTEMPTS_DEFAULT,
        backoff_seconds: float = BACKOFF_SECONDS_DEFAULT,
    ) -> None:
        """Await ``function(tx, event)`` for each event, in a transaction with the position: exactly once.

        What it writes through ``tx``, to stores and to your own tables, is committed together with the position, or not
        at all. When it raises, all of that is undone and it is called again, ``attempts`` times at most, after rests of
        ``backoff_seconds``, doubled each time; then the event and all later ones of its stream are parked, and the
        others go on. Returns when the consumer is closed, or has caught up without being live.
        """
        self._following.handling = Handling(self._means.clock, attempts, backoff_seconds)
        self._function = function
        try:
            await self._run()
        finally:
            self._following.handling = None
            self._function = None

    async def close(self) -> None:
        """End the waiting at once, store how far it has come, and leave a group; a second call does nothing.

        May be called from any task of the loop, and by the function of ``handle_each``. Iterating ends then. An event
        that another task has in hand is waited for, 5 seconds at most.
        """
        self._closing.set()
        self._woken.set()
        busy = self._handed_to
        if busy is not None and busy is not asyncio.current_task() and not busy.done():
            await waited(self._returned, CLOSE_SECONDS_MAX)
        if self._running is asyncio.current_task():
            return  # called by the function: the loop ends behind it
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS_MAX), self._lock:
                await self._finish()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # Carrying out what the loop asks for.

    async def _run(self) -> Event | None:
        """Go on until an event is to be handed out, or to the end, which is None."""
        if self._running is not None:
            raise Invalid(f"subscription {self.name!r} is being consumed already, by this consumer")
        async with self._lock:
            self._running = asyncio.current_task()
            self._handed_to = None
            try:
                return await self._go_on()
            finally:
                self._running = None
                if self._closing.is_set():
                    await self._finish()

    async def _go_on(self) -> Event | None:
        if self._closing.is_set():
            return None
        if self._steps is None:
            self._loop = asyncio.get_running_loop()
            self._means.open_consumers.add(self)
            self._means.bell.listen(self._wake)
            self._steps = self._following.steps()
        try:
            event = await self._drive(self._steps)
        except BaseException:
            self._end_steps()
            raise
        if event is None:
            self._end_steps()
            if not self._following.has_joined:
                self._means.open_consumers.discard(self)
        return event

    async def _drive(self, steps: Steps[None]) -> Event | None:
        answer: Any = None
        error: AureusError | None = None
        while not self._closing.is_set():
            try:
                effect: Effect = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration:
                return None
            if isinstance(effect, Deliver):
                return effect.event
            answer = error = None
            try:
                answer = await self._carry_out(effect)
            except AureusError as found:
                error = found
        return None

    async def _carry_out(self, effect: Effect) -> Any:
        means = self._means
        if isinstance(effect, Ask):
            perform = means.runner.read if effect.is_read else means.runner.write
            return await perform(effect.make, means.call.begun())
        if isinstance(effect, Work):
            return await self._work(effect)
        if isinstance(effect, Rest):
            await waited(self._woken, effect.seconds)
            was_woken = self._woken.is_set()
            self._woken.clear()
            return was_woken
        if isinstance(effect, Pause):
            await waited(self._closing, effect.seconds)
            return None
        raise AssertionError(f"no driver carries out {effect!r}")

    async def _work(self, work: Work) -> Exception | None:
        """Call the handler and move the position in one transaction; return what the handler raised."""
        function = self._function
        if function is None:
            raise AssertionError("events are handled inside of handle_each()")
        try:
            async with self._means.transact() as (transaction, runner):
                try:
                    await function(transaction, work.event)
                except Exception as error:
                    raise _FunctionFailed(error) from error
                await runner.write(work.guard, self._means.call)
        except _FunctionFailed as failed:
            return failed.error
        return None

    def _wake(self) -> None:
        """Wake this consumer, from any thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(self._woken.set)

    def _end_steps(self) -> None:
        """Forget where the loop stood: the next iteration begins anew from what is stored."""
        steps, self._steps = self._steps, None
        self._means.bell.leave(self._wake)
        if steps is not None:
            steps.close()

    async def _finish(self) -> None:
        """Store how far it has come; what cannot be stored any more is told again."""
        if self._is_finished:
            return
        self._is_finished = True
        self._end_steps()
        self._means.open_consumers.discard(self)
        answer: Any = None
        steps = self._following.finish()
        try:
            while True:
                answer = await self._carry_out(steps.send(answer))
        except StopIteration:
            pass
        except AureusError as error:
            _log.info("subscription %s: its position could not be stored: %s", self.name, error)


async def close_all(consumers: set[AsyncConsumer[Any]]) -> None:
    """Close every consumer that is at work."""
    for consumer in list(consumers):
        await consumer.close()


async def waited(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, and no longer than this."""
    with suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)

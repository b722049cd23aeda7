"""Consumers for an event loop: the same loop, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aureus._database.database import AsyncRunner
from aureus._database.kinds import check_methods
from aureus.awaiting import waited
from aureus.errors import AureusError
from aureus.model.events import Event
from aureus.subscriptions.consuming import (
    CLOSE_SECONDS_MAX,
    AnyMeans,
    Consuming,
    FunctionFailed,
    log,
)
from aureus.subscriptions.handling import ATTEMPTS_DEFAULT, BACKOFF_SECONDS_DEFAULT
from aureus.subscriptions.holding import Plan
from aureus.subscriptions.membership import Membership
from aureus.subscriptions.steps import Ask, Effect, Keep, Pause, Rest, Work

R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AsyncMeans(AnyMeans, Generic[T]):
    """What consumers of a database work with."""

    runner: AsyncRunner
    transact: Callable[[], AbstractAsyncContextManager[tuple[T, AsyncRunner]]]
    """Opens a transaction, as the handler sees it and as operations do."""

    async def carry_out(self, steps: Generator[Any, Any, R]) -> R:
        """Carry out steps that hand nothing out, and return what they come to."""
        return await _carried_out(steps, self.carry_out_one)

    async def carry_out_one(self, effect: Effect) -> Any:
        """Ask what is asked, or wait; what only a consumer can do is not for here."""
        if isinstance(effect, Ask):
            perform = self.runner.read if effect.is_read else self.runner.write
            return await perform(effect.make, self.call.begun())
        if isinstance(effect, Pause):
            await waited(asyncio.Event(), effect.seconds)
            return None
        raise AssertionError(f"no driver carries out {effect!r}")


class AsyncConsumer(Consuming[AsyncMeans[T]], Generic[T]):
    """The events of a subscription, in the order of their positions.

    Iterating yields each event and waits for more; an event counts as handled when the next one is asked for. Use it as
    a context manager, or close it: that stores how far it has come. One task at a time.
    """

    def __init__(self, plan: Plan, means: AsyncMeans[T]) -> None:
        """Follow a plan; nothing happens before the first event is asked for."""
        super().__init__(plan, means, self._wake)
        self._function: Callable[[T, Event], Awaitable[object]] | None = None
        self._lock = asyncio.Lock()
        self._running: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._closing = asyncio.Event()
        self._handed_to: asyncio.Task[Any] | None = None
        """The task that has an event in hand, until it asks for the next one."""
        self._returned = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None

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

    async def handle_each(
        self,
        function: Callable[[T, Event], Awaitable[object]],
        *,
        attempts: int = ATTEMPTS_DEFAULT,
        backoff_seconds: float = BACKOFF_SECONDS_DEFAULT,
        batch_size: int = 1,
    ) -> None:
        """Await ``function(tx, event)`` for each event, in a transaction with the position: exactly once.

        What it writes through ``tx``, to stores and to your own tables, is committed together with the position, or not
        at all. When it raises, all of that is undone and it is called again, ``attempts`` times at most, after rests of
        ``backoff_seconds``, doubled each time; then the event and all later ones of its stream are parked, and the
        others go on. Tries that ended the process count too. Returns when the consumer is closed, or has caught up
        without being live.

        With ``batch_size`` up to so many events, 500 at most, share a transaction, as many as are there. When one of
        them raises, all of them are undone and called again one by one.
        """
        self._following.handle_by(self._handling(attempts, backoff_seconds, batch_size))
        self._function = function
        try:
            await self._run()
        finally:
            self._following.handle_by(None)
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
        self._refuse_second(is_running=self._running is not None)
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
        self._loop = asyncio.get_running_loop()
        try:
            event = await _carried_out(self._next(), self._carry_out)
        except BaseException:
            self._end_steps()
            raise
        self._ended(event)
        return event

    def _is_closing(self) -> bool:
        return self._closing.is_set()

    async def _carry_out(self, effect: Effect) -> Any:
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
        if isinstance(effect, Keep):
            self._renewing = asyncio.create_task(_renew(effect.membership, self._means))
            return None
        return await self._means.carry_out_one(effect)

    async def _work(self, work: Work) -> Exception | None:
        """Call the handler and move the position in one transaction; return what the handler raised."""
        function = self._function
        if function is None:
            raise AssertionError("events are handled inside of handle_each()")
        self._following.membership.busy()
        try:
            async with self._means.transact() as (transaction, runner):
                try:
                    for event in work.events:
                        await function(transaction, event)
                except Exception as error:
                    raise FunctionFailed(error) from error
                await runner.write(work.guard, self._means.call)
        except FunctionFailed as failed:
            return failed.error
        finally:
            self._following.membership.free()
        return None

    def _wake(self) -> None:
        """Wake this consumer, from any thread."""
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # The loop is closed: nobody waits any more.
                loop.call_soon_threadsafe(self._woken.set)

    def _end_steps(self) -> None:
        super()._end_steps()
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()

    async def _finish(self) -> None:
        """Store how far it has come; what cannot be stored any more is told again."""
        steps = self._last_steps()
        if steps is None:
            return
        try:
            await self._means.carry_out(steps)
        except AureusError as error:
            log.info("subscription %s: its position could not be stored: %s", self.name, error)


check_methods(AsyncConsumer)


async def _renew(membership: Membership, means: AsyncMeans[Any]) -> None:
    """Renew a membership beside the loop of a consumer; an event loop that does not answer renews nothing."""
    over = asyncio.Event()
    while True:
        await waited(over, membership.look_seconds)
        if not membership.is_due():
            continue
        sent_at = membership.now()
        try:
            await means.runner.write(membership.extend, means.call.begun())
            membership.renewed(sent_at)
        except AureusError:
            membership.failed(sent_at)


async def _carried_out(
    steps: Generator[Any, Any, R], carry_out: Callable[[Effect], Awaitable[Any]]
) -> R:
    """Carry out everything that steps ask for, and return what they come to."""
    answer: Any = None
    error: AureusError | None = None
    while True:
        try:
            effect = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # what the generator returns is an R
        answer = error = None
        try:
            answer = await carry_out(effect)
        except AureusError as found:
            error = found


async def close_all(consumers: set[AsyncConsumer[Any]]) -> None:
    """Close every consumer that is at work."""
    for consumer in list(consumers):
        await consumer.close()

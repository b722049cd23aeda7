"""Consumers for threads: the loop carried out with blocking calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aureus._database.bell import Bell
from aureus._database.database import Runner
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
class Means(Generic[T]):
    """What consumers of a database work with."""

    runner: Runner
    call: Call
    transact: Callable[[], AbstractContextManager[tuple[T, Runner]]]
    """Opens a transaction, as the handler sees it and as operations do."""
    bell: Bell
    clock: Clock
    open_consumers: set[Consumer[Any]]
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


class Consumer(Generic[T]):
    """The events of a subscription, in the order of their positions.

    Iterating yields each event and waits for more; an event counts as handled when the next one is asked for. Use it as
    a context manager, or close it: that stores how far it has come. One thread at a time.
    """

    def __init__(self, plan: Plan, means: Means[T]) -> None:
        """Follow a plan; nothing happens before the first event is asked for."""
        self._means = means
        self._following = Following(plan, means.clock)
        self._steps: Steps[None] | None = None
        self._function: Callable[[T, Event], object] | None = None
        self._lock = threading.RLock()
        self._is_running = False
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._is_finished = False
        self._handed_to: threading.Thread | None = None
        """The thread that has an event in hand, until it asks for the next one."""
        self._returned = threading.Event()

    @property
    def name(self) -> str:
        """Return the name of the subscription."""
        return self._following.plan.name

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        self._following.acknowledge()
        event = self._run()
        if event is None:
            self._returned.set()
            raise StopIteration
        self._returned.clear()
        self._handed_to = threading.current_thread()
        return event

    def acknowledge(self) -> None:
        """Count the event that was yielded last as handled: before a ``break``, or before something that may fail."""
        self._following.acknowledge()

    def handle_each(
        self,
        function: Callable[[T, Event], object],
        *,
        attempts: int = ATTEMPTS_DEFAULT,
        backoff_seconds: float = BACKOFF_SECONDS_DEFAULT,
    ) -> None:
        """Call ``function(tx, event)`` for each event, in a transaction with the position: exactly once.

        What it writes through ``tx``, to stores and to your own tables, is committed together with the position, or not
        at all. When it raises, all of that is undone and it is called again, ``attempts`` times at most, after rests of
        ``backoff_seconds``, doubled each time; then the event and all later ones of its stream are parked, and the
        others go on. Returns when the consumer is closed, or has caught up without being live.
        """
        self._following.handling = Handling(self._means.clock, attempts, backoff_seconds)
        self._function = function
        try:
            self._run()
        finally:
            self._following.handling = None
            self._function = None

    def close(self) -> None:
        """End the waiting at once, store how far it has come, and leave a group; a second call does nothing.

        May be called from any thread, and by the function of ``handle_each``. Iterating ends then. An event that
        another thread has in hand is waited for, 5 seconds at most.
        """
        self._closing.set()
        self._woken.set()
        busy = self._handed_to
        if busy is not None and busy is not threading.current_thread() and busy.is_alive():
            self._returned.wait(CLOSE_SECONDS_MAX)
        if not self._lock.acquire(timeout=CLOSE_SECONDS_MAX):
            return  # it is in the middle of something, and ends by itself
        try:
            if not self._is_running:
                self._finish()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # Carrying out what the loop asks for.

    def _run(self) -> Event | None:
        """Go on until an event is to be handed out, or to the end, which is None."""
        if self._is_running:
            raise Invalid(f"subscription {self.name!r} is being consumed already, by this consumer")
        with self._lock:
            self._is_running = True
            self._handed_to = None
            try:
                return self._go_on()
            finally:
                self._is_running = False
                if self._closing.is_set():
                    self._finish()

    def _go_on(self) -> Event | None:
        if self._closing.is_set():
            return None
        if self._steps is None:
            self._means.open_consumers.add(self)
            self._means.bell.listen(self._woken.set)
            self._steps = self._following.steps()
        try:
            event = self._drive(self._steps)
        except BaseException:
            self._end_steps()
            raise
        if event is None:
            self._end_steps()
            if not self._following.has_joined:
                self._means.open_consumers.discard(self)
        return event

    def _drive(self, steps: Steps[None]) -> Event | None:
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
                answer = self._carry_out(effect)
            except AureusError as found:
                error = found
        return None

    def _carry_out(self, effect: Effect) -> Any:
        means = self._means
        if isinstance(effect, Ask):
            perform = means.runner.read if effect.is_read else means.runner.write
            return perform(effect.make, means.call.begun())
        if isinstance(effect, Work):
            return self._work(effect)
        if isinstance(effect, Rest):
            was_woken = self._woken.wait(effect.seconds)
            self._woken.clear()
            return was_woken
        if isinstance(effect, Pause):
            self._closing.wait(effect.seconds)
            return None
        raise AssertionError(f"no driver carries out {effect!r}")

    def _work(self, work: Work) -> Exception | None:
        """Call the handler and move the position in one transaction; return what the handler raised."""
        function = self._function
        if function is None:
            raise AssertionError("events are handled inside of handle_each()")
        try:
            with self._means.transact() as (transaction, runner):
                try:
                    function(transaction, work.event)
                except Exception as error:
                    raise _FunctionFailed(error) from error
                runner.write(work.guard, self._means.call)
        except _FunctionFailed as failed:
            return failed.error
        return None

    def _end_steps(self) -> None:
        """Forget where the loop stood: the next iteration begins anew from what is stored."""
        steps, self._steps = self._steps, None
        self._means.bell.leave(self._woken.set)
        if steps is not None:
            steps.close()

    def _finish(self) -> None:
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
                answer = self._carry_out(steps.send(answer))
        except StopIteration:
            pass
        except AureusError as error:
            _log.info("subscription %s: its position could not be stored: %s", self.name, error)


def close_all(consumers: set[Consumer[Any]]) -> None:
    """Close every consumer that is at work."""
    for consumer in list(consumers):
        consumer.close()

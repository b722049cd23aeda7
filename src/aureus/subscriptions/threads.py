"""Consumers for threads: the loop carried out with blocking calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from aureus._database.database import Runner
from aureus._database.kinds import check_methods
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
class Means(AnyMeans, Generic[T]):
    """What consumers of a database work with."""

    runner: Runner
    transact: Callable[[], AbstractContextManager[tuple[T, Runner]]]
    """Opens a transaction, as the handler sees it and as operations do."""

    def carry_out(self, steps: Generator[Any, Any, R]) -> R:
        """Carry out steps that hand nothing out, and return what they come to."""
        return _carried_out(steps, self.carry_out_one)

    def carry_out_one(self, effect: Effect) -> Any:
        """Ask what is asked, or wait; what only a consumer can do is not for here."""
        if isinstance(effect, Ask):
            perform = self.runner.read if effect.is_read else self.runner.write
            return perform(effect.make, self.call.begun())
        if isinstance(effect, Pause):
            threading.Event().wait(effect.seconds)
            return None
        raise AssertionError(f"no driver carries out {effect!r}")


class Consumer(Consuming[Means[T]], Generic[T]):
    """The events of a subscription, in the order of their positions.

    Iterating yields each event and waits for more; an event counts as handled when the next one is asked for. Use it as
    a context manager, or close it: that stores how far it has come. One thread at a time.
    """

    def __init__(self, plan: Plan, means: Means[T]) -> None:
        """Follow a plan; nothing happens before the first event is asked for."""
        self._woken = threading.Event()
        super().__init__(plan, means, self._woken.set)
        self._function: Callable[[T, Event], object] | None = None
        self._lock = threading.RLock()
        self._is_running = False
        self._closing = threading.Event()
        self._handed_to: threading.Thread | None = None
        """The thread that has an event in hand, until it asks for the next one."""
        self._returned = threading.Event()
        self._renewing: _Renewing | None = None

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

    def handle_each(
        self,
        function: Callable[[T, Event], object],
        *,
        attempts: int = ATTEMPTS_DEFAULT,
        backoff_seconds: float = BACKOFF_SECONDS_DEFAULT,
        batch_size: int = 1,
    ) -> None:
        """Call ``function(tx, event)`` for each event, in a transaction with the position: exactly once.

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
            self._run()
        finally:
            self._following.handle_by(None)
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
        self._refuse_second(is_running=self._is_running)
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
        try:
            event = _carried_out(self._next(), self._carry_out)
        except BaseException:
            self._end_steps()
            raise
        self._ended(event)
        return event

    def _is_closing(self) -> bool:
        return self._closing.is_set()

    def _carry_out(self, effect: Effect) -> Any:
        if isinstance(effect, Work):
            return self._work(effect)
        if isinstance(effect, Rest):
            was_woken = self._woken.wait(effect.seconds)
            self._woken.clear()
            return was_woken
        if isinstance(effect, Pause):
            self._closing.wait(effect.seconds)
            return None
        if isinstance(effect, Keep):
            self._renewing = _Renewing(effect.membership, self._means)
            return None
        return self._means.carry_out_one(effect)

    def _work(self, work: Work) -> Exception | None:
        """Call the handler and move the position in one transaction; return what the handler raised."""
        function = self._function
        if function is None:
            raise AssertionError("events are handled inside of handle_each()")
        self._following.membership.busy()
        try:
            with self._means.transact() as (transaction, runner):
                try:
                    for event in work.events:
                        function(transaction, event)
                except Exception as error:
                    raise FunctionFailed(error) from error
                runner.write(work.guard, self._means.call)
        except FunctionFailed as failed:
            return failed.error
        finally:
            self._following.membership.free()
        return None

    def _end_steps(self) -> None:
        super()._end_steps()
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.stop()

    def _finish(self) -> None:
        """Store how far it has come; what cannot be stored any more is told again."""
        steps = self._last_steps()
        if steps is None:
            return
        try:
            self._means.carry_out(steps)
        except AureusError as error:
            log.info("subscription %s: its position could not be stored: %s", self.name, error)


check_methods(Consumer)


class _Renewing:
    """Renews a membership from a thread of its own."""

    def __init__(self, membership: Membership, means: Means[Any]) -> None:
        self._membership = membership
        self._means = means
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="aureus membership", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the statement in flight."""
        self._over.set()
        if self._thread is not threading.current_thread():
            self._thread.join(CLOSE_SECONDS_MAX)

    def _work(self) -> None:
        while not self._over.wait(self._membership.look_seconds):
            if not self._membership.is_due():
                continue
            sent_at = self._membership.now()
            try:
                self._means.runner.write(self._membership.extend, self._means.call.begun())
                self._membership.renewed(sent_at)
            except AureusError:
                self._membership.failed(sent_at)


def _carried_out(steps: Generator[Any, Any, R], carry_out: Callable[[Effect], Any]) -> R:
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
            answer = carry_out(effect)
        except AureusError as found:
            error = found


def close_all(consumers: set[Consumer[Any]]) -> None:
    """Close every consumer that is at work."""
    for consumer in list(consumers):
        consumer.close()

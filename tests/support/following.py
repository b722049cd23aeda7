"""Consumers in threads of their own, as a program has them; whatever happens to the test, none outlives it."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from aureus.model.events import Event
from tests.support.consuming import Handler, Reader

SECONDS_MAX: Final = 60.0
"""What takes longer hangs."""


class Following:
    """A consumer that is told one event after the other, and what it was told."""

    def __init__(self, one: Reader) -> None:
        self.told: list[Event] = []
        self.error: BaseException | None = None
        self._came = threading.Condition()
        self._reader = one
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def wait(self, count: int) -> list[Event]:
        """Return what was told once it is so much."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.told) >= count, SECONDS_MAX), self.told
            return list(self.told)

    def close(self) -> None:
        """Close the consumer and wait for its end."""
        self._reader.close()
        self._thread.join(SECONDS_MAX)
        assert not self._thread.is_alive(), "the consumer has not ended"
        assert self.error is None, self.error

    def _work(self) -> None:
        try:
            while (event := self._reader.next()) is not None:
                with self._came:
                    self.told.append(event)
                    self._came.notify_all()
        except BaseException as error:  # noqa: BLE001 - told to the test
            self.error = error


@contextmanager
def following(one: Reader) -> Generator[Following]:
    """Let a consumer follow until the block ends."""
    follower = Following(one)
    try:
        yield follower
    finally:
        follower.close()


@contextmanager
def handling(one: Reader, handler: Handler, **options: Any) -> Generator[threading.Thread]:
    """Let a consumer handle events until the block ends."""
    thread = threading.Thread(target=lambda: one.handle(handler, **options))
    thread.start()
    try:
        yield thread
    finally:
        one.close()
        thread.join(SECONDS_MAX)

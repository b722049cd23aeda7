"""Wakes one thread that waits for its turn or its answer.

Each write has one, though hardly any is ever waited for. ``threading.Event`` would do too, and take four times as long
to make and to set: it is a lock and a condition, written in Python.
"""

from __future__ import annotations

from threading import Lock


class Waker:
    """What one thread waits on, and others wake it by; a wake that nobody waits for yet is not lost."""

    __slots__ = ("_asleep",)

    def __init__(self) -> None:
        self._asleep = Lock()
        self._asleep.acquire()

    def wake(self) -> None:
        """Let the thread go on: the one that waits, or the next wait. Doing it twice is doing it once."""
        try:
            self._asleep.release()
        except RuntimeError:
            return  # It has been woken already.

    def wait(self, seconds: float) -> bool:
        """Wait to be woken, so many seconds at most; return whether that came. The next wait is for the next wake."""
        return self._asleep.acquire(timeout=seconds)

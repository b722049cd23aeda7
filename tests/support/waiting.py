"""The one place where tests wait for something outside their own threads.

Inside one process a test waits on an event or moves a manual clock. A server that starts, a file that another
process writes and a process that ends offer no event: they are asked again and again, and a generous limit turns a
wait in vain into a failure that says what was awaited. Nothing is ever asserted about how long a wait took.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, TypeVar

from aureus.clock import SystemClock

T = TypeVar("T")

_PAUSE_SECONDS_FIRST: Final = 0.002
_PAUSE_SECONDS_MAX: Final = 0.05


def eventually(answer: Callable[[], T], what: str, *, seconds_max: float = 60.0) -> T:
    """Ask until the answer is true and return it; fails with ``what`` after ``seconds_max``."""
    clock = SystemClock()
    deadline = clock.monotonic() + seconds_max
    pause = _PAUSE_SECONDS_FIRST
    while not (given := answer()):
        if clock.monotonic() > deadline:
            raise AssertionError(f"waited {seconds_max:g} s in vain: {what}")
        time.sleep(pause)  # noqa: TID251 - other processes signal nothing we could wait on
        pause = min(pause * 1.5, _PAUSE_SECONDS_MAX)
    return given

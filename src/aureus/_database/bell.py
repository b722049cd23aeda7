"""The bell: wakes those who wait for the ledger of any tenant to grow.

It may ring for nothing, and it may fail to ring: whoever waits looks again after a while in any case. It is rung by
commits of this process, and by a watcher of the engine, which learns of those of other processes and works only while
somebody waits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Protocol

Wake = Callable[[], None]
"""Wakes one who waits; called from any thread, and never blocks."""


class Watcher(Protocol):
    """Learns of what other processes do, and rings."""

    def start(self) -> None:
        """Begin, in a thread of its own."""
        ...

    def stop(self) -> None:
        """End, and wait for the end; a second call does nothing."""
        ...


class Bell:
    """Rings for everybody who listens."""

    def __init__(self, make_watcher: Callable[[Wake], Watcher | None]) -> None:
        """Take what makes a watcher that rings; None where there are no other processes."""
        self._make_watcher = make_watcher
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Forget those who listened in the process that this one was forked from."""
        self._lock = threading.Lock()
        self._wakes: tuple[Wake, ...] = ()
        self._watcher: Watcher | None = None
        self._pid = os.getpid()

    def ring(self) -> None:
        """Wake everybody; it costs nothing when nobody listens."""
        for wake in self._wakes:
            wake()

    def listen(self, wake: Wake) -> None:
        """Let somebody be woken from now on."""
        if os.getpid() != self._pid:
            self._begin_anew()
        with self._lock:
            self._wakes = (*self._wakes, wake)
            if self._watcher is None:
                self._watcher = self._make_watcher(self.ring)
                if self._watcher is not None:
                    self._watcher.start()

    def leave(self, wake: Wake) -> None:
        """Let somebody sleep; the watcher ends with the last one. Harmless for one who did not listen."""
        if os.getpid() != self._pid:
            self._begin_anew()
        with self._lock:
            self._wakes = tuple(known for known in self._wakes if known != wake)
            watcher = None
            if not self._wakes:
                watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.stop()

    def close(self) -> None:
        """Forget everybody, and end the watcher."""
        for wake in self._wakes:
            self.leave(wake)

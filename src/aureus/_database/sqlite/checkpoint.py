"""Moves the write-ahead log into the database file, off the commit path.

Commits only append to the log. A daemon thread, started when there is something to do for the first time, is woken
after the callers were answered and copies what it can without keeping anybody waiting. That never empties the log
while writes go on, so from a certain length on it asks for a moment without writers and with no reader left in the
old log. It gives up quickly and tries again a little later: a reader that stays for minutes lets the log grow, which
costs room but is no fault.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable

import apsw

from aureus._database.sqlite.connection import Connection
from aureus.clock import Clock
from aureus.errors import AureusError

PAGES_BETWEEN = 1000
"""Pages of 4 KiB that commits add to the log before the thread is woken again."""

PAGES_BEFORE_RESTART = 4000
"""Pages from which on the log is to begin anew: 16 MB, far below the 64 MB that it may reach under load."""

RESTART_SECONDS_MAX = 0.1
"""How long writers may be held up for that; reads of this program take microseconds."""

FINAL_SECONDS_MAX = 0.25
"""How long closing waits for readers of other processes before it leaves the log to them."""

_log = logging.getLogger("aureus.database")


class Checkpointer:
    """Keeps the write-ahead log of one database short, on a connection of its own."""

    def __init__(self, open_connection: Callable[[float], Connection], clock: Clock) -> None:
        self._open = open_connection
        self._clock = clock
        self._lock = threading.Lock()
        """Held while the connection is used; whoever needs the thread to stand still takes it."""
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        self._wanted = threading.Event()
        self._is_over = False
        self._pages_seen = 0

    def notice(self, pages: int) -> None:
        """Learn how long the log is after a commit, and wake the thread when it has grown enough."""
        self._pages_seen = min(self._pages_seen, pages)
        if pages - self._pages_seen < PAGES_BETWEEN or self._is_over:
            return
        self._pages_seen = pages
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._serve, name="aureus-checkpoint", daemon=True
            )
            self._thread.start()
        self._wanted.set()

    def pause(self) -> None:
        """Let the thread stand still and close its connection, until ``resume``."""
        self._lock.acquire()
        self._close_connection()

    def resume(self) -> None:
        """Let the thread go on."""
        self._lock.release()

    def leak(self, keep: Callable[[Connection], None]) -> None:
        """Keep the connection from ever being closed, in a child that must not touch it."""
        if self._connection is not None:
            keep(self._connection)

    def finish(self) -> None:
        """End the thread and empty the log, unless other processes are reading from it."""
        self._is_over = True
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            self._attempt(apsw.SQLITE_CHECKPOINT_TRUNCATE, FINAL_SECONDS_MAX)
            self._close_connection()

    def _serve(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._is_over:
                return
            with self._lock:
                pages = self._attempt(apsw.SQLITE_CHECKPOINT_PASSIVE, 0.0)
                if pages >= PAGES_BEFORE_RESTART:
                    self._attempt(apsw.SQLITE_CHECKPOINT_RESTART, RESTART_SECONDS_MAX)

    def _attempt(self, mode: int, seconds: float) -> int:
        """Copy what can be copied; return how many pages the log holds, 0 when that is not known."""
        try:
            if self._connection is None:
                self._connection = self._open(self._clock.monotonic() + FINAL_SECONDS_MAX)
            self._connection.deadline = self._clock.monotonic() + seconds
            pages, _ = self._connection.raw.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            return 0  # Somebody else writes, reads or copies; the next commits ask again.
        except (apsw.Error, AureusError) as error:
            # What is committed lies safely in the log; the next write reports a fault that stays.
            _log.warning("the write-ahead log could not be moved into the database: %s", error)
            return 0
        return pages

    def _close_connection(self) -> None:
        if self._connection is not None:
            self._connection.deadline = math.inf
            self._connection.close()
            self._connection = None

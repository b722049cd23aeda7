"""Looks whether other processes have committed to the file: SQLite tells nobody, but keeps a number that changes.

It works only while somebody waits for events; commits of this process ring by themselves. Before a fork its connection
is closed like all others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final

import apsw

from aureus._database.bell import Wake
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.connections import watch_forks
from aureus.errors import AureusError

LOOK_SECONDS: Final = 0.05
"""From one look to the next; a look takes a microsecond and reads nothing from the disk."""

OPEN_SECONDS_MAX: Final = 5.0
"""How long opening its connection may take."""

_log = logging.getLogger("aureus.database")


class Watching:
    """Rings whenever another connection has committed."""

    def __init__(self, open_connection: Callable[[float], Connection], ring: Wake) -> None:
        """Take what opens a connection that reads, within so many seconds."""
        self._open = open_connection
        self._ring = ring
        self._lock = threading.Lock()
        """Held while the connection is used, and over a fork."""
        self._connection: Connection | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, in a thread of its own."""
        watch_forks(self)
        self._thread = threading.Thread(target=self._work, name="aureus watching", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the end; a second call does nothing."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set()
            thread.join()

    def _work(self) -> None:
        seen: int | None = None
        try:
            while not self._over.is_set():
                found = self._look()
                if found != seen:
                    self._ring()
                seen = found
                self._over.wait(LOOK_SECONDS)
        finally:
            with self._lock:
                self._close()

    def _look(self) -> int | None:
        """Return the number that changes with commits of others; None when it cannot be read just now."""
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = self._open(OPEN_SECONDS_MAX)
                return int(self._connection.run("PRAGMA data_version")[0][0])
            except (apsw.Error, AureusError) as error:
                _log.debug("no look at other processes' commits: %s", error)
                return None

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # A fork.

    def before_fork(self) -> None:
        """Close the connection, so that a child inherits none."""
        self._lock.acquire()
        self._close()

    def after_fork(self, *, is_child: bool) -> None:
        """Go on in the parent; in a child there is no thread, and nothing to be stopped."""
        if is_child:
            self._thread = None
        self._lock.release()

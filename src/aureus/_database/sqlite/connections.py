"""All connections of one open database, and how they survive a fork.

POSIX locks stay with the parent when a process forks, but SQLite's memory of them is copied: a child that opened the
file anew would believe to hold locks that nobody holds (measured: /proc/locks names the parent alone), and when the
parent ends, others would empty the log under it. So every connection is closed before a fork and opened again after
it, by whoever needs one. A fork while a transaction is open cannot wait for its end; then the child is told.
"""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

import apsw

from aureus._database.sqlite.checkpoint import Checkpointer
from aureus._database.sqlite.connect import Opener
from aureus._database.sqlite.connection import Connection
from aureus.clock import Clock
from aureus.errors import DatabaseBusy, DatabaseError

READERS_MAX = 16
"""Reads that one process carries out at the same time; more wait their turn."""

CLOSE_SECONDS_MAX = 30.0
"""How long closing waits for reads under way; they have deadlines of their own."""

FORK_SECONDS_MAX = 1.0
"""How long a fork waits for a flush, reads or a checkpoint under way."""


class Readers:
    """Connections that only read; the first free one is used, its statements being prepared."""

    def __init__(self, opener: Opener, clock: Clock) -> None:
        self._opener = opener
        self._clock = clock
        self._condition = threading.Condition()
        self._all: list[Connection] = []
        self._is_paused = False
        self._is_closed = False

    def take(self, deadline: float) -> Connection:
        """Take a connection, until ``give_back``. Raises ``DatabaseBusy`` when all are in use until the deadline."""
        thread = threading.get_ident()
        with self._condition:
            while True:
                if self._is_closed:
                    raise closed(self._opener.options.place())
                if not self._is_paused:
                    for connection in self._all:
                        # One that is this thread's already was lost to an interrupt.
                        if connection.user is None or connection.user == thread:
                            connection.user = thread
                            return connection
                    if len(self._all) < READERS_MAX:
                        return self._open(thread, deadline)
                remaining = deadline - self._clock.monotonic()
                if remaining <= 0:
                    raise DatabaseBusy(
                        f"{READERS_MAX} reads are under way and none ended in time; do less at once"
                    )
                self._condition.wait(remaining)

    def give_back(self, connection: Connection) -> None:
        """Let others use the connection."""
        connection.user = None
        with self._condition:
            self._condition.notify()

    def pause(self, seconds: float) -> bool:
        """Close all connections and hand out none until ``resume``; False when some stayed in use."""
        with self._condition:
            self._is_paused = True
            if not self._condition.wait_for(self._is_idle, seconds):
                self._resume()
                return False
            self._close_all()
            return True

    def resume(self) -> None:
        """Hand out connections again."""
        with self._condition:
            self._resume()

    def close(self) -> None:
        """Close every connection once the reads under way have ended."""
        with self._condition:
            self._is_closed = True
            self._condition.notify_all()
            self._condition.wait_for(self._is_idle, CLOSE_SECONDS_MAX)
            self._close_all()

    def leak(self) -> None:
        """Keep every connection from ever being closed; see ``Connections.leak``."""
        for connection in self._all:
            _keep_for_ever(connection)

    def _open(self, thread: int, deadline: float) -> Connection:
        connection = self._opener.reader(deadline)
        connection.user = thread
        self._all.append(connection)
        return connection

    def _is_idle(self) -> bool:
        own = (None, threading.get_ident())
        return all(connection.user in own for connection in self._all)

    def _resume(self) -> None:
        self._is_paused = False
        self._condition.notify_all()

    def _close_all(self) -> None:
        for connection in self._all:
            connection.close()
        self._all.clear()


class Connections:
    """The writer, the readers and the checkpointer of one open database in one process."""

    def __init__(self, opener: Opener, clock: Clock) -> None:
        self._opener = opener
        self.is_memory = opener.options.path is None
        self.writing = threading.Lock()
        """Held by the thread that uses the writer."""
        self.readers = Readers(opener, clock)
        self.checkpointer = Checkpointer(opener.checkpointer, clock)
        self._writer: Connection | None = None
        self._is_closed = False

    def writer(self, deadline: float) -> Connection:
        """Return the connection that writes; the caller holds ``writing``."""
        if self._is_closed:
            raise closed(self._opener.options.place())
        if self._writer is None:
            self._writer = self._opener.writer(deadline)
        return self._writer

    def end_borrowing(self) -> None:
        """Take the writer back from a caller's transaction; the caller holds ``writing``.

        Nothing of it stays open: an interrupt may have kept it from ending, and a cursor that was left open in it
        would hold the log's old end, so that every later write would fail.
        """
        writer = self._writer
        if writer is None:
            return
        writer.roll_back()
        if not self.is_memory and writer.raw.txn_state() != apsw.SQLITE_TXN_NONE:
            self._drop_writer()

    def close(self) -> None:
        """Close everything and empty the log where that is possible; the caller holds ``writing``."""
        self._is_closed = True
        self.readers.close()
        if self._writer is not None and not self.is_memory:
            self.checkpointer.finish()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # A fork.

    def pause(self) -> bool:
        """Close everything before a fork; False when something stayed in use, and nothing was paused."""
        if self.is_memory or not self.writing.acquire(timeout=FORK_SECONDS_MAX):
            return False
        if not self.readers.pause(FORK_SECONDS_MAX):
            self.writing.release()
            return False
        self.checkpointer.pause()
        self._drop_writer()
        return True

    def resume(self) -> None:
        """Go on in the parent after a fork that ``pause`` preceded."""
        self.checkpointer.resume()
        self.readers.resume()
        self.writing.release()

    def leak(self) -> None:
        """Keep a child from closing what its parent uses: that would undo the parent's work in shared memory."""
        self.readers.leak()
        self.checkpointer.leak(_keep_for_ever)
        if self._writer is not None:
            _keep_for_ever(self._writer)

    def _drop_writer(self) -> None:
        """Close the writer without the checkpoint that the last connection would make: it is opened again soon."""
        if self._writer is not None:
            self._writer.raw.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            self._writer.close()
            self._writer = None


def _keep_for_ever(connection: Connection) -> None:
    """Give the driver's object a reference that nothing takes away, not even the end of the interpreter."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection.raw))


def closed(place: str) -> DatabaseError:
    """Return the error of a call on a database that was closed."""
    return DatabaseError(f"{place}: this database is closed; open a new one")


class Forking(Protocol):
    """Something that must be told about forks of this process."""

    def before_fork(self) -> None:
        """Close what a child must not inherit."""
        ...

    def after_fork(self, *, is_child: bool) -> None:
        """Go on in the parent, or begin anew in the child."""
        ...


_watched: weakref.WeakSet[Forking] = weakref.WeakSet()


def watch_forks(watcher: Forking) -> None:
    """Tell an object about forks of this process, as long as it lives."""
    _watched.add(watcher)


def _before_fork() -> None:
    for watcher in list(_watched):
        watcher.before_fork()


def _after_fork(*, is_child: bool) -> None:
    for watcher in list(_watched):
        watcher.after_fork(is_child=is_child)


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(is_child=False),
    after_in_child=lambda: _after_fork(is_child=True),
)


def in_child_of_a_transaction(place: str) -> DatabaseError:
    """Return the error of a child that was forked while its parent could not let go of the database."""
    return DatabaseError(
        f"{place}: this process was forked while its parent was using the database; open it after forking, "
        "or start the process anew instead of forking"
    )

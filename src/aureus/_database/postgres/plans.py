"""When a connection lets its plans go, so that a table that has grown is looked at anew.

The server keeps one plan for a prepared statement, and for each check of a foreign key. Made while a table was small,
it may take any index that begins with the tenant, for all seemed equally good: ten thousand rows later a run is found
by reading all runs. Statistics would help, and come with the first ANALYZE, a minute or more later; the size of a table
alone is enough to find the right index, and it is known at once. So plans are made anew whenever a connection has
become twice as old: ten times in its hour, each time for some tens of milliseconds of the server.
"""

from __future__ import annotations

import threading
from typing import Any, Final
from weakref import WeakKeyDictionary

from psycopg.pq import TransactionStatus

from aureus.clock import Clock

LET_GO: Final = b"DISCARD PLANS"
"""Drops plans, not prepared statements: the driver need not know."""

FIRST_SECONDS: Final = 5.0
"""Age at which a connection lets its first plans go: what is written in so short a time is quick to read in any way."""


class PlanAges:
    """The connections of a pool, and when each of them is to let its plans go. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._due: WeakKeyDictionary[Any, tuple[float, float]] = WeakKeyDictionary()

    def is_due(self, connection: Any) -> bool:
        """Return whether a connection is twice as old as when it last was due, and at rest: in no transaction."""
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        now = self._clock.monotonic()
        with self._lock:
            born, due_age = self._due.get(connection, (now, FIRST_SECONDS))
            age = now - born
            is_due = age >= due_age
            self._due[connection] = (born, 2 * age if is_due else due_age)
        return is_due

"""One connection: statements with a deadline, a transaction whose state is always known.

SQLite may end a transaction by itself (no room, an I/O error, an interrupted write), and Python may raise
``KeyboardInterrupt`` between any two steps. So the connection tells at any moment whether its transaction is open, was
lost, or is known to be committed. It is used by one thread at a time.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

import apsw

from aureus._database.sqlite.codec import Columns, decode
from aureus._database.sqlite.errors import mapped
from aureus._database.statement import Row
from aureus.clock import Clock
from aureus.errors import AureusError, DatabaseError, Invalid
from aureus.ids import Ids

T = TypeVar("T")

STEPS_BETWEEN_LOOKS = 20_000
"""Instructions of SQLite between two looks at the deadline: about a millisecond, never reached by a usual statement."""

_FAILURES = (apsw.Error, OverflowError, TypeError, UnicodeError)
"""What a statement may raise: the engine's errors, and the driver's for values that it cannot hand over."""

_ANSWERS: Final = re.compile(r"^\s*(?!INSERT|UPDATE|DELETE)|\bRETURNING\b", re.IGNORECASE)
"""A statement that may bring rows."""

_PAUSE_SECONDS_FIRST = 0.0002
_PAUSE_SECONDS_MAX = 0.004
"""The longest rest between two tries for a lock: shorter than another process's flush, so that each gets its turn."""


class Connection:
    """An apsw connection with a deadline, typed errors and decoded rows."""

    def __init__(self, raw: apsw.Connection, clock: Clock, ids: Ids, columns: Columns) -> None:
        self.raw = raw
        self.deadline = math.inf
        self.waits_for_locks = True
        """False where nobody may be kept waiting, such as inside an event loop: a lock is an error at once."""
        self.is_waiting = False
        """True while another connection holds the lock that this one wants; read by other threads."""
        self.wal_pages = 0
        """Pages in the write-ahead log after this connection's last commit."""
        self.unsealed: set[str] = set()
        """Tenants to whose ledger the open transaction has appended."""
        self.has_sealed = False
        """Whether the last transaction has sealed something."""
        self.user: int | None = None
        """The thread that reads with it; one assignment, so that no interrupt finds it between two states."""
        self._clock = clock
        self._ids = ids
        self._columns = columns
        self._has_begun = False
        self._is_committing = False
        # The driver's stubs cannot name what a statement takes before Python 3.12.
        self._execute: Callable[..., Any] = cast(Any, raw).execute
        raw.set_busy_handler(self._wait_for_lock)
        raw.set_progress_handler(self._is_late, STEPS_BETWEEN_LOOKS)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self.raw.close(force=True)

    # Statements.

    def run(
        self, text: str, values: Sequence[Any] | Mapping[str, Any] = (), what: str = ""
    ) -> list[Row]:
        """Carry out a statement and return its rows as SQLite has them. Raises ``AureusError``."""
        return self._guarded(lambda: self._execute(text, values).fetchall(), what or text)

    def fetch(self, text: str, values: Sequence[Any], what: str) -> list[Row]:
        """Carry out a statement of the catalogue and return its rows with times as datetimes."""
        try:
            return self._fetch(text, values)
        except _FAILURES as error:
            raise self._error_of(error, what) from error
        finally:
            self.is_waiting = False

    def _fetch(self, text: str, values: Sequence[Any]) -> list[Row]:
        cursor = self._execute(text, values)
        try:
            times = self._columns.times_of(text)
            if times is None:
                try:
                    described = cursor.get_description()
                except apsw.ExecutionCompleteError:
                    # No row: nothing to decode, and nothing to learn but that there never will be one.
                    if not _ANSWERS.search(text):
                        self._columns.learn(text, [])
                    return []
                times = self._columns.learn(text, [column[0] for column in described])
            rows: list[Row] = cursor.fetchall()
        except BaseException:
            cursor.close()  # A traceback may keep it, and a statement under way keeps savepoints from ending.
            raise
        if not times:
            return rows
        try:
            return [decode(row, times) for row in rows]
        except (OverflowError, TypeError):
            raise self._columns.unreadable(text, rows) from None

    def _guarded(self, action: Callable[[], T], what: str) -> T:
        try:
            return action()
        except _FAILURES as error:
            raise self._error_of(error, what) from error
        finally:
            self.is_waiting = False

    def _error_of(self, error: Exception, what: str) -> AureusError:
        """Return the error of ours for one of a statement."""
        if isinstance(error, apsw.Error):
            return mapped(error, what, self.raw.system_errno)
        return Invalid(f"{what}: {error}; SQLite cannot hold such a value")

    # The transaction.

    def begin(self, deadline: float, *, is_write: bool = True) -> None:
        """Begin a transaction; a writing one waits for the lock of the file until the deadline.

        Raises ``DatabaseBusy`` when other connections held the lock all the time.
        """
        self.roll_back()  # An interrupt may have come right after the last BEGIN.
        self.deadline = deadline
        self.has_sealed = False
        self.run("BEGIN IMMEDIATE" if is_write else "BEGIN", what="BEGIN")
        self._has_begun = True

    def commit(self) -> None:
        """Commit. Raises ``AureusError`` when nothing was stored; the transaction may then still be open."""
        self._is_committing = True
        try:
            self._execute("COMMIT")
        except apsw.Error as error:
            # First of all, so that no signal comes between: see was_committed.
            self._is_committing = False
            raise mapped(error, "COMMIT", self.raw.system_errno) from error
        self._has_begun = False

    def roll_back(self) -> None:
        """Undo everything since ``begin``, if anything is left to undo."""
        self._has_begun = self._is_committing = False
        self.unsealed.clear()
        self.give_up()
        if self.raw.in_transaction:
            raise DatabaseError("SQLite could not roll back; close the database and open it again")

    @property
    def is_lost(self) -> bool:
        """Return whether SQLite has rolled back by itself what ``begin`` had begun."""
        return self._has_begun and not self.raw.in_transaction

    @property
    def was_committed(self) -> bool:
        """Return whether COMMIT succeeded, also when an interrupt came before ``commit`` could return.

        It stays true until the next ``begin`` or ``roll_back``.
        """
        return self._is_committing and not self.raw.in_transaction

    def save(self) -> None:
        """Set the savepoint that ``keep`` or ``undo`` ends."""
        self.run("SAVEPOINT aureus_operation")

    def keep(self) -> None:
        """Make what happened since ``save`` part of the transaction."""
        self.run("RELEASE aureus_operation")

    def undo(self) -> None:
        """Undo what happened since ``save``; where that cannot be done, the whole transaction is lost."""
        if not self.raw.in_transaction:
            return
        try:
            self._execute("ROLLBACK TO aureus_operation")
            self._execute("RELEASE aureus_operation")
        except apsw.Error:
            self.give_up()
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Roll back so that ``is_lost`` tells it: what is half done or half undone must never be committed."""
        if self.raw.in_transaction:
            with suppress(apsw.Error):
                self._execute("ROLLBACK")

    # What SQLite asks while it works.

    def count_wal_pages(self) -> None:
        """Let commits report how long the write-ahead log is; replaces SQLite's own checkpoint after a commit."""

        def after_commit(_: apsw.Connection, __: str, pages: int) -> int:
            self.wal_pages = pages
            return apsw.SQLITE_OK

        self.raw.set_wal_hook(after_commit)

    def _wait_for_lock(self, tries: int) -> bool:
        """Rest a little longer each time, never twice the same, until the deadline."""
        remaining = self.deadline - self._clock.monotonic()
        if remaining <= 0 or not self.waits_for_locks:
            return False
        self.is_waiting = True
        longest = min(_PAUSE_SECONDS_MAX, _PAUSE_SECONDS_FIRST * 2 ** min(tries, 8))
        rest(min(remaining, longest * (0.25 + 0.75 * self._ids.jitter())))
        return True

    def _is_late(self) -> bool:
        return self._clock.monotonic() > self.deadline


def rest(seconds: float) -> None:
    """Let the calling thread rest between two tries for a lock; nothing announces that it became free."""
    threading.Event().wait(seconds)


def require_open(connection: Connection) -> None:
    """Raise ``DatabaseError`` when SQLite has undone the transaction that the caller believes to be in."""
    if connection.is_lost:
        raise DatabaseError(
            "SQLite has undone this transaction after an error in it; leave the block and begin it again"
        )

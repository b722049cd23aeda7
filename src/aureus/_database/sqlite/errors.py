"""What a result code of SQLite means: which of our errors the caller sees, and what to do about it.

By code and never by message text, except for the prefixes ``AU001:``, ``AU003:`` and ``AU004:`` that our own triggers
write. The source is the list of result codes at sqlite.org/rescode.html; a test walks through the table.
"""

from __future__ import annotations

import errno

import apsw

from aureus.errors import (
    AlreadyExists,
    AureusError,
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DeadlineExceeded,
    IllegalTransition,
    IntegrityFailure,
    Invalid,
    LimitExceeded,
    StorageFull,
    SubjectKeyDestroyed,
)

_PRIMARY = 0xFF
"""An extended code carries its primary code in the lowest byte."""

_OWN: dict[str, type[AureusError]] = {
    "AU001: ": IllegalTransition,
    "AU003: ": IntegrityFailure,
    "AU004: ": SubjectKeyDestroyed,
}

_CLASSES: dict[int, type[AureusError]] = {
    apsw.SQLITE_BUSY: DatabaseBusy,
    apsw.SQLITE_LOCKED: DatabaseBusy,
    apsw.SQLITE_PROTOCOL: DatabaseBusy,
    apsw.SQLITE_FULL: StorageFull,
    apsw.SQLITE_CORRUPT: IntegrityFailure,
    apsw.SQLITE_TOOBIG: LimitExceeded,
    apsw.SQLITE_INTERRUPT: DeadlineExceeded,
    apsw.SQLITE_MISMATCH: Invalid,
    apsw.SQLITE_CONSTRAINT: Conflict,
    apsw.SQLITE_CONSTRAINT_UNIQUE: AlreadyExists,
    apsw.SQLITE_CONSTRAINT_PRIMARYKEY: AlreadyExists,
    apsw.SQLITE_CONSTRAINT_ROWID: AlreadyExists,
    apsw.SQLITE_CONSTRAINT_CHECK: Invalid,
    apsw.SQLITE_CONSTRAINT_NOTNULL: Invalid,
    apsw.SQLITE_CONSTRAINT_DATATYPE: Invalid,
}

_REMEDIES: dict[int, str] = {
    apsw.SQLITE_BUSY: "another connection holds the database; repeat the call",
    apsw.SQLITE_LOCKED: "another statement holds the table; repeat the call",
    apsw.SQLITE_PROTOCOL: "other processes hold the file's locks; repeat the call",
    apsw.SQLITE_FULL: "the disk is full: free room, then repeat the call",
    apsw.SQLITE_CORRUPT: "the file is damaged: stop writing, keep a copy of it, and restore a backup",
    apsw.SQLITE_NOTADB: "the file is not a SQLite database: name another one",
    apsw.SQLITE_READONLY: "the database cannot be written: check the rights of the file and of its folder",
    apsw.SQLITE_CANTOPEN: "the file cannot be opened: check that its folder exists and may be written",
    apsw.SQLITE_IOERR: "the operating system could not read or write the file: check the disk, then open it again",
    apsw.SQLITE_NOMEM: "SQLite found no memory: give the process more, or do less at once",
    apsw.SQLITE_TOOBIG: "a value is larger than SQLite holds: store it elsewhere and keep a reference",
    apsw.SQLITE_INTERRUPT: "the statement ran into its deadline and was undone",
    apsw.SQLITE_AUTH: "the operation is not allowed",
    apsw.SQLITE_PERM: "the operation is not allowed",
}

_TAKEN = "an identifier that was given belongs to something else: choose another one"

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of the operating system that SQLite reports as an I/O error, although only room is missing."""


def mapped(error: apsw.Error, what: str, system_errno: int = 0) -> AureusError:
    """Return the error that the caller sees; the driver's own one is its cause.

    ``what`` names the statement or the file, ``system_errno`` is what the operating system said last.
    """
    message = str(error)
    for prefix, own in _OWN.items():
        if message.startswith(prefix):
            return _caused(own(f"{what}: {message.removeprefix(prefix)}"), error)
    extended = getattr(error, "extendedresult", apsw.SQLITE_ERROR)
    primary = extended & _PRIMARY
    if primary in (apsw.SQLITE_IOERR, apsw.SQLITE_CANTOPEN) and system_errno in _NO_ROOM:
        extended = primary = apsw.SQLITE_FULL
    found = _CLASSES.get(extended) or _CLASSES.get(primary, DatabaseError)
    remedy = _TAKEN if found is AlreadyExists else _REMEDIES.get(primary)
    text = f"{what}: {message}" + (f"; {remedy}" if remedy else "")
    return _caused(found(text, sqlite_code=extended), error)


def _caused(found: AureusError, cause: BaseException) -> AureusError:
    found.__cause__ = cause
    return found


def again(error: AureusError) -> AureusError:
    """Return an equal error for another caller, so that threads do not share one traceback."""
    twin = type(error)(error.message, **error.fields)
    twin.__cause__ = error.__cause__
    return twin

"""Every result code of SQLite becomes one of our errors, by code and with what to do."""

from __future__ import annotations

import errno

import apsw
import pytest

from aureus._database.sqlite.errors import again, mapped
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
)


def error_of(code: int, message: str = "message") -> apsw.Error:
    """Return an error as the driver raises it for an extended result code."""
    found = type(apsw.exception_for(code))
    assert issubclass(found, apsw.Error)
    error = found(message)
    # The driver sets these on the instance, and its stubs do not know them.
    error.__dict__.update(result=code & 0xFF, extendedresult=code)
    return error


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (apsw.SQLITE_BUSY, DatabaseBusy),
        (apsw.SQLITE_BUSY_SNAPSHOT, DatabaseBusy),
        (apsw.SQLITE_BUSY_RECOVERY, DatabaseBusy),
        (apsw.SQLITE_BUSY_TIMEOUT, DatabaseBusy),
        (apsw.SQLITE_LOCKED, DatabaseBusy),
        (apsw.SQLITE_LOCKED_SHAREDCACHE, DatabaseBusy),
        (apsw.SQLITE_PROTOCOL, DatabaseBusy),
        (apsw.SQLITE_FULL, StorageFull),
        (apsw.SQLITE_CORRUPT, IntegrityFailure),
        (apsw.SQLITE_CORRUPT_INDEX, IntegrityFailure),
        (apsw.SQLITE_NOTADB, DatabaseError),
        (apsw.SQLITE_READONLY, DatabaseError),
        (apsw.SQLITE_READONLY_DIRECTORY, DatabaseError),
        (apsw.SQLITE_CANTOPEN, DatabaseError),
        (apsw.SQLITE_IOERR, DatabaseError),
        (apsw.SQLITE_IOERR_FSYNC, DatabaseError),
        (apsw.SQLITE_IOERR_WRITE, DatabaseError),
        (apsw.SQLITE_NOMEM, DatabaseError),
        (apsw.SQLITE_TOOBIG, LimitExceeded),
        (apsw.SQLITE_INTERRUPT, DeadlineExceeded),
        (apsw.SQLITE_MISMATCH, Invalid),
        (apsw.SQLITE_CONSTRAINT, Conflict),
        (apsw.SQLITE_CONSTRAINT_FOREIGNKEY, Conflict),
        (apsw.SQLITE_CONSTRAINT_TRIGGER, Conflict),
        (apsw.SQLITE_CONSTRAINT_UNIQUE, AlreadyExists),
        (apsw.SQLITE_CONSTRAINT_PRIMARYKEY, AlreadyExists),
        (apsw.SQLITE_CONSTRAINT_ROWID, AlreadyExists),
        (apsw.SQLITE_CONSTRAINT_CHECK, Invalid),
        (apsw.SQLITE_CONSTRAINT_NOTNULL, Invalid),
        (apsw.SQLITE_CONSTRAINT_DATATYPE, Invalid),
        (apsw.SQLITE_ERROR, DatabaseError),
        (apsw.SQLITE_MISUSE, DatabaseError),
    ],
)
def test_a_result_code_has_one_error(code: int, expected: type[AureusError]) -> None:
    cause = error_of(code)
    found = mapped(cause, "runs.start_run")
    assert type(found) is expected
    assert found.__cause__ is cause
    assert found.sqlite_code == code
    assert found.message.startswith("runs.start_run: message")


@pytest.mark.parametrize(
    "code", [apsw.SQLITE_IOERR_WRITE, apsw.SQLITE_IOERR_SHMSIZE, apsw.SQLITE_CANTOPEN]
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_missing_room_is_told_as_such_also_when_sqlite_calls_it_an_io_error(
    code: int, number: int
) -> None:
    assert type(mapped(error_of(code), "COMMIT", number)) is StorageFull
    assert type(mapped(error_of(code), "COMMIT", errno.EIO)) is DatabaseError


def test_what_our_own_triggers_say_is_known_by_its_prefix() -> None:
    moved = mapped(
        error_of(apsw.SQLITE_CONSTRAINT_TRIGGER, "AU001: a run cannot begin so"), "runs.x"
    )
    assert (type(moved), moved.message) == (IllegalTransition, "runs.x: a run cannot begin so")
    fixed = mapped(error_of(apsw.SQLITE_CONSTRAINT_TRIGGER, "AU003: rows are immutable"), "x")
    assert type(fixed) is IntegrityFailure
    elsewhere = mapped(error_of(apsw.SQLITE_CONSTRAINT_TRIGGER, "not AU001: at the start"), "x")
    assert type(elsewhere) is Conflict


def test_an_error_for_another_caller_is_equal_but_its_own() -> None:
    error = mapped(error_of(apsw.SQLITE_FULL), "COMMIT")
    twin = again(error)
    assert twin is not error
    assert (type(twin), twin.message, twin.fields) == (type(error), error.message, error.fields)
    assert twin.__cause__ is error.__cause__

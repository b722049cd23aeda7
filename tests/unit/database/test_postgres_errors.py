"""The table of SQLSTATEs: what is tried again, and what the caller is told."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from aureus._database.postgres.errors import Verdict, mapped, verdict_of
from aureus.errors import (
    AlreadyExists,
    AureusError,
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DatabaseUnavailable,
    DeadlineExceeded,
    Forbidden,
    IllegalTransition,
    IntegrityFailure,
    Invalid,
    LimitExceeded,
    MigrationError,
    StorageFull,
    TenantUnbound,
)

ROWS: list[tuple[str, Verdict, type[AureusError]]] = [
    ("40001", Verdict.CONFLICT, Conflict),
    ("40P01", Verdict.CONFLICT, Conflict),
    ("55P03", Verdict.BLOCKED, DatabaseBusy),
    ("57P03", Verdict.NOT_STARTED, DatabaseUnavailable),
    ("53300", Verdict.NOT_STARTED, DatabaseUnavailable),
    ("08001", Verdict.NOT_STARTED, DatabaseUnavailable),
    ("25006", Verdict.NOT_STARTED, DatabaseUnavailable),
    ("08P01", Verdict.GONE, DatabaseUnavailable),
    ("08003", Verdict.GONE, DatabaseUnavailable),
    ("08006", Verdict.GONE, DatabaseUnavailable),
    ("08007", Verdict.GONE, DatabaseUnavailable),
    ("40003", Verdict.GONE, DatabaseUnavailable),
    ("57P01", Verdict.GONE, DatabaseUnavailable),
    ("57P02", Verdict.GONE, DatabaseUnavailable),
    ("25P03", Verdict.GONE, DatabaseUnavailable),
    ("25P04", Verdict.GONE, DatabaseUnavailable),
    ("58030", Verdict.GONE, DatabaseUnavailable),
    ("53100", Verdict.RESOURCE, StorageFull),
    ("53200", Verdict.RESOURCE, StorageFull),
    ("54000", Verdict.RESOURCE, StorageFull),
    ("57014", Verdict.DEADLINE, DeadlineExceeded),
    ("22003", Verdict.REFUSED, Invalid),
    ("22P05", Verdict.REFUSED, Invalid),
    ("23502", Verdict.REFUSED, Invalid),
    ("23514", Verdict.REFUSED, Invalid),
    ("23503", Verdict.REFUSED, Conflict),
    ("23505", Verdict.REFUSED, AlreadyExists),
    ("28P01", Verdict.REFUSED, Forbidden),
    ("42501", Verdict.REFUSED, Forbidden),
    ("42601", Verdict.REFUSED, DatabaseError),
    ("42P01", Verdict.REFUSED, MigrationError),
    ("42703", Verdict.REFUSED, MigrationError),
    ("25P02", Verdict.REFUSED, DatabaseError),
    ("26000", Verdict.CONFLICT, Conflict),
    ("54001", Verdict.REFUSED, LimitExceeded),
    ("AU001", Verdict.REFUSED, IllegalTransition),
    ("AU002", Verdict.REFUSED, TenantUnbound),
    ("AU003", Verdict.REFUSED, IntegrityFailure),
]


def made(state: str) -> psycopg.Error:
    """Return an error of the driver with a SQLSTATE."""
    try:
        kind = errors.lookup(state)
    except KeyError:
        kind = type("Own", (psycopg.Error,), {"sqlstate": state})
    return kind("as the server said")


@pytest.mark.parametrize(("state", "verdict", "kind"), ROWS, ids=[row[0] for row in ROWS])
def test_every_row_of_the_table(state: str, verdict: Verdict, kind: type[AureusError]) -> None:
    error = made(state)
    assert verdict_of(error) is verdict
    found = mapped(error, "the place")
    assert type(found) is kind
    assert found.__cause__ is error
    assert "the place" in str(found)
    assert found.fields["sqlstate"] == state


def test_a_connection_that_just_closed_may_have_done_its_work() -> None:
    error = psycopg.OperationalError("server closed the connection unexpectedly")
    assert verdict_of(error) is Verdict.GONE
    assert type(mapped(error)) is DatabaseUnavailable


def test_only_what_may_succeed_when_repeated_is_retryable() -> None:
    retryable = {state for state, _, _ in ROWS if mapped(made(state)).retryable}
    assert {"40001", "40P01", "55P03", "57P03", "53300", "57P01"} <= retryable
    assert not {"23505", "23514", "42501", "53100", "57014", "AU001"} & retryable

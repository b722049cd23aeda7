"""What a SQLSTATE means: whether to try again, and which of our errors the caller sees.

One table, by code and never by message text. The source of each row is PostgreSQL's appendix A and measurements with
killed servers, frozen connections and poolers; a test walks through it.
"""

from __future__ import annotations

from enum import Enum

import psycopg

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
    SubjectKeyDestroyed,
    TenantUnbound,
)


class Verdict(Enum):
    """What an error says about the transaction that it ended."""

    CONFLICT = "conflict"
    """Rolled back because of others; the same again may succeed."""
    BLOCKED = "blocked"
    """A lock was not free in time; rolled back."""
    NOT_STARTED = "not started"
    """The server did not take the work on."""
    GONE = "gone"
    """The connection broke; what was under way may have happened."""
    RESOURCE = "resource"
    """The server has no room; rolled back."""
    DEADLINE = "deadline"
    """The statement took too long; rolled back."""
    REFUSED = "refused"
    """The statement itself cannot succeed; rolled back."""


_VERDICTS: dict[str, Verdict] = {
    "40001": Verdict.CONFLICT,
    "40P01": Verdict.CONFLICT,
    "26000": Verdict.CONFLICT,
    "55P03": Verdict.BLOCKED,
    "57P03": Verdict.NOT_STARTED,
    "53300": Verdict.NOT_STARTED,
    "08001": Verdict.NOT_STARTED,
    "08004": Verdict.NOT_STARTED,
    "25006": Verdict.NOT_STARTED,
    "08P01": Verdict.GONE,
    "08000": Verdict.GONE,
    "08003": Verdict.GONE,
    "08006": Verdict.GONE,
    "08007": Verdict.GONE,
    "40003": Verdict.GONE,
    "57P01": Verdict.GONE,
    "57P02": Verdict.GONE,
    "57P05": Verdict.GONE,
    "25P03": Verdict.GONE,
    "25P04": Verdict.GONE,
    "58030": Verdict.GONE,
    "53100": Verdict.RESOURCE,
    "53200": Verdict.RESOURCE,
    "53400": Verdict.RESOURCE,
    "54000": Verdict.RESOURCE,
    "57014": Verdict.DEADLINE,
}

_CLASSES: dict[str, type[AureusError]] = {
    "AU001": IllegalTransition,
    "AU002": TenantUnbound,
    "AU003": IntegrityFailure,
    "AU004": SubjectKeyDestroyed,
    "23505": AlreadyExists,
    "23503": Conflict,
    "40001": Conflict,
    "40P01": Conflict,
    "26000": Conflict,
    "55P03": DatabaseBusy,
    "57014": DeadlineExceeded,
    "53100": StorageFull,
    "53200": StorageFull,
    "53400": StorageFull,
    "54000": StorageFull,
    "54001": LimitExceeded,
    "42501": Forbidden,
    "42P01": MigrationError,
    "42703": MigrationError,
    "3F000": MigrationError,
}

_OF_OUR_SCHEMA = frozenset({"42P01", "42703", "3F000"})
"""Names that are not there: in our own statements the schema is another one, in a caller's it is a mistyped name."""

_REMEDIES: dict[str, str] = {
    "42P01": "the schema is missing or older than this program: run `aureus db migrate`",
    "42703": "the schema differs from what this program expects: run `aureus db status`",
    "3F000": "the schema is missing: run `aureus db init`",
    "23505": "an identifier that was given belongs to something else: choose another one",
    "26000": "somebody has dropped prepared statements: repeat the call; behind a pooler that cannot keep them, "
    "set database.prepared_statements to off",
    "53100": "the server's disk is full: free room, then repeat the call",
    "53300": "the server has no connection left: lower the pool, or raise max_connections",
    "55P03": "another transaction holds the row: repeat the call",
    "57014": "the statement ran into its deadline",
    "25006": "this server takes no writes (a standby?): point the URL at the primary",
    "28P01": "the password is wrong",
    "28000": "the server does not let this user in",
    "3D000": "there is no such database: create it first",
}


def verdict_of(error: BaseException) -> Verdict:
    """Return what an error of the driver says about the transaction it ended."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return Verdict.GONE if isinstance(error, psycopg.OperationalError) else Verdict.REFUSED
    return _VERDICTS.get(state, Verdict.REFUSED)


def mapped(error: BaseException, what: str = "the database") -> AureusError:
    """Return the error that the caller sees; the driver's own one is its cause."""
    if isinstance(error, AureusError):
        return error
    state = getattr(error, "sqlstate", None)
    diagnosis = getattr(error, "diag", None)
    message = getattr(diagnosis, "message_primary", None) or str(error).strip() or repr(error)
    remedy = _REMEDIES.get(state or "")
    text = f"{what}: {message}" + (f"; {remedy}" if remedy else "")
    found = _class_of(error, state)(text, sqlstate=state)
    found.__cause__ = error
    return found


def mapped_own(error: psycopg.Error) -> AureusError:
    """Return the error of a caller's own SQL, which says nothing about our schema."""
    state = error.sqlstate
    if isinstance(error, psycopg.ProgrammingError) and state is None:
        found: AureusError = Invalid(
            f"execute: {error}"
        )  # such as a parameter that PostgreSQL cannot hold
    elif state in _OF_OUR_SCHEMA:
        found = DatabaseError(f"execute: {error.diag.message_primary or error}", sqlstate=state)
    else:
        return mapped(error, "execute")
    found.__cause__ = error
    return found


def _class_of(error: BaseException, state: str | None) -> type[AureusError]:
    if state is None:
        known = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        return DatabaseUnavailable if known else Invalid if _is_data(error) else DatabaseError
    if state in _CLASSES:
        return _CLASSES[state]
    if verdict_of(error) in (Verdict.NOT_STARTED, Verdict.GONE):
        return DatabaseUnavailable
    if state[:2] in ("22", "23"):
        return Invalid
    if state[:2] == "28":
        return Forbidden
    return DatabaseError


def _is_data(error: BaseException) -> bool:
    return isinstance(error, psycopg.DataError)

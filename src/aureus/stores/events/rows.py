"""Rows of events that are no events: numbers, and rows as they are."""

from __future__ import annotations

from aureus._database.statement import Row


def as_it_is(row: Row) -> Row:
    """Return a row as it is."""
    return row


def number_of(row: Row) -> int | None:
    """Return the number that a row holds, or None."""
    return None if row[0] is None else int(row[0])

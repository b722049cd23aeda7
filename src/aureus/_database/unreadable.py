"""Says which row holds a time that no calendar has. Somebody else wrote it: what is stored here is checked before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

from aureus._database.statement import Row
from aureus.errors import IntegrityFailure

_NAMING_COLUMNS = 6
"""Columns at the beginning of a row that name it: keys come first in our statements."""

_SHOWN_CHARACTERS_MAX = 60
"""Characters of a value that a message shows."""


class Unreadable(Sequence[Row]):
    """Rows of which one cannot be read: whoever looks at them gets the error, and others of the flush do not."""

    def __init__(self, error: IntegrityFailure) -> None:
        self._error = error

    def __len__(self) -> int:
        return 1  # There are rows: what travelled with them has happened.

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Any:
        raise self._error


def unreadable(names: Sequence[str], row: Row, column: str) -> IntegrityFailure:
    """Return the error for a row whose column is no time; ``row`` may lack what cannot be read."""
    named = {
        name: value
        for name, value in zip(names[:_NAMING_COLUMNS], row, strict=False)
        if isinstance(value, str | int) and name != column
    }
    place = ", ".join(f"{name} {_shown(value)}" for name, value in named.items())
    return IntegrityFailure(
        f"{column} of a stored row is no time from the year 1 to 9999: the row with {place}. Somebody changed it "
        "behind our back; `aureus ledger verify` says what else was changed",
        column=column,
        row=named,
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS_MAX else f"{text[:_SHOWN_CHARACTERS_MAX]}…"

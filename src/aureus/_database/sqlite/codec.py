"""How values travel to SQLite and back.

Times are INTEGER microseconds, truth is 0 or 1, a list is a JSON array in which bytes are hexadecimal text. A result
column whose name ends in ``_at`` comes back as a UTC datetime. What PostgreSQL would refuse is refused here too, before
anything is stored: NUL in text, lone surrogates, NaN, integers outside ±2⁶³.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import orjson

from aureus._database.drive import OperationBug
from aureus._database.statement import Row
from aureus._database.unreadable import unreadable
from aureus.clock import from_micros, to_micros
from aureus.codec import check_text
from aureus.errors import IntegrityFailure, Invalid

_INTEGER_MIN, _INTEGER_MAX = -(2**63), 2**63 - 1

MARK = "1"
"""What ``:mark`` holds: on SQLite the following texts of a statement see the guard's effect without one."""

_AS_THEY_ARE = frozenset({bytes, type(None)})


class Binding:
    """The values of one statement, which may be several texts: each value is made ready once.

    ``tenant_id`` and ``mark`` belong to the runner; parameters of these names are not looked at.
    """

    __slots__ = ("_known", "_parameters", "_what")

    def __init__(self, parameters: Mapping[str, Any], tenant_id: str, what: str) -> None:
        self._parameters = parameters
        self._what = what
        self._known: dict[str, Any] = {"tenant_id": encode(tenant_id, "tenant_id"), "mark": MARK}

    def values(self, names: tuple[str, ...]) -> tuple[Any, ...]:
        """Return the values of a text's places in their order.

        Raises ``Invalid`` for a value that an engine cannot hold, with its name, and ``OperationBug`` for a parameter
        that was not given.
        """
        known = self._known
        for name in names:
            if name not in known:
                try:
                    given = self._parameters[name]
                except KeyError:
                    raise OperationBug(f"{self._what} was not given the parameter {name}") from None
                known[name] = encode(given, name)
        return tuple(map(known.__getitem__, names))


def encode(value: Any, name: str) -> Any:
    """Return a parameter as SQLite stores it; raises ``Invalid``."""
    kind = type(value)  # pyright: ignore[reportUnknownVariableType] - a parameter may be anything
    if kind is str:
        if "\x00" in value or not value.isascii():
            check_text(value, name)
        return value
    if kind in _AS_THEY_ARE:
        return value
    if kind is int:
        if not _INTEGER_MIN <= value <= _INTEGER_MAX:
            raise Invalid(f"{name} is an integer outside ±2^63; store it as text", what=name)
        return value
    if kind is bool:
        return int(value)
    if kind is float:
        if not math.isfinite(value):
            raise Invalid(f"{name} is {value}; databases disagree on it, use None", what=name)
        return value
    return _encode_rare(value, name)


def _encode_rare(value: Any, name: str) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Invalid(f"{name} is a time without a zone; give it one, such as UTC", what=name)
        return to_micros(value)
    if isinstance(value, list | tuple):
        items = cast(Sequence[Any], value)
        return orjson.dumps([_encode_item(item, name) for item in items]).decode()
    if isinstance(value, str):
        return encode(str.__str__(value), name)
    if isinstance(value, int):
        return encode(int(value), name)
    if isinstance(value, bytearray | memoryview):
        return bytes(cast("bytearray | memoryview[int]", value))
    raise Invalid(
        f"{name} is a {type(value).__name__}; a statement takes text, bytes, numbers, times, None and lists of them",
        what=name,
    )


def _encode_item(item: Any, name: str) -> Any:
    if isinstance(item, list | tuple):
        raise Invalid(f"{name} holds a list inside a list; encode it as JSON first", what=name)
    encoded = encode(item, name)
    return encoded.hex() if isinstance(encoded, bytes) else encoded


class Columns:
    """Which columns of each statement hold times, found out at its first row."""

    def __init__(self) -> None:
        self._times: dict[str, tuple[int, ...]] = {}
        self._names: dict[str, list[str]] = {}

    def times_of(self, text: str) -> tuple[int, ...] | None:
        """Return the positions of a statement's times; None while they are not known."""
        return self._times.get(text)

    def learn(self, text: str, names: list[str]) -> tuple[int, ...]:
        """Remember the columns of a statement and return the positions of its times.

        An expression without a name of its own is no time, whatever its text ends with.
        """
        found = tuple(
            position
            for position, name in enumerate(names)
            if name.endswith("_at") and name.isidentifier()
        )
        self._times[text] = found
        self._names[text] = names
        return found

    def unreadable(self, text: str, rows: Sequence[Row]) -> IntegrityFailure:
        """Return the error for the first of a statement's rows that holds a time which is none."""
        names, times = self._names[text], self._times[text]
        for row in rows:
            for position in times:
                try:
                    decode(row, (position,))
                except (OverflowError, TypeError):
                    return unreadable(names, row, names[position])
        raise OperationBug("every time of these rows can be read")


def decode(row: Row, times: tuple[int, ...]) -> Row:
    """Return a row with datetimes at the given positions."""
    values = list(row)
    for position in times:
        if values[position] is not None:
            values[position] = from_micros(values[position])
    return tuple(values)

"""Values make the round trip exactly, or are refused with the name of the parameter."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus._database.drive import Call, OperationBug
from aureus._database.sqlite.codec import Binding, Columns, encode
from aureus._database.sqlite.threads import SqliteDatabase
from aureus.clock import from_micros, to_micros
from aureus.errors import AureusError, Invalid
from tests.sqlite.notes import CALL, one, open_notes

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
SCALARS = (
    st.none()
    | TEXT
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.binary()
)


class Colour(StrEnum):
    RED = "red"


class Size(IntEnum):
    LARGE = 3


@pytest.fixture(scope="module")
def memory() -> Iterator[SqliteDatabase]:
    """Give a database in memory for all examples."""
    database = open_notes(None)
    yield database
    database.close()


def echo(database: SqliteDatabase, value: Any) -> tuple[Any, str]:
    """Return a value as it comes back, and the type under which SQLite had it."""
    row = database.read(one("echo", value=value), CALL)
    return row[0], row[1]


@given(value=SCALARS)
def test_scalars_come_back_as_they_were(memory: SqliteDatabase, value: Any) -> None:
    back, _ = echo(memory, value)
    assert back == value
    assert type(back) is type(value)


@given(moment=st.datetimes(timezones=st.just(UTC)))
def test_times_are_exact_to_the_microsecond(memory: SqliteDatabase, moment: datetime) -> None:
    assert echo(memory, moment) == (to_micros(moment), "integer")
    assert from_micros(to_micros(moment)) == moment


def test_a_time_of_another_zone_is_the_same_moment(memory: SqliteDatabase) -> None:
    moment = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    row = memory.read(one("echo_time", value=moment), CALL)
    assert row[0] == moment
    assert row[0].tzinfo is UTC
    assert row[1] == to_micros(moment), "an expression without a name of its own is no time"


@given(items=st.lists(SCALARS | st.booleans() | st.datetimes(timezones=st.just(UTC)), max_size=8))
def test_a_list_is_a_json_array_with_bytes_as_hexadecimal_text(
    memory: SqliteDatabase, items: list[Any]
) -> None:
    back, kind = echo(memory, items)
    assert kind == "text"
    expected = [
        item.hex()
        if isinstance(item, bytes)
        else to_micros(item)
        if isinstance(item, datetime)
        else item
        for item in items
    ]
    assert json.loads(back) == expected


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (True, (1, "integer")),
        (False, (0, "integer")),
        (Colour.RED, ("red", "text")),
        (Size.LARGE, (3, "integer")),
        (bytearray(b"ab"), (b"ab", "blob")),
        (memoryview(b"ab"), (b"ab", "blob")),
        ((1, None), ("[1,null]", "text")),
        ([], ("[]", "text")),
        (-(2**63), (-(2**63), "integer")),
    ],
)
def test_other_values_have_one_form(
    memory: SqliteDatabase, value: Any, stored: tuple[Any, str]
) -> None:
    assert echo(memory, value) == stored


@pytest.mark.parametrize(
    "value",
    [
        2**63,
        -(2**63) - 1,
        float("nan"),
        float("inf"),
        "a\x00b",
        "\ud800",
        "\udfff ",
        datetime(2026, 1, 1),  # noqa: DTZ001 - what is to be refused
        {"a": 1},
        {1},
        object(),
        [[1]],
        ["a\x00"],
        [float("nan")],
        [2**63],
        1j,
    ],
)
def test_what_an_engine_cannot_hold_is_refused_with_its_name(value: Any) -> None:
    with pytest.raises(Invalid, match="it_is_this_one") as caught:
        encode(value, "it_is_this_one")
    assert isinstance(caught.value, AureusError)


def test_a_tenant_that_is_no_text_is_refused(memory: SqliteDatabase) -> None:
    with pytest.raises(Invalid, match="tenant_id"):
        memory.read(one("echo", value=1), Call("a\x00"))


def test_the_runner_binds_tenant_and_mark() -> None:
    given = {"mark": "theirs", "tenant_id": "theirs", "x": 1}
    assert Binding(given, "ours", "echo").values(("x", "tenant_id", "mark")) == (1, "ours", "1")
    with pytest.raises(OperationBug, match="echo was not given the parameter y"):
        Binding(given, "ours", "echo").values(("y",))


def test_columns_are_times_by_their_name_alone() -> None:
    columns = Columns()
    assert columns.times_of("text") is None
    assert columns.learn("text", ["id", "created_at", "cat", "a + b_at", "wake_at", "at"]) == (1, 4)
    assert columns.times_of("text") == (1, 4)

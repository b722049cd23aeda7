"""What a parameter accepts follows from its type in the signature, and a refusal says both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol, TypedDict, Unpack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus._database.kinds import ANYTHING, INTEGER_MAX, INTEGER_MIN, Kinds, checking, kind_of
from aureus.errors import Invalid


class Colour(StrEnum):
    """An enumeration."""

    RED = "red"
    BLUE = "blue"


class Pair(NamedTuple):
    """A record."""

    a: int
    b: int


class Walks(Protocol):
    """What has no class of its own."""

    def walk(self) -> None:
        """Walk."""


class Filters(TypedDict, total=False):
    """Names that may be given."""

    actor: str
    since: datetime | None


class Shop:
    """Something with methods."""

    def find(
        self, name: str, *, limit: int = 1, whatever: Any = None, **filters: Unpack[Filters]
    ) -> str:
        """Find something."""
        return f"{name} {limit} {whatever} {filters}"

    async def wait(self, seconds: float) -> float:
        """Wait for something."""
        return seconds

    def pick(self, *names: str, of: Sequence[str] = ()) -> int:
        """Pick some."""
        return len(names) + len(of)


def deep() -> dict[str, Any]:
    """Return a value that is nested more deeply than Python can show."""
    value: dict[str, Any] = {}
    for _ in range(10_000):
        value = {"a": value}
    return value


NOW = datetime(2026, 1, 1, tzinfo=UTC)
EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
LATE = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-12)))

ACCEPTED: list[tuple[Any, Sequence[Any], Sequence[Any]]] = [
    (str, ["", "x", Colour.RED], [1, None, b"x"]),
    (str | None, ["x", None], [1, False]),
    (int, [0, -5, INTEGER_MAX, INTEGER_MIN], [True, 1.0, "1", INTEGER_MAX + 1, None]),
    (float, [0, 1.5, -2], [True, "1", float("nan"), float("inf"), 2**70]),
    (bool, [True, False], [0, 1, "true", None]),
    (bytes, [b""], ["", bytearray()]),
    (datetime, [NOW], [NOW.replace(tzinfo=None), NOW.date(), 5, EARLY, LATE]),
    (Colour, [Colour.RED], ["red", 1]),
    (Colour | str, [Colour.RED, "red", "green"], [1, None]),
    (Pair, [Pair(1, 2)], [(1, 2)]),
    (Sequence[str], [[], ("a",), {"a"}, {"a": 1}.keys()], ["abc", b"abc", ["a", 1], {"a": 1}, 5]),
    (Sequence[int], [[], (1, 2)], [{1}, [1, "2"], "12"]),
    (Sequence[Pair], [[Pair(1, 2)]], [[(1, 2)], Pair(1, 2)]),
    (Iterable[Pair], [[], iter([1])], ["ab", 5]),
    (Mapping[str, Any], [{}, {"a": object()}], [[], "a", None]),
    (Mapping[str, int], [{}, {"a": 1}], [{"a": "1"}, {1: 1}]),
    (dict[str, Any], [{}], [[]]),
    (tuple[datetime, str] | None, [None, (NOW, "a"), [NOW, "a"]], [(NOW,), (NOW, 1), "ab", NOW]),
    (Literal["all", "web"], ["all", "else"], [1, None]),
    (Callable[[int], int], [abs, Pair], ["abs", 5]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("hint", "good", "bad"), ACCEPTED, ids=[str(accepted[0]) for accepted in ACCEPTED]
)
def test_a_type_accepts_what_is_of_it(hint: Any, good: Sequence[Any], bad: Sequence[Any]) -> None:
    kind = kind_of(hint)
    for value in good:
        assert type(value) in kind.quick or kind.accepts(value), value
    for value in bad:
        assert type(value) not in kind.quick and not kind.accepts(value), value  # noqa: PT018 - one question


@pytest.mark.parametrize("hint", [Any, Walks, str | Any, object])
def test_what_says_nothing_accepts_anything(hint: Any) -> None:
    kind = kind_of(hint)
    assert kind is ANYTHING or kind.accepts(5)


def test_a_refusal_says_what_is_there_and_what_must_be() -> None:
    kinds = Kinds(Shop.find)  # type: ignore[arg-type]  # a function like any
    kinds.check(("x",), {"limit": 3, "whatever": object(), "since": None})
    calls: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        ((5,), {}, "name is 5 (int); it must be text"),
        (("x",), {"limit": None}, "limit is None (NoneType); it must be a whole number"),
        (("x",), {"since": datetime(2026, 1, 1)}, "since is 2026-01-01 00:00:00, a time without a zone"),  # noqa: DTZ001 - the point of it
        ((datetime(2026, 1, 1),), {}, "(datetime); it must be text"),  # noqa: DTZ001 - a zone would not help
        ((deep(),), {}, "name is what cannot be shown, dict (dict); it must be text"),
        (("x",), {"actr": "ann"}, "did you mean 'actor'?"),
        (("x",), {"zzz": 1}, "there are name, limit"),
        (("y" * 9,), {"limit": "z" * 500}, "z… (str)"),
    ]  # fmt: skip
    for args, kwargs, said in calls:
        with pytest.raises(Invalid) as caught:
            kinds.check(args, kwargs)
        assert said in caught.value.message
        assert len(caught.value.message) < 250


def test_what_the_signature_itself_refuses_is_left_to_it() -> None:
    Kinds(Shop.wait).check((1.0, 2.0, 3.0), {"nonsense": 1})  # type: ignore[arg-type]  # a function like any


def test_a_method_checks_before_it_begins() -> None:
    find: Any = checking(Shop.find)  # type: ignore[arg-type]  # a function like any
    assert find(Shop(), "x", limit=2, actor="ann") == "x 2 None {'actor': 'ann'}"
    with pytest.raises(Invalid, match="limit"):
        find(Shop(), "x", limit="many")
    pick: Any = checking(Shop.pick)  # type: ignore[arg-type]  # a function like any
    assert pick(Shop(), "a", "b", of=["c"]) == 3
    wait: Any = checking(Shop.wait)  # type: ignore[arg-type]  # a function like any
    assert asyncio.run(wait(Shop(), 2)) == 2
    with pytest.raises(Invalid, match="seconds"):
        asyncio.run(wait(Shop(), "long"))


@given(st.integers())
def test_whole_numbers_are_those_that_both_engines_hold(number: int) -> None:
    assert kind_of(int).accepts(number) == (-(2**63) <= number < 2**63)

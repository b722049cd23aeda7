"""Whole operations see one moment and may be long; and operations are parts of others."""

from __future__ import annotations

from typing import Any

import pytest

from aureus._database.drive import STATEMENTS_MAX, WHOLE_STATEMENTS_MAX, Call, OperationBug
from aureus._database.operation import Operations, Store, read_whole, write_whole
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    composed,
    current_time,
    fetch_one,
    last,
    record,
)
from aureus.errors import Conflict, Invalid, VersionConflict
from tests.unit.database.test_drive import World, fact, first

sql = Queries("notes")


class Noted(Operations):
    """Operations that are whole."""

    @write_whole
    def write(self) -> Op[None]:
        """Write."""
        yield from current_time()

    @read_whole
    def read(self) -> Op[None]:
        """Read."""
        yield from current_time()


class NotedStore(Store, Noted):
    """Called."""


class Listening:
    """A runner that notes how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []

    def read(self, make: Any, call: Call) -> Any:
        """Note a read."""
        self.calls.append(("read", call.is_whole))

    def write(self, make: Any, call: Call) -> Any:
        """Note a write."""
        self.calls.append(("write", call.is_whole))


def test_a_runner_is_told_that_an_operation_is_whole() -> None:
    listening = Listening()
    store = NotedStore(listening, Call("acme"))
    store.write()
    store.read()
    assert listening.calls == [("write", True), ("read", True)]
    with pytest.raises(Invalid, match="needs a transaction of its own"):
        Call("acme").begun(is_whole=True).refuse_whole()
    Call("acme").begun().refuse_whole()


def test_a_whole_operation_may_take_many_statements_and_not_any_number() -> None:
    def body() -> Op[None]:
        while True:
            yield from fetch_one(sql.one, first)

    drive = World().attempt(body, Call("acme").begun(is_whole=True))
    drive.start()
    for _ in range(STATEMENTS_MAX * 4):
        drive.feed([])
    for _ in range(WHOLE_STATEMENTS_MAX - STATEMENTS_MAX * 4 - 1):
        drive.feed([])
    with pytest.raises(OperationBug, match=f"statement {WHOLE_STATEMENTS_MAX + 1} "):
        drive.feed([])


def test_what_was_the_last_statement_is_none_inside_another_operation() -> None:
    def part(number: int) -> Op[int]:
        yield from record(fact(f"saved {number}"))
        found = yield from last(sql.save, first, n=number)
        return -1 if found is None else int(found)

    def body() -> Op[list[int]]:
        one = yield from composed(part(1))
        two = yield from composed(part(2))
        return [one, two]

    world = World()
    drive = world.drive(body)
    for answer in (None, [(10,)]):
        request = drive.start() if answer is None else drive.feed(answer)
        assert request is not None
        assert not request.is_last
        assert len(request.companions) == 1
    assert drive.feed([(20,)]) is None
    assert drive.result == [10, 20]
    assert world.recorded == [["saved 1"], ["saved 2"]]


@pytest.mark.parametrize("is_known", [True, False])
def test_a_part_that_was_refused_says_why_at_once(is_known: bool) -> None:
    def why() -> Op[None]:
        version = yield from last(sql.look, first)
        if version is not None:
            raise VersionConflict(f"it is at version {version}")

    def part() -> Op[None]:
        yield from last(sql.save, first)
        raise Refused(why)

    def body() -> Op[None]:
        yield from composed(part())

    drive = World().drive(body)
    drive.start()
    request = drive.feed([])
    assert request is not None
    assert request.statement.query == sql.look
    said = "at version 7" if is_known else "in the same moment"
    with pytest.raises(VersionConflict if is_known else Conflict, match=said):
        drive.feed([(7,)] if is_known else [])

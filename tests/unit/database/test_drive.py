"""A drive answers time, identifiers and facts itself, and holds operations to the rules of their kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from aureus._database.drive import (
    STATEMENTS_MAX,
    Call,
    Companion,
    Drive,
    OperationBug,
    Sources,
)
from aureus._database.statement import (
    Op,
    OutsideWanted,
    Queries,
    Recorded,
    Statement,
    accompany,
    current_time,
    fetch_all,
    fetch_one,
    find_kept,
    keep,
    last,
    last_all,
    lengthy,
    new_id,
    outside,
    record,
)
from aureus.clock import ManualClock
from aureus.errors import Conflict
from aureus.ids import CountingIds
from aureus.model.events import Fact

sql = Queries("notes")


def first(row: tuple[Any, ...]) -> Any:
    """Return the first value of a row."""
    return row[0]


def fact(kind: str) -> Fact:
    """Return a fact of this kind."""
    return Fact("notes", kind, {}, "tester")


class World:
    """The sources of a drive, and what reached the recorder."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ids = CountingIds()
        self.recorded: list[list[str]] = []

    def drive(self, body: Callable[[], Op[Any]]) -> Drive[Any]:
        """Return a drive of one attempt."""
        return self.attempt(body, Call("acme"))

    def attempt(self, body: Callable[[], Op[Any]], call: Call) -> Drive[Any]:
        """Return a drive of one attempt at a call."""
        return Drive(body(), Sources(self.clock, self.ids, self._before_commit), call)

    def _before_commit(self, facts: Sequence[Recorded], *_: object) -> Sequence[Companion]:
        self.recorded.append([one.fact.type for one in facts])
        return [Companion(Statement(sql.append, {}), lambda rows: None) for _ in facts]


def test_statements_are_asked_for_one_by_one_and_the_result_is_kept() -> None:
    def body() -> Op[list[Any]]:
        one = yield from fetch_one(sql.one, first, a=1)
        many = yield from fetch_all(sql.many, first)
        final = yield from last(sql.final, first)
        return [one, many, final]

    drive = World().drive(body)
    request = drive.start()
    assert request is not None
    assert (request.statement.query.name, request.statement.parameters, request.is_last) == (
        "one",
        {"a": 1},
        False,
    )
    request = drive.feed([(5,)])
    assert request is not None
    assert request.statement.query.name == "many"
    request = drive.feed([(6,), (7,)])
    assert request is not None
    assert request.is_last
    assert drive.feed([]) is None
    assert drive.is_done
    assert drive.result == [5, [6, 7], None]


def test_time_is_read_once_and_ids_are_fresh() -> None:
    world = World()

    def body() -> Op[list[Any]]:
        before = yield from current_time()
        world.clock.advance(60)
        after = yield from current_time()
        return [before, after, (yield from new_id()), (yield from new_id())]

    drive = world.drive(body)
    assert drive.start() is None
    before, after, one, other = cast(list[Any], drive.result)
    assert before == after
    assert one != other


def test_facts_travel_with_the_next_statement() -> None:
    def body() -> Op[None]:
        yield from record(fact("a"))
        yield from record(fact("b"))
        yield from fetch_one(sql.one, first)
        yield from record(fact("c"))
        yield from last_all(sql.final, first)

    world = World()
    drive = world.drive(body)
    request = drive.start()
    assert request is not None
    assert len(request.companions) == 2
    request = drive.feed([])
    assert request is not None
    assert len(request.companions) == 1
    drive.feed([])
    assert world.recorded == [["a", "b"], ["c"]]


def test_a_statement_after_the_last_one_is_a_bug() -> None:
    def body() -> Op[None]:
        yield from last(sql.final, first)
        yield from fetch_one(sql.one, first)

    drive = World().drive(body)
    drive.start()
    with pytest.raises(OperationBug, match="one follows the statement marked as last"):
        drive.feed([])


def test_facts_without_a_statement_are_a_bug() -> None:
    def body() -> Op[None]:
        yield from last(sql.final, first)
        yield from record(fact("late"))

    drive = World().drive(body)
    drive.start()
    with pytest.raises(OperationBug, match="facts were recorded after the last statement"):
        drive.feed([])


def test_a_loop_of_statements_is_a_bug() -> None:
    def body() -> Op[None]:
        while True:
            yield from fetch_one(sql.one, first)

    drive = World().drive(body)
    drive.start()
    for _ in range(STATEMENTS_MAX - 1):
        drive.feed([])
    with pytest.raises(OperationBug, match="statement 65 of one operation"):
        drive.feed([])


def test_an_unknown_effect_is_a_bug() -> None:
    def body() -> Op[None]:
        yield cast(Statement, "SELECT 1")

    with pytest.raises(OperationBug, match="yielded 'SELECT 1'"):
        World().drive(body).start()


def test_an_operation_sees_the_error_of_its_statement() -> None:
    def body() -> Op[None]:
        try:
            yield from fetch_one(sql.one, first)
        except Conflict as error:
            raise RuntimeError("translated") from error

    drive = World().drive(body)
    drive.start()
    with pytest.raises(RuntimeError, match="translated"):
        drive.throw(Conflict("stale"))


def test_an_attempt_that_is_given_up_runs_its_cleanup() -> None:
    cleaned: list[bool] = []

    def body() -> Op[None]:
        try:
            yield from fetch_one(sql.one, first)
        finally:
            cleaned.append(True)

    drive = World().drive(body)
    drive.start()
    drive.close()
    assert cleaned == [True]


def test_every_attempt_of_a_call_is_given_the_same_identifiers() -> None:
    world = World()

    def body() -> Op[list[str]]:
        return [(yield from new_id()), (yield from new_id())]

    def made(call: Call) -> list[str]:
        drive = world.attempt(body, call)
        assert drive.start() is None
        return cast(list[str], drive.result)

    shared = Call("acme")
    one, other = shared.begun(), shared.begun()
    assert made(one) == made(one)
    assert len({*made(one), *made(other), *made(shared), *made(shared)}) == 8


def test_a_statement_that_accompanies_travels_behind_the_facts_of_the_next_one() -> None:
    def body() -> Op[None]:
        yield from record(fact("saved"))
        yield from accompany(sql.keep, note="n")
        yield from last(sql.save, first)

    request = World().drive(body).start()
    assert request is not None
    assert [one.statement.query for one in request.companions] == [sql.append, sql.keep]
    assert request.companions[1].statement.parameters == {"note": "n"}

    def without() -> Op[None]:
        yield from last(sql.save, first)
        yield from accompany(sql.keep)

    drive = World().drive(without)
    drive.start()
    with pytest.raises(OperationBug, match="after the last statement"):
        drive.feed([])


def test_work_outside_is_done_once_for_all_attempts_of_a_call() -> None:
    def body() -> Op[list[int]]:
        one = yield from outside(lambda: 1)
        two = yield from outside(lambda: one + 1)
        yield from last(sql.save, first)
        return [one, two]

    call = Call("acme").begun()
    for _ in range(2):
        with pytest.raises(OutsideWanted) as wanted:
            World().attempt(body, call).start()
        wanted.value.receive(wanted.value.work())
    for _ in range(2):
        drive = World().attempt(body, call)
        assert drive.start() is not None
        drive.feed([])
        assert drive.result == [1, 2]
    alone = World().attempt(body, Call("acme"))
    assert alone.start() is not None
    alone.feed([])
    assert alone.result == [1, 2]


def test_work_outside_after_a_statement_is_a_bug() -> None:
    def body() -> Op[None]:
        yield from fetch_one(sql.one, first)
        yield from outside(lambda: None)

    drive = World().drive(body)
    drive.start()
    with pytest.raises(OperationBug, match="outside"):
        drive.feed([])


def test_what_is_kept_is_found_by_later_operations_of_the_tenant() -> None:
    world = World()
    sources = Sources(world.clock, world.ids, lambda *_: ())

    def body() -> Op[dict[Any, bytes]]:
        found = yield from find_kept(["tide"])
        yield from keep({"tide": b"1"})
        return found

    for tenant, wanted in (("acme", {}), ("acme", {"tide": b"1"}), ("other", {})):
        drive = Drive(body(), sources, Call(tenant))
        assert drive.start() is None
        assert drive.result == wanted


def test_an_operation_says_that_it_is_lengthy() -> None:
    def body() -> Op[None]:
        yield from lengthy()
        yield from fetch_one(sql.one, first)

    drive = World().drive(body)
    assert not drive.is_lengthy
    assert drive.start() is not None
    assert drive.is_lengthy

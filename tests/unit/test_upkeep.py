"""Upkeep begins when enough was written, is done by one at a time, and leaves nothing undone at the end."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest

from aureus._database.drive import Call
from aureus.clock import ManualClock
from aureus.errors import DatabaseUnavailable
from aureus.upkeep import (
    BUSY,
    REST_SECONDS_MAX,
    WRITES_DUE,
    AsyncNoting,
    Noting,
    Pace,
    ThreadUpkeep,
)
from aureus.upkeep.loop import LoopUpkeep

SECONDS_MAX = 30


class Chores:
    """Chores that are done in parts, and what was done of them."""

    def __init__(self, parts: int = 1) -> None:
        self.parts = parts
        self.done: list[str] = []
        self.threads: set[int] = set()
        self.has_ended = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.has_begun = threading.Event()
        self.error: DatabaseUnavailable | None = None

    def __call__(self, tenant_id: str) -> int:
        """Do one part."""
        self.has_begun.set()
        assert self.may_go_on.wait(SECONDS_MAX)
        self.threads.add(threading.get_ident())
        if self.error is not None:
            raise self.error
        self.done.append(tenant_id)
        left = self.parts - self.done.count(tenant_id)
        if left <= 0:
            self.has_ended.set()
        return max(0, left)

    async def awaited(self, tenant_id: str) -> int:
        """Do one part, in a loop."""
        return self(tenant_id)


def test_chores_are_done_beside_the_caller_once_enough_was_written() -> None:
    chores = Chores(parts=3)
    upkeep = ThreadUpkeep(chores)
    upkeep.note("acme", WRITES_DUE - 1)
    upkeep.note("other")
    assert not chores.has_begun.is_set()
    upkeep.note("acme")
    assert chores.has_ended.wait(SECONDS_MAX)
    assert chores.done == ["acme"] * 3
    assert threading.get_ident() not in chores.threads
    upkeep.close()


def test_what_is_left_is_done_when_the_database_is_closed() -> None:
    chores = Chores()
    upkeep = ThreadUpkeep(chores)
    for tenant in ("one", "two", "one"):
        upkeep.note(tenant)
    upkeep.close()
    upkeep.close()
    assert sorted(chores.done) == ["one", "two"]
    assert chores.threads == {threading.get_ident()}


def test_closing_waits_for_the_part_that_is_under_way_and_no_longer() -> None:
    chores = Chores(parts=1_000_000)
    chores.may_go_on.clear()
    upkeep = ThreadUpkeep(chores)
    upkeep.note("acme", WRITES_DUE)
    assert chores.has_begun.wait(SECONDS_MAX)
    closing = threading.Thread(target=upkeep.close)
    closing.start()
    chores.may_go_on.set()
    closing.join(SECONDS_MAX)
    assert not closing.is_alive()
    assert 1 <= len(chores.done) < 1_000_000
    upkeep.note("acme", WRITES_DUE)
    assert [thread for thread in threading.enumerate() if thread.name == "aureus upkeep"] == []


def test_a_chore_that_fails_is_reported_and_due_again_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chores = Chores()
    chores.error = DatabaseUnavailable("the server is away")
    upkeep = ThreadUpkeep(chores)
    with caplog.at_level(logging.WARNING, logger="aureus"):
        upkeep.note("acme")
        upkeep.close()
    assert [record.getMessage() for record in caplog.records] == [
        "the upkeep of tenant acme has to wait: the server is away"
    ]


def test_a_forked_process_keeps_its_own_account() -> None:
    chores = Chores()
    upkeep = ThreadUpkeep(chores)
    upkeep.note("acme", WRITES_DUE - 1)
    upkeep._lock.acquire()  # as if a thread of the parent held it at that moment
    upkeep._pid = -1
    upkeep.note("acme")
    assert not chores.has_begun.is_set()
    upkeep.close()
    assert chores.done == ["acme"]


def test_in_a_loop_chores_are_done_by_one_task_and_the_rest_at_the_end() -> None:
    async def main() -> Chores:
        chores = Chores(parts=2)
        upkeep = LoopUpkeep(chores.awaited)
        upkeep.note("acme", WRITES_DUE)
        upkeep.note("acme", WRITES_DUE)
        upkeep.note("other")
        task = upkeep._task
        assert task is not None
        await asyncio.wait_for(task, SECONDS_MAX)
        assert set(chores.done) == {"acme"}
        await upkeep.close()
        await upkeep.close()
        assert chores.done[-1] == "other"
        return chores

    asyncio.run(main())


class Answering:
    """A runner that gives the answer it was made with."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def read(self, make: object, call: Call) -> object:
        """Give it."""
        return self.answer

    def write(self, make: object, call: Call) -> object:
        """Give it."""
        return self.answer


@pytest.mark.parametrize(("answer", "count"), [([1, 2, 3], 3), (None, 1), ("text", 1), (7, 1)])
def test_a_write_counts_for_as_many_things_as_it_returns(answer: object, count: int) -> None:
    noted: list[tuple[str, int]] = []
    answering: Any = Answering(answer)
    runner = Noting(answering, lambda tenant, number: noted.append((tenant, number)))
    nothing: Any = None
    assert runner.read(nothing, Call("acme")) == answer
    assert noted == []
    assert runner.write(nothing, Call("acme")) == answer
    assert noted == [("acme", count)]


def test_an_awaited_write_counts_too() -> None:
    class Awaited:
        async def read(self, make: object, call: Call) -> object:
            return 1

        async def write(self, make: object, call: Call) -> object:
            return [1, 2]

    async def main() -> None:
        noted: list[tuple[str, int]] = []
        awaited: Any = Awaited()
        runner = AsyncNoting(awaited, lambda tenant, number: noted.append((tenant, number)))
        nothing: Any = None
        await runner.read(nothing, Call("acme"))
        await runner.write(nothing, Call("acme"))
        assert noted == [("acme", 2)]

    asyncio.run(main())


SEALING = Pace(writes_due=1, pause_seconds=0.01, closing_seconds=SECONDS_MAX)


class Contended:
    """A chore that another process is at for some time, and then has parts of its own."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.has_ended = threading.Event()

    def __call__(self, _: str) -> int:
        """Return the next answer."""
        answer = self.answers.pop(0) if self.answers else 0
        if not self.answers:
            self.has_ended.set()
        return answer

    async def awaited(self, tenant_id: str) -> int:
        """Return the next answer, in a loop."""
        return self(tenant_id)


def test_a_chore_that_another_process_is_at_is_tried_again() -> None:
    chore = Contended(BUSY, BUSY, 5, 0)
    upkeep = ThreadUpkeep(chore, SEALING)
    upkeep.note("acme")
    assert chore.has_ended.wait(SECONDS_MAX)
    upkeep.close()


def test_closing_goes_on_until_nothing_is_left_of_what_was_written() -> None:
    chore = Contended(BUSY, 5, BUSY, 5, 0)
    upkeep = ThreadUpkeep(chore, Pace(writes_due=99, closing_seconds=SECONDS_MAX))
    upkeep.note("acme")
    upkeep.close()
    assert chore.answers == []


def test_in_a_loop_too_a_chore_that_another_process_is_at_is_tried_again() -> None:
    async def main(pace: Pace) -> list[int]:
        chore = Contended(BUSY, 5, BUSY, 5, 0)
        upkeep = LoopUpkeep(chore.awaited, pace)
        upkeep.note("acme")
        if upkeep._task is not None:
            await asyncio.wait_for(asyncio.shield(upkeep._task), SECONDS_MAX)
        await upkeep.close()
        return chore.answers

    for pace in (SEALING, Pace(writes_due=99, closing_seconds=SECONDS_MAX)):
        assert asyncio.run(main(pace)) == []


class Writers:
    """A chore of parts of different length, during some of which somebody writes; and the rests behind them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.parts: list[tuple[float, bool]] = [
            (0.02, True),
            (0.03, False),
            (9.0, True),
            (0.0, True),
        ]
        self.rests: list[float] = []
        self.note: Callable[[str], object] = str
        self.has_ended = threading.Event()

    def __call__(self, tenant_id: str) -> int:
        """Do the next part."""
        if not self.parts:
            self.has_ended.set()
            return 0
        seconds, is_written = self.parts.pop(0)
        self.clock.advance(seconds)
        if is_written:
            self.note(tenant_id)
        return 1

    async def awaited(self, tenant_id: str) -> int:
        """Do the next part, in a loop."""
        return self(tenant_id)

    def wait(self, seconds: float) -> bool:
        """Take note of a rest."""
        self.rests.append(round(seconds, 3))
        return False


def test_writers_have_a_while_to_themselves_behind_the_part_that_they_waited_for() -> None:
    writers = Writers()
    upkeep = ThreadUpkeep(writers, Pace(writes_due=1, rests=True), writers.clock)
    upkeep._closing.wait = writers.wait  # type: ignore[method-assign,assignment]  # rests are noted, not taken
    writers.note = upkeep.note
    upkeep.note("acme")
    assert writers.has_ended.wait(SECONDS_MAX)
    upkeep.close()
    assert writers.rests == [0.01, REST_SECONDS_MAX]


def test_in_a_loop_too_writers_have_a_while_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> Writers:
        writers = Writers()

        async def waited(_: asyncio.Event, seconds: float) -> None:
            writers.wait(seconds)

        monkeypatch.setattr("aureus.upkeep.loop.waited", waited)
        upkeep = LoopUpkeep(writers.awaited, Pace(writes_due=1, rests=True), writers.clock)
        writers.note = upkeep.note
        upkeep.note("acme")
        assert upkeep._task is not None
        await asyncio.wait_for(upkeep._task, SECONDS_MAX)
        await upkeep.close()
        return writers

    assert asyncio.run(main()).rests == [0.01, REST_SECONDS_MAX]


def test_nobody_rests_where_that_was_not_asked_for() -> None:
    assert Pace().rest_seconds(1.0, has_company=True) == 0
    assert Pace(rests=True).rest_seconds(-1.0, has_company=True) == 0

"""Ctrl-C at any moment: who was interrupted knows at most that it may have happened; nobody else notices.

Python raises KeyboardInterrupt where a function begins and where a call returns. The sweeps raise it at each of these
places of the database layer in turn, which is more than a person can hit.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import aureus._database
from aureus._database.drive import Call
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.threads import SqliteDatabase
from aureus._database.sqlite.writer import Waiting
from aureus._database.waker import Waker
from aureus.errors import Conflict
from tests.sqlite.gathering import gathering, start, waiting_count
from tests.sqlite.notes import (
    CALL,
    Make,
    add,
    add_orphan,
    add_two,
    add_with_fact,
    open_notes,
    stored,
)
from tests.support.waiting import eventually

FOLDER = str(Path(aureus._database.__file__).parent)


class Interrupt:
    """Raises KeyboardInterrupt at the n-th place where a signal may be noticed."""

    def __init__(self, place: int) -> None:
        self._places_left = place
        self.has_struck = False

    def during(self, action: Callable[[], Any]) -> Any:
        """Carry the action out; returns None when it was interrupted."""
        sys.setprofile(self._look)
        try:
            return action()
        except KeyboardInterrupt:
            return None
        finally:
            sys.setprofile(None)

    def _look(self, frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_return"} and frame.f_code.co_filename.startswith(FOLDER):
            self._places_left -= 1
            if self._places_left == 0:
                self.has_struck = True
                raise KeyboardInterrupt


def sweep(scenario: Callable[[Interrupt, int], None]) -> int:
    """Run the scenario with an interrupt at place 1, 2, 3 … until none is left; return how many there were."""
    place = 0
    while True:
        place += 1
        interrupt = Interrupt(place)
        scenario(interrupt, place)
        if not interrupt.has_struck:
            return place - 1


def is_at_rest(database: SqliteDatabase) -> bool:
    """Return whether nobody uses the writer and nothing is open on it."""
    writer = database._connections._writer
    is_open = writer is not None and writer.raw.in_transaction
    return not is_open and not database._connections.writing.locked() and database._owner is None


@pytest.mark.parametrize("outcome", ["commits", "commit fails", "commit is undone"])
def test_an_interrupted_leader_takes_nobody_along(
    either: SqliteDatabase, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    """Two others travel in its flush: each is told what became of its write, whatever the place of the interrupt."""
    begin = either._writer.begin
    others: dict[int, Waiting] = {}

    def begin_and_let_others_enter(leader: Waiting) -> Connection:
        connection = begin(leader)
        profile = sys.getprofile()
        sys.setprofile(None)
        while others_to_enter:
            number, other = others_to_enter.popitem()
            others[number] = other
            either._writer.enter(other)
        sys.setprofile(profile)
        return connection

    fails = outcome != "commits"
    undoes: list[bool] = []
    writer = either._connections._writer
    assert writer is not None
    writer.raw.set_commit_hook(lambda: undoes.pop() if undoes else False)
    others_to_enter: dict[int, Waiting] = {}
    monkeypatch.setattr(either._writer, "begin", begin_and_let_others_enter)

    def scenario(interrupt: Interrupt, place: int) -> None:
        others.clear()
        for number in (1, 2):
            others_to_enter[number] = either._writer.waiting(
                add(place * 10 + number), CALL, Waker()
            )
        write: Make[Any] = add_with_fact(place * 10, f"fact {place}")
        if outcome == "commit fails":
            write = add_orphan(place * 10)
        elif outcome == "commit is undone":
            write = add_two(place * 10, place * 10 + 9, lambda: undoes.append(True))
        with suppress(Conflict):
            interrupt.during(lambda: either.write(write, CALL))
        others_to_enter.clear()
        undoes.clear()
        assert is_at_rest(either), place
        threads = [start(partial(either._see_through, other)) for other in others.values()]
        start(lambda: either.write(add(place * 10 + 5), Call("acme", timeout_seconds=20))).value()
        kept = [number - place * 10 for number in stored(either) if number // 10 == place]
        assert interrupt.has_struck or (0 in kept) is not fails, place
        for number, other, thread in zip(others, others.values(), threads, strict=True):
            thread.value()
            assert (other.error is None) is (number in kept), place
            assert fails or other.error is None, place
        assert waiting_count(either) == 0, place

    assert sweep(scenario) > 100


def test_an_interrupted_transaction_happens_or_does_not_and_never_stays_open(
    either: SqliteDatabase,
) -> None:
    def scenario(interrupt: Interrupt, place: int) -> None:
        def transact() -> bool:
            with either.transaction(CALL) as tx:
                tx.write(add(place * 10), CALL)
                tx.write(add(place * 10 + 1), CALL)
            return True

        answer = interrupt.during(transact)
        assert is_at_rest(either), place
        start(lambda: either.write(add(place * 10 + 5), Call("acme", timeout_seconds=20))).value()
        kept = [number - place * 10 for number in stored(either) if number // 10 == place]
        assert kept in ([0, 1, 5], [5]), place
        assert not answer or kept == [0, 1, 5], place

    assert sweep(scenario) > 100


def test_an_interrupted_read_leaves_the_reader_usable(database: SqliteDatabase) -> None:
    database.write(add(1), CALL)

    def scenario(interrupt: Interrupt, place: int) -> None:
        interrupt.during(lambda: stored(database))
        assert stored(database) == [1]

    assert sweep(scenario) > 20


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt; in the background of a shell it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_a_real_signal_in_a_flush_undoes_the_leaders_write_and_no_other(path: Path) -> None:
    database = open_notes(path)
    with gathering(database) as gathered:
        gathered.write(add(1))
        gathered.write(add(2))
    with pytest.raises(KeyboardInterrupt):
        database.write(add_two(3, 4, lambda: signal.raise_signal(signal.SIGINT)), CALL)
    assert database.write(add(5), CALL) == 5
    assert stored(database) == [1, 2, 5]
    database.close()


@pytest.mark.usefixtures("interruptible")
def test_a_signal_while_waiting_takes_the_caller_out_of_the_queue(either: SqliteDatabase) -> None:
    main = threading.main_thread().ident
    assert main is not None

    def interrupt_when_queued() -> None:
        eventually(lambda: waiting_count(either) == 2, "the main thread in the queue")
        signal.pthread_kill(main, signal.SIGINT)

    with gathering(either) as gathered:
        gathered.write(add(1))
        interrupter = start(interrupt_when_queued)
        with pytest.raises(KeyboardInterrupt):
            either.write(add(2), CALL)
        interrupter.value()
        assert waiting_count(either) == 1
        gathered.write(add(3))
    assert stored(either) == [1, 3]


def test_a_lane_whose_leader_vanished_is_taken_over_by_who_waits(either: SqliteDatabase) -> None:
    """As if a leader had been interrupted a second time while it handed the lane on."""
    ghost = either._writer.waiting(add(1), Call("acme", timeout_seconds=-10), Waker())
    assert either._writer.enter(ghost)
    assert either.write(add(2), CALL) == 2
    assert stored(either) == [2]

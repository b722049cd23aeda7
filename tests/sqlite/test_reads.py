"""Reads see one consistent state, wait for no writer, and end at their deadline."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from aureus._database.drive import Call
from aureus._database.sqlite.connections import READERS_MAX
from aureus._database.sqlite.threads import SqliteDatabase
from aureus._database.statement import Op, fetch_one, last
from aureus.errors import DatabaseBusy, DatabaseError, DeadlineExceeded
from tests.sqlite.gathering import start
from tests.sqlite.notes import CALL, NOW, add, first, one, open_notes, sql, stored


def test_a_read_of_several_statements_sees_one_moment(database: SqliteDatabase) -> None:
    database.write(add(1), CALL)

    def count_twice() -> Op[tuple[int | None, int | None]]:
        before = yield from fetch_one(sql.count_notes, first)
        start(lambda: database.write(add(2), CALL)).value()
        after = yield from fetch_one(sql.count_notes, first)
        return before, after

    assert database.read(count_twice, CALL) == (1, 1)
    assert stored(database) == [1, 2]


def test_what_was_acknowledged_is_seen_by_the_next_read(either: SqliteDatabase) -> None:
    for number in range(50):
        either.write(add(number), CALL)
        assert stored(either)[-1] == number


def test_times_come_back_as_utc_datetimes_and_null_stays_none(either: SqliteDatabase) -> None:
    either.write(add(1), CALL)
    either.write(one("insert_note", note_id=2, body="x"), CALL)
    assert either.read(one("get_note", note_id=1), CALL) == (1, "text", NOW)
    assert either.read(one("get_note", note_id=2), CALL) == (2, "x", None)
    assert either.read(one("get_note", note_id=3), CALL) is None


def test_a_tenant_is_bound_by_the_runner_and_by_nobody_else(either: SqliteDatabase) -> None:
    either.write(add(1), CALL)
    assert either.read(one("get_note", note_id=1, tenant_id="acme"), Call("other")) is None


def test_a_read_ends_at_its_deadline(either: SqliteDatabase) -> None:
    with pytest.raises(DeadlineExceeded):
        either.read(one("brood", steps=1_000_000_000), Call("acme", timeout_seconds=0.05))
    assert stored(either) == []


def test_a_read_of_several_statements_ends_at_its_deadline_and_lets_go(
    database: SqliteDatabase,
) -> None:
    def brood() -> Op[None]:
        yield from fetch_one(sql.count_notes, first)
        yield from last(sql.brood, first, steps=1_000_000_000)

    with pytest.raises(DeadlineExceeded):
        database.read(brood, Call("acme", timeout_seconds=0.05))
    database.write(add(1), CALL)
    assert stored(database) == [1]


def test_only_so_many_reads_run_at_once_and_the_others_wait(database: SqliteDatabase) -> None:
    may_end = threading.Event()
    begun = threading.Semaphore(0)

    def hold() -> Op[int | None]:
        begun.release()
        may_end.wait(60)
        return (yield from last(sql.count_notes, first))

    readers = [start(lambda: database.read(hold, CALL)) for _ in range(READERS_MAX)]
    for _ in readers:
        assert begun.acquire(timeout=60)
    with pytest.raises(DatabaseBusy, match="reads are under way"):
        database.read(one("count_notes"), Call("acme", timeout_seconds=0.05))
    patient = start(lambda: database.read(one("count_notes"), CALL))
    may_end.set()
    assert [reader.value() for reader in readers] == [0] * READERS_MAX
    assert patient.value() == (0,)


def test_a_closed_database_says_so(either: SqliteDatabase) -> None:
    either.close()
    either.close()
    with pytest.raises(DatabaseError, match="closed"):
        either.write(add(1), CALL)
    with pytest.raises(DatabaseError, match="closed"):
        stored(either)
    with pytest.raises(DatabaseError, match="closed"), either.transaction(CALL):
        pytest.fail("a transaction on a closed database")


def test_closing_waits_for_what_is_under_way(path: Path) -> None:
    database = open_notes(path)
    may_end, has_begun = threading.Event(), threading.Event()

    def hold() -> Op[int | None]:
        has_begun.set()
        may_end.wait(60)
        return (yield from last(sql.count_notes, first))

    reader = start(lambda: database.read(hold, CALL))
    assert has_begun.wait(60)
    closer = start(database.close)
    assert closer.is_alive()
    may_end.set()
    assert reader.value() == 0
    closer.value()

"""Writes of concurrent callers travel in one commit, in order of arrival, and each succeeds or fails by itself."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from aureus._database.drive import Call, OperationBug
from aureus._database.sqlite.threads import SqliteDatabase
from aureus._database.sqlite.writer import FLUSH_SECONDS_MAX
from aureus._database.statement import Op, fetch_one, last
from aureus.clock import ManualClock
from aureus.errors import (
    AlreadyExists,
    Conflict,
    DatabaseBusy,
    DeadlineExceeded,
    IllegalTransition,
    IntegrityFailure,
    Invalid,
    StorageFull,
)
from tests.sqlite.gathering import THE_HOLDERS, CommitCounter, Gathering, gathering, waiting_count
from tests.sqlite.notes import (
    CALL,
    add,
    add_two,
    add_with_fact,
    change_with_fact,
    count_up,
    every,
    fill,
    find_with_fact,
    first,
    journal,
    one,
    open_notes,
    sql,
    stored,
)
from tests.support.waiting import eventually


def test_writes_that_wait_together_share_one_commit(place: Path | None) -> None:
    """On a clock that stands still: none of their flush's time passes, however slow the machine is."""
    database = open_notes(place, ManualClock())
    with gathering(database) as gathered:
        callers = [gathered.write(add(number)) for number in range(20)]
        commits = CommitCounter(database)
    assert commits.count == 1 + THE_HOLDERS
    assert [caller.value() for caller in callers] == list(range(20))
    assert stored(database) == list(range(20))
    database.close()


def test_a_lone_write_goes_at_once_on_the_callers_thread(either: SqliteDatabase) -> None:
    seen: list[int] = []
    either.write(add_two(1, 2, between=lambda: seen.append(threading.get_ident())), CALL)
    assert seen == [threading.get_ident()]
    assert stored(either) == [1, 2]


def test_writes_are_carried_out_in_order_of_arrival_whatever_their_tenant(
    database: SqliteDatabase,
) -> None:
    with gathering(database) as gathered:
        for number in range(30):
            gathered.write(add_with_fact(number, f"fact {number:02d}"), Call(f"t{number % 7}"))
    assert journal(database) == [f"fact {number:02d}" for number in range(30)]


def test_a_flush_ends_when_its_time_is_over_and_the_rest_keeps_its_order(path: Path) -> None:
    clock = ManualClock()
    database = open_notes(path, clock)
    with gathering(database) as gathered:
        callers = [
            gathered.write(add_two(i, i + 100, lambda: clock.advance(FLUSH_SECONDS_MAX / 2)))
            for i in range(10)
        ]
        commits = CommitCounter(database)
    assert [caller.value() for caller in callers] == [[i, i + 100] for i in range(10)]
    assert stored(database) == [number for i in range(10) for number in (i, i + 100)]
    assert commits.count == 5 + THE_HOLDERS
    database.close()


def refuse(error: BaseException) -> Any:
    """Make a write whose body raises after its first statement."""

    def make() -> Op[None]:
        yield from fetch_one(sql.insert_note, first, note_id=99, body="gone")
        raise error

    return make


def go_on_after_failure() -> Op[None]:
    """Catch the error of a statement and go on, which PostgreSQL could not."""
    try:
        yield from fetch_one(sql.insert_note, first, note_id=1, body="")
    except Invalid:
        yield from last(sql.insert_note, first, note_id=98, body="text")


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        pytest.param(add(1), AlreadyExists, id="the operation refuses"),
        pytest.param(one("insert_note", note_id=1, body="x"), AlreadyExists, id="key taken"),
        pytest.param(one("insert_note", note_id=9, body=""), Invalid, id="CHECK"),
        pytest.param(one("insert_note", note_id=9, body=None), Invalid, id="NOT NULL"),
        pytest.param(one("insert_note", note_id="x", body="x"), Invalid, id="wrong type"),
        pytest.param(one("insert_note", note_id=2**63, body="x"), Invalid, id="integer too large"),
        pytest.param(one("insert_note", note_id=9, body="a\x00b"), Invalid, id="NUL"),
        pytest.param(one("insert_note", note_id=9, body="\ud800"), Invalid, id="lone surrogate"),
        pytest.param(one("insert_note", note_id=9, body=float("nan")), Invalid, id="NaN"),
        pytest.param(one("insert_note", note_id=9, body={}), Invalid, id="unknown type"),
        pytest.param(one("insert_note", note_id=9), OperationBug, id="missing parameter"),
        pytest.param(one("change_note", note_id=1, body="x"), IllegalTransition, id="AU001"),
        pytest.param(one("add_pair", note_id=0, body="x"), AlreadyExists, id="a later text"),
        pytest.param(add_with_fact(9, "known fact"), AlreadyExists, id="a companion"),
        pytest.param(refuse(Conflict("stale")), Conflict, id="raises after an effect"),
        pytest.param(refuse(RuntimeError("bug")), RuntimeError, id="a bug after an effect"),
        pytest.param(go_on_after_failure, OperationBug, id="goes on after a failed statement"),
    ],
)
def test_one_bad_write_fails_alone(
    either: SqliteDatabase, bad: Any, expected: type[Exception]
) -> None:
    """Its own error, none of its effects, and its neighbours in the same commit do not notice."""
    either.write(add(1, "final"), CALL)
    either.write(add_with_fact(5, "known fact"), CALL)
    with gathering(either) as gathered:
        before = gathered.write(add(2))
        wrong = gathered.write(bad)
        after = gathered.write(add(3))
    assert type(wrong.error) is expected
    assert (before.value(), after.value()) == (2, 3)
    assert stored(either) == [1, 5, 2, 3]
    assert journal(either) == ["known fact"]


def test_immutable_rows_are_reported_as_such(database: SqliteDatabase) -> None:
    database.write(add_with_fact(1, "fact"), CALL)
    with pytest.raises(IntegrityFailure), database.transaction(CALL) as tx:
        tx.execute("DELETE FROM journal")


def test_the_answer_is_the_guards_rows_or_those_of_a_select_that_stands_last(
    either: SqliteDatabase,
) -> None:
    assert either.write(one("add_pair", note_id=1, body="x"), CALL) == (1,)
    assert either.write(one("add_and_count", note_id=5, body="x"), CALL) == (3, "x")
    assert stored(either) == [1, 2, 5]


def test_nothing_follows_a_guard_without_rows(either: SqliteDatabase) -> None:
    either.write(add(1), CALL)
    assert either.write(one("add_pair", note_id=1, body="x"), CALL) is None
    assert either.write(change_with_fact(9, "never happened"), CALL) is None
    assert journal(either) == []
    assert either.write(change_with_fact(1, "happened"), CALL) == 1
    assert stored(either) == [1]
    assert journal(either) == ["happened"]


def test_a_repeated_write_finds_what_is_there_and_neither_writes_nor_records(
    either: SqliteDatabase,
) -> None:
    """The SELECT that stands last runs without the guard's rows too; nothing else of the script does."""
    for _ in range(2):
        assert either.write(find_with_fact(1, "x"), CALL) == (1, "x")
    assert either.write(find_with_fact(1, "another"), CALL) is None
    assert stored(either) == [1, 2]
    assert journal(either) == ["x"]


def test_a_write_that_sqlite_ends_with_the_whole_transaction_takes_nobody_along(
    database: SqliteDatabase,
) -> None:
    """An interrupted INSERT rolls back everything before it; the others travel again and succeed."""
    with gathering(database) as gathered:
        before = gathered.write(add(1))
        slow = gathered.write(fill(1000, 100_000_000), Call("acme", timeout_seconds=1.5))
        after = gathered.write(add(2))
    assert type(slow.error) is DeadlineExceeded
    assert (before.value(), after.value()) == (1, 2)
    assert stored(database) == [1, 2]


def test_a_commit_that_fails_fails_for_everybody_in_it(either: SqliteDatabase) -> None:
    with gathering(either) as gathered:
        callers = [
            gathered.write(make)
            for make in (
                add(1),
                one("orphan", parent_id=7),
                one("insert_note", note_id=1, body="x"),
            )
        ]
    errors = [caller.error for caller in callers]
    assert [type(error) for error in errors] == [Conflict] * 3
    assert len({id(error) for error in errors}) == 3, "threads must not share one traceback"
    assert stored(either) == []
    assert either.write(add(2), CALL) == 2


def test_a_full_disk_is_told_to_whom_it_concerns_and_writing_goes_on_when_there_is_room(
    database: SqliteDatabase,
) -> None:
    with database.transaction(CALL) as tx:
        ((pages,),) = tx.execute("PRAGMA page_count")
        tx.execute(f"PRAGMA max_page_count = {pages + 2}")
    with gathering(database) as gathered:
        large = gathered.write(every("fill", first=1000, size=1000, body="x" * 1000))
        small = gathered.write(add(1))
    assert type(large.error) is StorageFull
    assert small.value() == 1
    with database.transaction(CALL) as tx:
        tx.execute("PRAGMA max_page_count = 100000")
    database.write(fill(1000, 100), CALL)
    assert len(stored(database)) == 102


def test_every_acknowledged_write_of_32_threads_is_stored(either: SqliteDatabase) -> None:
    acknowledged: list[int] = []

    def work(thread: int) -> None:
        acknowledged.extend(either.write(add(thread * 1000 + n), CALL) for n in range(200))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(acknowledged) == 6400
    assert sorted(stored(either)) == sorted(acknowledged)


def test_no_update_is_lost_between_threads(either: SqliteDatabase) -> None:
    either.write(add(1), CALL)
    seen: list[int | None] = []

    def work() -> None:
        seen.extend(either.write(count_up(1), CALL) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number or 0 for number in seen) == list(range(1, 401))


def test_a_caller_whose_deadline_comes_while_it_waits_leaves_and_nothing_happens(
    either: SqliteDatabase,
) -> None:
    with gathering(either) as gathered:
        late = gathered.write(add(1), Call("acme", timeout_seconds=0.05))
        late.ended()
        assert waiting_count(either) == 0
        patient = gathered.write(add(2))
    assert type(late.error) is DeadlineExceeded
    assert patient.value() == 2
    assert stored(either) == [2]


def test_a_call_without_any_time_left_is_refused_before_its_first_statement(path: Path) -> None:
    clock = ManualClock()
    database = open_notes(path, clock)
    with gathering(database) as gathered:
        late = gathered.write(add(1), Call("acme", timeout_seconds=5.0))
        patient = gathered.write(add(2), Call("acme", timeout_seconds=50.0))
        clock.advance(6.0)
    assert type(late.error) is DeadlineExceeded
    assert patient.value() == 2
    assert stored(database) == [2]
    database.close()


def test_a_file_that_another_connection_holds_is_busy_after_the_calls_time(
    path: Path, database: SqliteDatabase
) -> None:
    other = open_notes(path, is_new=False)
    with other.transaction(CALL), pytest.raises(DatabaseBusy):
        database.write(add(1), Call("acme", timeout_seconds=0.05))
    assert database.write(add(1), CALL) == 1
    other.close()


def test_callers_may_leave_while_the_leader_waits_for_the_file(
    path: Path, database: SqliteDatabase
) -> None:
    other = open_notes(path, is_new=False)
    gathered = Gathering(database)
    with other.transaction(CALL):
        leader = gathered.arrive(lambda: database.write(add(1), CALL))
        eventually(lambda: waits_for_the_file(database), "the leader to meet the lock")
        follower = gathered.arrive(
            lambda: database.write(add(2), Call("acme", timeout_seconds=0.05))
        )
        follower.ended()
    assert type(follower.error) is DatabaseBusy
    assert leader.value() == 1
    assert stored(database) == [1]
    other.close()


def waits_for_the_file(database: SqliteDatabase) -> bool:
    """Return whether the writer has met the lock of another connection."""
    writer = database._connections._writer
    return writer is not None and writer.is_waiting


def test_a_queue_without_end_is_refused(
    either: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus._database.lane.WAITING_MAX", 3)
    with gathering(either) as gathered:
        kept = [gathered.write(add(number)) for number in range(3)]
        with pytest.raises(DatabaseBusy, match="waiting already"):
            either.write(add(9), CALL)
    assert [caller.value() for caller in kept] == [0, 1, 2]
    assert stored(either) == [0, 1, 2]

"""A transaction holds several operations and the caller's own SQL: all of it, or nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from aureus._database.drive import Call, OperationBug
from aureus._database.sqlite.threads import SqliteDatabase
from aureus.errors import (
    AlreadyExists,
    Conflict,
    DatabaseBusy,
    DatabaseError,
    DeadlineExceeded,
    Invalid,
)
from tests.sqlite.gathering import gathering
from tests.sqlite.notes import (
    CALL,
    add,
    add_with_fact,
    count_up,
    fill,
    journal,
    note_ids,
    one,
    open_notes,
    stored,
)


def test_operations_and_own_sql_commit_together(either: SqliteDatabase) -> None:
    with either.transaction(CALL) as tx:
        assert tx.write(add(1), CALL) == 1
        assert tx.execute("SELECT body FROM notes WHERE note_id = ?", (1,)) == [("text",)]
        tx.execute("INSERT INTO parents VALUES (:id)", {"id": 5})
        assert isinstance(tx.connection, apsw.Connection)
        assert tx.connection.in_transaction
        assert tx.read(note_ids(), CALL) == [1]
        tx.write(add_with_fact(2, "fact"), CALL)
    assert stored(either) == [1, 2]
    assert journal(either) == ["fact"]


def test_an_exception_undoes_everything(either: SqliteDatabase) -> None:
    def fail() -> None:
        with either.transaction(CALL) as tx:
            tx.write(add(1), CALL)
            tx.execute("INSERT INTO parents VALUES (5)")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert stored(either) == []
    assert either.write(add(1), CALL) == 1


def test_a_failed_operation_leaves_the_rest_of_the_transaction_intact(
    either: SqliteDatabase,
) -> None:
    with either.transaction(CALL) as tx:
        tx.write(add_with_fact(1, "fact"), CALL)
        with pytest.raises(AlreadyExists):
            tx.write(add(1), CALL)
        with pytest.raises(AlreadyExists):
            tx.write(add_with_fact(2, "fact"), CALL)
        with pytest.raises(DatabaseError):
            tx.execute("SELEC")
        tx.write(add(3), CALL)
    assert stored(either) == [1, 3]


def test_a_read_that_writes_is_a_bug_inside_and_outside_of_transactions(
    either: SqliteDatabase,
) -> None:
    with pytest.raises(OperationBug):
        either.read(add(1), CALL)
    with either.transaction(CALL) as tx, pytest.raises(OperationBug):
        tx.read(count_up(1), CALL)
    assert stored(either) == []


def test_others_write_after_it_and_in_their_order(either: SqliteDatabase) -> None:
    with gathering(either) as gathered:
        gathered.write(add(1))

        def transact() -> None:
            with either.transaction(CALL) as tx:
                tx.write(add(2), CALL)
                tx.write(add(3), CALL)

        gathered.arrive(transact)
        gathered.write(add(4))
        gathered.arrive(transact_again(either))
        gathered.write(add(6))
    assert stored(either) == [1, 2, 3, 4, 5, 6]


def transact_again(database: SqliteDatabase) -> Callable[[], None]:
    """Make a call that adds note 5 in a transaction."""

    def transact() -> None:
        with database.transaction(CALL) as tx:
            tx.write(add(5), CALL)

    return transact


def test_a_transaction_waits_for_its_turn_until_its_deadline(either: SqliteDatabase) -> None:
    def transact() -> None:
        with either.transaction(Call("acme", timeout_seconds=0.05)):
            pass

    with gathering(either) as gathered:
        late = gathered.arrive(transact)
        late.ended()
        gathered.write(add(1))
    assert type(late.error) is DeadlineExceeded
    assert stored(either) == [1]


def test_a_transaction_waits_for_other_processes_until_its_deadline(
    path: Path, database: SqliteDatabase
) -> None:
    other = open_notes(path, is_new=False)
    with (
        other.transaction(CALL),
        pytest.raises(DatabaseBusy),
        database.transaction(Call("acme", timeout_seconds=0.05)),
    ):
        pytest.fail("two transactions at once")
    with database.transaction(CALL) as tx:
        tx.write(add(1), CALL)
    other.close()


def test_waiting_for_ones_own_transaction_is_refused_and_the_message_names_tx(
    either: SqliteDatabase,
) -> None:
    with either.transaction(CALL) as tx:
        with pytest.raises(Invalid, match=r"\(tx\)"):
            either.write(add(1), CALL)
        with pytest.raises(Invalid, match=r"\(tx\)"), either.transaction(CALL):
            pytest.fail("a transaction inside a transaction")
        with pytest.raises(Invalid, match=r"\(tx\)"):
            either.close()
        tx.write(add(2), CALL)
    assert stored(either) == [2]


def test_a_read_beside_ones_own_transaction_sees_what_was_committed(
    database: SqliteDatabase,
) -> None:
    database.write(add(1), CALL)
    with database.transaction(CALL) as tx:
        tx.write(add(2), CALL)
        assert stored(database) == [1]
    assert stored(database) == [1, 2]


def test_in_memory_such_a_read_is_refused(path: Path) -> None:
    database = open_notes(None)
    with database.transaction(CALL), pytest.raises(Invalid, match=r"\(tx\)"):
        stored(database)
    database.close()


def test_a_transaction_that_sqlite_undid_cannot_go_on_and_does_not_commit_in_silence(
    either: SqliteDatabase,
) -> None:
    def go_on() -> None:
        with either.transaction(CALL) as tx:
            tx.write(add(1), CALL)
            with pytest.raises(DeadlineExceeded):
                tx.write(fill(10, 100_000_000), Call("acme", timeout_seconds=0.05))
            with pytest.raises(DatabaseError, match="undone this transaction"):
                tx.write(add(2), CALL)
            with pytest.raises(DatabaseError, match="undone this transaction"):
                tx.execute("INSERT INTO parents VALUES (1)")

    with pytest.raises(DatabaseError, match="undone this transaction"):
        go_on()
    assert stored(either) == []


def test_a_commit_that_fails_undoes_the_transaction(either: SqliteDatabase) -> None:
    def fail() -> None:
        with either.transaction(CALL) as tx:
            tx.write(add(1), CALL)
            tx.write(one("orphan", parent_id=9), CALL)

    with pytest.raises(Conflict):
        fail()
    assert stored(either) == []
    assert either.write(add(2), CALL) == 2


def test_a_transaction_is_of_no_use_after_its_end(either: SqliteDatabase) -> None:
    with either.transaction(CALL) as tx:
        pass
    for use in (
        lambda: tx.write(add(1), CALL),
        lambda: tx.read(note_ids(), CALL),
        lambda: tx.execute("SELECT 1"),
        lambda: tx.connection,
    ):
        with pytest.raises(DatabaseError, match="has ended"):
            use()


def test_a_cursor_left_open_does_not_stop_later_writes(
    path: Path, database: SqliteDatabase
) -> None:
    """Its old view of the log would make every later BEGIN fail once another connection has written."""
    for number in range(10):
        database.write(add(number), CALL)
    with database.transaction(CALL) as tx:
        cursor = tx.connection.execute("SELECT * FROM notes")
        next(iter(cursor))
    other = open_notes(path, is_new=False)
    other.write(add(20), CALL)
    other.close()
    assert database.write(add(21), CALL) == 21


def test_own_sql_gets_what_sqlite_cannot_hold_refused(either: SqliteDatabase) -> None:
    with either.transaction(CALL) as tx:
        for value in (2**63, "\ud800", object()):
            with pytest.raises(Invalid):
                tx.execute("SELECT ?", (value,))
        with pytest.raises(DatabaseError):
            tx.execute("SELECT ?", ())


def test_the_block_may_be_left_in_another_thread(database: SqliteDatabase) -> None:
    context = database.transaction(CALL)
    tx = context.__enter__()
    thread = threading.Thread(
        target=lambda: (tx.write(add(1), CALL), context.__exit__(None, None, None))
    )
    thread.start()
    thread.join()
    assert database.write(add(2), CALL) == 2
    assert stored(database) == [1, 2]

"""The write-ahead log is moved into the file beside the commits, and whatever happens to that harms no write."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import apsw
import pytest

from aureus._database.sqlite.checkpoint import PAGES_BEFORE_RESTART, PAGES_BETWEEN, Checkpointer
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.threads import SqliteDatabase
from aureus.clock import SystemClock
from tests.sqlite.looping import in_a_loop
from tests.sqlite.notes import CALL, add, every, open_notes, open_notes_async, stored
from tests.support.waiting import eventually


def pages_in_log(database: SqliteDatabase) -> int:
    """Return how long the log was after the last commit."""
    writer = database._connections._writer
    assert writer is not None
    return writer.wal_pages


def opened_bytes(path: Path) -> int:
    """Return how big the file is, in a moment without writers."""
    return path.stat().st_size


def checkpoint_threads() -> list[threading.Thread]:
    """Return the threads that move logs."""
    return [thread for thread in threading.enumerate() if thread.name == "aureus-checkpoint"]


def grow(database: SqliteDatabase, first: int, pages: int) -> None:
    """Write about so many pages in one commit."""
    database.write(every("fill", first=first, size=pages, body="x" * 3800), CALL)


def test_a_short_life_needs_no_thread(path: Path) -> None:
    before = checkpoint_threads()
    database = open_notes(path)
    database.write(add(1), CALL)
    assert checkpoint_threads() == before
    database.close()
    assert not Path(f"{path}-wal").exists()


def test_a_long_log_is_moved_into_the_file_by_the_thread(path: Path) -> None:
    """And then begins anew with the next write."""
    database = open_notes(path)
    size = path.stat().st_size
    grow(database, 0, PAGES_BETWEEN + 100)
    assert pages_in_log(database) > PAGES_BETWEEN
    eventually(lambda: path.stat().st_size > size + PAGES_BETWEEN * 4096, "the pages in the file")
    with database._connections.checkpointer._lock:
        pass  # The attempt that moved them has ended.
    database.write(add(1_000_000), CALL)
    assert pages_in_log(database) < PAGES_BETWEEN
    (thread,) = checkpoint_threads()
    database.close()
    assert not thread.is_alive()


def test_what_transactions_write_is_moved_too(path: Path) -> None:
    """A program that writes by nothing else must not let the log grow until it ends."""
    database = open_notes(path)
    size = path.stat().st_size
    with database.transaction(CALL) as transaction:
        transaction.write(every("fill", first=0, size=PAGES_BETWEEN + 100, body="x" * 3800), CALL)
    eventually(lambda: path.stat().st_size > size + PAGES_BETWEEN * 4096, "the pages in the file")
    database.close()


@in_a_loop
async def test_what_awaited_transactions_write_is_moved_too(path: Path) -> None:
    database = await open_notes_async(path)
    size = opened_bytes(path)
    async with database.transaction(CALL) as transaction:
        await transaction.write(
            every("fill", first=0, size=PAGES_BETWEEN + 100, body="x" * 3800), CALL
        )
    eventually(lambda: path.stat().st_size > size + PAGES_BETWEEN * 4096, "the pages in the file")
    await database.close()


def test_a_reader_that_stays_holds_the_log_up_but_no_write(path: Path) -> None:
    database = open_notes(path)
    database.write(add(1_000_000), CALL)
    reader = apsw.Connection(str(path))
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM notes").fetchall()
    for number in range(3):
        grow(database, number * 10_000, PAGES_BEFORE_RESTART)
    assert pages_in_log(database) > 2 * PAGES_BEFORE_RESTART
    assert reader.execute("SELECT count(*) FROM notes").fetchall() == [(1,)]
    reader.execute("COMMIT")
    reader.close()
    grow(database, 100_000, PAGES_BETWEEN + 100)

    def has_begun_anew() -> bool:
        database.write(every("count_up", note_id=0), CALL)
        grow(database, 200_000 + len(tries) * 2000, PAGES_BETWEEN)
        tries.append(1)
        return pages_in_log(database) < 2 * PAGES_BEFORE_RESTART

    tries: list[int] = []
    eventually(has_begun_anew, "a log that begins anew")
    database.close()


def test_closing_leaves_the_log_to_others_that_still_read_it(path: Path) -> None:
    database = open_notes(path)
    other = open_notes(path, is_new=False)
    database.write(add(1), CALL)
    with other.transaction(CALL) as tx:
        tx.execute("SELECT * FROM notes")
        database.close()
    assert stored(other) == [1]
    other.close()
    assert not Path(f"{path}-wal").exists()


def test_a_log_that_cannot_be_moved_is_reported_and_tried_again(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = open_notes(path)
    tried = threading.Semaphore(0)

    def fail(_: float) -> Connection:
        tried.release()
        raise apsw.IOError("disk trouble")

    checkpointer = Checkpointer(fail, SystemClock())
    with caplog.at_level(logging.WARNING, logger="aureus.database"):
        for round_no in (1, 2):
            checkpointer.notice(round_no * PAGES_BETWEEN)
            assert tried.acquire(timeout=60)
        checkpointer.finish()
    assert "disk trouble" in caplog.text
    assert database.write(add(1), CALL) == 1
    database.close()

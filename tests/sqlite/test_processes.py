"""Several processes on one file, forked ones too, and processes that are killed: nothing acknowledged is lost."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import apsw
import pytest

from aureus.ids import RandomIds
from tests.sqlite import program
from tests.sqlite.notes import CALL, add, one, open_notes, stored
from tests.support.programs import heard, killed, unheard
from tests.support.waiting import eventually

KILLS = 50


def is_sound(path: Path) -> bool:
    """Return whether SQLite finds nothing wrong with a file."""
    connection = apsw.Connection(str(path))
    answer = connection.pragma("integrity_check")
    connection.close()
    return bool(answer == "ok")


def test_no_update_is_lost_between_processes_and_nobody_hears_of_locks(path: Path) -> None:
    database = open_notes(path)
    database.write(add(1), CALL)
    with program.running("count", path, 100) as one, program.running("count", path, 100) as other:
        seen = [int(line) for running in (one, other) for line in unheard(running)]
    assert [one.returncode, other.returncode] == [0, 0]
    assert sorted(seen) == list(range(1, 801))
    database.close()


def test_what_a_killed_process_acknowledged_is_stored(path: Path) -> None:
    """SIGKILL at a random moment under four writers, again and again, on one file."""
    open_notes(path).close()
    acknowledged: list[int] = []
    moments = RandomIds()
    for attempt in range(KILLS):
        with program.running("add", path, attempt * 1_000_000) as writer:
            lines = [heard(writer) for _ in range(1 + int(300 * moments.jitter()))]
            acknowledged += map(int, [*lines, *killed(writer)])
    assert len(acknowledged) > KILLS
    assert is_sound(path)
    database = open_notes(path, is_new=False)
    kept = stored(database)
    assert set(acknowledged) <= set(kept)
    assert len(kept) <= len(acknowledged) + 4 * KILLS, "at most what was in flight at each kill"
    database.close()


def test_a_full_disk_is_a_typed_error_and_writing_goes_on_when_there_is_room(path: Path) -> None:
    full, reads, writes = program.run("fill", path)
    verb, code, acknowledged = full.split()
    assert (verb, code) == ("full", "storage_full")
    assert int(acknowledged) > 10
    assert reads == f"reads {acknowledged}"
    assert writes == f"writes {int(acknowledged) + 1}"
    assert is_sound(path)


def test_a_forked_child_has_connections_and_locks_of_its_own(path: Path) -> None:
    """SQLite would hand a child its parent's locks, which the child does not hold: see `connections`."""
    lines = program.run("fork", path, "quiet")
    assert lines == ["stored 1 3", "locks True", "stored 1 3 5", "locks True"]


def test_a_child_forked_inside_a_transaction_is_told_and_the_parent_goes_on(path: Path) -> None:
    lines = program.run("fork", path, "transaction")
    assert lines == ["DatabaseError", "stored 1 2 4 5", "locks True"]
    assert is_sound(path)


def test_a_child_of_a_database_in_memory_is_told(path: Path) -> None:
    assert program.run("fork", path, "memory") == ["DatabaseError", "stored 1 5", "locks False"]


def test_forks_while_others_write_lose_nothing(path: Path) -> None:
    lines = program.run("fork-busy", path, 30)
    acknowledged = [int(line) for line in lines]
    assert len([number for number in acknowledged if number >= 1_000_000]) == 30
    database = open_notes(path, is_new=False)
    assert sorted(acknowledged) == sorted(stored(database))
    database.close()


def test_a_log_left_behind_is_read_and_moved_into_the_file_by_the_next_one(path: Path) -> None:
    log = Path(f"{path}-wal")
    assert program.run("leave-open", path) == ["written"]
    database = open_notes(path, is_new=False)
    assert database.read(one("count_notes"), CALL) == (20_001,)
    database.close()
    assert not log.exists()


@pytest.mark.parametrize("writers", [4])
def test_the_log_stays_bounded_while_processes_write(path: Path, writers: int) -> None:
    open_notes(path).close()
    log = Path(f"{path}-wal")
    largest = 0

    def has_grown() -> bool:
        nonlocal largest
        largest = max(largest, log.stat().st_size if log.exists() else 0)
        return path.stat().st_size > 40_000_000

    with ExitStack() as running:
        for number in range(writers):
            running.enter_context(program.running("add", path, number * 10**9, is_heard=False))
        eventually(has_grown, "a file of 40 MB")
    assert largest < 64_000_000

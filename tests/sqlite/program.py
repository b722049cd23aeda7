"""Programs that the tests start as processes of their own: `python -m tests.sqlite.program VERB PATH …`.

Each says on standard output what it knows for certain, one line at a time, so that it can be killed at any moment.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Final

from aureus._database.migrate import read_migrations
from aureus._database.sqlite.threads import SqliteDatabase
from aureus.errors import AureusError, StorageFull
from tests.sqlite.notes import CALL, add, count_up, make_tables, one, open_notes, sources, stored
from tests.support import programs

ROOT: Final = Path(__file__).parents[2]


NOBODY: Final = 65_534
"""A user without rights: the superuser may write anything, and so cannot see a refusal."""


def running(
    *arguments: object, is_heard: bool = True
) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start one of these programs, and end it with the block; unheard, it never waits for a reader."""
    return programs.running(
        [sys.executable, "-m", "tests.sqlite.program", *map(str, arguments)],
        environment={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        directory=ROOT,
        is_heard=is_heard,
    )


def run(*arguments: object) -> list[str]:
    """Run one of these programs to its end and return its lines."""
    with running(*arguments) as program:
        lines = programs.unheard(program)
    assert program.returncode == 0
    return lines


def say(*words: object) -> None:
    """Write a line; one system call, so that a killed program leaves no half line."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def add_for_ever(path: Path, first: int) -> None:
    """Add notes on four threads without end; a number is said once it is acknowledged."""
    database = open_notes(path, is_new=False)

    def work(thread: int) -> None:
        for number in range(first + thread, 1 << 40, 4):
            database.write(add(number, "x" * 500), CALL)
            say(number)

    in_threads(work, 4)


def count(path: Path, times: int) -> None:
    """Raise the counter of note 1 on four threads; every answer is said."""
    database = open_notes(path, is_new=False)

    def work(_: int) -> None:
        for _ in range(times):
            say(database.write(count_up(1), CALL))

    in_threads(work, 4)
    database.close()


def fill_up(path: Path) -> None:
    """Write until the system gives no more room, say what was told, then go on when there is room again."""
    # Python ignores SIGXFSZ, so that a write beyond the limit fails with EFBIG.
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
    database = open_notes(path)
    number = 0
    try:
        while True:
            database.write(add(number, "x" * 2000), CALL)
            number += 1
    except StorageFull as error:
        say("full", error.code, number)
    say("reads", len(stored(database)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    database.write(add(number), CALL)
    say("writes", len(stored(database)))
    database.close()


def fork(path: Path, when: str) -> None:
    """Open, fork at a moment, and use the database on both sides."""
    database = open_notes(None if when == "memory" else path)
    database.write(add(1), CALL)
    stored(database)
    if when == "transaction":
        with database.transaction(CALL) as tx:
            tx.write(add(2), CALL)
            in_child(lambda: use(database, 3))
            tx.write(add(4), CALL)
    else:
        in_child(lambda: use(database, 3))
    use(database, 5)
    database.close()


def use(database: SqliteDatabase, note_id: int) -> None:
    """Write and read, and say which POSIX locks this process holds."""
    try:
        database.write(add(note_id), CALL)
        say("stored", *stored(database))
    except AureusError as error:
        say(type(error).__name__)
        return
    held = [line.split() for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines()]
    say("locks", any(fields[4] == str(os.getpid()) for fields in held))


def in_child(action: Callable[[], None]) -> None:
    """Do something in a forked child, and wait for its end."""
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    os.waitpid(child, 0)


def fork_busy(path: Path, children: int) -> None:
    """Fork again and again while other threads write; children write too, and outlive nothing they need."""
    database = open_notes(path)
    is_over = threading.Event()

    def work(thread: int) -> None:
        number = thread
        while not is_over.is_set():
            database.write(add(number), CALL)
            say(number)
            number += 2

    threads = [threading.Thread(target=work, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for child in range(children):
        in_child(partial(add_one, database, 1_000_000 + child))
    is_over.set()
    for thread in threads:
        thread.join()
    database.close()


def add_one(database: SqliteDatabase, number: int) -> None:
    """Add a note, and say so."""
    say(database.write(add(number), CALL))


def open_once(path: Path) -> None:
    """Wait for a line, then open the database of the product and close it."""
    say("ready")
    sys.stdin.readline()
    SqliteDatabase(path, sources()).close()
    say("opened")


def try_to_open(path: Path) -> None:
    """Say which error opening gives to a user who is not the superuser."""
    read_migrations("sqlite")  # The package may lie where that user cannot look.
    if os.geteuid() == 0:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    try:
        open_notes(path, is_new=False).close()
    except AureusError as error:
        say(type(error).__name__, error.message)
    else:
        say("opened")


def leave_open(path: Path) -> None:
    """Write, and end without closing."""
    database = open_notes(path)
    database.write(one("fill", first=1, size=20_000, body="x" * 400), CALL)
    say("written")


def in_threads(work: Callable[[int], None], number: int) -> None:
    """Run the work on so many threads."""
    threads = [threading.Thread(target=work, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(verb: str, path: str, *rest: str) -> None:
    """Run one program."""
    place = Path(path)
    verbs: dict[str, Callable[[], None]] = {
        "add": lambda: add_for_ever(place, int(rest[0])),
        "count": lambda: count(place, int(rest[0])),
        "fill": lambda: fill_up(place),
        "fork": lambda: fork(place, rest[0]),
        "fork-busy": lambda: fork_busy(place, int(rest[0])),
        "leave-open": lambda: leave_open(place),
        "make": lambda: make_tables(open_notes(place, is_new=False)),
        "open": lambda: open_once(place),
        "try": lambda: try_to_open(place),
    }
    verbs[verb]()


if __name__ == "__main__":
    main(*sys.argv[1:])

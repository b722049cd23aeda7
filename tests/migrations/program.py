"""Brings a PostgreSQL schema up to date in a process of its own: `python -m tests.migrations.program URL SCHEMA ROLE`.

It says that it is ready, waits for a line, so that many begin at the same moment, and says what it has done.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import psycopg

from aureus._database.postgres.migrations import Migrator, Target
from aureus.clock import SystemClock
from aureus.ids import RandomIds

ROOT: Final = Path(__file__).parents[2]


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a module of the tests that waits for a line."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def all_at_once(programs: list[subprocess.Popen[str]]) -> list[str]:
    """Wait until all are ready, let them go together, and return what each said last."""
    for program in programs:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        assert program.stdin is not None
        program.stdin.write("go\n")
        program.stdin.flush()
    said = [program.communicate(timeout=120)[0] for program in programs]
    assert [program.returncode for program in programs] == [0] * len(programs)
    return [out.splitlines()[-1] for out in said]


def main(url: str, schema: str, role: str) -> None:
    """Do it."""
    with psycopg.connect(url, autocommit=True) as connection:
        os.write(1, b"ready\n")
        sys.stdin.readline()
        migrator = Migrator(connection, Target("test", schema, role), SystemClock(), RandomIds())
        prepared = migrator.ensure(may_migrate=True)
    os.write(1, f"{len(prepared.applied)} {prepared.single_role}\n".encode())


if __name__ == "__main__":
    main(*sys.argv[1:])

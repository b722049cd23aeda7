"""Who is dead for certain, and who only may be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aureus.engine import identity
from aureus.engine.identity import is_dead, read_identity
from aureus.model.leases import ProcessIdentity

ME = read_identity()

pytestmark = pytest.mark.skipif(
    not ME.boot_id, reason="there is no /proc here: nobody is ever dead"
)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Give a process that waits for its end."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


def identity_of(process: subprocess.Popen[bytes]) -> ProcessIdentity:
    """Return the identity of a child."""
    life = identity._read_life(process.pid)
    assert life is not None
    return replace(ME, pid=process.pid, process_start=life.start)


def test_this_process_lives() -> None:
    assert ME.pid == os.getpid()
    assert ME.process_start
    assert not is_dead(ME, ME)
    assert read_identity() == ME


def test_a_process_that_runs_is_alive_and_one_that_was_killed_is_dead(
    child: subprocess.Popen[bytes],
) -> None:
    holder = identity_of(child)
    assert not is_dead(holder, ME)
    child.kill()
    child.wait()
    assert is_dead(holder, ME)


def test_a_process_is_dead_before_its_parent_has_noticed(child: subprocess.Popen[bytes]) -> None:
    holder = identity_of(child)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(holder, ME)


def test_a_pid_that_was_handed_out_again_is_another_process() -> None:
    assert is_dead(replace(ME, process_start="1"), ME)


@pytest.mark.parametrize(
    "holder",
    [
        replace(ME, pid=2**22 + 1, host="elsewhere"),
        replace(ME, pid=2**22 + 1, boot_id="another/1"),
        replace(ME, pid=2**22 + 1, boot_id=ME.boot_id.partition("/")[0] + "/7"),
        replace(ME, process_start=""),
    ],
    ids=["another host", "another boot", "another space of process ids", "unknown start"],
)
def test_nobody_is_dead_for_certain_whom_this_process_cannot_see(holder: ProcessIdentity) -> None:
    assert not is_dead(holder, ME)


def test_where_the_boot_is_unknown_nobody_is_dead() -> None:
    me = replace(ME, boot_id="")
    assert not is_dead(replace(me, pid=2**22 + 1), me)


def test_a_name_of_a_process_may_hold_brackets_and_blanks() -> None:
    script = "import ctypes; ctypes.CDLL(None).prctl(15, b') R 1 (', 0, 0, 0); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert identity_of(process).process_start.isdecimal()
        assert not is_dead(identity_of(process), ME)
        process.kill()

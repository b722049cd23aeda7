"""The folder in memory that tests write to: taken where it helps, given back whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import scratch
from tests.support.scratch import Scratch, memory_folder
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]

_KILLED_SESSION = """
import os, signal, sys, tempfile
from pathlib import Path
from tests.support.scratch import Scratch
Scratch(Path(sys.argv[1]))
print(tempfile.mkdtemp(), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def roomy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that is taken for memory with much room, and no wish of the caller's."""
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(scratch, "_BYTES_MIN", 0)
    return tmp_path


def test_memory_with_room_is_taken(roomy: Path) -> None:
    assert memory_folder(roomy) == roomy


def test_a_callers_folder_comes_first(roomy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(roomy))
    assert memory_folder(roomy) is None


def test_a_machine_without_such_memory_has_none(roomy: Path) -> None:
    assert memory_folder(roomy / "none") is None


def test_little_room_is_left_alone(roomy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_BYTES_MIN", 1 << 60)
    assert memory_folder(roomy) is None


def test_memory_whose_files_may_not_be_run_is_left_alone(
    roomy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers often have it so, and tools of the tests are programs."""
    forbids = SimpleNamespace(f_bavail=1 << 40, f_frsize=4096, f_flag=os.ST_NOEXEC)
    monkeypatch.setattr(os, "statvfs", lambda _: forbids)
    assert memory_folder(roomy) is None


def test_programs_are_told_and_everything_is_given_back(
    roomy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    made = Scratch(roomy)
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(made.path)
    (made.path / "left").write_text("behind", encoding="utf-8")
    made.close()
    assert "TMPDIR" not in os.environ
    assert not any(roomy.iterdir())


def test_a_killed_session_leaves_nothing_in_memory(roomy: Path) -> None:
    command = [sys.executable, "-c", _KILLED_SESSION, str(roomy)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert Path(done.stdout.strip()).is_relative_to(roomy)
    eventually(lambda: not any(roomy.iterdir()), "the folder is removed")

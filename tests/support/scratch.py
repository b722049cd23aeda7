"""The folder for everything a test session writes: in memory where the machine has room for it.

Most of a test's time on a disk goes into databases that live for a moment: hundreds of files made and removed, and a
flush for each commit. In memory the same calls cost nothing; that a process was killed makes no difference to either.
A caller who sets ``TMPDIR`` decides instead, and where there is no such memory, or little, the system's own temporary
folder serves. ``postgres_guard`` removes the folder when the session itself is killed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import psutil

from tests.support import postgres_guard

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private folder in it

_BYTES_MIN: Final = 2 * 1024**3
"""Room that must be free, there and in the machine's memory: one process of unit tests was seen to hold 0.7 GB."""


class Scratch:
    """A folder in memory that new processes take for the temporary one, until it is closed."""

    def __init__(self, parent: Path) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="aureus-", dir=parent))
        self.path.chmod(0o711)  # servers of root's run under another account, which passes here
        self._guard = guard(self.path)
        self._use(str(self.path))

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        self._use(None)
        shutil.rmtree(self.path, ignore_errors=True)
        self._guard.communicate()

    def _use(self, folder: str | None) -> None:
        if folder is None:
            del os.environ["TMPDIR"]
        else:
            os.environ["TMPDIR"] = folder
        tempfile.tempdir = None  # it is looked up anew


def memory_folder(folder: Path = _MEMORY) -> Path | None:
    """Return the folder in memory, or None where there is none, it is small, or its files may not be run."""
    if "TMPDIR" in os.environ or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        return None
    found = os.statvfs(folder)
    free = min(found.f_bavail * found.f_frsize, psutil.virtual_memory().available)
    return None if found.f_flag & os.ST_NOEXEC or free < _BYTES_MIN else folder


def guard(folder: Path) -> subprocess.Popen[bytes]:
    """Start the process that clears a folder up as soon as this one is gone."""
    command = [sys.executable, "-I", postgres_guard.__file__, str(folder)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

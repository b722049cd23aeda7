"""Clear up after a test session that had no time to do it: killed, crashed, or out of memory.

Started with a folder of the session's as its argument and a pipe from the test process as its input. The pipe ends when
the test process does, however it ended; then the servers with data somewhere under that folder are stopped and the
folder is removed. After an orderly end there is nothing left to do. Runs without any package, by ``python -I``.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

_POLLS_MAX = 600
_POLL_SECONDS = 0.05


def main(folder: Path) -> None:
    """Wait for the end of input, then stop what runs under the folder and remove it."""
    sys.stdin.buffer.read()
    for _ in range(_POLLS_MAX):
        for pid_file in folder.rglob("data/postmaster.pid"):
            _stop(pid_file)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        # Worker processes outlive the one that started them for a moment, and write.
        time.sleep(_POLL_SECONDS)  # noqa: TID251 - they are not our children, nothing signals their end


def _stop(pid_file: Path) -> None:
    """Stop the server that wrote the file and wait for its end."""
    try:
        pid = int(pid_file.read_text(encoding="utf-8").split("\n", 1)[0])
        if not _works_in(pid, pid_file.parent):
            return
        os.kill(pid, signal.SIGQUIT)
        for _ in range(_POLLS_MAX):
            os.kill(pid, 0)
            time.sleep(_POLL_SECONDS)  # noqa: TID251 - the process is not our child, nothing signals its end
    except (OSError, ValueError):
        return  # it has ended


def _works_in(pid: int, directory: Path) -> bool:
    """Return whether the number still belongs to the server: its working directory is its data directory."""
    if not Path("/proc/self/cwd").exists():
        return True  # macOS has no /proc; the file is the only witness
    return Path(f"/proc/{pid}/cwd").resolve() == directory


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A program that makes or destroys a person's key, or replaces the master key, and is killed before its n-th step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.subject_keys import key_folder_in

STEPS = {"open", "os.mkdir", "os.rename", "os.remove"}
"""What counts as a step, by the names of Python's audit events."""


def main(directory: str, what: str, step: int) -> None:
    """Do it, and be killed on the way."""
    count = 0

    def hook(event: str, args: tuple[Any, ...]) -> None:
        nonlocal count
        if event in STEPS and directory in str(args[0]):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)

    folder = key_folder_in(Path(directory))
    sys.addaudithook(hook)
    if what == "create":
        folder.get_or_create("acme", ["ada"])
    elif what == "destroy":
        for key_id in folder.find("acme", "ada"):
            folder.destroy("acme", "ada", key_id)
    else:
        folder.replace_master()


def is_killed(directory: Path, what: str, step: int) -> bool:
    """Run this program, and return whether there was such a step."""
    command = [sys.executable, __file__, str(directory), what, str(step)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, timeout=60, check=False)
    assert done.returncode in {0, -signal.SIGKILL}
    return done.returncode != 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

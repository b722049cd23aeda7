"""A program that is killed in the middle of an erasure, after the n-th batch has begun and before it is committed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from aureus import Aureus
from aureus.erasing import batches
from aureus.stores import erasures
from tests.support.backends import settings_for
from tests.support.person import ERASED_WITH, NAME


def main(url: str, folder: Path, batch: int) -> None:
    """Erase, and be killed."""
    batches.BATCH_MAX, erasures.ENTRIES_MAX = 2, 3
    original, count = erasures.erase_payloads, 0

    def killing(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        yield from original(*args, **kwargs)
        if count == batch:
            os.kill(os.getpid(), signal.SIGKILL)

    erasures.erase_payloads = killing
    settings = settings_for(url, folder)
    with Aureus(settings=settings) as client:
        client.erasure.erase(NAME, reason="request 17", **ERASED_WITH)  # type: ignore[arg-type]  # both lists


def be_killed(url: str, folder: Path, batch: int) -> None:
    """Run this program on a database, and see that it is killed in the n-th batch."""
    command = [sys.executable, __file__, url, str(folder), str(batch)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    killed = subprocess.run(command, env=environment, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))

"""Writers of a run log are killed with SIGKILL at random moments; the log has exactly one line per event."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aureus.runlog import RunLogReader
from aureus.runlog.format import format_event
from tests.faults import runlog_appender
from tests.faults.runlog_appender import RUN, Database, log_of

KILLS = 150
SEED = 20260113


@pytest.mark.parametrize("writers", [1, 2])
def test_killed_writers_leave_one_line_per_event(tmp_path: Path, writers: int) -> None:
    drill = subprocess.run(
        [sys.executable, runlog_appender.__file__, tmp_path, str(KILLS), str(writers), str(SEED)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert drill.returncode == 0, drill.stderr
    assert drill.stderr == ""
    kills, torn = map(int, drill.stdout.split())
    assert kills >= 20, f"{kills} kills, {torn} torn lines (seed {SEED})"

    database = Database(tmp_path / "database")
    committed = list(database.read_missing(0))
    logged = log_of(tmp_path).append(RUN, [], database.read_missing)

    assert logged == len(committed)
    path = tmp_path / "logs" / RUN / "events.log"
    with path.open("rb") as log:
        for event, line in zip(committed, log, strict=True):
            assert line == format_event(event, "default"), f"version {event.version} (seed {SEED})"
    assert RunLogReader(tmp_path / "logs", "default").tail(RUN, 1)[0]["version"] == len(committed)

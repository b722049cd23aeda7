"""Run logs lose what erased events said, in one step, and stay a projection of their stream."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aureus.errors import LogDamaged
from aureus.runlog import FsyncPolicy, RunLog, RunLogReader
from aureus.runlog.redaction import redact
from tests.unit.runlog.factory import make_event


def log_of(folder: Path) -> Path:
    """Return the file."""
    return folder / "r_1" / "events.log"


def write(folder: Path, count: int) -> RunLog:
    """Write a log of some events."""
    log = RunLog(folder, "acme", fsync=FsyncPolicy.NEVER)
    log.append("r_1", [make_event("r_1", n + 1, payload={"word": f"w{n}"}) for n in range(count)])
    return log


def folder_of(tmp_path: Path) -> Path:
    """Return where the logs of the tenant are."""
    return tmp_path / "@acme"


def test_lines_lose_what_they_said_and_a_repeat_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, 4)
    assert redact(tmp_path, "acme", "r_1", [2, 4, 9]) == 2
    content = log_of(folder_of(tmp_path)).read_bytes()
    assert b"w0" in content
    assert b"w1" not in content
    assert redact(tmp_path, "acme", "r_1", [2, 4]) == 0
    assert log_of(folder_of(tmp_path)).read_bytes() == content
    assert [path.name for path in log_of(folder_of(tmp_path)).parent.iterdir()] == ["events.log"]


def test_a_run_without_a_log_has_nothing_to_lose(tmp_path: Path) -> None:
    assert redact(tmp_path, "acme", "r_1", [1]) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_torn_end_goes_and_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    write(tmp_path, 2)
    file = log_of(folder_of(tmp_path))
    file.with_name("events.log.new").write_text("left behind")
    with file.open("ab") as end:
        end.write(b'{"timestamp": "torn w7')
    assert redact(tmp_path, "acme", "r_1", [1]) == 1
    assert [line["version"] for line in RunLogReader(tmp_path, "acme").read("r_1")] == [1, 2]
    assert b"torn" not in file.read_bytes()


def test_a_damaged_log_is_left_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, 2)
    file = log_of(folder_of(tmp_path))
    content = file.read_bytes().replace(b'"version":1', b'"version":7')
    file.write_bytes(content)
    with pytest.raises(LogDamaged):
        redact(tmp_path, "acme", "r_1", [2])
    assert file.read_bytes() == content


def test_writers_go_on_while_lines_are_taken_out(tmp_path: Path) -> None:
    write(tmp_path, 1)

    def append(writer: int) -> None:
        log = RunLog(tmp_path, "acme", fsync=FsyncPolicy.NEVER)
        for number in range(2, 80):
            events = [make_event("r_1", n, payload={"word": f"w{n}"}) for n in range(1, number + 1)]
            log.append("r_1", events)
        assert writer in {0, 1}

    def take_out() -> None:
        for number in range(1, 40):
            redact(tmp_path, "acme", "r_1", range(1, number + 1))

    with ThreadPoolExecutor(3) as pool:
        for future in [pool.submit(append, 0), pool.submit(append, 1), pool.submit(take_out)]:
            future.result(60)
    redact(tmp_path, "acme", "r_1", range(1, 40))
    lines = list(RunLogReader(tmp_path, "acme").read("r_1"))
    assert [line["version"] for line in lines] == list(range(1, 80))
    assert [line.get("redacted", False) for line in lines] == [True] * 39 + [False] * 40

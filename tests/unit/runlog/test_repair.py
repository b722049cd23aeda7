"""Whatever a crash leaves at the end of a log is mended by the next append; other damage is reported, never hidden."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aureus.errors import LogDamaged
from aureus.runlog import FsyncPolicy, RunLog, RunLogReader, TornTail, parse_line, scan
from aureus.runlog.format import format_event
from tests.unit.runlog.factory import file_of, log_path, make_event, make_events, reading

RUN = "r_1"
STORED = make_events(RUN, 1, 7)
WHOLE = file_of(STORED[:6])
"""The log before event 7 is appended."""
FOREIGN = b'{"timestamp":"2026-01-13T00:00:00.000Z","type":"TASK_STARTED","workflowId":"w-1"}\n'
LINES = WHOLE.splitlines(keepends=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log_path(tmp_path, RUN).parent.mkdir()
    return log_path(tmp_path, RUN)


def a_writer(directory: Path) -> RunLog:
    return RunLog(directory, "default", fsync=FsyncPolicy.NEVER)


def test_a_log_cut_at_any_byte_of_its_last_three_records_is_mended(
    tmp_path: Path, path: Path
) -> None:
    for length in range(len(b"".join(LINES[:3])), len(WHOLE) + 1):
        path.write_bytes(WHOLE[:length])
        assert a_writer(tmp_path).append(RUN, STORED[6:], reading(STORED)) == 7
        assert path.read_bytes() == file_of(STORED), f"cut at byte {length}"


def test_a_log_cut_behind_the_back_of_its_writer_is_mended(tmp_path: Path, path: Path) -> None:
    log = a_writer(tmp_path)
    for length in range(len(b"".join(LINES[:3])), len(WHOLE) + 1):
        log.append(RUN, STORED[:6], reading(STORED))
        path.write_bytes(WHOLE[:length])
        assert log.append(RUN, STORED[6:], reading(STORED)) == 7
        assert path.read_bytes() == file_of(STORED), f"cut at byte {length}"


def test_a_reader_sees_the_whole_records_and_one_torn_tail(tmp_path: Path, path: Path) -> None:
    ends = [len(b"".join(LINES[:count])) for count in range(7)]
    for length in range(ends[3], len(WHOLE) + 1):
        path.write_bytes(WHOLE[:length])
        torn: list[TornTail] = []
        reader = RunLogReader(tmp_path, "default")
        read = list(reader.read(RUN, on_torn_tail=torn.append))

        complete = max(count for count in range(7) if ends[count] <= length)
        assert [record["version"] for record in read] == list(range(1, complete + 1))
        assert torn == (
            [] if length in ends else [TornTail(path, ends[complete], length - ends[complete])]
        )
        assert reader.tail(RUN, 2) == read[-2:]
        assert path.read_bytes() == WHOLE[:length]


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x08, 0x20, 0x80, 0xFF])
def test_a_flipped_byte_of_the_last_record_never_makes_two_lines_of_one_event(
    tmp_path: Path, path: Path, mask: int
) -> None:
    mended = reported = 0
    start = len(WHOLE) - len(LINES[-1])
    for offset in range(start, len(WHOLE)):
        flipped = bytearray(WHOLE)
        flipped[offset] ^= mask
        path.write_bytes(flipped)
        damage: LogDamaged | None = None
        try:
            a_writer(tmp_path).append(RUN, STORED[6:], reading(STORED))
        except LogDamaged as error:
            damage = error
        if damage is not None:
            reported += 1
            assert damage.offset == start
            assert path.read_bytes() == flipped
        else:
            mended += path.read_bytes() == file_of(STORED)
            lines = path.read_bytes().splitlines(keepends=True)
            versions = [parse_line(line)["version"] for line in lines]
            assert versions == [1, 2, 3, 4, 5, 6, 7], f"flipped byte {offset}"
            assert lines[:5] == LINES[:5]
    assert mended
    if mask < 0x80:  # higher bits leave no ASCII character one, so never a line that could be read
        assert reported


@pytest.mark.parametrize(
    "tail",
    [
        bytes(1),
        bytes(70_000),
        b"{",
        b"\n",
        b"garbage\n",
        b"\xff\xfe",
        b'{"timestamp":"t","type":"X"',
        LINES[5].rstrip(b"\n"),
        LINES[5][:-2] + b"\n",
    ],
)
def test_what_a_power_failure_may_leave_at_the_end_is_taken_away(
    tmp_path: Path, path: Path, tail: bytes
) -> None:
    path.write_bytes(file_of(STORED[:5]) + tail)
    assert a_writer(tmp_path).append(RUN, STORED[5:], reading(STORED)) == 7
    assert path.read_bytes() == file_of(STORED)


@pytest.mark.parametrize(
    ("changed", "offset_line"),
    [
        pytest.param({2: b"garbage\n"}, 2, id="garbage"),
        pytest.param({2: b"\n"}, 2, id="an empty line"),
        pytest.param({2: b""}, 2, id="a line is missing"),
        pytest.param({2: LINES[2] * 2}, 3, id="a line twice"),
        pytest.param({2: LINES[3], 3: LINES[2]}, 2, id="lines in another order"),
        pytest.param({0: b""}, 0, id="the first line is missing"),
        pytest.param({2: LINES[2][:40], 3: LINES[3][40:]}, 2, id="glued lines"),
        pytest.param({5: LINES[4]}, 5, id="the last line is the one before"),
        pytest.param({5: FOREIGN}, 5, id="another program"),
        pytest.param({5: LINES[5].replace(b"eventId", b"eventNo")}, 5, id="no event id"),
        pytest.param({5: format_event(make_event("r_2", 6), "default")}, 5, id="another run"),
        pytest.param({5: format_event(make_event(RUN, 6), "acme")}, 5, id="another tenant"),
    ],
)
def test_damage_is_reported_with_its_offset_and_nothing_is_changed(
    tmp_path: Path, path: Path, changed: dict[int, bytes], offset_line: int
) -> None:
    lines = [changed.get(number, line) for number, line in enumerate(LINES)]
    path.write_bytes(b"".join(lines))
    offset = len(b"".join(LINES[:offset_line]))

    with pytest.raises(LogDamaged, match="move its folder away") as of_writer:
        a_writer(tmp_path).append(RUN, STORED[6:], reading(STORED))
    with pytest.raises(LogDamaged) as of_reader:
        list(RunLogReader(tmp_path, "default").read(RUN))

    assert of_writer.value.offset == of_reader.value.offset == offset
    assert of_writer.value.run_id == RUN
    assert path.read_bytes() == b"".join(lines)


def test_a_line_beyond_the_limit_is_damage(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "LINE_BYTES_MAX", 1000)
    monkeypatch.setattr(scan, "_BLOCK_BYTES", 100)
    path.write_bytes(WHOLE + b"x" * 1001)
    reader = RunLogReader(tmp_path, "default")

    with pytest.raises(LogDamaged):
        a_writer(tmp_path).append(RUN, STORED[6:])
    with pytest.raises(LogDamaged):
        list(reader.read(RUN))
    with pytest.raises(LogDamaged, match="more than 1,000 bytes"):
        reader.tail(RUN, 1)
    path.write_bytes(WHOLE + b"x" * 900)
    assert reader.tail(RUN, 1)[0]["version"] == 6


def test_the_remedy_for_damage_works(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"garbage\n" + WHOLE)
    log = a_writer(tmp_path)
    with pytest.raises(LogDamaged):
        log.append(RUN, STORED[6:], reading(STORED))

    path.parent.rename(tmp_path / "looked-at-later")
    assert log.append(RUN, STORED[6:], reading(STORED)) == 7
    assert path.read_bytes() == file_of(STORED)


def test_a_log_that_an_editor_saved_with_other_line_ends_goes_on(
    tmp_path: Path, path: Path
) -> None:
    path.write_bytes(WHOLE.replace(b"\n", b"\r\n"))
    assert a_writer(tmp_path).append(RUN, STORED[6:], reading(STORED)) == 7
    assert [record["version"] for record in RunLogReader(tmp_path, "default").read(RUN)] == [
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    ]


class AnyCrash(RuleBasedStateMachine):
    """Two writers, commits, lost lines, torn tails and removed folders, in any order."""

    directory: Path

    @initialize()
    def start(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        self.committed = 0
        self.writers = [a_writer(self.directory), a_writer(self.directory)]

    @rule(count=st.integers(1, 3))
    def commit(self, count: int) -> None:
        self.committed += count

    @precondition(lambda self: self.committed)
    @rule(which=st.integers(0, 1), choice=st.data())
    def append(self, which: int, choice: st.DataObject) -> None:
        first = choice.draw(st.integers(1, self.committed))
        stored = make_events(RUN, 1, self.committed)
        last = self.writers[which].append(RUN, stored[first - 1 :], reading(stored))
        assert last == self.committed
        assert log_path(self.directory, RUN).read_bytes() == file_of(stored)

    @rule(which=st.integers(0, 1))
    def restart(self, which: int) -> None:
        self.writers[which] = a_writer(self.directory)

    @rule(size=st.integers(1, 900))
    def lose_the_end(self, size: int) -> None:
        path = log_path(self.directory, RUN)
        if path.exists():
            path.write_bytes(path.read_bytes()[:-size])

    @rule(junk=st.binary(min_size=1, max_size=30).filter(lambda junk: b"\n" not in junk))
    def leave_a_torn_tail(self, junk: bytes) -> None:
        path = log_path(self.directory, RUN)
        if path.exists() and path.read_bytes()[-1:] in {b"\n", b""}:
            path.write_bytes(path.read_bytes() + junk)

    @rule()
    def remove(self) -> None:
        shutil.rmtree(log_path(self.directory, RUN).parent, ignore_errors=True)

    @invariant()
    def every_event_has_at_most_one_line(self) -> None:
        path = log_path(self.directory, RUN) if self.committed else None
        if path is not None and path.exists():
            read: list[dict[str, Any]] = list(RunLogReader(self.directory, "default").read(RUN))
            assert [record["version"] for record in read] == list(range(1, len(read) + 1))


def test_a_log_survives_any_order_of_crashes(tmp_path: Path) -> None:
    class Machine(AnyCrash):
        directory = tmp_path / "logs"

    machine = settings(
        max_examples=60,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    Machine.TestCase.settings = machine
    Machine.TestCase("runTest").runTest()

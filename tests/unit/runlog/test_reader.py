"""Readers give the records of a run, and change and block nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aureus.errors import Invalid, LogDamaged, NotFound
from aureus.runlog import FsyncPolicy, RunLog, RunLogReader, parse_line
from tests.unit.runlog.factory import file_of, log_path, make_event, make_events

RUN = "r_1"


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path, "default", fsync=FsyncPolicy.NEVER)


@pytest.fixture
def reader(tmp_path: Path) -> RunLogReader:
    return RunLogReader(tmp_path, "default")


def test_the_records_of_a_run_come_in_the_order_of_its_stream(
    log: RunLog, reader: RunLogReader
) -> None:
    log.append(RUN, make_events(RUN, 1, 5))
    lines = file_of(make_events(RUN, 1, 5)).splitlines()
    assert list(reader.read(RUN)) == [parse_line(line) for line in lines]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 9])
def test_the_tail_is_the_newest_records_oldest_first(
    log: RunLog, reader: RunLogReader, count: int
) -> None:
    log.append(RUN, make_events(RUN, 1, 5))
    assert [record["version"] for record in reader.tail(RUN, count)] == [1, 2, 3, 4, 5][
        max(5 - count, 0) :
    ]


def test_records_of_any_length_are_read_from_either_end(log: RunLog, reader: RunLogReader) -> None:
    sizes = [1, 65_000, 65_536, 200_000, 3_000_000, 10, 131_072, 1]
    events = [
        make_event(RUN, version, payload={"note": "x" * size})
        for version, size in enumerate(sizes, start=1)
    ]
    log.append(RUN, events)
    read = list(reader.read(RUN))
    assert [len(record["data"]["note"]) for record in read] == sizes
    for count in range(len(sizes) + 1):
        assert reader.tail(RUN, count) == read[len(sizes) - count :]


def test_a_long_line_at_the_end_is_read_in_few_calls(
    log: RunLog, reader: RunLogReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(RUN, [make_event(RUN, 1, payload={"note": "x" * 4_000_000})])
    pread = os.pread
    lengths: list[int] = []

    def counted(descriptor: int, length: int, offset: int) -> bytes:
        lengths.append(length)
        return pread(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", counted)
    assert reader.tail(RUN, 1)[0]["version"] == 1
    assert len(lengths) < 10


def test_a_run_without_a_log_is_not_found_and_nothing_is_made(tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "missing"):
        for tenant in ("default", "acme"):
            reader = RunLogReader(directory, tenant)
            with pytest.raises(NotFound, match="no run log"):
                list(reader.read(RUN))
            with pytest.raises(NotFound):
                reader.tail(RUN, 1)
            assert reader.run_ids() == []
    assert list(tmp_path.iterdir()) == []


def test_a_tail_of_fewer_than_no_records_is_refused(reader: RunLogReader) -> None:
    with pytest.raises(Invalid):
        reader.tail(RUN, -1)


def test_the_tail_reports_damage_that_it_meets(
    log: RunLog, reader: RunLogReader, tmp_path: Path
) -> None:
    log.append(RUN, make_events(RUN, 1, 5))
    lines = log_path(tmp_path, RUN).read_bytes().splitlines(keepends=True)
    log_path(tmp_path, RUN).write_bytes(b"".join([*lines[:2], b"garbage\n", *lines[3:]]))

    assert [record["version"] for record in reader.tail(RUN, 2)] == [4, 5]
    with pytest.raises(LogDamaged) as damage:
        reader.tail(RUN, 3)
    assert damage.value.offset == len(lines[0] + lines[1])

    log_path(tmp_path, RUN).write_bytes(b"".join([*lines[:2], *lines[3:]]))
    with pytest.raises(LogDamaged, match="version 2"):
        reader.tail(RUN, 3)


def test_a_slow_reader_stops_no_writer_and_ends_where_the_log_ended(
    log: RunLog, reader: RunLogReader
) -> None:
    log.append(RUN, make_events(RUN, 1, 3))
    slow = reader.read(RUN)
    assert next(slow)["version"] == 1
    log.append(RUN, make_events(RUN, 4, 4))
    assert [record["version"] for record in slow] == [2, 3]


def test_a_log_cut_while_it_is_read_ends_early(
    log: RunLog, reader: RunLogReader, tmp_path: Path
) -> None:
    events = [make_event(RUN, version, payload={"note": "x" * 70_000}) for version in range(1, 5)]
    log.append(RUN, events)
    slow = reader.read(RUN)
    assert next(slow)["version"] == 1
    log_path(tmp_path, RUN).write_bytes(file_of(events[:1]))
    assert list(slow) == []


def test_the_runs_of_a_tenant_are_listed_by_their_ids(tmp_path: Path) -> None:
    runs = ["r_1", "Tides 1", "../x", "con", "é" * 200, "x" * 512]
    for tenant, mine in (("default", runs), ("acme", runs[:2])):
        log = RunLog(tmp_path, tenant, fsync=FsyncPolicy.NEVER)
        for run in mine:
            log.append(run, make_events(run, 1, 1))
    (tmp_path / "A folder of somebody").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / ("x" * 78 + "~" + "0" * 64)).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "r_1")

    assert sorted(RunLogReader(tmp_path, "default").run_ids()) == sorted(runs)
    assert sorted(RunLogReader(tmp_path, "acme").run_ids()) == sorted(runs[:2])

"""A log gets one line per event, in order, whoever writes it and however often."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aureus import runlog
from aureus.clock import ManualClock
from aureus.errors import IntegrityFailure, Invalid, LogDamaged, StorageFull
from aureus.model.events import Event
from aureus.runlog import FsyncPolicy, RunLog, scan, writer
from tests.unit.runlog.factory import file_of, log_path, make_event, make_events, reading

RUN = "tides-1"


@pytest.fixture
def log(tmp_path: Path) -> RunLog:
    return RunLog(tmp_path / "var" / "run", "default", fsync=FsyncPolicy.NEVER)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return log_path(tmp_path / "var" / "run", RUN)


class Calls:
    """Counts the calls of one function of the operating system, and can make them fail."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str) -> None:
        self.count = 0
        self.fails_with: int | None = None
        self._original = getattr(os, name)
        patch.setattr(os, name, self)

    def __call__(self, *arguments: object) -> object:
        self.count += 1
        if self.fails_with is not None:
            raise OSError(self.fails_with, os.strerror(self.fails_with))
        return self._original(*arguments)


@pytest.fixture
def fsync(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch, "fsync")


class TestProjection:
    def test_events_become_lines_and_the_last_version_is_returned(
        self, log: RunLog, path: Path
    ) -> None:
        assert log.append(RUN, make_events(RUN, 1, 2)) == 2
        assert log.append(RUN, make_events(RUN, 3, 3)) == 3
        assert path.read_bytes() == file_of(make_events(RUN, 1, 3))

    def test_repeating_an_append_changes_nothing(self, log: RunLog, path: Path) -> None:
        for _ in range(3):
            assert log.append(RUN, make_events(RUN, 1, 3)) == 3
        assert log.append(RUN, make_events(RUN, 2, 2)) == 3
        assert path.read_bytes() == file_of(make_events(RUN, 1, 3))

    def test_an_append_that_overlaps_the_log_adds_what_is_new(
        self, log: RunLog, path: Path
    ) -> None:
        log.append(RUN, make_events(RUN, 1, 3))
        assert log.append(RUN, make_events(RUN, 2, 5)) == 5
        assert path.read_bytes() == file_of(make_events(RUN, 1, 5))

    def test_a_gap_is_filled_from_the_database(self, log: RunLog, path: Path) -> None:
        asked: list[int] = []

        def read_missing(after: int) -> Iterator[Event]:
            asked.append(after)
            yield from make_events(RUN, after + 1, 9)

        log.append(RUN, make_events(RUN, 1, 2))
        assert log.append(RUN, make_events(RUN, 5, 6), read_missing) == 6
        assert asked == [2]
        assert path.read_bytes() == file_of(make_events(RUN, 1, 6))

    def test_a_gap_between_the_given_events_is_filled_too(self, log: RunLog, path: Path) -> None:
        given = [make_event(RUN, version) for version in (1, 4, 5, 8)]
        assert log.append(RUN, given, reading(make_events(RUN, 1, 8))) == 8
        assert path.read_bytes() == file_of(make_events(RUN, 1, 8))

    def test_without_events_the_log_catches_up_with_the_database(
        self, log: RunLog, path: Path
    ) -> None:
        log.append(RUN, make_events(RUN, 1, 2))
        assert log.append(RUN, [], reading(make_events(RUN, 1, 7))) == 7
        assert log.append(RUN, [], reading(make_events(RUN, 1, 7))) == 7
        assert path.read_bytes() == file_of(make_events(RUN, 1, 7))

    def test_the_database_is_not_asked_when_nothing_is_missing(self, log: RunLog) -> None:
        def read_missing(after: int) -> Iterator[Event]:
            raise AssertionError(f"asked for the events after {after}")

        log.append(RUN, make_events(RUN, 1, 2), read_missing)
        assert log.append(RUN, make_events(RUN, 2, 3), read_missing) == 3

    def test_an_error_of_the_database_passes_and_leaves_the_log_usable(
        self, log: RunLog, path: Path
    ) -> None:
        def read_missing(after: int) -> Iterator[Event]:
            yield make_event(RUN, after + 1)
            raise ConnectionResetError(errno.ECONNRESET, "gone")

        log.append(RUN, make_events(RUN, 1, 2))
        with pytest.raises(ConnectionResetError):
            log.append(RUN, make_events(RUN, 5, 5), read_missing)
        assert path.read_bytes() == file_of(make_events(RUN, 1, 2))
        assert log.append(RUN, make_events(RUN, 3, 3)) == 3

    def test_a_log_that_lags_far_behind_is_written_in_several_calls(
        self, log: RunLog, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "BATCH_BYTES", 1000)
        assert log.append(RUN, [], reading(make_events(RUN, 1, 50))) == 50
        assert path.read_bytes() == file_of(make_events(RUN, 1, 50))

    def test_an_append_is_one_write(self, log: RunLog, monkeypatch: pytest.MonkeyPatch) -> None:
        writes = Calls(monkeypatch, "write")
        log.append(RUN, make_events(RUN, 1, 50))
        assert writes.count == 1

    def test_a_system_that_takes_a_few_bytes_at_a_time_gets_the_whole_line(
        self, log: RunLog, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write

        def write_a_little(descriptor: int, content: memoryview) -> int:
            return write(descriptor, content[:7])

        monkeypatch.setattr(os, "write", write_a_little)
        log.append(RUN, make_events(RUN, 1, 3))
        assert path.read_bytes() == file_of(make_events(RUN, 1, 3))


class TestRefusals:
    def test_a_gap_that_cannot_be_read_is_refused(self, log: RunLog, path: Path) -> None:
        log.append(RUN, make_events(RUN, 1, 2))
        with pytest.raises(Invalid, match="read_missing"):
            log.append(RUN, make_events(RUN, 4, 4))
        assert path.read_bytes() == file_of(make_events(RUN, 1, 2))

    @pytest.mark.parametrize("stored", [[1, 2, 4], [1, 2], [], [1, 2, 3, 3], [2, 1]])
    def test_a_gap_of_the_database_is_an_integrity_failure(
        self, log: RunLog, path: Path, stored: list[int]
    ) -> None:
        events = [make_event(RUN, version) for version in stored]
        with pytest.raises(IntegrityFailure, match="the database"):
            log.append(RUN, make_events(RUN, 5, 5), lambda after: events)
        assert path.read_bytes() == b""

    def test_events_of_another_run_from_the_database_are_an_integrity_failure(
        self, log: RunLog
    ) -> None:
        with pytest.raises(IntegrityFailure, match="runs/other"):
            log.append(RUN, make_events(RUN, 2, 2), reading(make_events("other", 1, 2)))

    @pytest.mark.parametrize("events", [make_events("other", 1, 1), make_events(RUN, 1, 2)[::-1]])
    def test_events_that_are_not_in_order_or_of_another_run_are_refused(
        self, log: RunLog, tmp_path: Path, events: list[Event]
    ) -> None:
        with pytest.raises(Invalid):
            log.append(RUN, events)
        assert list(tmp_path.iterdir()) == []

    def test_another_history_than_that_of_the_log_is_refused(self, log: RunLog, path: Path) -> None:
        log.append(RUN, make_events(RUN, 1, 5))
        with pytest.raises(LogDamaged, match="version 4"):
            log.append(
                RUN, [make_event(RUN, 3), make_event(RUN, 4, event_id="f" * 32), make_event(RUN, 6)]
            )
        assert path.read_bytes() == file_of(make_events(RUN, 1, 5))


class TestWhatIsRemembered:
    @pytest.fixture
    def scanned(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        """Give the parts of files that writers read, as (from, to)."""
        parts: list[tuple[int, int]] = []

        def spy(descriptor: int, owner: scan.Owner, start: scan.Position, size: int) -> object:
            parts.append((start.offset, size))
            return scan.records(descriptor, owner, start, size)

        monkeypatch.setattr(writer, "records", spy)
        return parts

    def test_an_append_reads_only_what_somebody_else_wrote(
        self, log: RunLog, path: Path, tmp_path: Path, scanned: list[tuple[int, int]]
    ) -> None:
        log.append(RUN, make_events(RUN, 1, 3))
        log.append(RUN, make_events(RUN, 4, 4))
        other = RunLog(tmp_path / "var" / "run", "default", fsync=FsyncPolicy.NEVER)
        other.append(RUN, make_events(RUN, 5, 5))
        log.append(RUN, make_events(RUN, 6, 6))

        size = [len(file_of(make_events(RUN, 1, version))) for version in range(7)]
        assert scanned == [(0, 0), (size[3], size[3]), (0, size[4]), (size[4], size[5])]
        assert path.read_bytes() == file_of(make_events(RUN, 1, 6))

    @pytest.mark.parametrize("loss", ["folder", "file", "content", "replaced"])
    def test_a_log_that_was_removed_is_written_again(
        self, log: RunLog, path: Path, loss: str
    ) -> None:
        log.append(RUN, make_events(RUN, 1, 4))
        if loss == "folder":
            shutil.rmtree(path.parent)
        elif loss == "file":
            path.unlink()
        elif loss == "content":
            path.write_bytes(b"")
        else:
            (path.parent / "new").write_bytes(file_of(make_events(RUN, 1, 2)))
            (path.parent / "new").replace(path)
        assert log.append(RUN, make_events(RUN, 5, 5), reading(make_events(RUN, 1, 5))) == 5
        assert path.read_bytes() == file_of(make_events(RUN, 1, 5))

    def test_another_file_of_the_same_length_is_read_from_its_beginning(
        self, log: RunLog, path: Path
    ) -> None:
        log.append(RUN, make_events(RUN, 1, 4))
        changed = path.read_bytes().replace(b'"version":2', b'"version":3')
        (path.parent / "new").write_bytes(changed)
        (path.parent / "new").replace(path)
        with pytest.raises(LogDamaged, match="version 2 belongs"):
            log.append(RUN, make_events(RUN, 5, 5))

    def test_a_log_whose_disk_failed_is_read_from_its_beginning(
        self,
        log: RunLog,
        scanned: list[tuple[int, int]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        log.append(RUN, make_events(RUN, 1, 2))
        with monkeypatch.context() as patch:
            Calls(patch, "write").fails_with = errno.EIO
            with pytest.raises(IntegrityFailure, match="cannot write"):
                log.append(RUN, make_events(RUN, 3, 3))
        log.append(RUN, make_events(RUN, 3, 3))
        assert scanned[-1] == (0, len(file_of(make_events(RUN, 1, 2))))

    def test_the_run_that_waited_longest_is_forgotten_first(
        self, log: RunLog, scanned: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "RUNS_REMEMBERED_MAX", 2)
        for run, version in ((RUN, 1), ("b", 1), (RUN, 2), ("c", 1), (RUN, 3)):
            log.append(run, make_events(run, version, version))
        size = len(file_of(make_events(RUN, 1, 2)))
        assert scanned[-1] == (size, size)

    def test_runs_beyond_the_bound_are_read_again(
        self,
        log: RunLog,
        path: Path,
        scanned: list[tuple[int, int]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(writer, "RUNS_REMEMBERED_MAX", 2)
        for run in (RUN, "b", "c", RUN):
            log.append(run, make_events(run, 1, 1))
        log.append(RUN, make_events(RUN, 2, 2))
        size = len(file_of(make_events(RUN, 1, 1)))
        assert scanned == [(0, 0), (0, 0), (0, 0), (0, size), (size, size)]
        assert path.read_bytes() == file_of(make_events(RUN, 1, 2))

    def test_no_descriptor_is_kept_for_a_run(self, log: RunLog) -> None:
        log.append("r-0", make_events("r-0", 1, 1))
        before = len(list(Path("/dev/fd").iterdir()))
        for number in range(200):
            log.append(f"r-{number}", make_events(f"r-{number}", 1, 2))
        assert len(list(Path("/dev/fd").iterdir())) == before


class TestSync:
    def test_always_syncs_every_append(self, tmp_path: Path, fsync: Calls) -> None:
        log = RunLog(tmp_path, "default", fsync=FsyncPolicy.ALWAYS)
        log.append(RUN, make_events(RUN, 1, 1))
        assert fsync.count == 3  # the folder, the log directory, the file
        log.append(RUN, make_events(RUN, 2, 9))
        assert fsync.count == 4
        log.append(RUN, make_events(RUN, 9, 9))
        assert fsync.count == 4
        log.close()
        assert fsync.count == 4

    def test_new_parents_of_the_log_directory_are_synced(
        self, tmp_path: Path, fsync: Calls
    ) -> None:
        RunLog(tmp_path / "a" / "b", "default", fsync=FsyncPolicy.ALWAYS).append(
            RUN, make_events(RUN, 1, 1)
        )
        assert fsync.count == 2 + 3

    def test_always_syncs_what_a_dead_writer_did_not(self, tmp_path: Path, fsync: Calls) -> None:
        RunLog(tmp_path, "default", fsync=FsyncPolicy.NEVER).append(RUN, make_events(RUN, 1, 2))
        assert fsync.count == 0
        RunLog(tmp_path, "default", fsync=FsyncPolicy.ALWAYS).append(RUN, make_events(RUN, 2, 2))
        assert fsync.count == 1

    def test_interval_syncs_once_a_second_and_on_close(self, tmp_path: Path, fsync: Calls) -> None:
        clock = ManualClock()
        log = RunLog(tmp_path, "default", fsync=FsyncPolicy.INTERVAL, clock=clock)
        log.append(RUN, make_events(RUN, 1, 1))
        first = fsync.count
        log.append(RUN, make_events(RUN, 2, 2))
        clock.advance(0.9)
        log.append(RUN, make_events(RUN, 3, 3))
        assert fsync.count == first
        clock.advance(0.1)
        log.append(RUN, make_events(RUN, 4, 4))
        assert fsync.count == first + 1
        log.append(RUN, make_events(RUN, 5, 5))
        log.close()
        log.close()
        assert fsync.count == first + 2

    def test_interval_syncs_a_run_that_is_forgotten(
        self, tmp_path: Path, fsync: Calls, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(writer, "RUNS_REMEMBERED_MAX", 1)
        log = RunLog(tmp_path, "default", fsync=FsyncPolicy.INTERVAL, clock=ManualClock())
        log.append("a", make_events("a", 1, 1))
        log.append("a", make_events("a", 2, 2))
        assert fsync.count == 3
        log.append("b", make_events("b", 1, 1))
        assert fsync.count == 3 + 3 + 1

    def test_close_leaves_a_log_alone_that_was_removed_or_made_anew(
        self, tmp_path: Path, fsync: Calls
    ) -> None:
        log = RunLog(tmp_path, "default", fsync=FsyncPolicy.INTERVAL, clock=ManualClock())
        for run in ("a", "b", "c"):
            log.append(run, make_events(run, 1, 1))
            log.append(run, make_events(run, 2, 2))
        shutil.rmtree(tmp_path / "a")
        log_path(tmp_path, "b").rename(tmp_path / "b" / "old")
        log_path(tmp_path, "c").rename(tmp_path / "c" / "old")
        log_path(tmp_path, "c").write_bytes(file_of(make_events("c", 1, 2)))
        before = fsync.count
        log.close()
        assert fsync.count == before
        assert not (tmp_path / "a").exists()
        assert not log_path(tmp_path, "b").exists()

    def test_taking_back_never_makes_a_log_longer(self, tmp_path: Path, fsync: Calls) -> None:
        log = RunLog(tmp_path, "default", fsync=FsyncPolicy.INTERVAL, clock=ManualClock())
        log.append(RUN, make_events(RUN, 1, 1))
        log.append(RUN, make_events(RUN, 2, 2))
        log_path(tmp_path, RUN).write_bytes(b"{")
        fsync.fails_with = errno.EIO
        with pytest.raises(IntegrityFailure):
            log.close()
        assert log_path(tmp_path, RUN).read_bytes() == b"{"

    @pytest.mark.parametrize("policy", [FsyncPolicy.ALWAYS, FsyncPolicy.INTERVAL])
    def test_lines_whose_sync_failed_are_taken_back_and_written_anew(
        self, tmp_path: Path, fsync: Calls, policy: FsyncPolicy
    ) -> None:
        clock = ManualClock()
        log = RunLog(tmp_path, "default", fsync=policy, clock=clock)
        path = log_path(tmp_path, RUN)
        log.append(RUN, make_events(RUN, 1, 2))
        clock.advance(1)
        fsync.fails_with = errno.EIO
        with pytest.raises(IntegrityFailure, match="cannot sync"):
            log.append(RUN, make_events(RUN, 3, 4))
        assert path.read_bytes() == file_of(make_events(RUN, 1, 2))

        fsync.fails_with, before = None, fsync.count
        assert log.append(RUN, make_events(RUN, 5, 5), reading(make_events(RUN, 1, 5))) == 5
        assert fsync.count == before + 1
        assert path.read_bytes() == file_of(make_events(RUN, 1, 5))

    def test_a_failed_sync_takes_back_everything_since_the_last_good_one(
        self, tmp_path: Path, fsync: Calls
    ) -> None:
        log = RunLog(tmp_path, "default", fsync=FsyncPolicy.INTERVAL, clock=ManualClock())
        log.append(RUN, make_events(RUN, 1, 1))
        log.append(RUN, make_events(RUN, 2, 3))
        fsync.fails_with = errno.EIO
        with pytest.raises(IntegrityFailure, match="cannot sync"):
            log.close()
        assert log_path(tmp_path, RUN).read_bytes() == file_of(make_events(RUN, 1, 1))

    def test_a_folder_that_cannot_be_synced_holds_no_line(
        self, tmp_path: Path, fsync: Calls
    ) -> None:
        fsync.fails_with = errno.EIO
        log = RunLog(tmp_path, "default", fsync=FsyncPolicy.ALWAYS)
        with pytest.raises(IntegrityFailure):
            log.append(RUN, make_events(RUN, 1, 1))
        assert log_path(tmp_path, RUN).read_bytes() == b""
        fsync.fails_with = None
        assert log.append(RUN, make_events(RUN, 1, 1)) == 1

    def test_a_file_system_that_cannot_sync_folders_is_accepted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original = os.fsync

        def fsync(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            original(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        assert (
            RunLog(tmp_path, "default", fsync=FsyncPolicy.ALWAYS).append(
                RUN, make_events(RUN, 1, 1)
            )
            == 1
        )


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_takes_the_append_back_and_the_next_one_succeeds(
    log: RunLog, path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    log.append(RUN, make_events(RUN, 1, 2))
    write = os.write
    room = [150]

    def write_until_full(descriptor: int, content: memoryview) -> int:
        if not room[0]:
            raise OSError(code, os.strerror(code))
        written = write(descriptor, bytes(content)[: room[0]])
        room[0] -= written
        return written

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write_until_full)
        with pytest.raises(StorageFull, match="Make room") as caught:
            log.append(RUN, make_events(RUN, 3, 5))
    assert caught.value.path == str(path)
    assert path.read_bytes() == file_of(make_events(RUN, 1, 2))
    assert log.append(RUN, make_events(RUN, 3, 5)) == 5
    assert path.read_bytes() == file_of(make_events(RUN, 1, 5))


def test_any_number_of_threads_may_append_to_the_same_run(log: RunLog, path: Path) -> None:
    events = make_events(RUN, 1, 80)

    def project(first: int) -> None:
        for start in range(first, 80, 4):
            log.append(RUN, events[start : start + 3], reading(events))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(project, range(8)))
    log.append(RUN, [], reading(events))
    assert path.read_bytes() == file_of(events)


def test_tenants_with_the_same_run_id_have_logs_of_their_own(tmp_path: Path) -> None:
    for tenant in ("default", "acme", "Acme", "../x"):
        RunLog(tmp_path, tenant, fsync=FsyncPolicy.NEVER).append(RUN, make_events(RUN, 1, 2))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["@+acme", "@=2e.=2fx", "@acme", RUN]
    for tenant in ("default", "acme", "Acme", "../x"):
        assert runlog.log_path(tmp_path, tenant, RUN).read_bytes() == file_of(
            make_events(RUN, 1, 2), tenant
        )


def test_other_users_of_the_machine_cannot_read_a_log(log: RunLog, path: Path) -> None:
    log.append(RUN, make_events(RUN, 1, 1))

    for made in (path, path.parent, path.parent.parent):
        assert made.stat().st_mode & 0o007 == 0


class TestLongRunIds:
    RUN = "ingest/" + "x" * 300

    def test_the_id_is_kept_beside_the_log(self, log: RunLog, tmp_path: Path) -> None:
        log.append(self.RUN, make_events(self.RUN, 1, 1))
        kept = log_path(tmp_path / "var" / "run", self.RUN).parent / "run-id.json"
        assert kept.read_text() == f'"{self.RUN}"\n'

    @pytest.mark.parametrize("length", [0, 1, 100])
    def test_a_torn_id_is_written_again(self, log: RunLog, tmp_path: Path, length: int) -> None:
        log.append(self.RUN, make_events(self.RUN, 1, 1))
        kept = log_path(tmp_path / "var" / "run", self.RUN).parent / "run-id.json"
        whole = kept.read_bytes()
        kept.write_bytes(whole[:length])
        log.append(self.RUN, make_events(self.RUN, 2, 2))
        assert kept.read_bytes() == whole

    def test_a_folder_that_names_another_run_is_refused(self, log: RunLog, tmp_path: Path) -> None:
        log.append(self.RUN, make_events(self.RUN, 1, 1))
        path = log_path(tmp_path / "var" / "run", self.RUN)
        (path.parent / "run-id.json").write_text('"somebody else"\n')
        with pytest.raises(LogDamaged, match="names another run"):
            log.append(self.RUN, make_events(self.RUN, 2, 2))
        assert path.read_bytes() == file_of(make_events(self.RUN, 1, 1))

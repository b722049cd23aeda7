"""What somebody planted in the log directory is refused at once, and nothing outside it is touched.

Everything here runs alike as root and as an ordinary user.
"""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import socket
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from aureus.errors import (
    AureusError,
    ConfigInvalid,
    Conflict,
    DatabaseBusy,
    LogDamaged,
    StorageFull,
)
from aureus.model.events import Event
from aureus.runlog import FsyncPolicy, RunLog, RunLogReader, folders
from tests.unit.runlog.factory import file_of, log_path, make_event, make_events

RUN = "r_1"
NOBODY = 65534


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Give a folder beside the log directory, with things that must stay as they are."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"precious, without a newline")
    (outside / "folder").mkdir()
    return outside


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    return tmp_path / "logs"


@pytest.fixture
def log(directory: Path) -> RunLog:
    return RunLog(directory, "default", fsync=FsyncPolicy.ALWAYS)


def refused_by_both(log: RunLog, directory: Path, error: type[AureusError]) -> str:
    with pytest.raises(error) as refusal:
        log.append(RUN, make_events(RUN, 1, 1))
    with pytest.raises(error):
        list(RunLogReader(directory, "default").read(RUN))
    return str(refusal.value)


def snapshot(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


@pytest.mark.parametrize("target", ["folder", "missing", "precious"])
def test_a_link_in_place_of_the_folder_of_a_run_is_refused(
    log: RunLog, directory: Path, outside: Path, target: str
) -> None:
    before = snapshot(outside)
    (directory / RUN).symlink_to(outside / target)
    refused_by_both(log, directory, LogDamaged)
    assert snapshot(outside) == before


@pytest.mark.parametrize("target", ["precious", "missing", "folder"])
def test_a_link_in_place_of_a_log_is_refused(
    log: RunLog, directory: Path, outside: Path, target: str
) -> None:
    before = snapshot(outside)
    (directory / RUN).mkdir()
    log_path(directory, RUN).symlink_to(outside / target)
    refused_by_both(log, directory, LogDamaged)
    assert snapshot(outside) == before


def test_a_hard_link_to_a_file_elsewhere_is_refused(
    log: RunLog, directory: Path, outside: Path
) -> None:
    before = snapshot(outside)
    (directory / RUN).mkdir()
    log_path(directory, RUN).hardlink_to(outside / "precious")
    with pytest.raises(LogDamaged, match="hard link"):
        log.append(RUN, make_events(RUN, 1, 1))
    assert snapshot(outside) == before


def plant_fifo(path: Path) -> None:
    os.mkfifo(path)


def plant_folder(path: Path) -> None:
    path.mkdir()


def plant_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, pytest.MonkeyPatch.context() as patch:
        patch.chdir(path.parent)  # the address of a socket is short
        listener.bind(path.name)


@pytest.mark.parametrize("plant", [plant_fifo, plant_folder, plant_socket])
def test_what_is_not_a_regular_file_is_refused_without_waiting(
    log: RunLog, directory: Path, plant: Callable[[Path], None]
) -> None:
    (directory / RUN).mkdir()
    plant(log_path(directory, RUN))
    assert "move its folder away" in refused_by_both(log, directory, LogDamaged)


@pytest.mark.parametrize("plant", [plant_fifo, plant_folder])
def test_a_planted_run_id_file_is_refused(
    log: RunLog, directory: Path, plant: Callable[[Path], None]
) -> None:
    run = "x" * 300
    log_path(directory, run).parent.mkdir()
    plant(log_path(directory, run).parent / folders.ID_FILE)
    with pytest.raises(LogDamaged):
        log.append(run, make_events(run, 1, 1))
    assert RunLogReader(directory, "default").run_ids() == []


@pytest.mark.parametrize("make_link", [Path.symlink_to, Path.hardlink_to])
def test_a_link_in_place_of_a_run_id_file_is_refused(
    log: RunLog, directory: Path, outside: Path, make_link: Callable[[Path, Path], None]
) -> None:
    before = snapshot(outside)
    run = "x" * 300
    log_path(directory, run).parent.mkdir()
    make_link(log_path(directory, run).parent / folders.ID_FILE, outside / "precious")
    with pytest.raises(LogDamaged):
        log.append(run, make_events(run, 1, 1))
    assert snapshot(outside) == before


def test_a_link_in_place_of_the_folder_of_a_tenant_is_refused(
    directory: Path, outside: Path
) -> None:
    (directory / "@acme").symlink_to(outside / "folder")
    with pytest.raises(LogDamaged):
        RunLog(directory, "acme", fsync=FsyncPolicy.NEVER).append(RUN, make_events(RUN, 1, 1))
    assert list((outside / "folder").iterdir()) == []


@pytest.mark.parametrize(
    "run_id", ["../outside/x", "..", "/etc/x", "a/../../outside", "outside\\..\\x"]
)
def test_no_run_id_leads_outside_the_log_directory(
    log: RunLog, directory: Path, outside: Path, run_id: str
) -> None:
    before = snapshot(outside)
    assert log.append(run_id, make_events(run_id, 1, 1)) == 1
    assert len(list(directory.iterdir())) == 1
    assert snapshot(outside) == before


def test_the_log_directory_itself_may_be_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "logs").symlink_to(outside / "folder")
    assert (
        RunLog(tmp_path / "logs", "default", fsync=FsyncPolicy.ALWAYS).append(
            RUN, make_events(RUN, 1, 1)
        )
        == 1
    )


def test_a_file_in_place_of_the_log_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("not a folder")
    for directory in (tmp_path / "logs", tmp_path / "logs" / "below"):
        log = RunLog(directory, "default", fsync=FsyncPolicy.NEVER)
        assert "EVENT_LOG_DIR" in refused_by_both(log, directory, ConfigInvalid)


def test_a_dangling_link_in_place_of_the_log_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "logs").symlink_to(tmp_path / "missing")
    with pytest.raises(ConfigInvalid, match="EVENT_LOG_DIR"):
        RunLog(tmp_path / "logs", "default", fsync=FsyncPolicy.NEVER).append(
            RUN, make_events(RUN, 1, 1)
        )


@contextmanager
def without_privileges() -> Generator[None, None, None]:
    """Work as an ordinary user, whoever started the tests."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("below", [".", "deeper/still"])
def test_a_log_directory_without_the_right_to_write_is_refused(below: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o555)
        try:
            with without_privileges(), pytest.raises(ConfigInvalid, match="EVENT_LOG_DIR"):
                RunLog(directory / below, "default", fsync=FsyncPolicy.NEVER).append(
                    RUN, make_events(RUN, 1, 1)
                )
            assert list(directory.iterdir()) == []
        finally:
            directory.chmod(0o755)


@contextmanager
def file_size_limit(size: int) -> Generator[None, None, None]:
    """Let no file of this process grow beyond a size: the system then writes a part and refuses the rest."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("can_take_back", [True, False])
def test_a_write_that_the_system_cuts_short_is_mended(
    log: RunLog, directory: Path, monkeypatch: pytest.MonkeyPatch, can_take_back: bool
) -> None:
    """With a real limit of the kernel; also when cutting the torn line away at once fails as well."""
    log.append(RUN, make_events(RUN, 1, 4))
    path = log_path(directory, RUN)
    size = path.stat().st_size

    def fail(descriptor: int, length: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        if not can_take_back:
            patch.setattr(os, "ftruncate", fail)
        with file_size_limit(size + 700), pytest.raises(StorageFull):
            log.append(RUN, make_events(RUN, 5, 9))
    assert path.stat().st_size == (size if can_take_back else size + 700)

    assert log.append(RUN, make_events(RUN, 5, 9)) == 9
    assert path.read_bytes() == file_of(make_events(RUN, 1, 9))


def test_a_process_without_free_descriptors_is_told_so(log: RunLog) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(StorageFull):
            log.append(RUN, make_events(RUN, 1, 1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert log.append(RUN, make_events(RUN, 1, 1)) == 1


def test_a_lock_that_nobody_releases_is_an_error_not_a_hang(
    log: RunLog, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(RUN, make_events(RUN, 1, 1))
    monkeypatch.setattr(folders, "LOCK_WAIT_SECONDS_MAX", 0.05)
    with log_path(directory, RUN).open("rb") as stopped:
        fcntl.flock(stopped, fcntl.LOCK_EX)
        with pytest.raises(DatabaseBusy, match="locked"):
            log.append(RUN, make_events(RUN, 2, 2))
        with pytest.raises(DatabaseBusy, match="locked"):
            RunLogReader(directory, "default").tail(RUN, 1)
    assert log.append(RUN, make_events(RUN, 2, 2)) == 2


def test_a_child_that_inherited_the_log_does_not_keep_it_locked(
    log: RunLog, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A duplicate of the descriptor is what a program that forks in the middle of an append holds."""
    duplicates: list[int] = []

    def read_missing(after: int) -> list[Event]:
        inode = log_path(directory, RUN).stat().st_ino
        for name in list(Path("/dev/fd").iterdir()):
            with suppress(OSError):
                if os.fstat(int(name.name)).st_ino == inode:
                    duplicates.append(os.dup(int(name.name)))
        return make_events(RUN, after + 1, 1)

    log.append(RUN, [], read_missing)
    assert duplicates
    monkeypatch.setattr(folders, "LOCK_WAIT_SECONDS_MAX", 0.05)
    assert log.append(RUN, make_events(RUN, 2, 2)) == 2
    for duplicate in duplicates:
        os.close(duplicate)


def test_a_log_removed_while_it_is_opened_is_made_again(
    log: RunLog, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(RUN, make_events(RUN, 1, 1))
    flock = fcntl.flock
    removals = [log_path(directory, RUN)]

    def remove_then_lock(descriptor: int, operation: int) -> None:
        if removals:
            removals.pop().unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    assert (
        log.append(RUN, make_events(RUN, 2, 2), lambda after: make_events(RUN, after + 1, 2)) == 2
    )
    assert log_path(directory, RUN).read_bytes() == file_of(make_events(RUN, 1, 2))


def test_a_log_that_is_removed_again_and_again_is_an_error(
    log: RunLog, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flock = fcntl.flock

    def remove_then_lock(descriptor: int, operation: int) -> None:
        with suppress(FileNotFoundError):
            log_path(directory, RUN).unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_then_lock)
    with pytest.raises(Conflict, match="again and again"):
        log.append(RUN, [make_event(RUN, 1)])

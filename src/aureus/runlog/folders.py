"""Open the log of a run, and nothing else.

Everything below the log directory is opened relative to its folder, without following links and without waiting, and
must be a regular file, so that what somebody planted there (a link, a pipe, a device, a folder) is refused and
nothing is ever written outside. The directory itself belongs to the operator and may be a link.

One lock (``flock`` on events.log) serialises the writers of a run, of one process and of several on one host.
No descriptor outlives the ``with`` block that asked for it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from aureus import codec
from aureus.errors import (
    AureusError,
    ConfigInvalid,
    Conflict,
    DatabaseBusy,
    IntegrityFailure,
    Invalid,
    NotFound,
    StorageFull,
)
from aureus.runlog.names import folder_name, is_shortened, run_id_of
from aureus.runlog.scan import Owner, damaged

LOG_FILE = "events.log"
ID_FILE = "run-id.json"
"""Beside the log of a run whose folder name is shortened: its id, as JSON text."""

LOCK_WAIT_SECONDS_MAX = 10
"""A writer holds the lock for one write and one sync; who holds it longer is stopped or its disk hangs."""

_DEFAULT_TENANT = "default"
_TENANT_MARK = "@"  # no folder of a run starts with it

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER_MODE, _FILE_MODE = 0o750, 0o640
_OPEN_ATTEMPTS = 100
"""An erasure replaces a log once for each of its batches, and a writer that waits may miss some in a row."""

_LOCK_PAUSE_SECONDS = 0.01

_EXHAUSTED = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG}
_PLANTED = {errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.ENODEV}


@dataclass(frozen=True, slots=True)
class OpenLog:
    """The locked log of one run."""

    owner: Owner
    descriptor: int
    folders: tuple[int, ...]
    """Descriptors of the run's folder and those above it, up to the log directory."""

    def status(self) -> os.stat_result:
        """Return size, device and inode of the file."""
        return os.fstat(self.descriptor)

    def unlock(self) -> None:
        """Let writers go on; explicit, because a forked child may still hold a copy of the descriptor."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)


def log_path(directory: Path, tenant_id: str, run_id: str) -> Path:
    """Return where the log of a run lies, without a look at the disk.

    The runs of the tenant "default" lie directly in the directory, those of tenant acme in ``@acme``: two tenants may
    use the same run id. Raises ``Invalid`` for a run id that cannot be.
    """
    return directory / _tenant_folder(tenant_id) / folder_name(run_id) / LOG_FILE


def _tenant_folder(tenant_id: str) -> str:
    return "" if tenant_id == _DEFAULT_TENANT else _TENANT_MARK + folder_name(tenant_id)


class LogFolders:
    """The folders of one tenant's runs below a log directory."""

    def __init__(self, directory: Path, tenant_id: str) -> None:
        self._root = directory.absolute()
        self._tenant_id = tenant_id
        self._tenant_folder = _tenant_folder(tenant_id)

    def owner(self, run_id: str) -> Owner:
        """Return whose log it is and where it lies, without a look at the disk."""
        return Owner(run_id, self._tenant_id, log_path(self._root, self._tenant_id, run_id))

    @contextmanager
    def for_append(
        self, run_id: str, *, create: bool = True, sync: bool = True
    ) -> Generator[OpenLog, None, None]:
        """Open the log of a run for its only writer; make it and its folders first where asked to.

        With ``sync``, the folders of a log without lines are on disk before it is handed out. Raises ``NotFound``
        when it is not there and not made, ``DatabaseBusy`` when another writer keeps it, ``LogDamaged`` when
        something else lies in its place, ``ConfigInvalid`` when the directory cannot be used.
        """
        flags = os.O_RDWR | os.O_APPEND | (os.O_CREAT if create else 0)
        with self._locked(run_id, flags, fcntl.LOCK_EX) as log:
            with refusals(log.owner, "open"):
                is_new = log.status().st_size == 0
                _refuse_hard_link(log.descriptor, log.owner, LOG_FILE)
                if create and is_shortened(log.owner.path.parent.name):
                    _keep_id(log, is_new, sync)
                if is_new and sync:
                    for folder in log.folders:
                        _sync_folder(folder)
            yield log

    @contextmanager
    def for_reading(self, run_id: str) -> Generator[OpenLog, None, None]:
        """Open the log of a run while no writer is at work; raises as ``for_append`` does without ``create``."""
        with self._locked(run_id, os.O_RDONLY, fcntl.LOCK_SH) as log:
            yield log

    def run_ids(self) -> list[str]:
        """Return the ids of the runs that have a folder here, in the order of their folder names."""
        owner = Owner("", self._tenant_id, self._root / self._tenant_folder)
        with ExitStack() as opened, refusals(owner, "list"):
            try:
                base = self._open_base(opened, create=False)[0]
            except FileNotFoundError:
                return []
            folders = sorted(
                entry.name for entry in os.scandir(base) if entry.is_dir(follow_symlinks=False)
            )
            return [run_id for name in folders if (run_id := _run_id_in(base, name)) is not None]

    @contextmanager
    def _locked(self, run_id: str, flags: int, lock: int) -> Generator[OpenLog, None, None]:
        owner = self.owner(run_id)
        with ExitStack() as opened:
            for _ in range(_OPEN_ATTEMPTS):
                try:
                    with refusals(owner, "open"):
                        log = self._open(opened, owner, flags)
                        _take(lock, log)
                except FileNotFoundError as error:
                    if not flags & os.O_CREAT:
                        raise NotFound(
                            f"there is no run log {owner.path}; the events are in the database",
                            path=str(owner.path),
                        ) from error
                else:
                    opened.callback(log.unlock)
                    if log.status().st_nlink:
                        break
                opened.close()  # somebody removed the folder or the file meanwhile
            else:
                raise Conflict(
                    f"the run log {owner.path} is removed again and again", path=str(owner.path)
                )
            yield log

    def _open(self, opened: ExitStack, owner: Owner, flags: int) -> OpenLog:
        create = bool(flags & os.O_CREAT)
        above = self._open_base(opened, create=create)
        folder = _open_folder(opened, owner.path.parent.name, above[0], create=create)
        descriptor = os.open(LOG_FILE, flags | _FILE, _FILE_MODE, dir_fd=folder)
        opened.callback(os.close, descriptor)
        _refuse_irregular(descriptor, owner, LOG_FILE)
        return OpenLog(owner, descriptor, (folder, *above))

    def _open_base(self, opened: ExitStack, *, create: bool) -> tuple[int, ...]:
        try:
            root = self._open_root(create=create)
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not create:
                raise
            if error.errno in _EXHAUSTED:
                raise
            raise ConfigInvalid(
                f"the directory for run logs {self._root} cannot be used: {error.strerror}. "
                "Set EVENT_LOG_DIR to a folder in which this user may write.",
                path=str(self._root),
            ) from error
        opened.callback(os.close, root)
        if not self._tenant_folder:
            return (root,)
        return (_open_folder(opened, self._tenant_folder, root, create=create), root)

    def _open_root(self, *, create: bool) -> int:
        with suppress(FileNotFoundError):
            return os.open(self._root, _FOLDER)
        if create:
            missing = [path for path in (self._root, *self._root.parents) if not path.exists()]
            for path in reversed(missing):
                with suppress(FileExistsError):
                    path.mkdir(_FOLDER_MODE)
                above = os.open(path.parent, _FOLDER)
                try:
                    _sync_folder(above)
                finally:
                    os.close(above)
        return os.open(self._root, _FOLDER)


@contextmanager
def refusals(owner: Owner, doing: str) -> Generator[None, None, None]:
    """Turn what the operating system refuses into the error that says what to do; a missing file passes as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _refusal(error, owner, doing) from error


def _refusal(error: OSError, owner: Owner, doing: str) -> AureusError:
    what = f"cannot {doing} the run log {owner.path}: {error.strerror}"
    where = str(owner.path)
    if error.errno in _EXHAUSTED:
        return StorageFull(
            f"{what}. Make room and repeat the call; the events are in the database.", path=where
        )
    if error.errno in _REFUSED:
        return ConfigInvalid(
            f"{what}. Give this user the right to it, or set EVENT_LOG_DIR elsewhere.", path=where
        )
    if error.errno in _PLANTED:
        return damaged(owner, f"something else lies in its place ({error.strerror})")
    return IntegrityFailure(
        f"{what}. Check the disk. The events are in the database; the next append writes what the log lacks.",
        path=where,
    )


def _open_folder(opened: ExitStack, name: str, above: int, *, create: bool) -> int:
    if create:
        with suppress(FileExistsError):
            os.mkdir(name, _FOLDER_MODE, dir_fd=above)
    descriptor = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
    opened.callback(os.close, descriptor)
    return descriptor


def _refuse_irregular(descriptor: int, owner: Owner, name: str) -> None:
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise damaged(owner, f"{name} is not a regular file")


def _refuse_hard_link(descriptor: int, owner: Owner, name: str) -> None:
    """Refuse a file that also has a name elsewhere: writing to it would change what lies there."""
    if os.fstat(descriptor).st_nlink > 1:
        raise damaged(owner, f"{name} has a second name (a hard link)")


def _take(lock: int, log: OpenLog) -> None:
    """Lock the log, with a bound: a writer that was stopped (Ctrl-Z) must not stop everybody else."""
    nobody = threading.Event()  # never set: waiting for it is a pause
    for _ in range(round(LOCK_WAIT_SECONDS_MAX / _LOCK_PAUSE_SECONDS)):
        try:
            return fcntl.flock(log.descriptor, lock | fcntl.LOCK_NB)
        except BlockingIOError:
            nobody.wait(_LOCK_PAUSE_SECONDS)
    raise DatabaseBusy(
        f"the run log {log.owner.path} has been locked for {LOCK_WAIT_SECONDS_MAX} s by another process, which may be "
        "stopped; continue or end it (`fuser -v` on the file names it), then repeat the call.",
        path=str(log.owner.path),
    )


def _keep_id(log: OpenLog, is_new: bool, sync: bool) -> None:
    """Write down the id behind a shortened name, or refuse the folder of another id."""
    wanted = codec.encode(log.owner.run_id) + b"\n"
    descriptor = os.open(ID_FILE, os.O_RDWR | os.O_CREAT | _FILE, _FILE_MODE, dir_fd=log.folders[0])
    try:
        _refuse_irregular(descriptor, log.owner, ID_FILE)
        _refuse_hard_link(descriptor, log.owner, ID_FILE)
        held = os.pread(descriptor, len(wanted) + 1, 0)
        if held == wanted:
            return
        if not is_new and not wanted.startswith(held):
            raise damaged(log.owner, f"{ID_FILE} beside it names another run")
        os.ftruncate(descriptor, 0)
        write_all(descriptor, wanted)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, content: bytes | bytearray) -> None:
    """Write everything, in one call unless the operating system takes less at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _run_id_in(base: int, name: str) -> str | None:
    """Return the run id of a folder, or None when it is none of ours."""
    try:
        return run_id_of(name, _kept_id(base, name) if is_shortened(name) else None)
    except Invalid:
        return None


def _kept_id(base: int, name: str) -> str | None:
    try:
        folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=base)
        try:
            descriptor = os.open(ID_FILE, os.O_RDONLY | _FILE, dir_fd=folder)
        finally:
            os.close(folder)
    except OSError:
        return None
    try:
        kept = (
            codec.decode(os.read(descriptor, 8192))
            if stat.S_ISREG(os.fstat(descriptor).st_mode)
            else None
        )
    finally:
        os.close(descriptor)
    return kept if isinstance(kept, str) else None


def _sync_folder(descriptor: int) -> None:
    """Bring new names in a folder to the disk, where the file system knows how."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise

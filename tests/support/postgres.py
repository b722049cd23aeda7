"""A real PostgreSQL for the tests: started in a moment, killed and started again at will, gone at the end.

A session has a home, a directory with a short path because unix sockets need one; servers live in it, each with its
own data, a socket and a TCP port (for proxies). What stays is nothing: servers and files end with the session, and
``postgres_guard`` sees to it when the session itself is killed. Collation is C, since the programs carry no ICU:
orders that depend on a language are not tested by this server.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from pwd import struct_passwd
from types import TracebackType
from typing import Any, Final, Literal, LiteralString, Self
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from tests.support.postgres_programs import PostgresPrograms, account_of_servers, give
from tests.support.scratch import guard
from tests.support.waiting import eventually

SUPERUSER: Final = "postgres"

OWNER: Final = "aureus_owner"
"""A plain role: it may log in and owns the databases of the tests, and has no other right."""

StopMode = Literal["smart", "fast", "immediate"]
"""PostgreSQL's own words: wait for clients; break transactions off; leave without a checkpoint, as in a crash."""

_SIGNALS: Final[Mapping[StopMode, signal.Signals]] = {
    "smart": signal.SIGTERM,
    "fast": signal.SIGINT,
    "immediate": signal.SIGQUIT,
}

_SETTINGS: Final[Mapping[str, str]] = {
    "lc_messages": "C",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}

_FAST: Final[Mapping[str, str]] = {
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
}
"""Commits stay synchronous: without flushes that costs nothing, and a kill of the server then loses none.

Nothing is vacuumed or analyzed beside a test: what it finds in plans, files and locks then comes from it alone.
"""

_HOME_BYTES_MAX: Final = 70
"""Length of the home's path: a unix socket's path has at most 103 bytes on macOS, less the folder and file below."""

_STOP_SECONDS_MAX: Final = 60
"""A server that takes longer to end is stuck, and the test is told so."""


class PostgresHome:
    """The directory of a test session: its servers, and PostgreSQL's programs where they had to be copied."""

    def __init__(self) -> None:
        self._account = account_of_servers()
        self._path = _make_home(self._account)
        self._guard = guard(self._path)
        self._servers: list[PostgresServer] = []
        self._programs: PostgresPrograms | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End every server and remove the home."""
        for server in self._servers:
            server.stop("immediate")
        shutil.rmtree(self._path, ignore_errors=True)
        self._guard.communicate(timeout=_STOP_SECONDS_MAX)

    def new_server(
        self, *, is_durable: bool, settings: Mapping[str, str] | None = None
    ) -> PostgresServer:
        """Make and start a server; a durable one flushes as in production, others are as fast as they can be."""
        if self._programs is None:
            self._programs = PostgresPrograms(self._path, self._account)
        folder = self._path / str(len(self._servers) + 1)
        folder.mkdir(mode=0o700)
        give(folder, self._account)
        chosen = {**_SETTINGS, **({} if is_durable else _FAST), **(settings or {})}
        server = PostgresServer(self._programs, folder, chosen)
        self._servers.append(server)
        server.start()
        return server

    def new_standby(self, primary: PostgresServer) -> PostgresServer:
        """Make and start a server that streams everything from another one and is read from meanwhile."""
        if self._programs is None:
            raise AssertionError("a standby needs a primary of this home")
        folder = self._path / str(len(self._servers) + 1)
        folder.mkdir(mode=0o700)
        give(folder, self._account)
        server = PostgresServer(self._programs, folder, dict(_SETTINGS))
        self._servers.append(server)
        server.start_as_copy(primary)
        return server


class PostgresServer:
    """One server with its own data; every address of it stays the same when it is stopped or killed and started."""

    host: Final = "127.0.0.1"

    def __init__(
        self, programs: PostgresPrograms, folder: Path, settings: Mapping[str, str]
    ) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "log"
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._templates: dict[Callable[[str], None], str] = {}
        self._connection: psycopg.Connection[Any] | None = None
        self._discarded: str | None = None
        self.socket_directory = folder
        self.port = 0

    @property
    def pid(self) -> int:
        """The process number of the server; fails while it does not run."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """What the server wrote so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def url(
        self,
        database: str = SUPERUSER,
        *,
        user: str = SUPERUSER,
        port: int | None = None,
        through: Literal["tcp", "socket"] = "tcp",
    ) -> str:
        """Return the URL of a database for a role (none has a password), directly or by a proxy's port."""
        if through == "tcp":
            return f"postgresql://{user}@{self.host}:{port or self.port}/{database}"
        directory = quote(str(self.socket_directory), safe="")
        return f"postgresql://{user}@/{database}?host={directory}&port={self.port}"

    def start(self) -> None:
        """Start the server and wait until it answers; the first time also make its data and the plain owner."""
        assert not self.is_running, "the server is running already"
        if self._data.exists():
            self._launch()
            return
        self._programs.run(
            "initdb",
            *("--pgdata", str(self._data), "--username", SUPERUSER, "--auth", "trust"),
            *("--encoding", "UTF8", "--no-locale", "--no-sync", "--no-instructions"),
        )
        self._launch_on_a_free_port()
        self._run("CREATE ROLE {} LOGIN", OWNER)

    def start_as_copy(self, primary: PostgresServer) -> None:
        """Copy the data of a running server and go on as its standby."""
        self._programs.run(
            "pg_basebackup",
            *("--pgdata", str(self._data), "--dbname", primary.url(), "--write-recovery-conf"),
            *("--checkpoint", "fast", "--no-sync"),
        )
        self._launch_on_a_free_port()

    def dump(self, database: str) -> Path:
        """Write a database into a file as ``pg_dump`` does, and return the file."""
        file = self.socket_directory / f"{database}.dump"
        self._programs.run(
            "pg_dump", "--format", "custom", "--file", str(file), "--dbname", self.url(database)
        )
        return file

    def restore(self, file: Path) -> str:
        """Make a database of what ``dump`` of another server has written; return its name."""
        name = self.create_database()
        self._programs.run("pg_restore", "--dbname", self.url(name), "--exit-on-error", str(file))
        return name

    def stop(self, mode: StopMode = "fast") -> None:
        """Ask the server to end and wait until it has; does nothing when it is not running."""
        if self._process is None:
            return
        self._disconnect()
        if self._process.poll() is None:
            self._process.send_signal(_SIGNALS[mode])
        self._process.wait(timeout=_STOP_SECONDS_MAX)
        self._process = None

    def remove(self) -> None:
        """Stop the server as in a crash and remove its data; it does not start again."""
        self.stop("immediate")
        shutil.rmtree(self.socket_directory)

    def kill(self) -> None:
        """End the server and its backends by SIGKILL, as a crash of the machine's memory would."""
        assert self._process is not None, "the server is not running"
        self._disconnect()
        server = psutil.Process(self.pid)
        backends = server.children(recursive=True)
        for process in (server, *backends):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(timeout=_STOP_SECONDS_MAX)
        psutil.wait_procs(backends, timeout=_STOP_SECONDS_MAX)
        self._process = None

    def create_database(self, template: str | None = None) -> str:
        """Make a database that belongs to the plain owner, empty or a copy of a template; return its name."""
        name = f"test_{next(self._numbers)}"
        self._run(
            "CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy",
            *(name, OWNER, template or "template0"),
        )
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._run("DROP DATABASE {} WITH (FORCE)", name)

    def discard_database(self, name: str) -> None:
        """Remove a database when the next one is discarded; at once, the server would rest 100 ms for its clients."""
        if self._discarded is not None:
            self.drop_database(self._discarded)
        self._discarded = name

    def template(self, prepare: Callable[[str], None]) -> str:
        """Return a database set up by ``prepare(url of the owner)``; called once for each function, then copied."""
        if prepare not in self._templates:
            name = self.create_database()
            prepare(self.url(name, user=OWNER))
            self._run("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false IS_TEMPLATE true", name)
            self._templates[prepare] = name
        return self._templates[prepare]

    def _launch_on_a_free_port(self) -> None:
        """Try ports until one is still free when the server takes it; it stays the server's port."""
        for port in _free_ports():
            self.port = port
            try:
                self._launch()
            except AssertionError:
                if "could not bind" not in self.log:
                    raise
            else:
                return

    def _launch(self) -> None:
        settings = [f"--{name}={value}" for name, value in self._settings.items()]
        with self._log.open("ab") as log:
            self._process = self._programs.launch(
                "postgres",
                *("-D", str(self._data), "-k", str(self.socket_directory), "-p", str(self.port)),
                *settings,
                output=log,
            )
        eventually(self._is_ready, "PostgreSQL accepts connections")

    def _is_ready(self) -> bool:
        assert self.is_running, f"PostgreSQL did not start; the end of its log:\n{self.log[-3000:]}"
        try:
            lines = (self._data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return lines[:1] == [str(self.pid)] and lines[7:8] in (["ready   "], ["standby "])

    def _run(self, statement: LiteralString, *names: str) -> None:
        """Run one statement as the superuser, with names in its places; the connection stays for the next one."""
        text = sql.SQL(statement).format(*map(sql.Identifier, names))
        if self._connection is None:
            self._connection = psycopg.connect(self.url(), autocommit=True)
        self._connection.execute(text)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """A database of one test."""

    server: PostgresServer
    name: str

    def url(self, *, user: str = SUPERUSER, port: int | None = None) -> str:
        """Return its URL for the superuser or another role, directly or by a proxy's port."""
        return self.server.url(self.name, user=user, port=port)


def _make_home(account: struct_passwd | None) -> Path:
    """Make the home in the temporary folder, or where that is too deep or closed to the account, in ``/tmp``."""
    for folder in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes a private folder in it
        parent = Path(folder).resolve()
        is_open = account is None or all(
            step.stat().st_mode & 0o001 for step in (parent, *parent.parents)
        )
        if is_open and len(os.fsencode(parent)) + len("/aureus-pg-12345678") <= _HOME_BYTES_MAX:
            home = Path(tempfile.mkdtemp(prefix="aureus-pg-", dir=parent))
            give(home, account)
            return home
    raise AssertionError(
        "PostgreSQL finds no home: set TMPDIR to a folder with a short path that others may enter"
    )


def _free_ports() -> Iterator[int]:
    """Yield free ports below those that systems hand out by themselves: none is lost during a restart."""
    first = 20_000 + os.getpid() * 7 % 10_000
    for port in range(first, first + 1_000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind((PostgresServer.host, port))
                yield port

"""The PostgreSQL that the tests stand on does what tests rely on: it is fresh, real, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.support import postgres_programs
from tests.support.postgres import OWNER, PostgresDatabase, PostgresHome, PostgresServer, StopMode
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]

_KILLED_SESSION = """
import os, signal
from tests.support.postgres import PostgresHome
home = PostgresHome()
server = home.new_server(is_durable=False)
print(server.pid, server.socket_directory.parent, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def one(url: str, query: str) -> object:
    """Return the first value of a query."""
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
    return None if row is None else row[0]


def write(url: str, statement: str) -> None:
    """Run one statement and commit it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def copied_programs(folder: Path) -> Path:
    """Install PostgreSQL's programs once more, in a folder; return where they lie."""
    installed = postgres_programs._installed()
    version, package = installed.parent, installed.parent.parent
    for part in (version, *package.parent.glob(f"{package.name}.libs"), *package.glob(".dylibs")):
        shutil.copytree(part, folder / part.relative_to(package.parent))
    return folder / installed.relative_to(package.parent)


@pytest.mark.parametrize("through", ["tcp", "socket"])
def test_the_server_answers_through(postgres_server: PostgresServer, through: str) -> None:
    url = postgres_server.url(through="socket" if through == "socket" else "tcp")
    address = one(url, "SELECT host(inet_server_addr())")
    assert address == ("127.0.0.1" if through == "tcp" else None)


def test_the_server_does_not_run_as_root(postgres_server: PostgresServer) -> None:
    uid = psutil.Process(postgres_server.pid).uids().effective
    assert uid != 0
    assert uid == os.geteuid() or os.geteuid() == 0


def test_each_database_is_fresh_and_apart(postgres_server: PostgresServer) -> None:
    first, second = postgres_server.create_database(), postgres_server.create_database()
    write(postgres_server.url(first, user=OWNER), "CREATE SCHEMA aureus")
    assert one(postgres_server.url(second), "SELECT to_regnamespace('aureus')") is None
    postgres_server.drop_database(first)
    postgres_server.drop_database(second)


def test_a_template_is_prepared_once_and_copied(postgres_server: PostgresServer) -> None:
    prepared: list[str] = []

    def prepare(url: str) -> None:
        prepared.append(url)
        write(url, "CREATE TABLE public_notes AS SELECT 'ready' AS note")

    names = [
        postgres_server.create_database(postgres_server.template(prepare)),
        postgres_server.create_database(postgres_server.template(prepare)),
    ]
    for name in names:
        assert (
            one(postgres_server.url(name, user=OWNER), "SELECT note FROM public_notes") == "ready"
        )
        postgres_server.drop_database(name)
    assert len(prepared) == 1


def test_the_owner_owns_the_database_and_is_a_plain_role(
    postgres_database: PostgresDatabase,
) -> None:
    owner = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    rights = "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication FROM pg_roles"
    assert one(postgres_database.url(user=OWNER), "SELECT current_user") == OWNER
    assert one(postgres_database.url(user=OWNER), owner) == OWNER
    assert one(postgres_database.url(user=OWNER), f"{rights} WHERE rolname = current_user") is False
    assert one(postgres_database.url(), f"{rights} WHERE rolname = current_user") is True


def test_what_was_committed_survives_a_kill(own_postgres_server: PostgresServer) -> None:
    """The addresses stay, so that a client that was connected finds the server again."""
    server = own_postgres_server
    url, pid = server.url(), server.pid
    write(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    with psycopg.connect(url) as connection:
        server.kill()
        assert not server.is_running
        assert not psutil.pid_exists(pid)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    server.start()
    assert server.pid != pid
    assert server.url() == url
    assert one(url, "SELECT answer FROM kept") == 42


@pytest.mark.parametrize("mode", ["smart", "fast", "immediate"])
def test_a_server_starts_again_after_a_stop(postgres_home: PostgresHome, mode: StopMode) -> None:
    server = postgres_home.new_server(is_durable=False)
    write(server.url(), "CREATE TABLE kept AS SELECT 42 AS answer")
    server.stop(mode)
    assert not server.is_running
    server.start()
    assert one(server.url(), "SELECT answer FROM kept") == 42
    server.remove()


def test_only_a_durable_server_flushes(
    postgres_server: PostgresServer, own_postgres_server: PostgresServer
) -> None:
    for name in ("fsync", "full_page_writes"):
        assert one(postgres_server.url(), f"SHOW {name}") == "off"
        assert one(own_postgres_server.url(), f"SHOW {name}") == "on"


def test_settings_reach_the_server(postgres_home: PostgresHome) -> None:
    server = postgres_home.new_server(is_durable=False, settings={"max_connections": "7"})
    assert one(server.url(), "SHOW max_connections") == "7"
    server.remove()


def test_a_server_that_cannot_start_says_why(postgres_home: PostgresHome) -> None:
    with pytest.raises(AssertionError, match="no_such_setting"):
        postgres_home.new_server(is_durable=False, settings={"no_such_setting": "1"})


def test_no_permission_is_changed_outside_the_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root the programs may lie where the server's account cannot go; then they are copied, not opened to all."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    programs = copied_programs(closed)
    monkeypatch.setattr(postgres_programs, "_installed", lambda: programs)
    with PostgresHome() as home:
        server = home.new_server(is_durable=False)
        assert one(server.url(), "SELECT 1") == 1
    assert closed.stat().st_mode & 0o777 == 0o700


def test_a_killed_session_leaves_no_server_and_no_files() -> None:
    command = [sys.executable, "-c", _KILLED_SESSION]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    pid, home = done.stdout.split()
    eventually(lambda: not psutil.pid_exists(int(pid)), "the server of the killed session ends")
    eventually(lambda: not Path(home).exists(), "its files are removed")

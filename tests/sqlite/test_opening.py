"""What is wrong with a file is said at once, with what to do; nothing is ever written to another program's file."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from aureus._database.sqlite import connect, opening
from aureus._database.sqlite.connect import (
    APPLICATION_ID,
    Opener,
    file_system_in,
    require_sqlite_version,
)
from aureus._database.sqlite.options import SqliteOptions
from aureus._database.sqlite.threads import SqliteDatabase
from aureus.clock import SystemClock
from aureus.errors import (
    DatabaseBusy,
    DatabaseError,
    DatabaseMissing,
    IntegrityFailure,
    MigrationError,
)
from aureus.ids import RandomIds
from tests.sqlite import program
from tests.sqlite.gathering import start
from tests.sqlite.notes import CALL, add, open_notes, sources, stored


def open_product(path: Path | None) -> SqliteDatabase:
    """Open a database with the product's own statements."""
    return SqliteDatabase(path, sources())


def digest(path: Path) -> str:
    """Return the digest of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_missing_file_and_its_folders_are_made_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "deep" / "aureus.db"
    database = open_product(path)
    database.close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["aureus.db"]


def test_the_log_has_the_files_own_rights(path: Path) -> None:
    database = open_notes(path)
    database.write(add(1), CALL)
    for suffix in ("-wal", "-shm"):
        assert stat.S_IMODE(Path(f"{path}{suffix}").stat().st_mode) == 0o600
    database.close()


def test_a_relative_path_is_kept_when_the_working_folder_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    database = open_notes(Path("notes.db"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    database.write(add(1), CALL)
    assert stored(database) == [1]
    database.close()
    assert (tmp_path / "notes.db").exists()


def test_every_connection_is_set_up_alike(database: SqliteDatabase) -> None:
    reader = database._connections.readers.take(10**9)
    database._connections.readers.give_back(reader)
    with database.transaction(CALL) as tx:
        for connection in (tx.connection, reader.raw):
            assert [
                connection.pragma(name)
                for name in ("journal_mode", "synchronous", "foreign_keys", "wal_autocheckpoint")
            ] == ["wal", 2, 1, 0]
            assert connection.pragma("mmap_size") == 0
    assert reader.raw.pragma("query_only") == 1


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DatabaseError, match=r"is a folder; name a file in it, such as .*aureus\.db"
    ):
        open_product(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DatabaseError, match="not a regular file"):
        open_product(tmp_path / "pipe")


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text", encoding="utf-8")
    with pytest.raises(DatabaseError, match="cannot be reached or made"):
        open_product(tmp_path / "file" / "aureus.db")


@pytest.mark.parametrize("content", [b"no database" * 500, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_bytes_that_are_no_database_are_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises((DatabaseError, IntegrityFailure), match=r"not a SQLite database|damaged"):
        open_product(path)
    assert path.read_bytes() == content
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("application_id", "table"),
    [(0, True), (APPLICATION_ID + 1, False), (APPLICATION_ID + 1, True)],
    ids=["tables", "another id", "both"],
)
def test_another_programs_database_is_refused_and_kept(
    path: Path, application_id: int, table: bool
) -> None:
    other = apsw.Connection(str(path))
    other.pragma("application_id", application_id)
    other.execute("VACUUM" if not table else "CREATE TABLE orders (id)")
    other.close()
    before = digest(path)
    with pytest.raises(DatabaseError, match="belongs to another program"):
        open_product(path)
    assert digest(path) == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_an_empty_file_is_taken(path: Path) -> None:
    path.touch()
    open_product(path).close()
    assert opening.status(path).is_current


def test_a_users_own_tables_beside_ours_are_welcome(path: Path) -> None:
    open_notes(path).close()
    database = open_notes(path, is_new=False)
    assert database.write(add(1), CALL) == 1
    database.close()


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Give the path of a file in a folder that every user can reach, unlike those of pytest."""
    with tempfile.TemporaryDirectory(prefix="aureus-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "inner" / "notes.db"
        path.parent.mkdir()
        yield path
        path.parent.chmod(0o755)


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "message"),
    [
        (0o777, 0o444, "may not be written by this user"),
        (0o777, 0o000, "cannot be opened"),
        (0o555, 0o666, "folder"),
        (0o000, 0o666, "check the rights of its folders"),
    ],
    ids=["file to read", "file closed", "folder to read", "folder closed"],
)
def test_missing_rights_are_told(
    reachable: Path, folder_mode: int, file_mode: int, message: str
) -> None:
    """The log is a file beside the database, so its folder must be writable too."""
    open_product(reachable).close()
    reachable.chmod(file_mode)
    reachable.parent.chmod(folder_mode)
    (line,) = program.run("try", reachable)
    assert line.startswith("DatabaseError")
    assert message in line


def test_a_missing_file_in_a_folder_without_the_right_to_write_is_refused(reachable: Path) -> None:
    reachable.parent.chmod(0o555)
    (line,) = program.run("try", reachable)
    assert line.startswith("DatabaseError")
    assert "check the rights of its folders" in line


def test_looking_at_a_missing_file_does_not_make_it(path: Path) -> None:
    with pytest.raises(DatabaseMissing, match="aureus db init"):
        opening.status(path)
    with pytest.raises(DatabaseMissing, match="aureus db init"):
        Opener(SqliteOptions(path, creates=False), SystemClock(), RandomIds()).writer(10**9)
    assert not path.exists()


def test_a_file_that_may_not_be_migrated_names_the_command(path: Path) -> None:
    with pytest.raises(MigrationError, match="aureus db init"):
        SqliteDatabase(path, sources(), may_migrate=False)
    assert opening.migrate(path)[0] == "0001_initial"
    assert opening.migrate(path) == ()
    SqliteDatabase(path, sources(), may_migrate=False).close()


@pytest.mark.parametrize("version", ["3.40.1", "3.51.2", "3.7.17"])
def test_a_sqlite_that_may_corrupt_the_file_is_refused(version: str) -> None:
    with pytest.raises(DatabaseError, match="pip install --upgrade apsw"):
        require_sqlite_version(version)


@pytest.mark.parametrize("version", ["3.51.3", "3.54.1", "4.0.0"])
def test_a_sqlite_without_that_bug_is_taken(version: str) -> None:
    require_sqlite_version(version)


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
35 22 0:31 / /mnt/share rw shared:2 - nfs4 server:/export rw,vers=4.2
36 22 0:32 / /mnt/my\\040disk rw shared:3 - cifs //server/disk rw
37 35 254:1 / /mnt/share/local rw shared:4 - xfs /dev/vdb rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/data/aureus.db", "ext4"),
        ("/mnt/share/aureus.db", "nfs4"),
        ("/mnt/shared/aureus.db", "ext4"),
        ("/mnt/my disk/aureus.db", "cifs"),
        ("/mnt/share/local/aureus.db", "xfs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_the_deepest_mount(path: str, kind: str) -> None:
    assert file_system_in(MOUNTS, path) == kind


def test_a_network_file_system_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "_file_system_of", lambda _: "nfs4")
    with pytest.raises(DatabaseError, match="network file system"):
        open_product(path)
    assert not path.exists()


def test_a_new_file_opened_by_many_threads_at_once_is_made_once(path: Path) -> None:
    together = threading.Barrier(8)

    def open_together() -> SqliteDatabase:
        together.wait(60)
        return open_product(path)

    databases = [caller.value() for caller in [start(open_together) for _ in range(8)]]
    for database in databases:
        database.close()
    assert opening.status(path).is_current


def test_opening_waits_for_others_only_so_long(path: Path) -> None:
    path.touch()
    other = apsw.Connection(str(path))
    other.execute("BEGIN EXCLUSIVE")
    clock = SystemClock()
    with pytest.raises(DatabaseBusy):
        Opener(SqliteOptions(path), clock, RandomIds()).writer(clock.monotonic() + 0.05)
    other.execute("ROLLBACK")
    other.close()

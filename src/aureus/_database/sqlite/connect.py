"""Opens database files, and says plainly why one cannot be opened.

Nothing is written to a file before it is known to be empty or ours: another program's database stays as it was. The
file is looked at through SQLite alone, because closing any other descriptor of it would drop the locks that this
process holds (POSIX locks belong to a process, not to a descriptor).
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import apsw

from aureus._database.sqlite.codec import Columns
from aureus._database.sqlite.connection import Connection, rest
from aureus._database.sqlite.errors import mapped
from aureus._database.sqlite.functions import add_functions
from aureus._database.sqlite.missing import missing
from aureus._database.sqlite.options import SqliteOptions
from aureus.clock import Clock
from aureus.errors import AureusError, DatabaseBusy, DatabaseError
from aureus.ids import Ids

APPLICATION_ID = 0x41555245
"""Marks a file as ours in SQLite's own header field: the letters AURE."""

SQLITE_VERSION_MIN = (3, 51, 3)
"""Older ones may corrupt a file when a checkpoint and a commit of two connections meet (sqlite.org/wal.html)."""

STATEMENTS_CACHED = 256
"""Prepared statements that a connection keeps: more than the catalogue has on any hot path."""

_CACHE_KIB = 8192
_WAL_BYTES_KEPT = 32 * 1024 * 1024
"""Bytes that the write-ahead log's file keeps on disk after it was emptied."""

_NETWORK_FILE_SYSTEMS = frozenset({
    "afs", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "ncpfs", "nfs", "nfs4", "smb2", "smb3", "smbfs",
})  # fmt: skip


class Opener:
    """Opens connections to one database, all set up alike."""

    def __init__(self, options: SqliteOptions, clock: Clock, ids: Ids) -> None:
        self.options = options
        self._clock = clock
        self._ids = ids
        self._columns = Columns()

    def writer(self, deadline: float) -> Connection:
        """Open the connection that writes; the file is made if it is missing. Raises ``DatabaseError``."""
        require_sqlite_version(apsw.sqlite_lib_version())
        path = self.options.path
        if path is not None:
            prepare_file(
                path, creates=self.options.creates, makes_folders=self.options.makes_folders
            )
        connection = self._open(path, deadline)
        try:
            if path is not None:
                _require_writable(connection, path)
                _require_ours(connection, path)
                self._use_write_ahead_log(connection, path, deadline)
            _set_up(connection)
            if path is not None:
                connection.run(f"PRAGMA journal_size_limit = {_WAL_BYTES_KEPT}")
                connection.count_wal_pages()
        except BaseException:
            connection.close()
            raise
        return connection

    def reader(self, deadline: float) -> Connection:
        """Open a connection beside the writer that only reads."""
        connection = self._beside(deadline)
        connection.run("PRAGMA query_only = ON")
        return connection

    def checkpointer(self, deadline: float) -> Connection:
        """Open a connection beside the writer that moves the log into the file."""
        return self._beside(deadline)

    def _beside(self, deadline: float) -> Connection:
        connection = self._open(self.options.path, deadline)
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _open(self, path: Path | None, deadline: float) -> Connection:
        name = ":memory:" if path is None else str(path)
        try:
            # The file was made before: SQLite would give it the rights of any file.
            raw = apsw.Connection(
                name, flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENTS_CACHED
            )
        except apsw.Error as error:
            raise mapped(error, self.options.place()) from error
        add_functions(raw)
        connection = Connection(raw, self._clock, self._ids, self._columns)
        connection.deadline = deadline
        return connection

    def _use_write_ahead_log(self, connection: Connection, path: Path, deadline: float) -> None:
        """Switch the file to WAL, once in its life; SQLite does not wait for locks here by itself."""
        while connection.run("PRAGMA journal_mode") != [("wal",)]:
            try:
                answer = connection.run("PRAGMA journal_mode = WAL", what=str(path))
            except DatabaseBusy:
                if self._clock.monotonic() > deadline:
                    raise
                rest(0.002 + 0.008 * self._ids.jitter())
            else:
                if answer != [("wal",)]:
                    raise DatabaseError(
                        f"{path}: this file system cannot hold SQLite's write-ahead log; "
                        "put the file on a local disk, or use PostgreSQL",
                        path=str(path),
                    )


def require_sqlite_version(version: str) -> None:
    """Raise ``DatabaseError`` when this SQLite is too old to be trusted with several connections."""
    found = tuple(int(part) for part in version.split(".")[:3])
    if found < SQLITE_VERSION_MIN:
        needed = ".".join(map(str, SQLITE_VERSION_MIN))
        raise DatabaseError(
            f"SQLite {version} can corrupt a database that several connections use; {needed} or newer is needed: "
            "run `pip install --upgrade apsw`",
            version=version,
        )


def _set_up(connection: Connection) -> None:
    # ENABLE_QPSG first: without it SQLite (built with STAT4, as this one is) plans a statement anew for other values of
    # its parameters, which took longer than carrying it out.
    for switch, is_on in (
        (apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1),
        (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
        (apsw.SQLITE_DBCONFIG_DQS_DML, 0),
        (apsw.SQLITE_DBCONFIG_DQS_DDL, 0),
    ):
        connection.raw.config(switch, is_on)
    for text in (
        "PRAGMA synchronous = FULL",
        "PRAGMA foreign_keys = ON",
        "PRAGMA wal_autocheckpoint = 0",
        "PRAGMA temp_store = MEMORY",
        f"PRAGMA cache_size = -{_CACHE_KIB}",
        "PRAGMA trusted_schema = OFF",
    ):
        connection.run(text)


# The file, before SQLite sees it.


def prepare_file(path: Path, *, creates: bool, makes_folders: bool = True) -> None:
    """Make the file and the folders above it if they are missing and may be made. Raises ``DatabaseError``."""
    try:
        _prepare_file(path, creates=creates, makes_folders=makes_folders)
    except OSError as error:
        raise DatabaseError(
            f"{path} cannot be reached or made: {error.strerror or error}; check the rights of its folders, "
            "or name another file",
            path=str(path),
        ) from error


def _prepare_file(path: Path, *, creates: bool, makes_folders: bool) -> None:
    if path.is_dir():
        raise DatabaseError(
            f"{path} is a folder; name a file in it, such as {path / 'aureus.db'}", path=str(path)
        )
    if path.exists() and not path.is_file():
        raise DatabaseError(f"{path} is not a regular file; name another one", path=str(path))
    if not creates and not path.exists():
        raise missing(path)
    if not makes_folders and not path.parent.is_dir():
        raise DatabaseError(
            f"there is no folder {path.parent} to make {path.name} in; make it first, or name another place",
            path=str(path),
        )
    _require_local(path)
    if not path.exists():
        _make_folder(path.parent)
        _create(path)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that a power cut cannot take them from under an acknowledged write."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    above = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(above)
    finally:
        os.close(above)


def _create(path: Path) -> None:
    """Make an empty file that only its owner may read: memories and audit entries are private.

    It gets its name when its descriptor is closed already, so that no other thread's locks go with the descriptor.
    """
    unnamed = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    os.close(os.open(unnamed, os.O_CREAT | os.O_WRONLY, 0o600))
    try:
        os.link(unnamed, path)
    except FileExistsError:
        pass  # Another process was faster, which is as well.
    except OSError:  # A file system without hard links.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    finally:
        unnamed.unlink()


def _require_local(path: Path) -> None:
    """Refuse network file systems, where the log's shared memory and locks do not work between hosts."""
    kind = _file_system_of(path)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise DatabaseError(
            f"{path} lies on a network file system ({kind}), where SQLite loses data when several hosts write; "
            "put the file on a local disk, or use PostgreSQL",
            path=str(path),
        )


def _file_system_of(path: Path) -> str | None:
    """Return the type of the file system that holds a path; None where the kernel does not list its mounts."""
    real = str(path.resolve())
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return file_system_in(mounts, real)


def file_system_in(mounts: str, path: str) -> str | None:
    """Return the type of the mount that holds an absolute path; ``mounts`` is the text of /proc/self/mountinfo."""
    longest, found = -1, None
    for line in mounts.splitlines():
        fields, _, source = line.partition(" - ")
        # Spaces in mount points are written as octal escapes (proc_pid_mountinfo(5)).
        point = fields.split(" ")[4].replace("\\040", " ").rstrip("/")
        if (path == point or path.startswith(point + "/")) and len(point) >= longest:
            longest, found = len(point), source.split(" ")[0]
    return found


# The file, once SQLite has it open.


def _require_writable(connection: Connection, path: Path) -> None:
    if connection.raw.readonly("main"):
        raise DatabaseError(
            f"{path} may not be written by this user; give it the right to write the file and its folder",
            path=str(path),
        )


def _require_ours(connection: Connection, path: Path) -> None:
    """Refuse a database that another program made; nothing has been written to it."""
    try:
        ((application_id, objects),) = connection.run(
            "SELECT application_id, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id",
            what=str(path),
        )
    except AureusError as error:
        error.fields.setdefault("path", str(path))
        raise
    if application_id != APPLICATION_ID and (application_id or objects):
        raise DatabaseError(
            f"{path} belongs to another program (application id {application_id}, {objects} tables and indexes); "
            "nothing was changed. Name another file for Aureus",
            path=str(path),
        )

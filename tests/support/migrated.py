"""The templates of the tests' databases: migrated once for each process, then copied, also in memory.

On PostgreSQL the superuser migrates, and the role that plain users may become is there. That opening makes and upgrades
a database is held by ``tests/migrations`` and by whoever opens one that is not a copy.
"""

from __future__ import annotations

import atexit
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from urllib.parse import urlsplit

import apsw
import psycopg
import pytest

from aureus._database.opening import migrate_schema
from aureus._database.sqlite import loop, threads
from aureus._database.sqlite.connection import Connection
from aureus._database.sqlite.migrations import ensure
from aureus.config import load
from tests.support.postgres import OWNER, SUPERUSER


def migrate_template(url: str) -> None:
    """Bring the template up to date and let the plain role of the tests become the application's role."""
    as_superuser = url.replace(f"{OWNER}@", f"{SUPERUSER}@")
    assert urlsplit(as_superuser).username == SUPERUSER
    migrate_schema(
        load(arguments={"database.url": as_superuser}, environ={}, directory=Path.cwd()).database
    )
    with psycopg.connect(as_superuser, autocommit=True) as connection:
        connection.execute(f"GRANT aureus_app TO {OWNER}")


def migrated_file(folder: Path) -> str:
    """Put a SQLite database that is up to date into a folder, and return its URL."""
    path = folder / "aureus.db"
    shutil.copyfile(_template(), path)
    return f"sqlite:///{path}"


@contextmanager
def migrated_memory() -> Generator[None]:
    """Let databases in memory that are opened in the block begin as copies; what a copy is, is checked as ever."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (threads, loop):
            patch.setattr(module, "ensure", _copy_and_ensure)
        yield


def _copy_and_ensure(
    connection: Connection, place: str, deadline: float, *, may_migrate: bool
) -> tuple[str, ...]:
    if connection.raw.filename == "":
        with connection.raw.backup("main", _memory_template(), "main") as copying:
            copying.step()
    return ensure(connection, place, deadline, may_migrate=may_migrate)


@cache
def _memory_template() -> apsw.Connection:
    template, file = apsw.Connection(":memory:"), apsw.Connection(str(_template()))
    with template.backup("main", file, "main") as copying:
        copying.step()
    file.close()
    return template


@cache
def _template() -> Path:
    folder = Path(mkdtemp(prefix="aureus-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "aureus.db"
    url = f"sqlite:///{path}"
    migrate_schema(load(arguments={"database.url": url}, environ={}, directory=Path.cwd()).database)
    return path

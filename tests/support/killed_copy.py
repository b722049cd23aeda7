"""A process that copies a database and is killed in the middle of a transaction."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from aureus._database.postgres.copying import PostgresWriter
from aureus._database.sqlite.copying import SqliteWriter
from aureus.config import Settings, SqliteUrl
from aureus.transfer import copy_database


def run(source: Settings, target: Settings, folder: Path, put_no: int) -> int:
    """Copy in another process that kills itself before its ``put_no``-th write; return how it ended."""
    urls = [_url(settings) for settings in (source, target)]
    command = [sys.executable, "-m", "tests.support.killed_copy", *urls, str(put_no)]
    environment = {**os.environ, "XDG_STATE_HOME": str(folder)}
    return subprocess.run(command, env=environment, timeout=60, check=False).returncode


def _url(settings: Settings) -> str:
    url = settings.database.url
    if isinstance(url, SqliteUrl):
        return f"sqlite:///{url.path}"
    parameters = url.connection_parameters()
    return "postgresql://{user}@{host}:{port}/{dbname}".format(**parameters)


def _copy(source: str, target: str, put_no: int) -> None:
    count = 0
    writer: Any = SqliteWriter if target.startswith("sqlite") else PostgresWriter
    put = writer.put

    def counted(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == put_no:
            os.kill(os.getpid(), signal.SIGKILL)
        put(*arguments)

    writer.put = counted
    copy_database(source, target)


if __name__ == "__main__":
    _copy(sys.argv[1], sys.argv[2], int(sys.argv[3]))

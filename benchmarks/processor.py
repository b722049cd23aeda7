"""Processor time of what runs here: this process, and the backends of a PostgreSQL database on the same machine.

Where others want the same processors, it tells more than a clock on the wall. A Linux kernel counts it in nanoseconds;
where there is none, only that of this process is known.
"""

from __future__ import annotations

import time
from pathlib import Path

import psycopg


class Processor:
    """Counts the processor time of this process and of the backends that a database has now."""

    def __init__(self, postgres_url: str | None = None) -> None:
        self._backends: list[Path] = []
        if postgres_url is not None:
            with psycopg.connect(postgres_url) as connection:
                rows = connection.execute(
                    "SELECT pid FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                ).fetchall()
            self._backends = [Path(f"/proc/{pid}/schedstat") for (pid,) in rows]

    def seconds(self) -> float:
        """Return what both have taken so far."""
        return time.process_time() + sum(map(_seconds_of, self._backends))


def _seconds_of(counted: Path) -> float:
    """Return the time on a processor: the first figure of the file, in nanoseconds."""
    try:
        return int(counted.read_text(encoding="ascii").split()[0]) / 1e9
    except FileNotFoundError:
        return 0.0

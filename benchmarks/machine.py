"""What the figures were taken with: commit, versions, machine, and how busy it was."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

import apsw
import psycopg

from aureus import __version__
from benchmarks.place import Place

_FLUSHES = 100


def describe(place: Place, *, with_postgres: bool) -> str:
    """Return one line with everything that must be known to compare figures with others."""
    return " · ".join(_parts(place, with_postgres=with_postgres))


def busy() -> float:
    """Return how many programs wanted a processor in the last minute, on average."""
    return os.getloadavg()[0]


def crowding(before: float) -> str:
    """Return what the machine had to do besides, and what that means for the figures."""
    after, processors = busy(), os.cpu_count() or 1
    told = f"Programs that wanted one of {processors} processors: {before:.1f} before, {after:.1f} after."
    if before <= processors / 2:
        return told
    return (
        f"{told} Others were at work already: rates and latencies are those of a crowded machine, also relative to one "
        "another where one side has more threads or backends to be scheduled; processor time (µs) is the steady figure."
    )


def _parts(place: Place, *, with_postgres: bool) -> Iterator[str]:
    yield f"{datetime.now(UTC):%Y-%m-%d}"
    yield f"commit {_commit()}"
    yield f"Aureus {__version__}"
    yield f"Python {platform.python_version()}"
    yield f"SQLite {apsw.sqlite_lib_version()}"
    if with_postgres:
        with psycopg.connect(place.server.url()) as connection:
            yield f"PostgreSQL {connection.info.parameter_status('server_version')}"
        yield f"psycopg {psycopg.__version__}"
    yield f"{os.cpu_count()} × {_processor()}, {platform.system()}"
    yield f"fdatasync {_flush_us(place.new_folder()):.0f} µs"


def _commit() -> str:
    root = Path(__file__).parent
    found = _output("git", "rev-parse", "--short", "HEAD", folder=root)
    return f"{found or 'unknown'}{' with changes' if _output('git', 'status', '-s', folder=root) else ''}"


def _output(*command: str, folder: Path) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    """Return the processor's name where the system tells it, else its kind."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text(encoding="utf-8").splitlines() if described.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _flush_us(folder: Path) -> float:
    """Return how long the disk takes for a page that must not be lost: the price of every commit."""
    took: list[float] = []
    handle = os.open(folder / "page", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(_FLUSHES):
            os.pwrite(handle, b"x" * 4096, 0)
            started = perf_counter()
            getattr(os, "fdatasync", os.fsync)(handle)  # macOS has no fdatasync
            took.append(perf_counter() - started)
    finally:
        os.close(handle)
    return median(took) * 1e6

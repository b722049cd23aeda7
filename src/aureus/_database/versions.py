"""Which drivers and engines are installed."""

from __future__ import annotations


def engine_versions() -> dict[str, str]:
    """Return the versions of SQLite, of the drivers, and of the PostgreSQL client library."""
    import apsw
    import psycopg
    from psycopg import pq

    number = pq.version()
    return {
        "sqlite": apsw.sqlite_lib_version(),
        "apsw": apsw.apsw_version(),
        "psycopg": psycopg.__version__,
        "libpq": f"{number // 10_000}.{number % 10_000}",
    }

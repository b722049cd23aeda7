"""Functions that our SQL calls and SQLite does not have; every connection brings them."""

from __future__ import annotations

from typing import Any, cast

import apsw
import orjson

from aureus.model.containment import contains


def add_functions(connection: apsw.Connection) -> None:
    """Give a connection the functions of this module."""
    # The driver's stubs cannot name what a function takes before Python 3.12.
    cast(Any, connection).create_scalar_function(
        "json_contains", _json_contains, 2, deterministic=True
    )
    cast(Any, connection).create_scalar_function("stream_hash", _stream_hash, 1, deterministic=True)


def _stream_hash(stream: Any) -> int:
    """Return what decides the bucket of a stream; its module is imported by the first consumer group."""
    from aureus.model.subscriptions import stream_hash

    return stream_hash(stream)


def _json_contains(stored: Any, wanted: Any) -> int | None:
    """Return whether JSON text contains JSON text, as PostgreSQL's operator ``@>`` has it; NULL for no JSON."""
    if not (isinstance(stored, str) and isinstance(wanted, str)):
        return None
    return int(contains(orjson.loads(stored), orjson.loads(wanted)))

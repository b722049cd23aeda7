"""How values travel to PostgreSQL and back: times as UTC datetimes, JSON as its exact text."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.pq import Format

_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INT64 = struct.Struct("!q")


class _UtcTimestamp(Loader):
    """Binary timestamptz: microseconds since 2000 in UTC, whatever the session's time zone is."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime:
        (micros,) = _INT64.unpack(data)
        return _PG_EPOCH + timedelta(microseconds=micros)


class _JsonText(Loader):
    """JSON as the text that was stored; decoding is the store's business."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


def register(adapters: AdaptersMap) -> None:
    """Teach a connection our binary types; results in text format, psycopg's default, are not touched."""
    adapters.register_loader("timestamptz", _UtcTimestamp)
    adapters.register_loader("json", _JsonText)


def first_error(error: BaseException) -> BaseException:
    """Return the error that ended a pipeline, not the ones that merely followed from it."""
    while isinstance(error, psycopg.errors.PipelineAborted) and error.__context__ is not None:
        error = error.__context__
    if isinstance(error, psycopg.Error):
        return error
    lost = psycopg.OperationalError("the answer to the commit could not be read")
    lost.__cause__ = error
    return lost


def settle_prepared(
    connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any],
) -> PQGen[None]:
    """Let the driver forget prepared statements now that it would forget in the middle of the next pipeline.

    After a ROLLBACK psycopg (3.3) sends DEALLOCATE ALL behind the next statement. Inside a pipeline that throws away
    what the same pipeline has just prepared, and later flushes fail with 26000.
    """
    prepared = connection._prepared  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - there is no public way
    yield from prepared.maintain_gen(connection)

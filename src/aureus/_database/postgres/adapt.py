"""How values travel to PostgreSQL and back: times as UTC datetimes, JSON as its exact text."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta

from psycopg.adapt import AdaptersMap, Buffer, Loader
from psycopg.pq import Format

_PG_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_INT64 = struct.Struct("!q")


class _UtcTimestamp(Loader):
    """Binary timestamptz: microseconds since 2000 in UTC, whatever the session's time zone is."""

    format = Format.BINARY

    def load(self, data: Buffer) -> datetime:
        return _PG_EPOCH + timedelta(0, 0, *_INT64.unpack(data))


class _JsonText(Loader):
    """JSON as the text that was stored; decoding is the store's business."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return bytes(data).decode()


def register(adapters: AdaptersMap) -> None:
    """Teach a connection our binary types; results in text format, psycopg's default, are not touched."""
    adapters.register_loader("timestamptz", _UtcTimestamp)
    adapters.register_loader("json", _JsonText)

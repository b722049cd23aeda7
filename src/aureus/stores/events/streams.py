"""Reads of one event and of one stream."""

from __future__ import annotations

from aureus._database.operation import Operations, read
from aureus._database.statement import Op, Queries, fetch_all, fetch_one
from aureus.codec import check_text
from aureus.errors import NotFound
from aureus.model.events import STREAM_CHARACTERS_MAX, Event, StreamSummary
from aureus.model.world_state import end_of_prefix
from aureus.stores.events.rows import as_it_is
from aureus.subject_keys.opening import event_of, opened_events

sql = Queries("events")


PAGE_MAX = 10_000
"""Events of one page."""


STREAMS_MAX = 1000
"""Streams of one page."""

NUMBER_MAX = 2**63 - 1
"""Behind every entry number and every version."""


class EventStreams(Operations):
    """Operations that read a stream."""

    @read
    def get(self, event_id: str) -> Op[Event]:
        """Return one event by its identifier. Raises ``NotFound``."""
        rows = yield from fetch_all(sql.get_event, as_it_is, event_id=event_id)
        if not rows:
            raise NotFound(f"there is no event {event_id!r}", event_id=event_id)
        (row,) = yield from opened_events(rows)
        return event_of(row)

    @read
    def read_stream(
        self,
        stream: str,
        *,
        after_version: int = 0,
        to_version: int | None = None,
        newest_first: bool = False,
        limit: int = 1000,
    ) -> Op[list[Event]]:
        """Return events of a stream: those behind ``after_version``, up to and with ``to_version``.

        Oldest first, or newest first; at most 10,000 at once. The next page begins behind the last version seen, or
        before it.
        """
        query = sql.read_stream_backwards if newest_first else sql.read_stream
        rows = yield from fetch_all(
            query,
            as_it_is,
            stream=stream,
            after_version=after_version,
            to_version=NUMBER_MAX if to_version is None else to_version,
            limit=max(1, min(limit, PAGE_MAX)),
        )
        return [event_of(row) for row in (yield from opened_events(rows))]

    @read
    def list_streams(
        self, *, prefix: str = "", after: str = "", limit: int = 100
    ) -> Op[list[StreamSummary]]:
        """Return a page of the streams that have events, in the order of their names; at most 1,000 at once.

        ``prefix`` picks those whose name begins with it, such as a category with its slash; ``after`` is the name of
        the last stream of the page before.
        """
        check_text(prefix, "prefix", characters_max=STREAM_CHARACTERS_MAX)
        check_text(after, "after", characters_max=STREAM_CHARACTERS_MAX)
        return (
            yield from fetch_all(
                sql.list_streams,
                lambda row: StreamSummary(*row),
                first_stream=prefix,
                end_stream=end_of_prefix(prefix),
                after_stream=after,
                limit=max(1, min(limit, STREAMS_MAX)),
            )
        )

    @read
    def stream_version(self, stream: str) -> Op[int]:
        """Return how many events a stream has; 0 when it does not exist."""
        version = yield from fetch_one(
            sql.get_stream_version, lambda row: int(row[0]), stream=stream
        )
        return version or 0

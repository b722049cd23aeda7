"""Looks at what was committed since the last look."""

from __future__ import annotations

from aureus._database.operation import Operations, read
from aureus._database.statement import (
    Op,
    Queries,
    fetch_all,
)
from aureus.model.tails import Horizon, Tail
from aureus.stores.events.rows import as_it_is
from aureus.subject_keys.opening import event_of, opened_events

sql = Queries("events")


TAIL_MAX = 1000
"""Entries that one look of a tail takes, and how far back its first one remembers what was there."""


class EventTails(Operations):
    """The operation that follows events."""

    @read
    def tail(
        self,
        previous: Tail | None = None,
        *,
        stream: str | None = None,
        type: str | None = None,  # noqa: A002 - the word of the event itself
        category: str | None = None,
    ) -> Op[Tail]:
        """Return what was committed since the previous look; without one, from where the next look goes on.

        Each event that is committed is told once, those of a stream in its order; over streams in the order in which
        they became visible. Nothing is skipped because it was committed late (``Tail`` says how, and when it may be).
        """
        if previous is None:
            rows = yield from fetch_all(sql.list_newest_entries, as_it_is, limit=TAIL_MAX)
            numbers = [row[2] for row in rows if row[2] is not None]
            settled = min(numbers) - 1 if len(numbers) == TAIL_MAX else 0
            return Tail(settled_no=settled).advanced(numbers, (), Horizon(*rows[0][:2]))
        rows = yield from fetch_all(
            sql.list_new_entries,
            as_it_is,
            settled_no=previous.settled_no,
            seen=sorted(previous.seen),
            stream=stream,
            type=type,
            category=category,
            limit=TAIL_MAX,
        )
        numbers = [row[2] for row in rows if row[2] is not None]
        found = yield from opened_events([row[3:] for row in rows if row[3] is not None])
        events = [event_of(row) for row in found]
        return previous.advanced(
            numbers, events, Horizon(*rows[0][:2]), has_more=len(numbers) == TAIL_MAX
        )

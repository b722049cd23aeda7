"""Events: what happened, in streams. Read here; appended by the ledger's recorder with the write they tell about."""

from __future__ import annotations

from aureus._database.operation import AsyncStore, Operations, Store, read
from aureus._database.statement import Op, Queries, Row, fetch_all, fetch_one
from aureus.codec import decode
from aureus.model.events import Event

sql = Queries("events")

PAGE_MAX = 10_000
"""Events of one page."""


class EventOperations(Operations):
    """Operations on events."""

    @read
    def read_stream(
        self, stream: str, *, after_version: int = 0, limit: int = 1000
    ) -> Op[list[Event]]:
        """Return events of a stream behind a version, oldest first; at most 10,000 at once."""
        return (
            yield from fetch_all(
                sql.read_stream,
                _event,
                stream=stream,
                after_version=after_version,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )

    @read
    def stream_version(self, stream: str) -> Op[int]:
        """Return how many events a stream has; 0 when it does not exist."""
        version = yield from fetch_one(
            sql.get_stream_version, lambda row: int(row[0]), stream=stream
        )
        return version or 0

    @read
    def list_audit_entries(self, *, after_no: int = 0, limit: int = 1000) -> Op[list[Event]]:
        """Return the events that are audit entries, oldest first, behind an entry number; at most 10,000 at once."""
        return (
            yield from fetch_all(
                sql.list_audit_entries,
                _event,
                after_no=after_no,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )


class EventStore(EventOperations, Store):
    """Events of one tenant."""


class AsyncEventStore(EventOperations, AsyncStore):
    """Events of one tenant, awaited."""


def _event(row: Row) -> Event:
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf_hash, payload, metadata = rest
    return Event(
        event_id=event_id,
        stream=stream,
        version=version,
        entry_no=entry_no,
        type=kind,
        payload=decode(payload),
        metadata={} if metadata is None else decode(metadata),
        actor=actor,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        action=action,
        resource=resource,
        outcome=outcome,
        leaf_hash=bytes(leaf_hash),
    )

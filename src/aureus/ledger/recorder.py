"""Turns the facts of a write into the statements that append them to their streams.

The database layer calls the recorder once for each write that states facts; what it returns travels in the same flush
and is carried out only when the write itself happened. An operation that appends events itself asks for the same
entries. The bytes that are hashed are the bytes that are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from aureus._database.drive import Companion
from aureus._database.statement import Queries, Recorded, Rows, Statement
from aureus.clock import to_micros
from aureus.codec import encode, encode_text
from aureus.errors import LimitExceeded
from aureus.ids import Ids
from aureus.model.events import (
    APPEND_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    AuditPoint,
    Event,
    Fact,
    category_of,
)
from aureus.model.leaf import LeafFields, commitment, leaf_hash

sql = Queries("events")

AuditMode = Literal["decisions", "all", "off"]

_TEXT_BYTES_MAX = 8 * APPEND_BYTES_MAX
"""Bytes of an append as one JSON text: never reached, since text inside text grows at most by half of that."""


class Recorder:
    """Makes events of facts; one for each open database."""

    def __init__(
        self, ids: Ids, audit: AuditMode = "decisions", *, keeps_routine: bool = True
    ) -> None:
        self._ids = ids
        self._audit = audit
        self._keeps_routine = keeps_routine

    def __call__(self, facts: Sequence[Recorded], now: datetime) -> Sequence[Companion]:
        """Return one append for each stream among the facts, in the order in which the streams first appear."""
        by_stream: dict[str, list[Recorded]] = {}
        for recorded in facts:
            if recorded.fact.is_routine and not self._keeps_routine:
                continue
            by_stream.setdefault(recorded.fact.stream, []).append(recorded)
        return [self._companion(group, now) for group in by_stream.values()]

    def prepare(self, facts: Sequence[Fact], now: datetime) -> StreamEntries:
        """Return the entries of facts of one stream. Raises ``Invalid`` and ``LimitExceeded``."""
        return StreamEntries([self._entry(fact, now) for fact in facts], now)

    def _companion(self, group: Sequence[Recorded], now: datetime) -> Companion:
        entries = self.prepare([recorded.fact for recorded in group], now)

        def receive(rows: Rows) -> None:
            for recorded, event in zip(group, entries.events(rows), strict=True):
                recorded.event = event

        return Companion(Statement(sql.append_events, entries.parameters), receive)

    def _entry(self, fact: Fact, now: datetime) -> Entry:
        point = self._audit_point(fact)
        fields = LeafFields(
            event_id=self._ids.new() if fact.event_id is None else fact.event_id,
            stream=fact.stream,
            type=str(fact.type),
            actor=fact.actor,
            occurred_at_micros=to_micros(now),
            correlation_id=fact.correlation_id,
            action=None if point is None else point.action,
            resource=None if point is None else point.resource,
            outcome=None if point is None else point.outcome,
        )
        payload = _encoded(fact.payload, f"payload of {fact.type}")
        metadata = _encoded(fact.metadata, f"metadata of {fact.type}") if fact.metadata else None
        salt = self._ids.salt()
        committed = commitment(salt, payload, metadata)
        return Entry(fact, fields, salt, payload, metadata, committed, leaf_hash(fields, committed))

    def _audit_point(self, fact: Fact) -> AuditPoint | None:
        """Return what makes this fact an audit entry under the tenant's mode, or None."""
        if fact.audit is None or self._audit == "off":
            return None
        return fact.audit if self._audit == "all" or fact.audit.is_decision else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One fact with everything that is stored and hashed for it."""

    fact: Fact
    fields: LeafFields
    salt: bytes
    payload: bytes
    metadata: bytes | None
    commitment: bytes
    leaf_hash: bytes

    @property
    def size_bytes(self) -> int:
        """Return how large payload and metadata are."""
        return len(self.payload) + len(self.metadata or b"")

    def to_json(self) -> dict[str, Any]:
        """Return the entry as its statement takes it: hashes in hexadecimal, the bytes of JSON as their text."""
        fields = self.fields
        return {
            "event_id": fields.event_id,
            "type": fields.type,
            "actor": fields.actor,
            "correlation_id": fields.correlation_id,
            "action": fields.action,
            "resource": fields.resource,
            "outcome": fields.outcome,
            "commitment": self.commitment.hex(),
            "leaf_hash": self.leaf_hash.hex(),
            "salt": self.salt.hex(),
            "payload": self.payload.decode(),
            "metadata": None if self.metadata is None else self.metadata.decode(),
        }


class StreamEntries:
    """Entries of one stream, in their order.

    They travel as one JSON text: a driver takes 160 µs for the twelve arrays that it stands for, and 10 µs for it.
    """

    def __init__(self, entries: Sequence[Entry], now: datetime) -> None:
        size = sum(entry.size_bytes for entry in entries)
        if size > APPEND_BYTES_MAX:
            raise LimitExceeded(
                f"the {len(entries)} events of one append have {size:,} bytes as JSON; the limit is "
                f"{APPEND_BYTES_MAX:,}. Append them in parts.",
                size_bytes=size,
                limit_bytes=APPEND_BYTES_MAX,
            )
        self._entries = entries
        self._now = now

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that a statement that appends them takes."""
        stream = self._entries[0].fields.stream
        return {
            "stream": stream,
            "category": category_of(stream),
            "count": len(self._entries),
            "entries": encode(
                [entry.to_json() for entry in self._entries],
                what="events",
                bytes_max=_TEXT_BYTES_MAX,
            ).decode(),
            "subjects": self._subjects(),
            "now": self._now,
        }

    def _subjects(self) -> str:
        """Return whom the entries concern: pairs of an event's identifier and a subject, as JSON."""
        pairs = [
            [entry.fields.event_id, subject]
            for entry in self._entries
            for subject in dict.fromkeys(entry.fact.subjects)
        ]
        return encode_text(pairs, what="subjects of events") if pairs else "[]"

    def events(self, rows: Rows) -> list[Event]:
        """Return the events, by the version, entry number, and for one that was there its time and hash, of each."""
        return [
            _event(entry, version, entry_no, occurred_at or self._now, stored or entry.leaf_hash)
            for entry, (version, entry_no, occurred_at, stored) in zip(
                self._entries, rows, strict=True
            )
        ]


def _encoded(value: dict[str, Any], what: str) -> bytes:
    return encode(value, what=what, bytes_max=PAYLOAD_BYTES_MAX)


def _event(entry: Entry, version: int, entry_no: int, occurred_at: datetime, leaf: bytes) -> Event:
    fact, fields = entry.fact, entry.fields
    return Event(
        event_id=fields.event_id,
        stream=fact.stream,
        version=version,
        entry_no=entry_no,
        type=fields.type,
        payload=fact.payload,
        metadata=fact.metadata,
        actor=fact.actor,
        occurred_at=occurred_at,
        correlation_id=fact.correlation_id,
        action=fields.action,
        resource=fields.resource,
        outcome=fields.outcome,
        leaf_hash=bytes(leaf),
    )

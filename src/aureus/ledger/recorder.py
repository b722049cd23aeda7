"""Turns the facts of a write into the statements that append them to their streams.

The database layer calls the recorder once for each write that states facts; what it returns travels in the same flush
and is carried out only when the write itself happened. The bytes that are hashed are the bytes that are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from aureus._database.drive import Companion
from aureus._database.statement import Queries, Recorded, Rows, Statement
from aureus.clock import to_micros
from aureus.codec import encode
from aureus.ids import Ids
from aureus.model.events import AuditPoint, Event, Fact, category_of
from aureus.model.leaf import LeafFields, commitment, leaf_hash

sql = Queries("events")

AuditMode = Literal["decisions", "all", "off"]


class Recorder:
    """Makes events of facts; one for each open database."""

    def __init__(self, ids: Ids, audit: AuditMode = "decisions") -> None:
        self._ids = ids
        self._audit = audit

    def __call__(self, facts: Sequence[Recorded], now: datetime) -> Sequence[Companion]:
        """Return one append for each stream among the facts, in the order in which the streams first appear."""
        by_stream: dict[str, list[Recorded]] = {}
        for recorded in facts:
            by_stream.setdefault(recorded.fact.stream, []).append(recorded)
        return [self._append(stream, group, now) for stream, group in by_stream.items()]

    def _append(self, stream: str, group: list[Recorded], now: datetime) -> Companion:
        entries = [self._entry(recorded.fact, now) for recorded in group]
        statement = Statement(
            sql.append_events,
            {
                "stream": stream,
                "category": category_of(stream),
                "count": len(entries),
                "now": now,
                "event_ids": [entry.fields.event_id for entry in entries],
                "types": [entry.fields.type for entry in entries],
                "actors": [entry.fields.actor for entry in entries],
                "correlation_ids": [entry.fields.correlation_id for entry in entries],
                "actions": [entry.fields.action for entry in entries],
                "resources": [entry.fields.resource for entry in entries],
                "outcomes": [entry.fields.outcome for entry in entries],
                "commitments": [entry.commitment for entry in entries],
                "leaf_hashes": [entry.leaf_hash for entry in entries],
                "salts": [entry.salt for entry in entries],
                "payloads": [entry.payload for entry in entries],
                "metadatas": [entry.metadata for entry in entries],
            },
        )

        def receive(rows: Rows) -> None:
            for recorded, entry, (version, entry_no, *_) in zip(group, entries, rows, strict=True):
                recorded.event = _event(recorded.fact, entry, version, entry_no, now)

        return Companion(statement, receive)

    def _entry(self, fact: Fact, now: datetime) -> _Entry:
        point = self._audit_point(fact)
        fields = LeafFields(
            event_id=self._ids.new(),
            stream=fact.stream,
            type=fact.type,
            actor=fact.actor,
            occurred_at_micros=to_micros(now),
            correlation_id=fact.correlation_id,
            action=None if point is None else point.action,
            resource=None if point is None else point.resource,
            outcome=None if point is None else point.outcome,
        )
        payload = encode(fact.payload, what=f"payload of {fact.type}")
        metadata = encode(fact.metadata, what=f"metadata of {fact.type}") if fact.metadata else None
        salt = self._ids.salt()
        committed = commitment(salt, payload, metadata)
        return _Entry(fields, salt, payload, metadata, committed, leaf_hash(fields, committed))

    def _audit_point(self, fact: Fact) -> AuditPoint | None:
        """Return what makes this fact an audit entry under the tenant's mode, or None."""
        if fact.audit is None or self._audit == "off":
            return None
        return fact.audit if self._audit == "all" or fact.audit.is_decision else None


@dataclass(frozen=True, slots=True)
class _Entry:
    fields: LeafFields
    salt: bytes
    payload: bytes
    metadata: bytes | None
    commitment: bytes
    leaf_hash: bytes


def _event(fact: Fact, entry: _Entry, version: int, entry_no: int, now: datetime) -> Event:
    fields = entry.fields
    return Event(
        event_id=fields.event_id,
        stream=fact.stream,
        version=version,
        entry_no=entry_no,
        type=fact.type,
        payload=fact.payload,
        metadata=fact.metadata,
        actor=fact.actor,
        occurred_at=now,
        correlation_id=fact.correlation_id,
        action=fields.action,
        resource=fields.resource,
        outcome=fields.outcome,
        leaf_hash=entry.leaf_hash,
    )

"""Entries of the ledger with the bytes that their leaves are made of, for whoever proves something by one."""

from __future__ import annotations

from dataclasses import dataclass

from aureus._database.statement import Op, Queries, Row, fetch_one
from aureus.clock import to_micros
from aureus.model.leaf import LeafFields, commitment, leaf_hash

sql = Queries("events")


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry with the bytes that its leaf is made of."""

    fields: LeafFields
    entry_no: int
    leaf_hash: bytes
    salt: bytes
    payload: bytes
    metadata: bytes | None

    def recomputed(self) -> bytes:
        """Return the hash of the leaf that these bytes make."""
        return leaf_hash(self.fields, commitment(self.salt, self.payload, self.metadata))


def entry_of(stream: str, version: int) -> Op[StoredEntry | None]:
    """Return the entry at a version of a stream; None when there is none, or its payload was erased."""
    return (
        yield from fetch_one(
            sql.get_entry, lambda row: _entry(stream, row), stream=stream, version=version
        )
    )


def _entry(stream: str, row: Row) -> StoredEntry:
    event_id, kind, actor, occurred_at, correlation_id, action, resource, outcome, *rest = row
    entry_no, leaf, salt, payload, metadata = rest
    fields = LeafFields(
        event_id=event_id,
        stream=stream,
        type=kind,
        actor=actor,
        occurred_at_micros=to_micros(occurred_at),
        correlation_id=correlation_id,
        action=action,
        resource=resource,
        outcome=outcome,
    )
    kept = None if metadata is None else bytes(metadata)
    return StoredEntry(fields, entry_no, bytes(leaf), bytes(salt), bytes(payload), kept)

"""Entries of the ledger with the bytes that their leaves are made of, for whoever proves something by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from aureus._database.statement import Op, Queries, Row, fetch_all
from aureus.clock import to_micros
from aureus.codec import decode
from aureus.errors import LimitExceeded, PayloadWithheld
from aureus.model.leaf import LeafFields, commitment, leaf_hash
from aureus.model.subject_keys import Withheld
from aureus.subject_keys.opening import opened_entries, opened_events

sql = Queries("events")

PAGE = 1000
"""Events of one statement."""

TOLD_MAX = 1_000_000
"""Events that one call follows: some hundred bytes of memory each."""


class Told(NamedTuple):
    """What an event tells, as far as a state is made of it."""

    stream: str
    version: int
    entry_no: int
    type: str
    payload: dict[str, Any]


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
    """Return the entry at a version of a stream; None when there is none, or its payload was erased.

    Raises ``PayloadWithheld`` for one that is encrypted and whose key is not here.
    """
    rows = yield from fetch_all(sql.get_entry, lambda row: row, stream=stream, version=version)
    for row in (yield from opened_entries(rows, event_id=0, salt=10)):
        if isinstance(row[11], Withheld):
            raise _withheld(row[0])
        return _entry(stream, row)
    return None


def told_between(first_stream: str, end_stream: str) -> Op[list[Told]]:
    """Return what is told in the streams between two names, stream by stream.

    Raises ``LimitExceeded``, and ``PayloadWithheld`` for what is encrypted and whose key is not here.
    """
    found: list[Told] = []
    after = ("", 0)
    while True:
        rows = yield from fetch_all(
            sql.list_stream_range,
            lambda row: row,
            first_stream=first_stream,
            end_stream=end_stream,
            after_stream=after[0],
            after_version=after[1],
            limit=PAGE,
        )
        page = [_told(row) for row in (yield from opened_events(rows)) if row[12] is not None]
        found += page
        if len(found) > TOLD_MAX:
            raise LimitExceeded(
                f"more than {TOLD_MAX:,} events have to be followed; narrow what you ask for",
                limit=TOLD_MAX,
            )
        if len(rows) < PAGE:
            return found
        after = (rows[-1][1], rows[-1][2])


def _told(row: Row) -> Told:
    if isinstance(row[12], Withheld):
        raise _withheld(row[0])
    return Told(row[1], row[2], row[3], row[4], decode(row[12]))


def _withheld(event_id: str) -> PayloadWithheld:
    return PayloadWithheld(
        f"what event {event_id} says is encrypted, and the key is not here; name the key store that has it",
        event_id=event_id,
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

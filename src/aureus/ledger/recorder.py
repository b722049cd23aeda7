"""Turns the facts of a write into the statements that append them to their streams.

The database layer calls the recorder once for each write that states facts; what it returns travels in the same flush
and is carried out only when the write itself happened. An operation that appends events itself asks for the same
entries. The bytes that are hashed are the bytes that are stored. Whether a fact is an audit entry too is decided here,
by the mode of its tenant; what an audit entry refers to is written behind its event, so that it is found by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from aureus._database.drive import Companion, SubjectKeysByName
from aureus._database.statement import Queries, Recorded, Rows, Statement
from aureus.clock import to_micros
from aureus.codec import encode, encode_made, encode_text
from aureus.errors import LimitExceeded
from aureus.ids import Ids
from aureus.ledger.audit_modes import AuditModes
from aureus.model.audit_modes import AuditMode
from aureus.model.audit_references import references_of
from aureus.model.events import (
    APPEND_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    AuditPoint,
    Event,
    EventType,
    Fact,
    category_of,
)
from aureus.model.leaf import LeafFields, commitment, leaf_hash
from aureus.subject_keys.envelopes import Content, EntryKeys

sql = Queries("events")
audit_sql = Queries("audit")

STREAMS_APART_MAX = 8
"""Streams of one write that are appended to one by one. What brings many things back at once appends to thousands."""

_TEXT_BYTES_MAX = 8 * APPEND_BYTES_MAX
"""Bytes of an append as one JSON text: never reached, since text inside text grows at most by half of that."""


_NO_KEYS: SubjectKeysByName = {}


class Recorder:
    """Makes events of facts; one for each open database."""

    def __init__(self, ids: Ids, modes: AuditModes, *, keeps_routine: bool = True) -> None:
        self._ids = ids
        self._modes = modes
        self._keeps_routine = keeps_routine

    def __call__(
        self,
        facts: Sequence[Recorded],
        now: datetime,
        tenant_id: str,
        keys: SubjectKeysByName = _NO_KEYS,
    ) -> Sequence[Companion]:
        """Return one append for each stream among the facts, in the order in which the streams first appear.

        Those of many streams are carried out together, in the order of the streams' names. What the audit entries
        among them refer to comes behind all of them. With the keys of the people whom facts concern, what these say
        is encrypted.
        """
        mode = self._modes.mode_of(tenant_id)
        by_stream: dict[str, list[Recorded]] = {}
        for recorded in facts:
            fact = recorded.fact
            if fact.is_routine and not self._keeps_routine and audit_point(fact, mode) is None:
                continue
            by_stream.setdefault(fact.stream, []).append(recorded)
        appends: list[Companion] = []
        references: list[dict[str, str]] = []
        prepared: list[tuple[Sequence[Recorded], StreamEntries]] = []
        for group in by_stream.values():
            entries = self.prepare([recorded.fact for recorded in group], now, tenant_id, keys)
            prepared.append((group, entries))
            references.extend(entries.references())
        if len(prepared) > STREAMS_APART_MAX:
            appends.append(self._append_together(prepared, now, tenant_id))
        else:
            appends.extend(self._append(*one, tenant_id) for one in prepared)
        if references:
            text = encode(references, what="references", bytes_max=_TEXT_BYTES_MAX).decode()
            writing = Statement(audit_sql.add_audit_references, {"refs": text})
            appends.append(Companion(writing, _nobody))
        return appends

    def prepare(
        self,
        facts: Sequence[Fact],
        now: datetime,
        tenant_id: str,
        keys: SubjectKeysByName = _NO_KEYS,
    ) -> StreamEntries:
        """Return the entries of facts of one stream. Raises ``Invalid`` and ``LimitExceeded``."""
        mode = self._modes.mode_of(tenant_id)
        return StreamEntries(
            [self._entry(fact, audit_point(fact, mode), now, keys) for fact in facts], now
        )

    def _append(
        self, group: Sequence[Recorded], entries: StreamEntries, tenant_id: str
    ) -> Companion:
        def receive(rows: Rows) -> None:
            self._receive(group, entries, rows, tenant_id)

        if len(entries) == 1:
            return Companion(Statement(sql.append_event, entries.parameters_of_one), receive)
        return Companion(Statement(sql.append_events, entries.parameters), receive)

    def _append_together(
        self,
        prepared: Sequence[tuple[Sequence[Recorded], StreamEntries]],
        now: datetime,
        tenant_id: str,
    ) -> Companion:
        def receive(rows: Rows) -> None:
            at = 0
            for group, entries in prepared:
                self._receive(group, entries, rows[at : at + len(group)], tenant_id)
                at += len(group)

        parameters = parameters_of_many([entries for _, entries in prepared], now)
        return Companion(Statement(sql.append_to_streams, parameters), receive)

    def _receive(
        self, group: Sequence[Recorded], entries: StreamEntries, rows: Rows, tenant_id: str
    ) -> None:
        for recorded, event in zip(group, entries.events(rows), strict=True):
            recorded.event = event
            if recorded.fact.type == EventType.AUDIT_MODE_SET:
                self._modes.changed(tenant_id)

    def _entry(
        self, fact: Fact, point: AuditPoint | None, now: datetime, keys: SubjectKeysByName
    ) -> Entry:
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
        encrypted: Stored | None = None
        if fact.subjects and keys:
            entry_keys = EntryKeys.of(keys[subject] for subject in fact.subjects)
            envelope = entry_keys.encrypted(fields.event_id, Content(payload, metadata))
            encrypted, salt = Stored(salt, envelope), entry_keys.salt(salt)
        committed = commitment(salt, payload, metadata)
        leaf = leaf_hash(fields, committed)
        return Entry(fact, fields, salt, payload, metadata, committed, leaf, encrypted)


def audit_point(fact: Fact, mode: AuditMode) -> AuditPoint | None:
    """Return what makes a fact an audit entry under a mode, or None."""
    point = fact.audit
    if point is None or point.is_explicit:
        return point
    if mode is AuditMode.OFF:
        return None
    return point if mode is AuditMode.ALL or point.is_decision else None


class Stored(NamedTuple):
    """What is stored beside an encrypted entry: what its salt is made from, and the envelope."""

    salt: bytes
    envelope: bytes


class Entry(NamedTuple):
    """One fact with everything that is stored and hashed for it."""

    fact: Fact
    fields: LeafFields
    salt: bytes
    payload: bytes
    metadata: bytes | None
    commitment: bytes
    leaf_hash: bytes
    encrypted: Stored | None = None
    """What is stored instead of salt, payload and metadata, where they are encrypted."""

    @property
    def size_bytes(self) -> int:
        """Return how large payload and metadata are."""
        return len(self.payload) + len(self.metadata or b"")

    def values(self) -> dict[str, Any]:
        """Return what is stored of the entry by the names of its columns, hashes and contents as bytes."""
        fields, stored = self.fields, self.encrypted
        salt, payload, metadata = self.salt, self.payload, self.metadata
        if stored is not None:
            salt, payload, metadata = stored.salt, stored.envelope, None
        return {
            "event_id": fields.event_id,
            "type": fields.type,
            "actor": fields.actor,
            "correlation_id": fields.correlation_id,
            "action": fields.action,
            "resource": fields.resource,
            "outcome": fields.outcome,
            "commitment": self.commitment,
            "leaf_hash": self.leaf_hash,
            "salt": salt,
            "payload": payload,
            "metadata": metadata,
        }

    def to_json(self) -> dict[str, Any]:
        """Return the entry as a statement for many takes it: hashes in hexadecimal, the bytes of JSON as their text."""
        values = self.values()
        metadata = values["metadata"]
        return {
            **values,
            "commitment": self.commitment.hex(),
            "leaf_hash": self.leaf_hash.hex(),
            "salt": values["salt"].hex(),
            "payload": values["payload"].decode(),
            "metadata": None if metadata is None else metadata.decode(),
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

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._entries)

    @property
    def stream(self) -> str:
        """The stream that they belong to."""
        return self._entries[0].fields.stream

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that a statement that appends them takes."""
        stream = self.stream
        return {
            "stream": stream,
            "category": category_of(stream),
            "count": len(self._entries),
            "entries": encode(
                [entry.to_json() for entry in self._entries],
                what="events",
                bytes_max=_TEXT_BYTES_MAX,
            ).decode(),
            "subjects": _subjects_text(self.subjects()),
            "now": self._now,
        }

    @property
    def parameters_of_one(self) -> dict[str, Any]:
        """The parameters of a statement that appends exactly one entry: its values as they are stored."""
        (entry,) = self._entries
        stream = entry.fields.stream
        return {
            **entry.values(),
            "stream": stream,
            "category": category_of(stream),
            "subjects": _subjects_text(self.subjects()),
            "now": self._now,
        }

    def references(self) -> list[dict[str, str]]:
        """Return what the audit entries among them refer to, as its statement takes it."""
        return [
            {"event_id": entry.fields.event_id, "kind": kind.value, "value": value}
            for entry in self._entries
            if entry.fields.action is not None
            for kind, value in references_of(entry.fact.payload)
        ]

    def among_many(self, first: int) -> list[dict[str, Any]]:
        """Return the entries as a statement takes them that appends to many streams; ``first`` come before them."""
        rows: list[dict[str, Any]] = []
        for behind, entry in enumerate(reversed(self._entries)):
            rows.append(
                {**entry.to_json(), "stream": self.stream, "behind": behind, "first": first}
            )
        return rows[::-1]

    def subjects(self) -> list[list[str]]:
        """Return whom the entries concern: pairs of an event's identifier and a subject."""
        return [
            [entry.fields.event_id, subject]
            for entry in self._entries
            for subject in dict.fromkeys(entry.fact.subjects)
        ]

    def events(self, rows: Rows) -> list[Event]:
        """Return the events, by the version, entry number, and for one that was there its time and hash, of each."""
        return [
            _event(entry, version, entry_no, occurred_at or self._now, stored or entry.leaf_hash)
            for entry, (version, entry_no, occurred_at, stored, *_) in zip(
                self._entries, rows, strict=True
            )
        ]


def parameters_of_many(groups: Sequence[StreamEntries], now: datetime) -> dict[str, Any]:
    """Return the parameters of a statement that appends to many streams at once."""
    rows: list[dict[str, Any]] = []
    subjects: list[list[str]] = []
    for entries in groups:
        rows.extend(entries.among_many(len(rows)))
        subjects.extend(entries.subjects())
    streams = [[entries.stream, category_of(entries.stream), len(entries)] for entries in groups]
    return {
        "streams": encode_made(streams),
        "entries": encode_made(rows),
        "subjects": _subjects_text(subjects),
        "now": now,
    }


def _subjects_text(pairs: Sequence[Sequence[str]]) -> str:
    return encode_text(pairs, what="subjects of events") if pairs else "[]"


def _nobody(_: Rows) -> None:
    """Take the rows of a statement that nobody waits for."""


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

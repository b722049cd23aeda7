"""Reads rows of encrypted entries: in the place of each envelope stands what it holds, or why that is withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aureus._database.statement import Op, Queries, Row, Rows, fetch_all, find_subject_keys
from aureus.codec import decode
from aureus.model.events import Event
from aureus.model.subject_keys import SubjectKey, Withheld
from aureus.subject_keys.envelopes import (
    Content,
    EntryKeys,
    EnvelopeDamaged,
    entry_keys,
    is_envelope,
    key_ids_of,
)

sql = Queries("subject_keys")

_PAYLOAD_OF_EVENT = 12
"""Columns between the identifier of an event and its payload, in every list of events; metadata come behind it."""


def opened_events(rows: Rows, first: int = 0) -> Op[list[Row]]:
    """Return rows whose columns from ``first`` on are those of an event, with payloads and metadata in the clear.

    None stands for what was erased: deleted, or encrypted under a key whose destruction is on record. ``Withheld``
    stands for what cannot be read here. One row that cannot be read never fails the others.
    """
    payload = first + _PAYLOAD_OF_EVENT
    opener = yield from _opener(rows, payload)
    if opener is None:
        return list(rows)
    gone = (yield from list_destroyed(sorted(opener.absent))) if opener.absent else []
    answer: list[Row] = []
    for row in rows:
        found: tuple[Any, ...] | None = None
        if is_envelope(row[payload]):
            keys, content = opener.content_of(row[first], row[payload])
            if keys is None and not set(gone).isdisjoint(content.key_ids):
                found = None, None
            elif isinstance(content, Withheld):
                found = content, None
            else:
                found = content.payload, content.metadata
        answer.append(row if found is None else (*row[:payload], *found, *row[payload + 2 :]))
    return answer


def opened_entries(rows: Rows, *, event_id: int, salt: int) -> Op[list[Row]]:
    """Return rows with salt, payload and metadata one behind the other, in the clear, as their hashes are made of them.

    ``Withheld`` stands in the place of a payload that cannot be read here, beside None for salt and metadata. Nothing
    is believed of keys that are said to be destroyed: who verifies looks for the record itself.
    """
    payload, metadata = salt + 1, salt + 2
    opener = yield from _opener(rows, payload)
    if opener is None:
        return list(rows)
    answer: list[Row] = []
    for row in rows:
        if not is_envelope(row[payload]):
            answer.append(row)
            continue
        keys, content = opener.content_of(row[event_id], row[payload])
        found: tuple[Any, ...] = None, content, None
        if row[metadata] is not None:
            # An envelope has its metadata inside: these were put there by somebody else.
            found = None, Withheld((), is_damaged=True), None
        elif keys is not None and isinstance(content, Content):
            found = keys.salt(bytes(row[salt])), content.payload, content.metadata
        answer.append((*row[:salt], *found, *row[metadata + 1 :]))
    return answer


def event_of(row: Row, position: int | None = None) -> Event:
    """Return the event of an opened row, which begins as those of ``opened_events``; without a payload it is redacted.

    ``position`` is where it is sealed, for whoever knows.
    """
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf_hash, payload, metadata, *_ = rest
    is_withheld = isinstance(payload, Withheld)
    return Event(
        event_id,
        stream,
        version,
        entry_no,
        kind,
        {} if payload is None or is_withheld else decode(payload),
        {} if metadata is None else decode(metadata),
        actor,
        occurred_at,
        correlation_id,
        action,
        resource,
        outcome,
        bytes(leaf_hash),
        position,
        payload is None,
        is_withheld,
    )


def list_destroyed(key_ids: Sequence[str]) -> Op[list[str]]:
    """Return those of some keys whose destruction is on record here."""
    return (
        yield from fetch_all(
            sql.list_destroyed_keys, lambda row: str(row[0]), key_ids=list(key_ids)
        )
    )


class _Opener:
    """The keys of a page, each set of them looked up once."""

    def __init__(self, headers: Mapping[bytes, tuple[str, ...]]) -> None:
        self._headers = headers
        self._keys: dict[bytes, EntryKeys | None] = {}
        self.wanted = sorted({key_id for key_ids in headers.values() for key_id in key_ids})
        self.absent: set[str] = set()

    def take(self, keys: Mapping[str, SubjectKey]) -> None:
        """Take the keys that were found."""
        self.absent = set(self.wanted) - keys.keys()
        self._keys = {
            header: entry_keys(key_ids, keys) for header, key_ids in self._headers.items()
        }

    def content_of(self, event_id: str, stored: Any) -> tuple[EntryKeys | None, Any]:
        """Return the keys that open an envelope, where all of them are here, and its ``Content`` or ``Withheld``."""
        envelope = bytes(stored)
        header = _header_of(envelope)
        keys, key_ids = self._keys.get(header), self._headers[header]
        if keys is None:
            return None, Withheld(key_ids, is_damaged=not key_ids)
        try:
            return keys, keys.decrypted(event_id, envelope)
        except EnvelopeDamaged:
            return keys, Withheld(key_ids, is_damaged=True)


def _opener(rows: Rows, payload: int) -> Op[_Opener | None]:
    """Return the keys of the envelopes among rows; None when there is none."""
    headers: dict[bytes, tuple[str, ...]] = {}
    for row in rows:
        if is_envelope(row[payload]):
            header = _header_of(bytes(row[payload]))
            if header not in headers:
                headers[header] = key_ids_of(header + b"]")
    if not headers:
        return None
    opener = _Opener(headers)
    if opener.wanted:
        opener.take((yield from find_subject_keys(opener.wanted)))
    return opener


def _header_of(envelope: bytes) -> bytes:
    """Return what two envelopes of the same keys have in common."""
    return envelope.partition(b"]")[0]

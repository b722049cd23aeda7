"""Erasures: entries found by the people they concern, their payloads deleted on record and in no other way.

Used by `aureus.erasing`, and by whatever else has a reason to take payloads of entries away: `erase_payloads` is the
one path to it, which the triggers of both engines hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from aureus._database.statement import (
    Op,
    Queries,
    Row,
    current_time,
    fetch_all,
    fetch_one,
    record,
)
from aureus.codec import decode
from aureus.errors import Conflict
from aureus.model.erasures import ErasureRecord, FoundEntry
from aureus.model.events import Fact

sql = Queries("erasures")

ENTRIES_MAX = 500
"""Entries of one batch: SQLite's other writers wait for the whole of it."""

Payloads = list[tuple[int, str]]
"""Entry numbers with the identifiers of their events."""


def lock_erasures() -> Op[None]:
    """Let nobody else erase in this tenant until the end of the transaction; the first thing that a batch does."""
    yield from fetch_one(sql.lock_erasures, bool)


def find_record(record_id: str) -> Op[ErasureRecord | None]:
    """Return what a record says, when this very batch was carried out before; else None."""
    return (
        yield from fetch_one(
            sql.find_record,
            lambda row: ErasureRecord.from_payload(record_id, decode(row[0])),
            record_id=record_id,
        )
    )


def has_erased_entries(first_stream: str, end_stream: str) -> Op[bool]:
    """Return whether an entry of the streams between two names has lost its payload to an erasure."""
    found = yield from fetch_one(
        sql.has_erased_entries, bool, first_stream=first_stream, end_stream=end_stream
    )
    return found is not None


def find_entry_pruned(first_stream: str, end_stream: str, record_stream: str) -> Op[int | None]:
    """Return the first entry of the streams between two names whose payload went by a record of a stream, or None."""
    return (
        yield from fetch_one(
            sql.find_entry_pruned,
            lambda row: None if row[0] is None else int(row[0]),
            first_stream=first_stream,
            end_stream=end_stream,
            record_stream=record_stream,
        )
    )


def list_payloads(entry_nos: Sequence[int]) -> Op[Payloads]:
    """Return those of some entries that have their payload still."""
    if not entry_nos:
        return []
    return (
        yield from fetch_all(
            sql.list_payloads,
            lambda row: (int(row[0]), str(row[1])),
            entry_nos=sorted(set(entry_nos)),
        )
    )


def count_encrypted(payloads: Payloads) -> Op[int]:
    """Return how many payloads are encrypted."""
    if not payloads:
        return 0
    entry_nos = [entry_no for entry_no, _ in payloads]
    return (
        yield from fetch_one(sql.count_encrypted, lambda row: int(row[0]), entry_nos=entry_nos)
    ) or 0


def is_key_destroyed(key_id: str) -> Op[bool]:
    """Return whether a record says that a key is destroyed."""
    return (yield from fetch_one(sql.is_key_destroyed, bool, key_id=key_id)) is not None


def destroy_key(key_id: str, *, erasure_id: str, record_id: str, fact: Fact) -> Op[None]:
    """State the record of a key's destruction: nothing can be written under it from the commit on.

    ``fact`` is the record, with ``record_id`` as its event's identifier and the key under ``key_ids``. Behind
    ``lock_erasures``; the key store follows after the commit.
    """
    now = yield from current_time()
    yield from record(fact)
    yield from fetch_one(sql.add_erasure, bool, record_id=record_id, erasure_id=erasure_id, now=now)
    yield from fetch_one(sql.add_destroyed_key, bool, key_id=key_id, record_id=record_id)


def erase_payloads(payloads: Payloads, *, erasure_id: str, record_id: str, fact: Fact) -> Op[None]:
    """State the record of a batch, and delete salt, payload, metadata and references of the entries that it names.

    ``fact`` is the record: of type ``payloads_erased`` where there are entries, with ``record_id`` as its event's
    identifier and the identifiers of their events under ``event_ids``. ``payloads`` come from ``list_payloads`` in
    the same transaction, behind ``lock_erasures``. Atomic with the rest of it. Raises ``Conflict``.
    """
    now = yield from current_time()
    yield from record(fact)
    yield from fetch_one(sql.add_erasure, bool, record_id=record_id, erasure_id=erasure_id, now=now)
    if not payloads:
        return
    entry_nos = [entry_no for entry_no, _ in payloads]
    yield from fetch_all(sql.mark_entries, bool, entry_nos=entry_nos, record_id=record_id)
    gone = yield from fetch_all(sql.delete_payloads, bool, entry_nos=entry_nos)
    yield from fetch_all(sql.delete_references, bool, entry_nos=entry_nos)
    if len(gone) != len(payloads):
        raise Conflict("payloads changed in the same moment; nothing was erased, repeat the call")


def forget_subject(subject: str, entry_nos: Sequence[int]) -> Op[int]:
    """Delete what says that these entries concern the person; return how many rows that were."""
    if not entry_nos:
        return 0
    gone = yield from fetch_all(
        sql.forget_subject, bool, subject=subject, entry_nos=sorted(set(entry_nos))
    )
    return len(gone)


def list_subject_entries(subject: str, *, after_no: int, limit: int) -> Op[list[FoundEntry]]:
    """Return entries that concern the person, in their order behind one of them, erased for another one or not."""
    return (
        yield from fetch_all(
            sql.list_subject_entries, _found, subject=subject, after_no=after_no, limit=limit
        )
    )


def list_stream_entries(stream: str, *, after_version: int, limit: int) -> Op[list[FoundEntry]]:
    """Return entries of a stream that have their payload, behind a version."""
    return (
        yield from fetch_all(
            sql.list_stream_entries,
            _found,
            stream=stream,
            after_version=after_version,
            limit=limit,
        )
    )


def list_streams(names: Sequence[str], category: str, ending: str) -> Op[list[str]]:
    """Return those of the streams that have events, and those of a category whose names end so."""
    found: list[str] = []
    for name in names:
        if (yield from fetch_one(sql.is_stream_known, bool, stream=name)):
            found.append(name)  # noqa: PERF401 - a comprehension cannot yield
    others = yield from fetch_all(
        sql.list_streams_ending, lambda row: str(row[0]), category=category, ending=ending
    )
    return [*found, *(name for name in others if name not in found)]


def _found(row: Row) -> FoundEntry:
    return FoundEntry(*row)

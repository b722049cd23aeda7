"""The audit trail: entries that callers append, entries that stores leave, found by what they are about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Unpack

from aureus._database.operation import AsyncStore, Store, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    accompany,
    fetch_one,
    last_all,
    new_id,
    prepare,
)
from aureus.codec import check, check_names, encode_made
from aureus.errors import AlreadyExists
from aureus.model.audit import (
    ACTION_CHARACTERS_MAX,
    RESOURCE_CHARACTERS_MAX,
    SUCCESS,
    AuditEntry,
    AuditFilters,
    entry_of,
    payload_of,
)
from aureus.model.differences import ABSENT
from aureus.model.events import (
    NAME_CHARACTERS_MAX,
    SUBJECT_BYTES_MAX,
    SUBJECTS_MAX,
    AuditPoint,
    EventType,
    Fact,
)
from aureus.model.memories import Provenance
from aureus.stores.audit.finding import FindingOperations
from aureus.stores.audit.modes import ModeOperations
from aureus.stores.audit.rows import MODES_STREAM, check_moment, check_name, check_references

sql = Queries("audit")
event_sql = Queries("events")

__all__ = [
    "MODES_STREAM",
    "AsyncAuditStore",
    "AuditOperations",
    "AuditStore",
    "check_moment",
    "check_name",
]

WALK_PAGE = 500
"""Entries that a walk over all of them reads at once."""


class AuditOperations(FindingOperations, ModeOperations):
    """Operations on the audit trail of a tenant."""

    @write
    def append(
        self,
        actor: str,
        action: str,
        *,
        before: Any = ABSENT,
        after: Any = ABSENT,
        metadata: Mapping[str, Any] | None = None,
        source_event_ids: Sequence[str] = (),
        provenance: Provenance | None = None,
        resource: str | None = None,
        correlation_id: str | None = None,
        outcome: str = SUCCESS,
        subjects: Sequence[str] = (),
        operation_id: str | None = None,
    ) -> Op[AuditEntry]:
        """Append an entry that says who did what, with what was before and after, and return it as it is stored.

        Atomic, and recorded in every mode. Inside a transaction it is part of it: when it cannot be written, neither
        can the rest. What is left out of ``before`` and ``after`` is absent, which differs from None; where they differ
        is found by ``differences`` and stored with them. Entries of one actor are one stream, ``audit/<actor>``.
        ``subjects`` are the people whom it concerns: erasing one of them erases what the entry says.

        ``operation_id`` becomes the entry's ``event_id``: repeating the same call returns the stored entry. Raises
        ``AlreadyExists`` when something else has that identifier, ``Invalid`` and ``LimitExceeded`` for what cannot be
        stored.
        """
        event_id = (yield from new_id()) if operation_id is None else operation_id
        for what, text, most in (
            ("actor", actor, NAME_CHARACTERS_MAX),
            ("operation_id", event_id, NAME_CHARACTERS_MAX),
            ("action", action, ACTION_CHARACTERS_MAX),
            ("outcome", outcome, ACTION_CHARACTERS_MAX),
        ):
            check_name(text, what, most)
        for what, given, most in (
            ("resource", resource, RESOURCE_CHARACTERS_MAX),
            ("correlation_id", correlation_id, NAME_CHARACTERS_MAX),
        ):
            if given is not None:
                check_name(given, what, most)
        for what, value in (("before", before), ("after", after)):
            if value is not ABSENT:
                check(value, what)
        check_references(source_event_ids, provenance)
        fact = Fact(
            stream=f"{MODES_STREAM}/{actor}",
            type=EventType.AUDIT_ENTRY,
            payload=payload_of(
                before, after, source_event_ids=source_event_ids, provenance=provenance
            ),
            actor=actor,
            metadata=dict(metadata or {}),
            correlation_id=correlation_id,
            audit=AuditPoint(action, resource, outcome, is_explicit=True),
            event_id=event_id,
            subjects=check_names(
                subjects, "subjects", count_max=SUBJECTS_MAX, bytes_max=SUBJECT_BYTES_MAX
            ),
        )
        return (yield from self._append(fact, event_id))

    def _append(self, fact: Fact, event_id: str) -> Op[AuditEntry]:
        entries = yield from prepare([fact])
        references = entries.references()
        if references:
            yield from accompany(sql.add_audit_references, refs=encode_made(references))
        rows = yield from last_all(
            event_sql.append_expecting, lambda row: row, expected=-1, **entries.parameters
        )
        if not rows:
            raise Refused(lambda: self._why_not_appended(event_id))
        (event,) = entries.events(rows)
        return entry_of(event)

    def _why_not_appended(self, event_id: str) -> Op[None]:
        """Raise the error of an entry that was not appended; return when nothing speaks against it any more."""
        taken = yield from fetch_one(event_sql.find_taken_id, lambda row: row, event_ids=[event_id])
        if taken is not None:
            _, stream, version = taken
            raise AlreadyExists(
                f"{event_id!r} is version {version} of stream {stream!r} already, and differs from this entry; give a "
                "new entry another operation_id",
                event_id=event_id,
                stream=stream,
                version=version,
            )


class AuditStore(Store, AuditOperations):
    """The audit trail of one tenant."""

    def walk(
        self, *, newest_first: bool = False, **filters: Unpack[AuditFilters]
    ) -> Iterator[AuditEntry]:
        """Yield all entries that the filters let through, oldest first, page by page; filters are those of ``list``."""
        cursor: str | None = None
        while True:
            page = self.list(newest_first=newest_first, cursor=cursor, limit=WALK_PAGE, **filters)
            yield from page.entries
            cursor = page.cursor
            if cursor is None:
                return


class AsyncAuditStore(AsyncStore, AuditOperations):
    """The audit trail of one tenant, awaited."""

    async def walk(
        self, *, newest_first: bool = False, **filters: Unpack[AuditFilters]
    ) -> AsyncIterator[AuditEntry]:
        """Yield all entries that the filters let through, oldest first, page by page; filters are those of ``list``."""
        cursor: str | None = None
        while True:
            page = await self.list(
                newest_first=newest_first, cursor=cursor, limit=WALK_PAGE, **filters
            )
            for entry in page.entries:
                yield entry
            cursor = page.cursor
            if cursor is None:
                return

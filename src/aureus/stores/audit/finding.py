"""Finding audit entries by whatever they are about, each filter along an index of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Unpack

from aureus._database.operation import Operations, read
from aureus._database.statement import Op, Queries, fetch_all
from aureus.clock import from_micros, to_micros
from aureus.codec import encode_made
from aureus.errors import Invalid, NotFound
from aureus.model.audit import (
    ACTION_CHARACTERS_MAX,
    RESOURCE_CHARACTERS_MAX,
    AuditEntry,
    AuditFilters,
    AuditPage,
)
from aureus.model.audit_references import ReferenceKind
from aureus.model.events import NAME_CHARACTERS_MAX
from aureus.model.verification import SealedEntry
from aureus.stores.audit.rows import audit_entry, check_moment, check_name, stored_entry
from aureus.subject_keys.opening import opened_entries, opened_events

sql = Queries("audit")

SCAN_MAX = 2000
"""Entries of a page, and those that one call looks at where no index finds exactly what is wanted: some milliseconds of
work. The statement has this number too."""

_COLUMNS = ("actor", "action", "resource", "outcome", "correlation_id")

_REFERENCES = {
    "source_event_id": ReferenceKind.SOURCE_EVENT,
    "step_id": ReferenceKind.STEP,
    "task_id": ReferenceKind.TASK,
    "run_id": ReferenceKind.RUN,
}
"""Filters by what entries refer to, the narrowest first."""

_PATHS = {
    "correlation_id": "correlation",
    "resource": "resource",
    "actor": "actor",
    "action": "action",
}
"""Filters that an index serves, the narrowest first, and what the statement calls them."""

_LIMITS = {
    "action": ACTION_CHARACTERS_MAX,
    "outcome": ACTION_CHARACTERS_MAX,
    "resource": RESOURCE_CHARACTERS_MAX,
}

StoredReferences = list[tuple[int, str, str, datetime]]
"""What entries refer to as it is stored: entry number, kind, value, time."""

Place = tuple[datetime, int]
"""Where an entry stands in a list: its time and its number."""

_BEGINNING: Place = (datetime(1, 1, 1, tzinfo=UTC), 0)
_END: Place = (datetime.max.replace(tzinfo=UTC), 2**63 - 1)


class FindingOperations(Operations):
    """Operations that read the trail."""

    @read
    def get(self, event_id: str) -> Op[AuditEntry]:
        """Return one entry by its identifier. Raises ``NotFound``, also for an event that is no audit entry."""
        rows = yield from fetch_all(sql.get_audit_entry, lambda row: row, event_id=event_id)
        if not rows:
            raise NotFound(f"there is no audit entry {event_id!r}", event_id=event_id)
        (row,) = yield from opened_events(rows)
        return (yield from _placed([audit_entry(row)]))[0]

    @read
    def list(
        self,
        *,
        newest_first: bool = False,
        cursor: str | None = None,
        limit: int = 100,
        **filters: Unpack[AuditFilters],
    ) -> Op[AuditPage]:
        """Return a page of the entries that all filters let through, in the order of time, oldest first.

        Filters: ``actor``, ``action``, ``resource``, ``outcome``, ``correlation_id``; ``run_id``, ``task_id``,
        ``step_id``, ``source_event_id`` for what an entry refers to; ``since`` and ``until`` (times of ``occurred_at``,
        the second one exclusive). At most 2,000 entries; ``cursor`` is that of the page before. Times are those of the
        processes that wrote; entries of the same time are in the order of ``entry_no``. Those sealed have a position.

        Any one filter but ``outcome`` is found by its index, with times. With more, one call looks at no more than
        2,000 entries and returns what it found among them: few or none, and a cursor from which the next call goes on.
        """
        wanted = _wanted(filters)
        count = max(1, min(limit, SCAN_MAX))
        low, high = _bounds(filters, cursor, newest_first=newest_first)
        scan = count if wanted.is_served else SCAN_MAX
        rows = yield from fetch_all(
            sql.scan_audit_entries,
            lambda row: row,
            path=f"{'newest' if newest_first else 'oldest'} of {wanted.path}",
            is_ascending=not newest_first,
            from_at=low[0],
            from_no=low[1],
            to_at=high[0],
            to_no=high[1],
            scan=scan,
            limit=count,
            **wanted.parameters,
        )
        opened = yield from opened_events([row[3:] for row in rows if row[3] is not None])
        entries = tuple((yield from _placed([audit_entry(row) for row in opened])))
        scanned_count, *reached = rows[0][:3]
        if len(entries) == count:
            return AuditPage(entries, _cursor((entries[-1].occurred_at, entries[-1].entry_no)))
        if scanned_count < scan:
            return AuditPage(entries, None)
        return AuditPage(entries, _cursor((reached[0], reached[1])))

    @read
    def list_references(self, entry_nos: Sequence[int]) -> Op[StoredReferences]:
        """Return what is stored as references of entries: entry number, kind, value and time; for verifying."""
        return (
            yield from fetch_all(
                sql.list_audit_references, lambda row: row, entry_nos=list(entry_nos)
            )
        )

    @read
    def get_stored(self, event_id: str) -> Op[SealedEntry]:
        """Return an entry as it is stored, for verifying; at position -1, sealed or not. Raises ``NotFound``."""
        rows = yield from fetch_all(sql.get_stored_entry, lambda row: row, event_id=event_id)
        if not rows:
            raise NotFound(f"there is no audit entry {event_id!r}", event_id=event_id)
        (row,) = yield from opened_entries(rows, event_id=0, salt=13)
        return stored_entry(row)


def _placed(entries: Sequence[AuditEntry]) -> Op[Sequence[AuditEntry]]:
    """Return the entries, those that are sealed with their position."""
    if not entries:
        return entries
    numbers = [entry.entry_no for entry in entries]
    places = yield from fetch_all(
        sql.list_positions, lambda row: (int(row[0]), row[1]), entry_nos=numbers
    )
    positions = dict(places)
    return [replace(entry, position=positions.get(entry.entry_no)) for entry in entries]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Filters as the statement takes them."""

    path: str
    is_served: bool
    """Whether the index alone finds what is wanted, so that nothing is looked at in vain."""
    parameters: Mapping[str, Any]


def _wanted(filters: AuditFilters) -> _Wanted:
    """Return filters as the statement takes them. Raises ``Invalid`` and ``LimitExceeded``."""
    unknown = filters.keys() - AuditFilters.__annotations__.keys()
    if unknown:
        raise Invalid(f"there is no filter {min(unknown)!r}", what=min(unknown))
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    for name in ("since", "until"):
        if name in given:
            check_moment(given.pop(name), name)
    for name, value in given.items():
        check_name(value, name, _LIMITS.get(name, NAME_CHARACTERS_MAX))
    references = [(name, kind, given[name]) for name, kind in _REFERENCES.items() if name in given]
    served = references[0][0] if references else next((n for n in _PATHS if n in given), None)
    kind, value = references.pop(0)[1:] if references else (None, None)
    return _Wanted(
        path="reference" if kind else _PATHS.get(served or "", "all"),
        is_served=given.keys() <= {served},
        parameters={
            "kind": kind,
            "value": value,
            "refs": encode_made([{"kind": kind, "value": value} for _, kind, value in references]),
            **{name: given.get(name) for name in _COLUMNS},
        },
    )


def _bounds(
    filters: AuditFilters, cursor: str | None, *, newest_first: bool
) -> tuple[Place, Place]:
    """Return the places between which a page lies, both exclusive. Raises ``Invalid`` for what is no cursor."""
    since, until = filters.get("since"), filters.get("until")
    low = _BEGINNING if since is None else (since, 0)
    high = _END if until is None else (until, 0)
    if cursor is None:
        return low, high
    place = _place(cursor)
    return (low, min(high, place)) if newest_first else (max(low, place), high)


def _cursor(place: Place) -> str:
    return f"{to_micros(place[0])}.{place[1]}"


def _place(cursor: str) -> Place:
    try:
        micros, number = cursor.split(".")
        return from_micros(int(micros)), int(number)
    except (AttributeError, ValueError, OverflowError) as error:
        raise Invalid(
            f"cursor is {cursor!r}; it is that of a page of audit entries", what="cursor"
        ) from error

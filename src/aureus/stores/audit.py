"""The audit trail: entries that callers append, entries that stores leave, found by what they are about."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Unpack

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    accompany,
    current_time,
    fetch_all,
    fetch_one,
    last,
    last_all,
    new_id,
    prepare,
    record,
)
from aureus.clock import from_micros, to_micros
from aureus.codec import check, check_names, check_text, decode, encode_made
from aureus.errors import AlreadyExists, Invalid, LimitExceeded, NotFound
from aureus.model.audit import (
    ACTION_CHARACTERS_MAX,
    ACTIONS,
    REFERENCE_CHARACTERS_MAX,
    RESOURCE_CHARACTERS_MAX,
    SOURCE_EVENTS_MAX,
    SUCCESS,
    AuditEntry,
    AuditFilters,
    AuditMode,
    AuditPage,
    ReferenceKind,
    TenantAuditMode,
    entry_of,
    payload_of,
)
from aureus.model.differences import ABSENT
from aureus.model.events import (
    NAME_CHARACTERS_MAX,
    SUBJECT_BYTES_MAX,
    SUBJECTS_MAX,
    AuditPoint,
    Event,
    EventType,
    Fact,
)
from aureus.model.leaf import LeafFields
from aureus.model.memories import Provenance
from aureus.model.verification import SealedEntry, StoredEvent

sql = Queries("audit")
event_sql = Queries("events")

SCAN_MAX = 2000
"""Entries of a page, and those that one call looks at where no index finds exactly what is wanted: some milliseconds of
work. The statement has this number too."""

WALK_PAGE = 500
"""Entries that a walk over all of them reads at once."""

MODES_STREAM = "audit"
"""The stream of what happens to the trail itself; those of entries are ``audit/<actor>``."""

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


class AuditOperations(Operations):
    """Operations on the audit trail of a tenant."""

    def __init__(self, default_mode: AuditMode = AuditMode.DECISIONS) -> None:
        """Take the mode that the settings give to tenants without one of their own."""
        self._default_mode = default_mode

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
        _check_references(source_event_ids, provenance)
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

    @write
    def set_mode(
        self, mode: AuditMode | str | None, *, actor: str, operation_id: str | None = None
    ) -> Op[TenantAuditMode]:
        """Set what the tenant's trail records from now on; None goes back to what the setting ``audit.mode`` says.

        Atomic. The change is an audit entry in every mode, also to and from ``off``. This client follows at once, other
        open ones within 5 seconds, and a transaction keeps the mode that it began with. Raises ``Invalid`` for an
        unknown mode, and a retryable ``Conflict`` when somebody else changed it in the same moment.
        """
        chosen = None if mode is None else _mode(mode)
        check_name(actor, "actor", NAME_CHARACTERS_MAX)
        operation = (yield from new_id()) if operation_id is None else operation_id
        check_name(operation, "operation_id", NAME_CHARACTERS_MAX)
        now = yield from current_time()
        standing = yield from fetch_one(sql.get_audit_mode, _own_mode)
        if standing is not None and standing.operation_id == operation:
            return self._in_force(standing)
        was = None if standing is None else standing.mode
        named = None if chosen is None else chosen.value
        yield from record(
            Fact(
                stream=MODES_STREAM,
                type=EventType.AUDIT_MODE_SET,
                payload=payload_of({"mode": None if was is None else was.value}, {"mode": named}),
                actor=actor,
                audit=AuditPoint(ACTIONS[EventType.AUDIT_MODE_SET], "audit/mode", is_explicit=True),
            )
        )
        version = yield from last(
            sql.set_audit_mode,
            lambda row: int(row[0]),
            mode=named,
            operation_id=operation,
            actor=actor,
            now=now,
            expected_version=0 if standing is None else standing.version,
        )
        if version is None:
            raise Refused(_nothing)
        return self._in_force(_OwnMode(chosen, actor, now, version, operation))

    @read
    def get_mode(self) -> Op[TenantAuditMode]:
        """Return what the tenant's trail records, and who said so."""
        return self._in_force((yield from fetch_one(sql.get_audit_mode, _own_mode)))

    def _in_force(self, own: _OwnMode | None) -> TenantAuditMode:
        if own is None or own.mode is None:
            changed = (None, None) if own is None else (own.changed_by, own.changed_at)
            return TenantAuditMode(self._default_mode, True, *changed)
        return TenantAuditMode(own.mode, False, own.changed_by, own.changed_at)

    @read
    def get(self, event_id: str) -> Op[AuditEntry]:
        """Return one entry by its identifier. Raises ``NotFound``, also for an event that is no audit entry."""
        found = yield from fetch_one(sql.get_audit_entry, _entry, event_id=event_id)
        if found is None:
            raise NotFound(f"there is no audit entry {event_id!r}", event_id=event_id)
        return found

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
        processes that wrote; entries of the same time are in the order of ``entry_no``.

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
        entries = tuple(_entry(row[3:]) for row in rows if row[3] is not None)
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
        found = yield from fetch_one(sql.get_stored_entry, _stored, event_id=event_id)
        if found is None:
            raise NotFound(f"there is no audit entry {event_id!r}", event_id=event_id)
        return found


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


@dataclass(frozen=True, slots=True)
class _OwnMode:
    """The row of a tenant's mode; ``mode`` is None where the settings say it."""

    mode: AuditMode | None
    changed_by: str
    changed_at: datetime
    version: int
    operation_id: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Filters as the statement takes them."""

    path: str
    is_served: bool
    """Whether the index alone finds what is wanted, so that nothing is looked at in vain."""
    parameters: Mapping[str, Any]


def _nothing() -> Op[None]:
    """Explain nothing: the mode was changed by somebody else, and the caller may try again."""
    yield from ()


def _mode(mode: AuditMode | str) -> AuditMode:
    try:
        return AuditMode(mode)
    except ValueError as error:
        raise Invalid(
            f"mode is {mode!r}; it is one of {', '.join(AuditMode)}, or None for that of the settings",
            what="mode",
        ) from error


def check_name(text: Any, what: str, characters_max: int) -> None:
    """Raise ``Invalid`` or ``LimitExceeded`` unless this is text of at least one character that can be stored."""
    if not isinstance(text, str) or not text:
        raise Invalid(f"{what} is {text!r}; it is text of at least one character", what=what)
    check_text(text, what, characters_max=characters_max)


def _check_references(source_event_ids: Sequence[str], provenance: Provenance | None) -> None:
    if isinstance(source_event_ids, str):
        raise Invalid(
            "source_event_ids is text; it is a list of event ids", what="source_event_ids"
        )
    if len(source_event_ids) > SOURCE_EVENTS_MAX:
        raise LimitExceeded(
            f"an entry names up to {SOURCE_EVENTS_MAX} source events, and not {len(source_event_ids):,}",
            what="source_event_ids",
            limit=SOURCE_EVENTS_MAX,
        )
    for event_id in source_event_ids:
        check_name(event_id, "an id of source_event_ids", REFERENCE_CHARACTERS_MAX)
    if provenance is None:
        return
    for name in ("run_id", "task_id", "step_id", "source_event_id"):
        value = getattr(provenance, name)
        if value is not None:
            check_name(value, f"provenance.{name}", REFERENCE_CHARACTERS_MAX)
    if provenance.occurred_at is not None:
        check_moment(provenance.occurred_at, "provenance.occurred_at")


def check_moment(moment: Any, what: str) -> None:
    """Raise ``Invalid`` for a time without a zone, or something that is no time."""
    if not isinstance(moment, datetime) or moment.tzinfo is None:
        raise Invalid(f"{what} is {moment!r}; it is a time with a zone, such as UTC", what=what)


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


def _stored(row: Row) -> SealedEntry:
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf, committed, salt, payload, metadata = rest
    micros = to_micros(occurred_at)
    fields = LeafFields(
        event_id, stream, kind, actor, micros, correlation_id, action, resource, outcome
    )
    event = StoredEvent(
        fields,
        version,
        bytes(committed),
        bytes(leaf),
        _bytes(salt),
        _bytes(payload),
        _bytes(metadata),
    )
    return SealedEntry(-1, entry_no, bytes(leaf), event)


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _own_mode(row: Row) -> _OwnMode:
    mode, changed_by, changed_at, version, operation_id = row
    return _OwnMode(
        None if mode is None else AuditMode(mode),
        changed_by,
        changed_at,
        int(version),
        operation_id,
    )


def _entry(row: Row) -> AuditEntry:
    event_id, stream, version, entry_no, kind, actor, occurred_at, *rest = row
    correlation_id, action, resource, outcome, leaf_hash, payload, metadata, is_there = rest
    event = Event(
        event_id=event_id,
        stream=stream,
        version=version,
        entry_no=entry_no,
        type=kind,
        payload={} if payload is None else decode(payload),
        metadata={} if metadata is None else decode(metadata),
        actor=actor,
        occurred_at=occurred_at,
        correlation_id=correlation_id,
        action=action,
        resource=resource,
        outcome=outcome,
        leaf_hash=bytes(leaf_hash),
    )
    return entry_of(event, is_redacted=not is_there)

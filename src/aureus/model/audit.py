"""The audit trail: entries that say who did what to what, how it ended, and what was before and after.

An audit entry is an event that has an action. What an explicit entry holds lies in the event's payload, so that the
ledger proves it and erasing the payload takes it away; this module words that payload and reads it again. Pure.

    {"before": …, "after": …,                                     left out when absent, which differs from null
     "diff": {"added": [pointer, …], "removed": […], "changed": […]},
     "sourceEventIds": [event id, …],                             left out when there are none
     "provenance": {"runId", "taskId", "stepId", "sourceEventId", "occurredAt"}}         only what is known
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict

from aureus.model.audit_modes import AuditMode
from aureus.model.differences import ABSENT, Difference, DifferenceKind, differences, resolve
from aureus.model.events import Event, EventType
from aureus.model.memories import Provenance
from aureus.model.plain import plain, plain_record
from aureus.model.verification import Finding

ACTION_CHARACTERS_MAX = 200
"""Characters of an action, and of an outcome."""

RESOURCE_CHARACTERS_MAX = 500
"""Characters of the name of a resource."""

SOURCE_EVENTS_MAX = 200
"""Source events that one entry names."""

SUCCESS = "success"
"""The outcome of what went as it was meant to."""

ACTIONS = {
    EventType.AUDIT_MODE_SET: "audit.set-mode",
}
"""What the audit trail calls what happens to itself."""

PRUNE_ACTION = "audit.prune"
"""What the trail calls the removal of its oldest payloads; its type is that of every record of an erasure."""

DECISIONS = frozenset({EventType.AUDIT_ENTRY, *ACTIONS})
"""What is an audit entry in every mode, ``off`` included: a trail that ends in silence proves nothing."""

_WORDED = DECISIONS
"""The events whose payload is worded by this module."""


class AuditFilters(TypedDict, total=False):
    """Which audit entries are wanted; all that are given must hold."""

    actor: str | None
    action: str | None
    resource: str | None
    outcome: str | None
    correlation_id: str | None
    run_id: str | None
    task_id: str | None
    step_id: str | None
    source_event_id: str | None
    since: datetime | None
    """The first moment of ``occurred_at``."""
    until: datetime | None
    """The moment before which ``occurred_at`` lies."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the audit trail.

    ``before`` and ``after`` are ``ABSENT`` where nothing was given, and in the events of stores, whose payload is in
    ``details``. ``is_redacted`` says that the payload was erased or has expired: what it held is then absent here, and
    the entry still proved by its leaf. ``position`` is where the entry lies in the tenant's tree, None until
    sealed; an entry is the same before and after.
    """

    event_id: str
    actor: str
    action: str
    resource: str | None
    outcome: str
    occurred_at: datetime
    correlation_id: str | None
    before: Any
    after: Any
    diff: tuple[Difference, ...]
    metadata: Mapping[str, Any]
    source_event_ids: tuple[str, ...]
    provenance: Provenance | None
    type: str
    details: Mapping[str, Any]
    is_redacted: bool
    stream: str
    version: int
    entry_no: int
    leaf_hash: bytes
    position: int | None = field(default=None, compare=False)
    is_withheld: bool = False
    """Whether what it held is encrypted and cannot be read here; it is then absent too."""

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain JSON values; ``before`` and ``after`` only where they are."""
        found: dict[str, Any] = {}
        for name, value in plain_record(self).items():
            if name == "diff":
                found[name] = [one.to_dict() for one in self.diff]
            elif name not in {"before", "after"} or getattr(self, name) is not ABSENT:
                found[name] = value
        return found


@dataclass(frozen=True, slots=True)
class AuditPage:
    """A part of a list of audit entries."""

    entries: tuple[AuditEntry, ...]
    cursor: str | None
    """Where the next page begins; None when there is none. A page may have few entries, or none, and a next one."""


@dataclass(frozen=True, slots=True)
class TenantAuditMode:
    """The mode of a tenant's audit trail; ``is_default`` when it is that of the settings and not the tenant's own."""

    mode: AuditMode
    is_default: bool
    changed_by: str | None
    changed_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class PrunedBatch:
    """What one batch of a pruning has done."""

    pruned_to: int
    """The position before which the trail is pruned now."""
    pruned_count: int
    """The entries of this batch whose payload is gone."""
    record_id: str | None
    """The entry that records it; None where there was nothing to remove."""
    is_done: bool
    """Whether nothing is left that may go."""


@dataclass(frozen=True, slots=True)
class AuditPruning:
    """What pruning the trail has done."""

    before: datetime
    pruned_to: int
    pruned_count: int
    record_ids: tuple[str, ...]
    """The entries that record it, one for each batch."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class EntryVerification:
    """What verifying one entry has found: nothing, when it is as it was recorded."""

    event_id: str
    position: int | None
    """Where it is sealed; None when it is not yet, and only its own hash speaks for it."""
    is_redacted: bool
    """Whether its payload is gone; then its hash is that of what it was."""
    findings: tuple[Finding, ...]
    is_withheld: bool = False
    """Whether its payload is encrypted and the key is not here: it was not compared with its hash."""

    @property
    def is_intact(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values, with its verdict."""
        return {"is_intact": self.is_intact, **plain_record(self)}


def payload_of(
    before: Any,
    after: Any,
    *,
    source_event_ids: Sequence[str] = (),
    provenance: Provenance | None = None,
) -> dict[str, Any]:
    """Return the payload of an entry, with the pointers of what differs. Takes values that JSON holds."""
    given = {"before": before, "after": after}
    payload = {name: value for name, value in given.items() if value is not ABSENT}
    pointers: dict[str, list[str]] = {}
    for one in differences(before, after):
        pointers.setdefault(one.kind.value, []).append(one.pointer)
    payload["diff"] = pointers
    if source_event_ids:
        payload["sourceEventIds"] = list(source_event_ids)
    if provenance is not None:
        payload["provenance"] = _stated(provenance)
    return payload


def entry_of(event: Event, *, is_redacted: bool = False) -> AuditEntry:
    """Return an event that has an action as the audit entry that it is."""
    payload: Mapping[str, Any] = {} if is_redacted else event.payload
    is_worded = event.type in _WORDED
    worded: Mapping[str, Any] = payload if is_worded else {}
    before, after = worded.get("before", ABSENT), worded.get("after", ABSENT)
    return AuditEntry(
        event_id=event.event_id,
        actor=event.actor,
        action=event.action or "",
        resource=event.resource,
        outcome=event.outcome or SUCCESS,
        occurred_at=event.occurred_at,
        correlation_id=event.correlation_id,
        before=before,
        after=after,
        diff=_told(worded.get("diff", {}), before, after),
        metadata=event.metadata,
        source_event_ids=tuple(worded.get("sourceEventIds", ())),
        provenance=_read(worded.get("provenance")),
        type=event.type,
        details={} if is_worded else payload,
        is_redacted=is_redacted,
        stream=event.stream,
        version=event.version,
        entry_no=event.entry_no,
        leaf_hash=event.leaf_hash,
        position=event.position,
        is_withheld=event.is_withheld,
    )


def _told(pointers: Mapping[str, Sequence[str]], before: Any, after: Any) -> tuple[Difference, ...]:
    """Return differences with their values; the payload keeps only where they are."""
    return tuple(
        Difference(kind, pointer, resolve(pointer, before), resolve(pointer, after))
        for kind in DifferenceKind
        for pointer in pointers.get(kind.value, ())
    )


def _stated(provenance: Provenance) -> dict[str, Any]:
    values = {
        "runId": provenance.run_id,
        "taskId": provenance.task_id,
        "stepId": provenance.step_id,
        "sourceEventId": provenance.source_event_id,
        "occurredAt": plain(provenance.occurred_at),
    }
    return {name: value for name, value in values.items() if value is not None}


def _read(stated: Mapping[str, Any] | None) -> Provenance | None:
    if stated is None:
        return None
    occurred_at = stated.get("occurredAt")
    return Provenance(
        run_id=stated.get("runId"),
        task_id=stated.get("taskId"),
        step_id=stated.get("stepId"),
        source_event_id=stated.get("sourceEventId"),
        occurred_at=None if occurred_at is None else datetime.fromisoformat(occurred_at),
    )

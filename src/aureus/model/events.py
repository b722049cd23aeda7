"""What happened: facts that stores state, and the events they become.

A fact says what happened and to which stream it belongs. The ledger's recorder turns it into an event: an immutable,
hashed row at the next version of its stream, written in the same transaction as the change itself. An event that
has an ``action`` is at the same time an audit entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, TypedDict

from aureus.model.plain import plain_record

STREAM_CHARACTERS_MAX = 500
"""Characters of a stream's name: with tenant and version it must fit into an index of PostgreSQL."""

NAME_CHARACTERS_MAX = 200
"""Characters of an event's type, of its identifier, of its actor and of its correlation id."""

PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
"""Bytes of a payload, or of metadata, as JSON; what is larger belongs elsewhere, with a reference here."""

APPEND_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of all payloads and metadata of one append."""

APPEND_EVENTS_MAX = 1000
"""Events of one append."""

SUBJECTS_MAX = 16
"""People that one event concerns."""

SUBJECT_BYTES_MAX = 1024
"""UTF-8 bytes of the name of a person: with the tenant it must fit into an index of PostgreSQL."""

UNKNOWN_ACTOR = "unknown"
"""The actor of an event that was appended without one."""


class EventType(StrEnum):
    """The event types that Aureus knows; any other text is allowed for a caller's own events."""

    WORKFLOW_STARTED = "WORKFLOW_STARTED"
    WORKFLOW_RESUMED = "WORKFLOW_RESUMED"
    WORKFLOW_PAUSED = "WORKFLOW_PAUSED"
    WORKFLOW_COMPLETED = "WORKFLOW_COMPLETED"
    WORKFLOW_FAILED = "WORKFLOW_FAILED"
    WORKFLOW_CANCEL_REQUESTED = "WORKFLOW_CANCEL_REQUESTED"
    WORKFLOW_CANCELLED = "WORKFLOW_CANCELLED"
    TASK_STARTED = "TASK_STARTED"
    TASK_COMPLETED = "TASK_COMPLETED"
    TASK_FAILED = "TASK_FAILED"
    TASK_RETRY = "TASK_RETRY"
    TASK_TIMEOUT = "TASK_TIMEOUT"
    TASK_SKIPPED = "TASK_SKIPPED"
    TASK_CANCELLED = "TASK_CANCELLED"
    APPROVAL_REQUESTED = "APPROVAL_REQUESTED"
    APPROVAL_GRANTED = "APPROVAL_GRANTED"
    APPROVAL_DENIED = "APPROVAL_DENIED"
    COMPENSATION_TRIGGERED = "COMPENSATION_TRIGGERED"
    COMPENSATION_COMPLETED = "COMPENSATION_COMPLETED"
    COMPENSATION_FAILED = "COMPENSATION_FAILED"
    STATE_SNAPSHOT = "STATE_SNAPSHOT"
    STATE_UPDATED = "STATE_UPDATED"
    ROLLBACK_INITIATED = "ROLLBACK_INITIATED"
    ROLLBACK_COMPLETED = "ROLLBACK_COMPLETED"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"
    ROLLBACK_POLICY_DECISION = "ROLLBACK_POLICY_DECISION"
    ROLLBACK_APPROVAL_REQUESTED = "ROLLBACK_APPROVAL_REQUESTED"
    ROLLBACK_APPROVAL_GRANTED = "ROLLBACK_APPROVAL_GRANTED"
    ROLLBACK_APPROVAL_DENIED = "ROLLBACK_APPROVAL_DENIED"
    SNAPSHOT_DELETED = "SNAPSHOT_DELETED"
    FAULT_INJECTED = "FAULT_INJECTED"
    LLM_PROMPT_GENERATED = "LLM_PROMPT_GENERATED"
    LLM_RESPONSE_RECEIVED = "LLM_RESPONSE_RECEIVED"
    DEPLOYMENT_VERSION_CREATED = "DEPLOYMENT_VERSION_CREATED"
    DEPLOYMENT_INITIATED = "DEPLOYMENT_INITIATED"
    DEPLOYMENT_APPROVED = "DEPLOYMENT_APPROVED"
    DEPLOYMENT_REJECTED = "DEPLOYMENT_REJECTED"
    DEPLOYMENT_COMPLETED = "DEPLOYMENT_COMPLETED"
    DEPLOYMENT_FAILED = "DEPLOYMENT_FAILED"
    DEPLOYMENT_TEST_RUN = "DEPLOYMENT_TEST_RUN"
    DEPLOYMENT_PROMOTED = "DEPLOYMENT_PROMOTED"
    DEPLOYMENT_GATE_CHECK = "DEPLOYMENT_GATE_CHECK"
    DEPLOYMENT_GATE_FAILED = "DEPLOYMENT_GATE_FAILED"
    DEPLOYMENT_PROMOTION_BLOCKED = "DEPLOYMENT_PROMOTION_BLOCKED"
    DEPLOYMENT_ROLLBACK_TRIGGERED = "DEPLOYMENT_ROLLBACK_TRIGGERED"
    DEPLOYMENT_ROLLBACK_COMPLETED = "DEPLOYMENT_ROLLBACK_COMPLETED"
    AGENT_DECISION = "agent_decision"
    USER_INTERACTION = "user_interaction"
    KNOWLEDGE_SHARED = "knowledge_shared"
    CONVERSATION_STARTED = "conversation_started"
    CONVERSATION_ENDED = "conversation_ended"
    BIOMETRIC_DATA_RECEIVED = "biometric_data_received"
    MEMORY_RETRIEVED = "memory_retrieved"
    MEMORY_PROMOTED = "memory_promoted"
    MEMORY_DEMOTED = "memory_demoted"
    MEMORY_CREATED = "memory_created"
    MEMORY_UPDATED = "memory_updated"
    MEMORY_SUPERSEDED = "memory_superseded"
    MEMORY_DELETED = "memory_deleted"
    MEMORY_RESTORED = "memory_restored"
    MEMORY_MOVED = "memory_moved"
    MEMORY_PURGED = "memory_purged"
    PROFILE_UPDATED = "profile_updated"
    PROFILE_DELETED = "profile_deleted"
    GOAL_UPDATED = "goal_updated"
    PREFERENCE_CHANGED = "preference_changed"
    HYPOTHESIS_FORMED = "hypothesis_formed"
    HYPOTHESIS_TESTED = "hypothesis_tested"
    HYPOTHESIS_VALIDATED = "hypothesis_validated"
    HYPOTHESIS_REJECTED = "hypothesis_rejected"
    HYPOTHESIS_REOPENED = "hypothesis_reopened"
    HYPOTHESIS_DELETED = "hypothesis_deleted"
    SESSION_SAVED = "session_saved"
    SESSION_APPENDED = "session_appended"
    SESSION_EXPIRY_SET = "session_expiry_set"
    SESSION_RESET = "session_reset"
    SESSION_DELETED = "session_deleted"
    SESSIONS_DELETED = "sessions_deleted"
    SESSIONS_EXPIRED = "sessions_expired"
    SESSIONS_ADOPTED = "sessions_adopted"
    WORLD_STATE_SET = "world_state_set"
    WORLD_STATE_DELETED = "world_state_deleted"
    WORLD_STATE_PRUNED = "world_state_pruned"
    AUDIT_ENTRY = "audit_entry"
    AUDIT_MODE_SET = "audit_mode_set"
    LEDGER_RESTORED = "ledger_restored"
    SUBSCRIPTION_RESET = "subscription_reset"
    SUBSCRIPTION_DELETED = "subscription_deleted"
    SUBSCRIPTION_EVENT_SKIPPED = "subscription_event_skipped"
    SUBSCRIPTION_REPLAYED = "subscription_replayed"
    PAYLOADS_ERASED = "payloads_erased"
    SUBJECT_ERASED = "subject_erased"


RESERVED_TYPES = frozenset(
    {EventType.PAYLOADS_ERASED, EventType.SUBJECT_ERASED, EventType.WORLD_STATE_PRUNED}
)
"""What only erasing and pruning may say: on the strength of such an event the database lets payloads and values go."""


@dataclass(frozen=True, slots=True)
class AuditPoint:
    """What makes a fact an audit entry: who may be asked about it later, and how it ended."""

    action: str
    resource: str | None
    outcome: str = "success"
    is_decision: bool = False
    """True for what mode ``decisions`` records: approvals, high risk, deletes, policy and the like."""
    is_explicit: bool = False
    """True for what every mode records: entries of callers, and what happens to the audit trail itself."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened, as a store states it."""

    stream: str
    type: str
    payload: dict[str, Any]
    actor: str
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    correlation_id: str | None = None
    audit: AuditPoint | None = None
    event_id: str | None = None
    """The identifier that its event is to have; None lets the recorder make one."""
    is_routine: bool = False
    """True for what happens all the time and leaves its own trace: the setting ``events.routine`` may leave it out,
    except where it is an audit entry."""
    subjects: tuple[str, ...] = ()
    """The people that it is about, by whose names an erasure finds it."""


@dataclass(frozen=True, slots=True)
class Event:
    """One immutable entry of a stream.

    ``version`` counts from 1 within the stream without gaps. ``entry_no`` rises in the same order over all streams
    of a database but may have gaps; it is not a position. ``leaf_hash`` is what the tenant's Merkle tree holds, and
    ``position`` where: None until the event is sealed.

    What ``append`` returns is this too: the receipt of what was stored.
    """

    event_id: str
    stream: str
    version: int
    entry_no: int
    type: str
    payload: dict[str, Any]
    metadata: dict[str, Any]
    actor: str
    occurred_at: datetime
    correlation_id: str | None
    action: str | None
    resource: str | None
    outcome: str | None
    leaf_hash: bytes
    position: int | None = None
    is_redacted: bool = False
    """Whether payload and metadata were erased; both are then empty, and the hash is still that of what they were."""
    is_withheld: bool = False
    """Whether payload and metadata are encrypted and cannot be read here; both are then empty."""

    def to_dict(self) -> dict[str, Any]:
        """Return the event as plain JSON values; the hash in hexadecimal."""
        return plain_record(self)

    @property
    def category(self) -> str:
        """Return the part of the stream's name before the first slash."""
        return category_of(self.stream)


def category_of(stream: str) -> str:
    """Return the category of a stream: its name up to the first slash, or the whole name."""
    return stream.split("/", 1)[0]


class Expectation(StrEnum):
    """What an append expects of its stream, where it is no certain version."""

    ANY = "any"
    """Nothing: the append goes behind whatever is there."""
    NO_STREAM = "no-stream"
    """The stream has no event yet; the same as version 0."""
    EXISTS = "exists"
    """The stream has at least one event."""


ANY: Final = Expectation.ANY
NO_STREAM: Final = Expectation.NO_STREAM
EXISTS: Final = Expectation.EXISTS

ExpectedVersion = int | Expectation
"""The version that a stream must have for an append to happen: a number, or one of the three expectations."""


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as a caller states it, before it is appended.

    An ``event_id`` makes appending it again harmless: the stored event is returned. None lets one be made.
    """

    type: str
    payload: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    event_id: str | None = None
    actor: str = UNKNOWN_ACTOR
    correlation_id: str | None = None
    subjects: Sequence[str] = ()
    """The people that it is about, by whose names an erasure finds it; they are no part of what is proved."""


class EventFilters(TypedDict, total=False):
    """Which events are wanted; all that are given must hold."""

    stream: str | None
    type: str | None
    category: str | None
    actor: str | None
    correlation_id: str | None
    since: datetime | None
    """The first moment of ``occurred_at``."""
    until: datetime | None
    """The moment before which ``occurred_at`` lies."""
    text: str | None
    """Words that all occur in the payload; see ``EventOperations.list``."""


@dataclass(frozen=True, slots=True)
class EventPage:
    """A part of a list of events."""

    events: tuple[Event, ...]
    cursor: int | None
    """Where the next page begins; None when there is none. A page may have few events, or none, and a next one."""


@dataclass(frozen=True, slots=True)
class CategoryTotal:
    """How much there is of one category."""

    category: str
    stream_count: int
    event_count: int


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream, without its events."""

    stream: str
    category: str
    version: int
    """How many events it has."""
    created_at: datetime
    updated_at: datetime
    """When its last event was appended."""

    def to_dict(self) -> dict[str, Any]:
        """Return the stream as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class EventStatistics:
    """How many events there are, of what kind and from when."""

    event_count: int
    stream_count: int
    by_category: tuple[CategoryTotal, ...]
    by_type: dict[str, int]
    first_at: datetime | None
    last_at: datetime | None

    def to_dict(self) -> dict[str, Any]:
        """Return the totals as plain JSON values."""
        return plain_record(self)

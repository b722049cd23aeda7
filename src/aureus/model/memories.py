"""Memories: what agents keep, with where it came from, when it was true and when it was known.

Two times are told apart. Valid time is when something holds in the world (``valid_from``, ``valid_to``), recorded time
is when the database knew it. A memory is live while it is neither deleted nor superseded nor expired; only live ones
are read, unless a read asks for an earlier moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypedDict, cast
from urllib.parse import quote

from aureus.model.plain import plain, plain_record


class MemoryType(StrEnum):
    """The types that every client knows; a ``MemoryPolicy`` adds more."""

    EPISODIC_NOTE = "episodic_note"
    ARTIFACT = "artifact"
    SNAPSHOT = "snapshot"
    FACT = "fact"
    ANALYSIS = "analysis"
    RECOMMENDATION = "recommendation"
    OBSERVATION = "observation"
    INSIGHT = "insight"
    PATTERN = "pattern"
    GOAL = "goal"
    PREFERENCE = "preference"
    CONVERSATION = "conversation"
    BIOMETRIC = "biometric"
    HYPOTHESIS = "hypothesis"
    DECISION = "decision"
    KNOWLEDGE = "knowledge"


class MemoryTier(StrEnum):
    """How close a memory is kept; retention moves it outwards as it ages unused."""

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a memory came from: the run, task and step that made it, and the event that caused it."""

    run_id: str | None = None
    task_id: str | None = None
    step_id: str | None = None
    source_event_id: str | None = None
    occurred_at: datetime | None = None
    """When it came about; when the memory was written, unless given."""

    @property
    def is_complete(self) -> bool:
        """Return whether it names both a task and a step, which a policy may demand."""
        return self.task_id is not None and self.step_id is not None


@dataclass(frozen=True, slots=True)
class MemoryPolicy:
    """What a client accepts as a memory."""

    types: frozenset[str] = frozenset()
    """Types beside those of ``MemoryType``."""
    requires_provenance: bool = False
    """Whether a memory without the task and step that it came from is refused."""


class MemoryDetails(TypedDict, total=False):
    """What may be said of a new memory beside its text."""

    user_id: str | None
    session_id: str | None
    namespace: str
    type: str
    content: Any
    tags: Sequence[str]
    confidence: float
    subject: str | None
    language: str
    metadata: Mapping[str, Any]
    provenance: Provenance | None
    sources: Sequence[str]
    is_shared: bool
    occurred_at: datetime | None
    valid_from: datetime | None
    valid_to: datetime | None
    expires_at: datetime | None


class MemoryChanges(TypedDict, total=False):
    """What an update may change; a name that is not given leaves the value alone."""

    text: str
    content: Any
    type: str
    tags: Sequence[str]
    confidence: float
    subject: str | None
    language: str
    metadata: Mapping[str, Any]
    provenance: Provenance | None
    sources: Sequence[str]
    is_shared: bool
    occurred_at: datetime
    valid_from: datetime | None
    valid_to: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMemory:
    """A memory to be added; the names are those of ``MemoryDetails``."""

    text: str
    agent_id: str
    memory_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    namespace: str = ""
    type: str = MemoryType.EPISODIC_NOTE.value
    content: Any = None
    tags: Sequence[str] = ()
    confidence: float = 0.5
    subject: str | None = None
    language: str = "english"
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    provenance: Provenance | None = None
    sources: Sequence[str] = ()
    is_shared: bool = False
    occurred_at: datetime | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One memory as it stands, or stood.

    ``memory_no`` rises over all memories of a database in the order of writing and may have gaps; it orders the
    messages of a session. ``version`` counts the changes of one memory, and goes on counting where a ``put`` replaces
    what a key held.
    """

    memory_no: int
    memory_id: str
    version: int
    namespace: str
    key: str | None
    agent_id: str
    user_id: str | None
    session_id: str | None
    type: str
    text: str
    content: Any
    tags: tuple[str, ...]
    confidence: float
    subject: str | None
    language: str
    metadata: dict[str, Any]
    provenance: Provenance | None
    sources: tuple[str, ...]
    is_shared: bool
    tier: MemoryTier
    occurred_at: datetime
    valid_from: datetime | None
    valid_to: datetime | None
    expires_at: datetime | None
    deleted_at: datetime | None
    superseded_by: str | None
    operation_id: str
    created_at: datetime
    updated_at: datetime

    @property
    def cursor(self) -> tuple[datetime, str]:
        """Return its place in a list, for the page that follows."""
        return (self.occurred_at, self.memory_id)

    @property
    def stream(self) -> str:
        """Return the stream that its events are in."""
        return stream_of(self.agent_id, self.user_id)

    def is_live(self, now: datetime) -> bool:
        """Return whether reads at this moment show it."""
        is_expired = self.expires_at is not None and self.expires_at <= now
        return self.deleted_at is None and self.superseded_by is None and not is_expired

    def holds_at(self, moment: datetime) -> bool:
        """Return whether what it says holds at a moment, as far as it tells."""
        has_begun = self.valid_from is None or self.valid_from <= moment
        return has_begun and (self.valid_to is None or moment < self.valid_to)

    def stated(self) -> dict[str, Any]:
        """Return what was said of it as plain JSON values: all that its fingerprint covers."""
        said: dict[str, Any] = {}
        for name in _STATED:
            value = getattr(self, name)
            if value is not None:
                said[name] = plain(value)
        return said

    def to_dict(self) -> dict[str, Any]:
        """Return the memory as plain JSON values."""
        return plain_record(self)


_NOT_STATED = frozenset({"memory_no", "tier", "operation_id", "updated_at"})
"""Given by the database, moved by retention, or about the write and not about the memory."""

_STATED = tuple(field.name for field in fields(Memory) if field.name not in _NOT_STATED)


@dataclass(frozen=True, slots=True)
class MemoryVersion:
    """A version of a memory, and the interval in which it was the recorded truth."""

    memory: Memory
    recorded_from: datetime
    recorded_to: datetime | None
    """None for the version that stands."""

    def to_dict(self) -> dict[str, Any]:
        """Return the version as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class AsOf:
    """An earlier moment to read at: what was recorded then, what held then, or both."""

    recorded: datetime | None = None
    """Read what the database said at this moment; None for now."""
    valid: datetime | None = None
    """Read what held in the world at this moment, as far as it is recorded; None leaves validity aside."""


class MemoryCriteria(TypedDict, total=False):
    """The names that a read may narrow by; see ``MemoryFilter``."""

    agent_id: str
    user_id: str
    session_id: str
    namespace: str
    types: Sequence[str]
    tags: Sequence[str]
    tags_any: Sequence[str]
    containing: Any
    min_confidence: float
    subject: str
    run_id: str
    task_id: str
    step_id: str
    source_event_id: str
    tier: str
    occurred_from: datetime
    occurred_to: datetime
    created_from: datetime
    created_to: datetime
    valid_at: datetime
    include_shared: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFilter:
    """Which memories a read, a count or a search considers; what is not given lets everything through.

    Criteria are combined with AND. Intervals include their beginning and exclude their end.
    """

    agent_id: str | None = None
    user_id: str | None = None
    """The empty text means memories of no user."""
    session_id: str | None = None
    namespace: str | None = None
    types: Sequence[str] = ()
    """Any of these types."""
    tags: Sequence[str] = ()
    """All of these tags."""
    tags_any: Sequence[str] = ()
    """At least one of these tags."""
    containing: Any = None
    """JSON that the content contains, as PostgreSQL's ``@>`` has it: parts of objects, elements of lists."""
    min_confidence: float | None = None
    subject: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    step_id: str | None = None
    source_event_id: str | None = None
    tier: str | None = None
    occurred_from: datetime | None = None
    occurred_to: datetime | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    valid_at: datetime | None = None
    """Only what holds at this moment, as now recorded."""
    include_shared: bool = False
    """With an agent: also what is shared, by others or by itself, of the same user or of none."""

    @classmethod
    def of(cls, given: MemoryFilter | None, criteria: MemoryCriteria) -> MemoryFilter:
        """Return the filter that a call names: a filter, criteria by name, or the first narrowed by the second."""
        return replace(given or cls(), **cast(dict[str, Any], criteria))


@dataclass(frozen=True, slots=True)
class NearMemory:
    """A memory that a vector search found."""

    memory: Memory
    score: float
    """The cosine of the angle between the vectors of question and memory: 1 for the same direction."""

    def to_dict(self) -> dict[str, Any]:
        """Return memory and score as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A model that memories have vectors of."""

    model: str
    dimensions: int
    vector_count: int

    def to_dict(self) -> dict[str, Any]:
        """Return the model as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class MemoryStatistics:
    """What a set of memories adds up to."""

    total: int
    by_type: dict[str, int]
    task_count: int
    """Distinct tasks that memories came from."""
    mean_confidence: float | None
    """None when there is no memory."""

    def to_dict(self) -> dict[str, Any]:
        """Return the statistics as plain JSON values."""
        return plain_record(self)


def stream_of(agent_id: str, user_id: str | None) -> str:
    """Return the stream of the memories of an agent and a user.

    Names are percent-encoded (RFC 3986), so that a slash in one of them cannot name another stream.
    """
    parts = [agent_id] if user_id is None else [agent_id, user_id]
    return "/".join(["memories", *(quote(part, safe="") for part in parts)])

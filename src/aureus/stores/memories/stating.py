"""What may be said of a memory: every value is checked here, before the first statement. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any, cast

from aureus.clock import has_place
from aureus.codec import check, check_text, shown
from aureus.errors import Invalid, LimitExceeded
from aureus.model.memories import (
    Memory,
    MemoryChanges,
    MemoryPolicy,
    MemoryTier,
    MemoryType,
    NewMemory,
    Provenance,
)

NAME_BYTES_MAX = 256
"""UTF-8 bytes of an id or a name: five of them, in one key, are what an index of PostgreSQL can still hold."""

KEY_BYTES_MAX = 512
"""UTF-8 bytes of a key."""

TEXT_CHARACTERS_MAX = 1_000_000
"""Characters of a memory's text: a long book; a search scores texts and not libraries."""

TAGS_MAX = 64
"""Tags of one memory: each is an entry of an index."""

SOURCES_MAX = 1000
"""Sources of one memory."""

_KNOWN_TYPES = frozenset(kind.value for kind in MemoryType)


def first_version(
    given: NewMemory,
    policy: MemoryPolicy,
    now: datetime,
    *,
    memory_id: str,
    key: str | None = None,
    version: int = 1,
) -> Memory:
    """Return the memory that a caller wants to add, as it is to be stored. Raises ``Invalid``."""
    provenance = given.provenance
    if provenance is not None and provenance.occurred_at is None:
        provenance = replace(provenance, occurred_at=now)
    memory = Memory(
        memory_no=0,
        memory_id=memory_id,
        version=version,
        namespace=given.namespace,
        key=key,
        agent_id=given.agent_id,
        user_id=given.user_id,
        session_id=given.session_id,
        type=given.type,
        text=given.text,
        content=given.content,
        tags=check_list(given.tags, "tags"),
        confidence=given.confidence,
        subject=given.subject,
        language=given.language,
        metadata=dict(given.metadata),
        provenance=provenance,
        sources=check_list(given.sources, "sources"),
        is_shared=given.is_shared,
        tier=MemoryTier.HOT,
        occurred_at=given.occurred_at or now,
        valid_from=given.valid_from,
        valid_to=given.valid_to,
        expires_at=given.expires_at,
        deleted_at=None,
        superseded_by=None,
        operation_id=memory_id,
        created_at=now,
        updated_at=now,
    )
    return checked(memory, policy)


def next_version(memory: Memory, operation_id: str, now: datetime, **changes: Any) -> Memory:
    """Return the version that follows, with these fields changed; they have been checked."""
    changed = {**changes, "version": memory.version + 1, "operation_id": operation_id}
    # A clock that went back must not turn the intervals of the versions round.
    return replace(memory, **changed, updated_at=max(now, memory.updated_at))


def changed_fields(changes: MemoryChanges, now: datetime) -> dict[str, Any]:
    """Return the fields that an update changes. Raises ``Invalid`` for a name that is not one of them."""
    found = dict(cast(Mapping[str, Any], changes))
    unknown = sorted(found.keys() - MemoryChanges.__annotations__.keys())
    if unknown:
        raise Invalid(
            f"an update cannot change {', '.join(unknown)}; it takes "
            + ", ".join(sorted(MemoryChanges.__annotations__)),
            unknown=unknown,
        )
    for name in ("tags", "sources"):
        if name in found:
            found[name] = check_list(found[name], name)
    if "metadata" in found:
        found["metadata"] = dict(found["metadata"])
    provenance = found.get("provenance")
    if isinstance(provenance, Provenance) and provenance.occurred_at is None:
        found["provenance"] = replace(provenance, occurred_at=now)
    return found


def checked(memory: Memory, policy: MemoryPolicy) -> Memory:
    """Return the memory with its times in UTC. Raises ``Invalid`` for what cannot be stored or is not allowed."""
    check_name(memory.memory_id, "memory_id")
    check_name(memory.agent_id, "agent_id")
    for name in ("user_id", "session_id", "subject"):
        value = getattr(memory, name)
        if value is not None:
            check_name(value, name)
    if memory.namespace != "":
        check_name(memory.namespace, "namespace")
    check_name(memory.language, "language")
    if memory.key is not None:
        check_name(memory.key, "key", bytes_max=KEY_BYTES_MAX)
    _check_type(memory.type, policy)
    check_memory_text(memory)
    _check_lists(memory)
    _check_confidence(memory.confidence)
    check(memory.content, "content")
    check(memory.metadata, "metadata")
    _check_provenance(memory.provenance, policy)
    return _in_utc(memory)


def check_memory_text(memory: Memory) -> None:
    """Raise ``Invalid`` or ``LimitExceeded`` for a text that cannot be stored, or none without content."""
    if not isinstance(cast(object, memory.text), str):
        raise Invalid(
            f"text is of the type {type(memory.text).__name__}; data goes into content", what="text"
        )
    check_text(memory.text, "text", characters_max=TEXT_CHARACTERS_MAX)
    if not memory.text.strip() and memory.content is None:
        raise Invalid("a memory needs a text, or at least content", what="text")


def check_name(value: Any, what: str, *, bytes_max: int = NAME_BYTES_MAX) -> None:
    """Raise ``Invalid`` unless the value is text of at least one character that a key can hold."""
    if not isinstance(value, str):
        raise Invalid(
            f"{what} is {shown(value)} ({type(value).__name__}); it must be text", what=what
        )
    if not value:
        raise Invalid(f"{what} is empty; leave it out, or give it a name", what=what)
    check_text(value, what)
    size = len(value.encode())
    if size > bytes_max:
        raise LimitExceeded(
            f"{what} has {size:,} bytes; the limit is {bytes_max:,}",
            what=what,
            size_bytes=size,
            limit_bytes=bytes_max,
        )


def check_moment(value: Any, what: str) -> datetime:
    """Return a moment in UTC; raises ``Invalid`` for anything else and for a time without a zone."""
    if not isinstance(value, datetime):
        raise Invalid(
            f"{what} is {shown(value)} ({type(value).__name__}); it must be a datetime", what=what
        )
    if value.tzinfo is None:
        raise Invalid(f"{what} is a time without a zone; give it one, such as UTC", what=what)
    if not has_place(value):
        raise Invalid(f"{what} is {value.isoformat()}, which is no time in UTC", what=what)
    return value.astimezone(UTC)


def _check_type(kind: Any, policy: MemoryPolicy) -> None:
    check_name(kind, "type")
    if kind not in _KNOWN_TYPES and kind not in policy.types:
        known = ", ".join(sorted(_KNOWN_TYPES | policy.types))
        raise Invalid(
            f"there is no memory type {kind!r}; there are {known}. The setting memory.types adds others",
            type=kind,
        )


def _check_lists(memory: Memory) -> None:
    for name, limit in (("tags", TAGS_MAX), ("sources", SOURCES_MAX)):
        values: tuple[str, ...] = getattr(memory, name)
        if len(values) > limit:
            raise LimitExceeded(
                f"{len(values):,} {name}; the limit is {limit:,}", what=name, limit=limit
            )
        for value in values:
            check_name(value, f"one of the {name}")


def _check_confidence(value: Any) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and 0 <= value <= 1):
        raise Invalid(f"confidence is {value!r}; it must be a number from 0 to 1", confidence=value)


def _check_provenance(provenance: Provenance | None, policy: MemoryPolicy) -> None:
    if policy.requires_provenance and (provenance is None or not provenance.is_complete):
        raise Invalid(
            "this client's policy demands the task_id and step_id that a memory came from",
            what="provenance",
        )
    if provenance is None:
        return
    for part in fields(provenance):
        value = getattr(provenance, part.name)
        if value is not None and part.name != "occurred_at":
            check_name(value, f"provenance.{part.name}")


def _in_utc(memory: Memory) -> Memory:
    moments: dict[str, Any] = {}
    for name in ("occurred_at", "valid_from", "valid_to", "expires_at"):
        value = getattr(memory, name)
        if value is not None:
            moments[name] = check_moment(value, name)
    begins, ends = moments.get("valid_from"), moments.get("valid_to")
    if begins is not None and ends is not None and begins > ends:
        raise Invalid("valid_to is before valid_from", what="valid_to")
    provenance = memory.provenance
    if provenance is not None:
        came_at = check_moment(provenance.occurred_at, "provenance.occurred_at")
        provenance = replace(provenance, occurred_at=came_at)
    # A float, so that both engines give back the same.
    return replace(memory, **moments, provenance=provenance, confidence=float(memory.confidence))


def check_list(values: object, what: str) -> tuple[str, ...]:
    """Return texts without repetition, in their order; a lone text is a mistake that reads like a list of letters.

    Raises ``Invalid`` for anything but a list; what its elements are is checked by others.
    """
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise Invalid(f"{what} must be a list of texts", what=what)
    return tuple(dict.fromkeys(cast(Sequence[str], values)))

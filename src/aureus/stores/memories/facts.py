"""What the writes of memories are told as: events of the stream of agent and user.

An event names the memory, its version and a fingerprint, and never repeats the text: so the text can be erased while
the event stands, and the event proves which text it was as long as both are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from aureus.codec import canonical_made
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.memories import Memory

ACTIONS: Mapping[EventType, str] = {
    EventType.MEMORY_CREATED: "memory.create",
    EventType.MEMORY_UPDATED: "memory.update",
    EventType.MEMORY_SUPERSEDED: "memory.supersede",
    EventType.MEMORY_DELETED: "memory.delete",
    EventType.MEMORY_RESTORED: "memory.restore",
    EventType.MEMORY_MOVED: "memory.move",
    EventType.MEMORY_PURGED: "memory.purge",
}

DECISIONS = frozenset(
    {EventType.MEMORY_DELETED, EventType.MEMORY_RESTORED, EventType.MEMORY_PURGED}
)
"""What is always an audit entry in the mode ``decisions``."""


def fingerprint_of(memory: Memory) -> str:
    """Return the SHA-256 of what a memory says, over its canonical JSON, as hexadecimal text."""
    return sha256(canonical_made(memory.stated())).hexdigest()


def fact_of(kind: EventType, memory: Memory, actor: str | None, **more: Any) -> Fact:
    """Return the fact that a memory came to its present version."""
    run_id = None if memory.provenance is None else memory.provenance.run_id
    return Fact(
        stream=memory.stream,
        type=kind.value,
        payload={
            "memoryId": memory.memory_id,
            "version": memory.version,
            "memoryType": memory.type,
            "sha256": fingerprint_of(memory),
            **more,
        },
        actor=actor or memory.agent_id,
        correlation_id=run_id,
        audit=AuditPoint(
            action=ACTIONS[kind],
            resource=f"memories/{memory.memory_id}",
            is_decision=kind in DECISIONS,
        ),
        subjects=tuple(name for name in (memory.user_id, memory.subject) if name is not None),
    )

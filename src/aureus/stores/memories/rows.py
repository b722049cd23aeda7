"""How a memory becomes a row and a row a memory: none is the empty text, JSON is text, times are microseconds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from aureus._database.statement import Row
from aureus.clock import to_micros
from aureus.codec import decode, encode_text
from aureus.model.memories import Memory, MemoryTier, MemoryVersion, Provenance

COLUMN_COUNT = 33
"""Columns of the part ``columns`` in memories.sql."""


def memory_of(row: Row) -> Memory:
    """Return the memory of a row, whose columns are those of the part ``columns``."""
    memory_no, memory_id, version, namespace, key, agent_id, user_id, session_id, kind, *rest = row
    confidence, subject, language, run_id, task_id, step_id, event_id, came_at, *rest = rest
    is_shared, tier, occurred_at, valid_from, valid_to, expires_at, deleted_at, *rest = rest
    superseded_by, operation_id, created_at, updated_at, *rest = rest
    tags, metadata, sources, text, content, *_ = rest
    return Memory(
        memory_no=memory_no,
        memory_id=memory_id,
        version=version,
        namespace=namespace,
        key=key or None,
        agent_id=agent_id,
        user_id=user_id or None,
        session_id=session_id or None,
        type=kind,
        text=text,
        content=None if content is None else decode(content),
        tags=tuple(decode(tags)),
        confidence=confidence,
        subject=subject or None,
        language=language,
        metadata=decode(metadata),
        provenance=None
        if came_at is None
        else Provenance(
            run_id or None, task_id or None, step_id or None, event_id or None, came_at
        ),
        sources=tuple(decode(sources)),
        is_shared=bool(is_shared),
        tier=MemoryTier(tier),
        occurred_at=occurred_at,
        valid_from=valid_from,
        valid_to=valid_to,
        expires_at=expires_at,
        deleted_at=deleted_at,
        superseded_by=superseded_by or None,
        operation_id=operation_id,
        created_at=created_at,
        updated_at=updated_at,
    )


def version_of(row: Row) -> MemoryVersion:
    """Return the version of a row: the columns of a memory, and when it was the recorded truth."""
    return MemoryVersion(memory_of(row), row[COLUMN_COUNT], row[COLUMN_COUNT + 1])


def encode_memories(memories: Iterable[Memory]) -> str:
    """Return memories as the JSON array that writes take."""
    return encode_text([_row_of(memory) for memory in memories], what="memories")


def _row_of(memory: Memory) -> dict[str, Any]:
    came_from = memory.provenance or Provenance()
    return {
        "memory_id": memory.memory_id,
        "version": memory.version,
        "namespace": memory.namespace,
        "memory_key": memory.key or "",
        "agent_id": memory.agent_id,
        "user_id": memory.user_id or "",
        "session_id": memory.session_id or "",
        "type": memory.type,
        "confidence": memory.confidence,
        "subject": memory.subject or "",
        "text_language": memory.language,
        "run_id": came_from.run_id or "",
        "task_id": came_from.task_id or "",
        "step_id": came_from.step_id or "",
        "source_event_id": came_from.source_event_id or "",
        "provenance_at": _micros(came_from.occurred_at),
        "is_shared": memory.is_shared,
        "tier": memory.tier.value,
        "occurred_at": to_micros(memory.occurred_at),
        "valid_from_at": _micros(memory.valid_from),
        "valid_to_at": _micros(memory.valid_to),
        "expires_at": _micros(memory.expires_at),
        "deleted_at": _micros(memory.deleted_at),
        "superseded_by": memory.superseded_by or "",
        "operation_id": memory.operation_id,
        "created_at": to_micros(memory.created_at),
        "updated_at": to_micros(memory.updated_at),
        "tags": encode_text(memory.tags, what="tags"),
        "metadata": encode_text(memory.metadata, what="metadata"),
        "sources": encode_text(memory.sources, what="sources"),
        "text": memory.text,
        "content": None
        if memory.content is None
        else encode_text(memory.content, what="content of the memory"),
    }


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)

"""What a memory is found by: its words, and labels for whatever a search narrows by most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aureus._database.statement import Op
from aureus.model.memories import Memory
from aureus.retrieval.analysis import Terms, analyze, label
from aureus.retrieval.upkeep import queue

SPACE = "memories"
"""The space of the text index that memories are in."""


def index(memories: Iterable[Memory]) -> Op[None]:
    """Let memories be found as they are now, from the commit of the next statement on; it records."""
    yield from queue(SPACE, ((memory.memory_id, terms_of(memory)) for memory in memories))


def unindex(memory_ids: Iterable[str]) -> Op[None]:
    """Let memories be found no more, from the commit of the next statement on; it records."""
    yield from queue(SPACE, ((memory_id, None) for memory_id in memory_ids))


def terms_of(memory: Memory) -> Terms | None:
    """Return what a memory is found by; None when it was deleted or superseded.

    Raises ``Invalid`` for a language without rules.
    """
    if memory.deleted_at is not None or memory.superseded_by is not None:
        return None
    return analyze(memory.text, memory.language, labels=_labels(memory))


def _labels(memory: Memory) -> Iterator[str]:
    yield label("agent", memory.agent_id)
    yield label("user", memory.user_id or "")
    yield label("namespace", memory.namespace)
    yield label("type", memory.type)
    if memory.is_shared:
        yield label("shared", "")
    if memory.session_id is not None:
        yield label("session", memory.session_id)
    if memory.subject is not None:
        yield label("subject", memory.subject)
    if memory.provenance is not None:
        if memory.provenance.run_id is not None:
            yield label("run", memory.provenance.run_id)
        if memory.provenance.task_id is not None:
            yield label("task", memory.provenance.task_id)
    for tag in dict.fromkeys(memory.tags):
        yield label("tag", tag)

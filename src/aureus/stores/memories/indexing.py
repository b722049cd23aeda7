"""What a memory is found by: its words, and labels for whatever a search narrows by most."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from aureus._database.statement import Op
from aureus.model.memories import Memory, MemoryFilter
from aureus.retrieval.analysis import UNSTEMMED, Terms, analyze, label, languages
from aureus.retrieval.conditions import Condition
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

    The words of a language without rules are kept as they are.
    """
    if memory.deleted_at is not None or memory.superseded_by is not None:
        return None
    return analyze(memory.text, language_of(memory.language), labels=_labels(memory))


def language_of(name: str) -> str:
    """Return the language whose rules the words of a memory go by."""
    return name if name in languages() else UNSTEMMED


def condition_of(
    wanted: MemoryFilter, groups: Sequence[tuple[str, ...]], excluded: Sequence[str]
) -> Condition:
    """Return what documents contain that pass a filter, as far as labels tell, and answer a question."""
    return Condition((*_wanted_labels(wanted), *groups), tuple(excluded))


_LABELLED = (
    "agent_id", "user_id", "session_id", "namespace", "types", "tags", "tags_any", "subject", "run_id", "task_id",
)  # fmt: skip


def is_labelled(wanted: MemoryFilter) -> bool:
    """Return whether labels say all that a filter says."""
    return wanted == MemoryFilter(**{name: getattr(wanted, name) for name in _LABELLED})


def _wanted_labels(wanted: MemoryFilter) -> Iterator[tuple[str, ...]]:
    """Yield groups of labels of which each document that passes the filter has at least one."""
    shared = (label("shared", ""),) if wanted.include_shared else ()
    if wanted.agent_id is not None:
        yield (label("agent", wanted.agent_id), *shared)
    if wanted.user_id is not None:
        own = label("user", wanted.user_id)
        yield (own, label("user", "")) if shared else (own,)
    for name in ("session", "run", "task"):
        value: str | None = getattr(wanted, f"{name}_id")
        if value is not None:
            yield (label(name, value),)
    for name in ("namespace", "subject"):
        value = getattr(wanted, name)
        if value is not None:
            yield (label(name, value),)
    if wanted.types:
        yield tuple(label("type", kind) for kind in dict.fromkeys(wanted.types))
    for tag in dict.fromkeys(wanted.tags):
        yield (label("tag", tag),)
    if wanted.tags_any:
        yield tuple(label("tag", tag) for tag in dict.fromkeys(wanted.tags_any))


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

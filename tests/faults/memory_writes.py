"""Every write of memories, prepared so that one call carries it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from aureus.model.memories import NewMemory
from aureus.model.retention import RetentionAction
from tests.contract.stage import Stage

Prepared = Callable[[], Any]


def add_memory(stage: Stage) -> Prepared:
    """Return the addition of a memory."""
    return lambda: stage.stores.memories.add("tea", agent_id="a", memory_id="m2", tags=["x", "y"])


def update_memory(stage: Stage) -> Prepared:
    """Return the change of a memory."""
    stage.stores.memories.add("tea", agent_id="a", memory_id="m1", tags=["x"])
    return lambda: stage.stores.memories.update(
        "m1", text="coffee", tags=["y"], expected_version=1, operation_id="o1"
    )


def put_memory(stage: Stage) -> Prepared:
    """Return the replacement of what a key holds."""
    stage.stores.memories.put("k", "tea", agent_id="a", tags=["x"])
    return lambda: stage.stores.memories.put("k", "milk", agent_id="a", memory_id="m2", tags=["y"])


def forget_memory(stage: Stage) -> Prepared:
    """Return the soft deletion of a memory."""
    stage.stores.memories.add("tea", agent_id="a", memory_id="m1", tags=["x"])
    return lambda: stage.stores.memories.forget("m1")


def restore_memory(stage: Stage) -> Prepared:
    """Return the return of a memory that was forgotten."""
    forget_memory(stage)()
    return lambda: stage.stores.memories.restore("m1")


def purge_memory(stage: Stage) -> Prepared:
    """Return the removal of a memory with its versions."""
    update_memory(stage)()
    stage.stores.memories.record_access(["m1"])
    return lambda: stage.stores.memories.purge("m1")


def add_memories(stage: Stage) -> Prepared:
    """Return the addition of many memories of several agents."""
    new = [
        NewMemory(text="x", agent_id=f"a{n % 2}", memory_id=f"m{n}", tags=["t"]) for n in range(5)
    ]
    return lambda: stage.stores.memories.add_chunk(new)


def clear_memories(stage: Stage) -> Prepared:
    """Return the soft deletion of all that an agent keeps."""
    add_memories(stage)()
    return lambda: stage.stores.memories.clear_batch("a0")


def sweep_memories(stage: Stage) -> Prepared:
    """Return the soft deletion of what has expired."""
    ends = stage.backend.clock.now() + timedelta(seconds=1)
    stage.stores.memories.add("tea", agent_id="a", memory_id="m1", tags=["x"], expires_at=ends)
    stage.backend.clock.advance(2)
    return stage.stores.memories.sweep_expired  # type: ignore[no-any-return]  # any backend


def apply_retention(stage: Stage) -> Prepared:
    """Return what retention does when it moves, shortens and forgets."""
    add_memories(stage)()
    stage.backend.clock.advance(86_400)
    due = list(stage.stores.memories.list_due())
    decisions = [
        replace(due[0], summary="short"),
        replace(due[1], action=RetentionAction.DELETE),
        *due[2:],
    ]
    return lambda: stage.stores.memories.apply_retention(decisions)


def record_access(stage: Stage) -> Prepared:
    """Return the counting of uses."""
    add_memories(stage)()
    return lambda: stage.stores.memories.record_access(["m1", "m2"])


def append_message(stage: Stage) -> Prepared:
    """Return the addition of a message to a conversation."""
    talk = stage.stores.memories.conversation("s", agent_id="a")
    return lambda: talk.append("hello", role="user", message_id="m1")


MEMORY_WRITES = [
    add_memory, update_memory, put_memory, forget_memory, restore_memory, purge_memory,
    add_memories, clear_memories, sweep_memories, apply_retention, record_access, append_message,
]  # fmt: skip

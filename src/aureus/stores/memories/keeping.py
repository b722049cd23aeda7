"""What is done to many memories at once: clearing, sweeping what has expired, and retention. In bounded batches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from aureus._database.operation import Operations, read, write
from aureus._database.statement import (
    Op,
    Queries,
    current_time,
    fetch_all,
    last_all,
    new_id,
    record_all,
)
from aureus.errors import Invalid, LimitExceeded
from aureus.model.events import EventType
from aureus.model.memories import Memory
from aureus.model.retention import (
    OUTWARDS,
    RetentionAction,
    RetentionDecision,
    RetentionPolicy,
    decide_retention,
)
from aureus.stores.memories.facts import fact_of
from aureus.stores.memories.indexing import index
from aureus.stores.memories.rows import COLUMN_COUNT, encode_memories, memory_of
from aureus.stores.memories.stating import check_memory_text, check_name, next_version

sql = Queries("memories")

BATCH_MAX = 250
"""Memories of one batch: each is an event too, and SQLite's other writers wait for the whole of it."""


class MemoryKeeping(Operations):
    """Operations on many memories."""

    @write
    def clear_batch(
        self,
        agent_id: str,
        *,
        user_id: str | None = None,
        actor: str | None = None,
        limit: int = BATCH_MAX,
    ) -> Op[int]:
        """Forget up to 250 memories of one agent, or of one agent and one user, oldest first; return how many.

        Atomic. 0 means that nothing is left; ``clear`` repeats it until then. The empty text as user means memories of
        no user.
        """
        check_name(agent_id, "agent_id")
        now = yield from current_time()
        operation = yield from new_id()
        found = yield from fetch_all(
            sql.lock_owned_memories,
            memory_of,
            agent_id=agent_id,
            user_id=user_id,
            limit=max(1, min(limit, BATCH_MAX)),
        )
        return (yield from _forget_all(found, operation, now, actor, "cleared"))

    @write
    def sweep_expired(self, *, limit: int = BATCH_MAX, actor: str = "aureus") -> Op[int]:
        """Forget up to 250 memories that have expired, first expired first; return how many. Atomic.

        Reads do not wait for it: to them a memory is gone with its last moment. 0 means that nothing is left.
        """
        now = yield from current_time()
        operation = yield from new_id()
        found = yield from fetch_all(
            sql.lock_expired_memories, memory_of, now=now, limit=max(1, min(limit, BATCH_MAX))
        )
        return (yield from _forget_all(found, operation, now, actor, "expired"))

    @write
    def record_access(self, memory_ids: Sequence[str]) -> Op[int]:
        """Count one use of each of these memories, and return how many there are. Atomic.

        Retention keeps close what is used. It is no change of a memory and no event; a repeated call counts again.
        """
        _check_count(memory_ids)
        for memory_id in memory_ids:
            check_name(memory_id, "memory_id")
        now = yield from current_time()
        counted = yield from last_all(
            sql.record_accesses, bool, memory_ids=sorted(set(memory_ids)), now=now
        )
        return len(counted)

    @read
    def list_due(
        self, policy: RetentionPolicy | None = None, *, limit: int = BATCH_MAX
    ) -> Op[list[RetentionDecision]]:
        """Return what retention would do now with up to 250 memories, innermost tier first, oldest first."""
        now = yield from current_time()
        rules = policy or RetentionPolicy()
        found: list[RetentionDecision] = []
        for tier in OUTWARDS:
            rule = rules.rule_of(tier)
            room = min(limit, BATCH_MAX) - len(found)
            if rule.leaves_after is None or room <= 0:
                continue
            rows = yield from fetch_all(
                sql.list_due_memories,
                lambda row: (memory_of(row), int(row[COLUMN_COUNT])),
                tier=tier.value,
                created_until=now - rule.leaves_after,
                access_count=rule.kept_from_accesses or 2**62,
                now=now,
                limit=room,
            )
            found += [decide_retention(memory, count, now, rules) for memory, count in rows]
        return found

    @write
    def apply_retention(
        self, decisions: Sequence[RetentionDecision], *, actor: str = "aureus"
    ) -> Op[int]:
        """Carry out up to 250 decisions of ``list_due``, and return how many still applied. Atomic.

        A memory that was changed since it was decided about is left alone. One with a ``summary`` takes it as its text;
        the whole text stays in its history. Moving is an event but no new version. Raises ``Invalid`` for a summary
        that cannot be the text of a memory; nothing was stored then.
        """
        _check_count(decisions)
        now = yield from current_time()
        operation = yield from new_id()
        wanted = {decision.memory.memory_id: decision for decision in decisions}
        there = yield from fetch_all(sql.lock_memories, memory_of, memory_ids=sorted(wanted))
        current = [
            memory
            for memory in there
            if memory.is_live(now) and memory.version == wanted[memory.memory_id].memory.version
        ]
        moved, changed, deleted = _sorted_out(current, wanted, operation, now)
        if moved:
            facts = [
                fact_of(EventType.MEMORY_MOVED, memory, actor, tier=memory.tier.value)
                for memory in moved
            ]
            yield from record_all(facts)
            yield from fetch_all(sql.move_memories, bool, memories=encode_memories(moved))
        if changed:
            yield from record_all(
                fact_of(EventType.MEMORY_UPDATED, memory, actor, reason="summarized")
                for memory in changed
            )
            yield from index(changed)
            yield from fetch_all(
                sql.replace_memories, memory_of, memories=encode_memories(changed), now=now
            )
        count = yield from _write_forgotten(deleted, now, actor, "retention")
        return count + len(moved) + len(changed)


def _sorted_out(
    memories: Iterable[Memory],
    wanted: dict[str, RetentionDecision],
    operation_id: str,
    now: datetime,
) -> tuple[list[Memory], list[Memory], list[Memory]]:
    """Return memories as they are to become: those that move, those with a new text, those that go."""
    moved: list[Memory] = []
    changed: list[Memory] = []
    deleted: list[Memory] = []
    for memory in memories:
        decision = wanted[memory.memory_id]
        if decision.action is RetentionAction.DELETE:
            deleted.append(next_version(memory, operation_id, now, deleted_at=now))
        elif decision.summary is not None:
            changed.append(_summarized(memory, decision, operation_id, now))
        elif decision.action is not RetentionAction.KEEP:
            moved.append(replace(memory, tier=decision.tier))
    return moved, changed, deleted


def _summarized(
    memory: Memory, decision: RetentionDecision, operation_id: str, now: datetime
) -> Memory:
    """Return a memory with its shorter text. Raises ``Invalid``, which names the memory."""
    shorter = next_version(memory, operation_id, now, text=decision.summary, tier=decision.tier)
    try:
        check_memory_text(shorter)
    except Invalid as error:
        raise Invalid(
            f"the summary of memory {memory.memory_id} cannot be its text: {error.message}. Return the text itself "
            "where nothing shorter says it",
            memory_id=memory.memory_id,
            what="summary",
        ) from error
    return shorter


def _forget_all(
    found: Sequence[Memory], operation_id: str, now: datetime, actor: str | None, reason: str
) -> Op[int]:
    deleted = [next_version(memory, operation_id, now, deleted_at=now) for memory in found]
    return (yield from _write_forgotten(deleted, now, actor, reason))


def _write_forgotten(
    deleted: Sequence[Memory], now: datetime, actor: str | None, reason: str
) -> Op[int]:
    if not deleted:
        return 0
    yield from record_all(
        fact_of(EventType.MEMORY_DELETED, memory, actor, reason=reason)
        for memory in sorted(deleted, key=lambda memory: memory.stream)
    )
    yield from index(deleted)
    written = yield from last_all(
        sql.replace_memories, memory_of, memories=encode_memories(deleted), now=now
    )
    return len(written)


def _check_count(values: Sequence[Any]) -> None:
    if len(values) > BATCH_MAX:
        raise LimitExceeded(
            f"{len(values):,} memories at once; the limit is {BATCH_MAX:,}", limit=BATCH_MAX
        )

"""The reads of memories: only what is live at the moment of the call, or was at the moment that it names.

A list takes one of two ways. A filter on something rare (a source event, a task, a session, a tag) first finds the ids,
when there are few, and looks only at those. Otherwise an index is walked in the order of the list, the rest of the
filter being tried on each memory until the page is full: quick as long as what is wanted is not rare.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Unpack

from aureus._database.operation import Operations, read
from aureus._database.statement import Op, Queries, Query, current_time, fetch_all, fetch_one
from aureus.codec import check_text
from aureus.errors import Invalid, NotFound
from aureus.model.memories import (
    AsOf,
    Memory,
    MemoryCriteria,
    MemoryFilter,
    MemoryStatistics,
    MemoryVersion,
)
from aureus.model.world_state import end_of_prefix
from aureus.stores.memories.changing import why_dead
from aureus.stores.memories.criteria import page_of, parameters_of
from aureus.stores.memories.rows import memory_of, version_of
from aureus.stores.memories.stating import KEY_BYTES_MAX, check_moment, check_name

sql = Queries("memories")

PAGE_MAX = 1000
"""Memories of one page."""

CANDIDATES_MAX = 2000
"""Ids up to which a list looks only at what a rare criterion found: reading that many rows takes milliseconds."""

HOURS_MAX = 1_000_000
"""Hours that a list of what is recent goes back: more than a century."""

_NO_MAX = 2**63 - 1


class MemoryReads(Operations):
    """Operations that read memories."""

    @read
    def get(self, memory_id: str, *, as_of: AsOf | None = None) -> Op[Memory]:
        """Return one memory, as it stands or as it was recorded at a moment.

        Raises ``NotFound`` when there is none, or it is not live (then).
        """
        memory = yield from _find(memory_id, as_of)
        now = yield from current_time()
        moment = now if as_of is None or as_of.recorded is None else as_of.recorded
        if memory is None:
            raise NotFound(f"there is no memory {memory_id!r}", memory_id=memory_id)
        valid = None if as_of is None else as_of.valid
        # What was superseded is what held before.
        standing = memory if valid is None else replace(memory, superseded_by=None)
        if not standing.is_live(moment):
            raise NotFound(f"memory {memory_id} {why_dead(standing, moment)}", memory_id=memory_id)
        if valid is not None and not memory.holds_at(valid):
            raise NotFound(f"memory {memory_id} did not hold then", memory_id=memory_id)
        return memory

    @read
    def find(self, memory_id: str, *, as_of: AsOf | None = None) -> Op[Memory | None]:
        """Return one memory, or None where ``get`` raises ``NotFound``."""
        try:
            return (yield from self.get(memory_id, as_of=as_of))
        except NotFound:
            return None

    @read
    def get_by_key(
        self, key: str, *, agent_id: str, user_id: str | None = None, namespace: str = ""
    ) -> Op[Memory]:
        """Return the memory that a key of this agent, user and namespace holds. Raises ``NotFound``."""
        check_name(key, "key", bytes_max=KEY_BYTES_MAX)
        check_name(agent_id, "agent_id")
        now = yield from current_time()
        memory = yield from fetch_one(
            sql.get_keyed_memory,
            memory_of,
            agent_id=agent_id,
            user_id=user_id or "",
            namespace=namespace,
            key=key,
        )
        if memory is None or not memory.is_live(now):
            raise NotFound(
                f"agent {agent_id!r} holds no memory under the key {key!r}",
                agent_id=agent_id,
                user_id=user_id,
                key=key,
            )
        return memory

    @read
    def list_namespaces(
        self,
        agent_id: str,
        *,
        user_id: str | None = None,
        prefix: str = "",
        after: str | None = None,
        limit: int = 100,
    ) -> Op[list[str]]:
        """Return the namespaces in which keys of this agent and user hold memories, by name; at most 1,000.

        Those that begin with ``prefix``; ``after`` is the last one of the page before. ``""`` is the namespace of keys
        that were given none. Takes time for what is returned, however many memories there are.
        """
        check_name(agent_id, "agent_id")
        check_text(prefix, "prefix")
        now = yield from current_time()
        wanted = max(1, min(limit, PAGE_MAX))
        found = yield from fetch_all(
            sql.list_namespaces,
            lambda row: str(row[0]),
            agent_id=agent_id,
            user_id=user_id or "",
            first_namespace=max(prefix, after or ""),
            end_namespace=end_of_prefix(prefix),
            limit=wanted + 1,  # the last one of the page before comes again
            now=now,
        )
        return [name for name in found if after is None or name > after][:wanted]

    @read
    def query(
        self,
        filter: MemoryFilter | None = None,  # noqa: A002 - the word that callers look for
        *,
        newest_first: bool = True,
        after: tuple[datetime, str] | None = None,
        limit: int = 100,
        as_of: AsOf | None = None,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[list[Memory]]:
        """Return a page of memories in the order of ``occurred_at``; at most 1,000.

        Criteria are those of ``MemoryFilter``, by name or as one value. ``after`` is the ``cursor`` of the last memory
        of the page before; memories that appear meanwhile are neither doubled nor skipped.

        With ``as_of`` the same order is walked over what stands, what was superseded and what was replaced since, each
        by an index; what was recorded later is passed on the way.
        """
        wanted = MemoryFilter.of(filter, criteria)
        order = "newest" if newest_first else "oldest"
        page = {
            **page_of(wanted, after, newest_first=newest_first),
            "limit": max(1, min(limit, PAGE_MAX)),
        }
        if as_of is not None:
            moment = yield from _moment_parameters(as_of)
            page.update(moment)
            walk = _WALKS[_way_then(wanted), order]
            return (yield from fetch_all(walk, memory_of, **page))
        page["now"] = yield from current_time()
        ids = yield from few_ids(wanted)
        if ids is not None:
            chosen = _WALKS["chosen_memories", order]
            return (yield from fetch_all(chosen, memory_of, memory_ids=ids, **page))
        return (yield from fetch_all(_WALKS[_way(wanted), order], memory_of, **page))

    @read
    def recent(
        self,
        filter: MemoryFilter | None = None,  # noqa: A002 - as in query
        *,
        days: float = 0,
        hours: float = 0,
        limit: int = 100,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[list[Memory]]:
        """Return what happened in the last days and hours, together, newest first; 7 days unless said otherwise."""
        now = yield from current_time()
        if not 0 <= days * 24 + hours <= HOURS_MAX:
            raise Invalid(
                f"days and hours lie in the past already, up to {HOURS_MAX:,} hours; give them without a sign"
            )
        span = timedelta(days=days, hours=hours)
        wanted = MemoryFilter.of(
            filter, {**criteria, "occurred_from": now - (span or timedelta(days=7))}
        )
        return (yield from self.query(wanted, limit=limit))

    @read
    def count(
        self,
        filter: MemoryFilter | None = None,  # noqa: A002 - as in query
        *,
        as_of: AsOf | None = None,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[int]:
        """Return how many memories there are; criteria are those of ``query``. The cost grows with the answer."""
        wanted = MemoryFilter.of(filter, criteria)
        if as_of is not None:
            moment = yield from _moment_parameters(as_of)
            then = {**parameters_of(wanted), **moment}
            return (yield from fetch_one(_COUNTS[_way_then(wanted)], _number, **then)) or 0
        now = yield from current_time()
        shared = {**parameters_of(wanted), "now": now}
        ids = yield from few_ids(wanted)
        if ids is not None:
            chosen = sql.count_chosen_memories
            return (yield from fetch_one(chosen, _number, memory_ids=ids, **shared)) or 0
        way = "memories" if wanted.include_shared else _way(wanted)
        return (yield from fetch_one(_COUNTS[way], _number, **shared)) or 0

    @read
    def statistics(
        self,
        filter: MemoryFilter | None = None,  # noqa: A002 - as in query
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[MemoryStatistics]:
        """Return what the memories of a filter add up to: total, by type, tasks, mean confidence."""
        wanted = MemoryFilter.of(filter, criteria)
        now = yield from current_time()
        rows = yield from fetch_all(sql.sum_up_memories, tuple, **parameters_of(wanted), now=now)
        by_type = {str(kind): int(count) for kind, count, _ in rows if kind}
        total = sum(by_type.values())
        confidence = sum(float(part) for kind, _, part in rows if kind)
        return MemoryStatistics(
            total=total,
            by_type=dict(sorted(by_type.items())),
            task_count=sum(int(count) for kind, count, _ in rows if not kind),
            mean_confidence=confidence / total if total else None,
        )

    @read
    def history(
        self, memory_id: str, *, before_version: int | None = None, limit: int = 100
    ) -> Op[list[MemoryVersion]]:
        """Return the versions of a memory, newest first, whatever became of it; empty when there is none."""
        check_name(memory_id, "memory_id")
        return (
            yield from fetch_all(
                sql.list_versions,
                version_of,
                memory_id=memory_id,
                before_version=_NO_MAX if before_version is None else before_version,
                limit=max(1, min(limit, PAGE_MAX)),
            )
        )

    @read
    def neighbours(self, memory_id: str, *, before: int = 1, after: int = 1) -> Op[list[Memory]]:
        """Return a memory with those before and behind it in its session, in their order.

        Raises ``NotFound`` as ``get`` does. Without a session a memory has no neighbours.
        """
        memory = yield from self.get(memory_id)
        if memory.session_id is None:
            return [memory]
        now = yield from current_time()
        place = {
            "agent_id": memory.agent_id,
            "user_id": memory.user_id or "",
            "session_id": memory.session_id,
            "type": None,
            "now": now,
        }
        earlier: list[Memory] = []
        later: list[Memory] = []
        if before > 0:
            earlier = yield from fetch_all(
                sql.list_session_before,
                memory_of,
                before_no=memory.memory_no,
                limit=min(before, PAGE_MAX),
                **place,
            )
        if after > 0:
            later = yield from fetch_all(
                sql.list_session_after,
                memory_of,
                after_no=memory.memory_no,
                limit=min(after, PAGE_MAX),
                **place,
            )
        return [*reversed(earlier), memory, *later]


_WALKS: dict[tuple[str, str], Query] = {
    ("memories", "newest"): sql.list_newest_memories,
    ("memories", "oldest"): sql.list_oldest_memories,
    ("agent_memories", "newest"): sql.list_newest_agent_memories,
    ("agent_memories", "oldest"): sql.list_oldest_agent_memories,
    ("user_memories", "newest"): sql.list_newest_user_memories,
    ("user_memories", "oldest"): sql.list_oldest_user_memories,
    ("shared_memories", "newest"): sql.list_newest_shared_memories,
    ("shared_memories", "oldest"): sql.list_oldest_shared_memories,
    ("chosen_memories", "newest"): sql.list_newest_chosen_memories,
    ("chosen_memories", "oldest"): sql.list_oldest_chosen_memories,
    ("states", "newest"): sql.list_newest_states,
    ("states", "oldest"): sql.list_oldest_states,
    ("agent_states", "newest"): sql.list_newest_agent_states,
    ("agent_states", "oldest"): sql.list_oldest_agent_states,
}

_COUNTS: dict[str, Query] = {
    "memories": sql.count_memories,
    "agent_memories": sql.count_agent_memories,
    "user_memories": sql.count_user_memories,
    "states": sql.count_states,
    "agent_states": sql.count_agent_states,
}


def _way(wanted: MemoryFilter) -> str:
    """Return whose index serves a list in its order."""
    if wanted.agent_id is None:
        return "memories"
    if wanted.include_shared:
        return "shared_memories"
    return "user_memories" if wanted.user_id else "agent_memories"


def _way_then(wanted: MemoryFilter) -> str:
    """Return whose indexes serve a list of what was recorded at a moment."""
    if wanted.agent_id is None or wanted.include_shared:
        return "states"
    return "agent_states"


def _find(memory_id: str, as_of: AsOf | None) -> Op[Memory | None]:
    check_name(memory_id, "memory_id")
    if as_of is None or as_of.recorded is None:
        return (yield from fetch_one(sql.get_memory, memory_of, memory_id=memory_id))
    recorded = check_moment(as_of.recorded, "as_of.recorded")
    return (
        yield from fetch_one(sql.get_state, memory_of, memory_id=memory_id, recorded_at=recorded)
    )


def _moment_parameters(as_of: AsOf) -> Op[dict[str, Any]]:
    now = yield from current_time()
    recorded = now if as_of.recorded is None else check_moment(as_of.recorded, "as_of.recorded")
    if as_of.valid is None:
        return {"recorded_at": recorded, "with_superseded": False}
    valid = check_moment(as_of.valid, "as_of.valid")
    return {"recorded_at": recorded, "with_superseded": True, "valid_at": valid}


def few_ids(wanted: MemoryFilter) -> Op[list[str] | None]:
    """Return the ids that the rarest criterion leaves; None when there is no such criterion, or it leaves many."""
    for query, parameters in _probes(wanted):
        ids = yield from fetch_all(query, _text, limit=CANDIDATES_MAX + 1, **parameters)
        if len(ids) <= CANDIDATES_MAX:
            return list(dict.fromkeys(ids))
    return None


def _probes(wanted: MemoryFilter) -> Sequence[tuple[Query, dict[str, Any]]]:
    """Return the statements that may find few ids, the likely ones first."""
    found: list[tuple[Query, dict[str, Any]]] = []
    plain = (
        (sql.find_by_source_event, wanted.source_event_id),
        (sql.find_by_task, wanted.task_id),
        (sql.find_by_session, wanted.session_id),
        (sql.find_by_run, wanted.run_id),
        (sql.find_by_subject, wanted.subject),
    )
    found += [(query, {"value": value}) for query, value in plain if value]
    found += [(sql.find_tagged, {"tags": [tag]}) for tag in wanted.tags]
    if wanted.tags_any:
        found.append((sql.find_tagged, {"tags": list(wanted.tags_any)}))
    return found


def _text(row: Sequence[Any]) -> str:
    return str(row[0])


def _number(row: Sequence[Any]) -> int:
    return int(row[0])

"""What there was at an earlier moment, followed from the ledger: for which nobody has to have taken a snapshot.

Each version of a memory and of a key is told by an event that names it. So the entries in front of a position say which
version was live there, with the fingerprint of a memory and the hash of a value; the texts and values lie in the
versions that both nouns keep. Sessions keep nothing but their newest document, so they are no part of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TypeVar

from aureus._database.statement import Op
from aureus.codec import encode
from aureus.errors import IntegrityFailure, Invalid, LimitExceeded
from aureus.model.events import EventType
from aureus.model.memories import Memory
from aureus.model.snapshots import (
    KEYS_MAX,
    MEMORIES_MAX,
    Holdings,
    PartKind,
    SnapshotPart,
    SnapshotScope,
)
from aureus.model.world_state import end_of_prefix, pruning_stream_of
from aureus.model.world_state import stream_of as stream_of_key
from aureus.snapshots.capturing import PAGE, memory_streams, part_of_key
from aureus.stores.audit.rows import MODES_STREAM
from aureus.stores.entries import Told, told_between
from aureus.stores.erasures import find_entry_pruned, has_erased_entries
from aureus.stores.ledger import Cut
from aureus.stores.memories import MemoryOperations
from aureus.stores.memories.rewriting import standing, versions_of
from aureus.stores.world_state.reading import count_versions, written_values

_LIVE = {EventType.MEMORY_CREATED, EventType.MEMORY_UPDATED, EventType.MEMORY_RESTORED}
_GONE = {EventType.MEMORY_DELETED, EventType.MEMORY_SUPERSEDED, EventType.MEMORY_PURGED}


Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the ledger, and the time that it is taken for."""

    cut: Cut
    at: datetime


def followed(scope: SnapshotScope, moment: Moment) -> Op[Holdings]:
    """Return what a scope held at a moment. Raises ``Invalid`` where the ledger does not tell all of it."""
    parts: list[SnapshotPart] = []
    if scope.world_scope is not None:
        parts += yield from _keys(scope.world_scope, moment.cut)
    if scope.agent_id is not None:
        parts += yield from _memories(scope, scope.agent_id, moment)
    return Holdings.of(parts)


def _keys(scope: str, cut: Cut) -> Op[list[SnapshotPart]]:
    prefix = stream_of_key(scope, "")
    told = yield from told_between(prefix, end_of_prefix(prefix))
    pruned = yield from _pruned(scope)
    if not (yield from _is_all_told(scope, len(told), pruned)):
        raise Invalid(
            f"the ledger does not tell of every write in the scope {scope}, as when events.routine was off; "
            "only a snapshot that was taken then brings it back",
            scope=scope,
        )
    latest = _latest(told, cut)
    live = [one.payload for one in latest.values() if one.type == EventType.WORLD_STATE_SET]
    if len(live) > KEYS_MAX:
        raise LimitExceeded(f"more than {KEYS_MAX:,} keys of the scope {scope}", limit=KEYS_MAX)
    parts: list[SnapshotPart] = []
    for page in _pages(live, PAGE):
        named = [(str(payload["key"]), str(payload["operationId"])) for payload in page]
        hashes = {str(payload["key"]): payload.get("sha256") for payload in page}
        found = yield from written_values(scope, named)
        gone = {key for key, _ in named} - {entry.key for entry in found}
        if gone & pruned.keys():
            raise Invalid(
                f"key {min(gone & pruned.keys())!r} of the scope {scope} had a value then that was pruned since; "
                "only a snapshot that was taken then brings it back",
                scope=scope,
            )
        if gone:
            raise IntegrityFailure(f"values of the scope {scope} are gone that the ledger tells of")
        for entry in found:
            told_hash = hashes[entry.key]
            if told_hash is not None and told_hash != sha256(encode(entry.value)).hexdigest():
                raise IntegrityFailure(
                    f"key {entry.key!r} of the scope {scope} had another value at version {entry.version}",
                    key=entry.key,
                    scope=scope,
                )
            parts.append(part_of_key(scope, entry))
    return sorted(parts, key=lambda part: part.name)


def _pruned(scope: str) -> Op[dict[str, int]]:
    """Return how many of the versions that were pruned events tell of, by key."""
    stream = pruning_stream_of(scope)
    told = yield from told_between(stream, stream + "\x01")
    pruned: Counter[str] = Counter()
    for one in told:
        for removed in one.payload["removed"]:
            pruned[removed["key"]] += removed["toldCount"]
    return dict(pruned)


def _is_all_told(scope: str, told_count: int, pruned: dict[str, int]) -> Op[bool]:
    """Return whether events tell of each version that there is or was, but for what was erased."""
    there = yield from count_versions(scope)
    missing = there + sum(pruned.values()) - told_count
    if missing <= 0:
        return missing == 0
    for key, count in pruned.items():
        stream = stream_of_key(scope, key)
        if (yield from has_erased_entries(stream, stream + "\x01")):
            missing -= count
    return missing == 0


def _memories(scope: SnapshotScope, agent_id: str, moment: Moment) -> Op[list[SnapshotPart]]:
    told: list[Told] = []
    for first, end in memory_streams(scope):
        told += yield from told_between(first, end)
        pruned_no = yield from find_entry_pruned(first, end, MODES_STREAM)
        if pruned_no is not None and moment.cut.holds(pruned_no):
            raise Invalid(
                f"the ledger does not tell of everything any more that became of the memories of the agent {agent_id}: "
                "the retention of the audit trail has pruned some of it; only a snapshot that was taken then brings "
                "them back",
                agent_id=agent_id,
            )
    state: dict[str, Told] = {}
    for one in told:
        if moment.cut.holds(one.entry_no) and one.type in _LIVE | _GONE:
            state[str(one.payload["memoryId"])] = one
    pointers = [
        SnapshotPart(
            PartKind.MEMORY,
            "",
            memory_id,
            int(one.payload["version"]),
            bytes.fromhex(one.payload["sha256"]),
        )
        for memory_id, one in sorted(state.items())
        if one.type in _LIVE
    ]
    kept: list[SnapshotPart] = []
    for page in _pages(pointers, PAGE):
        found = yield from versions_of([(part.name, part.version) for part in page])
        by_id = {memory.memory_id: memory for memory in found}
        over = yield from _replaced_by_what_was_erased(page, moment)
        kept += [
            part
            for part in page
            if part.name not in over and _belongs(by_id.get(part.name), scope, moment)
        ]
    if len(kept) > MEMORIES_MAX:
        raise LimitExceeded(
            f"more than {MEMORIES_MAX:,} memories of the agent {agent_id}", limit=MEMORIES_MAX
        )
    return kept


def _replaced_by_what_was_erased(pointers: Sequence[SnapshotPart], moment: Moment) -> Op[set[str]]:
    """Return memories whose next version is gone and was written by then: what was live there was erased.

    Nothing that is left tells of such a version, so here the time of the rows has to do.
    """
    following = yield from versions_of([(part.name, part.version + 1) for part in pointers])
    there = {memory.memory_id for memory in following}
    current = yield from standing([part.name for part in pointers if part.name not in there])
    newest = {memory.memory_id: memory.version for memory in current}
    over: set[str] = set()
    for part in pointers:
        if newest.get(part.name, 0) > part.version:
            page = yield from MemoryOperations().history(
                part.name, before_version=part.version + 1, limit=1
            )
            ended = page[0].recorded_to if page else None
            if ended is not None and ended <= moment.at:
                over.add(part.name)
    return over


def _belongs(memory: Memory | None, scope: SnapshotScope, moment: Moment) -> bool:
    """Return whether a memory was live and of this scope; of one that was removed for good only the pointer is left."""
    if memory is None:
        return scope.namespace is None
    return memory.is_live(moment.at) and scope.namespace in {None, memory.namespace}


def _latest(told: Iterable[Told], cut: Cut) -> dict[str, Told]:
    """Return the last thing in front of a cut that each stream tells."""
    return {one.stream: one for one in told if cut.holds(one.entry_no)}


def _pages(items: Sequence[Part], size: int) -> Iterator[Sequence[Part]]:
    for at in range(0, len(items), size):
        yield items[at : at + size]

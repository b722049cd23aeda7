"""World state: versioned keys that agents share, as one of them saw them and as they changed.

Pure: what a snapshot holds, how two snapshots differ, and where a prefix of keys ends.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from aureus.model.events import EventType
from aureus.model.plain import plain, plain_record

DEFAULT_SCOPE = "default"
"""The scope that ``db.world_state`` is."""

SCOPE_BYTES_MAX = 255
"""Bytes of a scope's name."""

KEY_BYTES_MAX = 512
"""Bytes of a key."""

VALUE_BYTES_MAX = 1024 * 1024
"""Bytes of a value as JSON; every value that a key had is kept."""

SNAPSHOT_KEYS_MAX = 10_000
"""Keys of a scope that a snapshot holds."""

ACTIONS = {
    EventType.WORLD_STATE_SET: "world-state.set",
    EventType.WORLD_STATE_DELETED: "world-state.delete",
    EventType.WORLD_STATE_PRUNED: "world-state.prune",
}
"""What an audit entry calls each thing that can happen to a key."""

DECISIONS = frozenset({EventType.WORLD_STATE_DELETED, EventType.WORLD_STATE_PRUNED})
"""What is an audit entry also where only decisions are; the rest is routine."""


@dataclass(frozen=True, slots=True)
class WorldStateEntry:
    """A key with a value that it has or had; ``updated_at`` is when it got it.

    ``is_deleted`` is true for a version that took the value away; the value is then None.
    """

    key: str
    version: int
    value: Any
    updated_at: datetime
    is_deleted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the entry as plain JSON values."""
        return plain_record(self)


class ChangeKind(StrEnum):
    """What became of a key between two snapshots."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class WorldStateChange:
    """A key that differs between two snapshots; ``before`` and ``after`` are None where it was not there."""

    key: str
    kind: ChangeKind
    before: WorldStateEntry | None
    after: WorldStateEntry | None

    def to_dict(self) -> dict[str, Any]:
        """Return the change as plain JSON values."""
        return plain_record(self)


@dataclass(frozen=True, slots=True)
class WorldStateConflict:
    """A key that is not at the version that a caller saw; 0 is a key that is not there."""

    key: str
    expected_version: int
    actual_version: int


@dataclass(frozen=True, slots=True)
class WorldStateSnapshot:
    """Every key of a scope at one moment, with its version."""

    scope: str
    taken_at: datetime
    entries: Mapping[str, WorldStateEntry]

    @property
    def values(self) -> dict[str, Any]:
        """Return the keys with their values alone."""
        return {key: entry.value for key, entry in self.entries.items()}

    @property
    def versions(self) -> dict[str, int]:
        """Return the keys with their versions, as ``conflicts`` takes them."""
        return {key: entry.version for key, entry in self.entries.items()}

    def diff(self, later: WorldStateSnapshot) -> Sequence[WorldStateChange]:
        """Return what changed from this snapshot to another, by key; equal versions are equal values."""
        changes: list[WorldStateChange] = []
        for key in sorted(self.entries.keys() | later.entries.keys()):
            before, after = self.entries.get(key), later.entries.get(key)
            if before is None:
                changes.append(WorldStateChange(key, ChangeKind.ADDED, None, after))
            elif after is None:
                changes.append(WorldStateChange(key, ChangeKind.REMOVED, before, None))
            elif before.version != after.version:
                changes.append(WorldStateChange(key, ChangeKind.CHANGED, before, after))
        return changes

    def to_dict(self) -> dict[str, Any]:
        """Return the snapshot as plain JSON values."""
        return {
            "scope": self.scope,
            "taken_at": plain(self.taken_at),
            "entries": {key: entry.to_dict() for key, entry in self.entries.items()},
        }


@dataclass(frozen=True, slots=True)
class PrunedVersions:
    """What one batch of pruning removed; ``place`` is (key, version) up to which it has looked."""

    scope: str
    version_count: int
    record_id: str | None
    """The event that tells of it; None when nothing was removed."""
    place: tuple[str, int]
    is_done: bool
    """Whether nothing is left behind the place that may go."""


@dataclass(frozen=True, slots=True)
class WorldStatePruning:
    """What pruning a scope removed, and the events that tell of it."""

    scope: str
    version_count: int
    record_ids: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the pruning as plain JSON values."""
        return plain_record(self)


def ranges_of(versions: Sequence[int]) -> list[list[int]]:
    """Return rising numbers as ranges, each with its first and its last one."""
    ranges: list[list[int]] = []
    for version in versions:
        if ranges and ranges[-1][1] == version - 1:
            ranges[-1][1] = version
        else:
            ranges.append([version, version])
    return ranges


def pruning_stream_of(scope: str) -> str:
    """Return the stream of what tells that versions of the keys of a scope were pruned."""
    return "world_state_prunings/" + scope.replace("%", "%25").replace("/", "%2F")


def end_of_prefix(prefix: str) -> str:
    """Return the least text behind every text that begins with a prefix, in the order of code points."""
    stem = prefix.rstrip(chr(sys.maxunicode))
    if not stem:
        return chr(sys.maxunicode) * (KEY_BYTES_MAX + 1)
    following = ord(stem[-1]) + 1
    if 0xD800 <= following <= 0xDFFF:  # surrogates are no text
        following = 0xE000
    return stem[:-1] + chr(following)


def stream_of(scope: str, key: str) -> str:
    """Return the stream of a key's events; slashes inside names are written ``%2F``."""
    parts = (part.replace("%", "%25").replace("/", "%2F") for part in (scope, key))
    return "/".join(["world_state", *parts])

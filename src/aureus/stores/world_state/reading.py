"""Reads of the world state: values, histories, pages, and a whole scope at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aureus._database.operation import read
from aureus._database.statement import Op, Queries, current_time, fetch_all, fetch_one
from aureus.codec import encode
from aureus.errors import LimitExceeded, NotFound
from aureus.model.world_state import (
    SNAPSHOT_KEYS_MAX,
    WorldStateConflict,
    WorldStateEntry,
    WorldStateSnapshot,
    end_of_prefix,
)
from aureus.stores.world_state.rows import WorldStateScope, checked_key, entry_of

sql = Queries("world_state")

PAGE_MAX = 1000
"""Keys or versions of one page."""

_LAST_VERSION = 2**62


class WorldStateReads(WorldStateScope):
    """Operations that read the keys of one scope."""

    @read
    def get(self, key: str) -> Op[WorldStateEntry]:
        """Return a key's value and version. Raises ``NotFound``."""
        return (yield from self._get(key))

    @read
    def find(self, key: str) -> Op[WorldStateEntry | None]:
        """Return a key's value and version, or None when it is not there."""
        return (yield from fetch_one(sql.get_world_state, entry_of, **self._named(key)))

    @read
    def read_version(self, key: str, version: int) -> Op[WorldStateEntry]:
        """Return the value that a key had at a version. Raises ``NotFound``."""
        entry = yield from fetch_one(
            sql.get_world_state_version, entry_of, version=version, **self._named(key)
        )
        if entry is None:
            raise NotFound(
                f"key {key!r} of the scope {self._scope} has no version {version}",
                key=key,
                scope=self._scope,
                version=version,
            )
        return entry

    @read
    def history(
        self, key: str, *, before_version: int | None = None, limit: int = 100
    ) -> Op[Sequence[WorldStateEntry]]:
        """Return the values that a key had, newest first; at most 1,000. ``before_version`` is the last one seen."""
        return (
            yield from fetch_all(
                sql.list_world_state_versions,
                entry_of,
                before_version=_LAST_VERSION if before_version is None else before_version,
                limit=max(1, min(limit, PAGE_MAX)),
                **self._named(key),
            )
        )

    @read
    def list(
        self, *, prefix: str = "", after_key: str = "", limit: int = 100
    ) -> Op[Sequence[WorldStateEntry]]:
        """Return the keys that begin with a prefix, with their values, in order; at most 1,000.

        ``after_key`` is the last one of the page before.
        """
        return (yield from self._list(prefix, after_key, max(1, min(limit, PAGE_MAX))))

    @read
    def keys(
        self, *, prefix: str = "", after_key: str = "", limit: int = 1000
    ) -> Op[Sequence[str]]:
        """Return the names of the keys that begin with a prefix, in order; at most 1,000."""
        return (
            yield from fetch_all(
                sql.list_world_state_keys,
                lambda row: str(row[0]),
                **self._page(prefix, after_key, max(1, min(limit, PAGE_MAX))),
            )
        )

    @read
    def snapshot(self) -> Op[WorldStateSnapshot]:
        """Return every key of the scope at one moment, with its version.

        Raises ``LimitExceeded`` when there are more than 10,000.
        """
        now = yield from current_time()
        entries = yield from self._list("", "", SNAPSHOT_KEYS_MAX + 1)
        if len(entries) > SNAPSHOT_KEYS_MAX:
            raise LimitExceeded(
                f"the scope {self._scope} has more than {SNAPSHOT_KEYS_MAX:,} keys; use several scopes",
                scope=self._scope,
                limit=SNAPSHOT_KEYS_MAX,
            )
        return WorldStateSnapshot(self._scope, now, {entry.key: entry for entry in entries})

    @read
    def conflicts(self, seen: Mapping[str, int]) -> Op[Sequence[WorldStateConflict]]:
        """Return the keys that are not at the versions that a caller saw, by key; 0 is a key that was not there.

        Empty means that nothing of what was seen has changed. At most 10,000 keys.
        """
        if len(seen) > SNAPSHOT_KEYS_MAX:
            raise LimitExceeded(f"{len(seen):,} keys at once; the limit is {SNAPSHOT_KEYS_MAX:,}")
        pairs = yield from fetch_all(
            sql.list_versions_of_keys,
            lambda row: (str(row[0]), int(row[1])),
            scope=self._scope,
            keys=[checked_key(key) for key in seen],
        )
        actual = dict(pairs)
        return [
            WorldStateConflict(key, seen[key], actual.get(key, 0))
            for key in sorted(seen)
            if seen[key] != actual.get(key, 0)
        ]

    def _list(self, prefix: str, after_key: str, limit: int) -> Op[Sequence[WorldStateEntry]]:
        return (
            yield from fetch_all(
                sql.list_world_state, entry_of, **self._page(prefix, after_key, limit)
            )
        )

    def _page(self, prefix: str, after_key: str, limit: int) -> dict[str, Any]:
        """Return the parameters of a page of keys."""
        return {
            "scope": self._scope,
            "after_key": after_key,
            "first_key": prefix,
            "end_key": end_of_prefix(prefix),
            "limit": limit,
        }


def written_values(scope: str, wanted: Sequence[tuple[str, str]]) -> Op[Sequence[WorldStateEntry]]:
    """Return the values that operations gave to keys, by key and operation; for whoever follows their events."""
    named = [{"key": key, "operation_id": operation} for key, operation in wanted]
    return (
        yield from fetch_all(
            sql.list_written_values,
            entry_of,
            scope=scope,
            wanted=encode(named, what="keys").decode(),
        )
    )


def count_versions(scope: str) -> Op[int]:
    """Return how many values the keys of a scope have had, deletions included, without those that were erased."""
    found = yield from fetch_one(
        sql.count_world_state_versions, lambda row: int(row[0]), scope=scope
    )
    return found or 0

"""Pruning of the world state: old versions of keys go, on record; what stands and what a snapshot names stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, NamedTuple

from aureus._database.operation import write
from aureus._database.statement import (
    Op,
    Queries,
    fetch_all,
    fetch_one,
    new_id,
    record,
)
from aureus.codec import check_name, check_text, decode, encode_made
from aureus.errors import Conflict, Invalid
from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.plain import plain
from aureus.model.world_state import (
    ACTIONS,
    PrunedVersions,
    WorldStatePruning,
    pruning_stream_of,
    ranges_of,
)
from aureus.stores.world_state.rows import WorldStateScope

sql = Queries("world_state")

BATCH_MAX = 500
"""Versions of one batch: SQLite's other writers wait for the whole of it."""

REASON_CHARACTERS_MAX = 500
_RECORD_ID_BYTES_MAX = 128
_ANY_TIME = datetime.max.replace(tzinfo=UTC)


class _Old(NamedTuple):
    """A version that may go, and whether an event with its payload tells of it."""

    key: str
    version: int
    is_told: bool


class WorldStateCare(WorldStateScope):
    """Operations that let go of what the keys of one scope had."""

    @write
    def prune_batch(
        self,
        *,
        keep_newest: int | None = None,
        before: datetime | None = None,
        after: tuple[str, int] = ("", 0),
        actor: str = "aureus",
        reason: str = "",
        record_id: str | None = None,
    ) -> Op[PrunedVersions]:
        """Remove at most 500 old versions of keys, behind a place; as ``prune``, in one transaction.

        Call it with the ``place`` of the batch before until ``is_done``. Atomic, with the event that tells of it,
        ``record_id``; a repeated call with the same one removes nothing more. Raises ``Invalid``, and a retryable
        ``Conflict`` when somebody else prunes the same keys.
        """
        _check(keep_newest, before, reason)
        chosen = (yield from new_id()) if record_id is None else record_id
        check_name(chosen, "record_id", bytes_max=_RECORD_ID_BYTES_MAX)
        earlier = yield from fetch_one(
            sql.get_pruning, lambda row: decode(row[0]), record_id=chosen
        )
        if earlier is not None:
            place = (str(earlier["place"][0]), int(earlier["place"][1]))
            return PrunedVersions(
                self._scope, int(earlier["versionCount"]), chosen, place, is_done=False
            )
        old = yield from fetch_all(
            sql.list_prunable_versions,
            lambda row: _Old(str(row[0]), int(row[1]), bool(row[2])),
            scope=self._scope,
            keep_newest=max(1, keep_newest or 1),
            before_at=before or _ANY_TIME,
            after_key=after[0],
            after_version=after[1],
            limit=BATCH_MAX,
        )
        if not old:
            return PrunedVersions(self._scope, 0, None, after, is_done=True)
        yield from record(self._pruned(old, chosen, keep_newest, before, actor, reason))
        yield from fetch_all(
            sql.hold_keys,
            bool,
            scope=self._scope,
            keys=encode_made(sorted({one.key for one in old})),
        )
        versions = encode_made([[one.key, one.version] for one in old])
        named = {"scope": self._scope, "versions": versions, "record_id": chosen}
        emptied = yield from fetch_all(sql.empty_versions, bool, **named)
        gone = yield from fetch_all(sql.delete_versions, bool, **named)
        if not len(old) == len(emptied) == len(gone):
            raise Conflict("versions were removed in the same moment; nothing was, repeat the call")
        place = (old[-1].key, old[-1].version)
        return PrunedVersions(self._scope, len(old), chosen, place, is_done=len(old) < BATCH_MAX)

    def _pruned(
        self,
        old: Sequence[_Old],
        record_id: str,
        keep_newest: int | None,
        before: datetime | None,
        actor: str,
        reason: str,
    ) -> Fact:
        """Return the fact that versions were removed: of which keys, which, and of how many of them events tell."""
        removed: list[dict[str, Any]] = []
        for key, group in groupby(old, key=lambda one: one.key):
            versions = list(group)
            removed.append(
                {
                    "key": key,
                    "versions": ranges_of([one.version for one in versions]),
                    "toldCount": sum(one.is_told for one in versions),
                }
            )
        stream = pruning_stream_of(self._scope)
        kind = EventType.WORLD_STATE_PRUNED
        return Fact(
            stream=stream,
            type=kind,
            payload={
                "scope": self._scope,
                "keepNewest": keep_newest,
                "before": plain(before),
                "reason": reason,
                "versionCount": len(old),
                "place": [old[-1].key, old[-1].version],
                "removed": removed,
            },
            actor=actor,
            audit=AuditPoint(ACTIONS[kind], stream, is_explicit=True),
            event_id=record_id,
        )


def pruning_of(batches: Sequence[PrunedVersions]) -> WorldStatePruning:
    """Return what batches of one scope removed together."""
    records = tuple(one.record_id for one in batches if one.record_id is not None)
    return WorldStatePruning(batches[0].scope, sum(one.version_count for one in batches), records)


def _check(keep_newest: int | None, before: datetime | None, reason: str) -> None:
    if keep_newest is None and before is None:
        raise Invalid(
            "say what may go: all but the newest versions of each key (keep_newest), what is older than a time "
            "(before), or both"
        )
    if keep_newest is not None and keep_newest < 1:
        raise Invalid(f"keep_newest is {keep_newest}; the newest version of a key always stays")
    if before is not None and before.tzinfo is None:
        raise Invalid("before is a time without a zone; give it one, such as UTC")
    check_text(reason, "reason", characters_max=REASON_CHARACTERS_MAX)

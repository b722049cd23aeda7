"""World state: versioned keys in scopes, with every value that they had."""

from __future__ import annotations

from datetime import datetime

from aureus._database.operation import AsyncStore, Store
from aureus.model.world_state import PrunedVersions, WorldStatePruning
from aureus.stores.world_state.pruning import WorldStateCare, pruning_of
from aureus.stores.world_state.reading import PAGE_MAX, WorldStateReads
from aureus.stores.world_state.rows import checked_scope
from aureus.stores.world_state.writing import WorldStateWrites

__all__ = ["PAGE_MAX", "AsyncWorldStateStore", "WorldStateOperations", "WorldStateStore"]


class WorldStateOperations(WorldStateReads, WorldStateWrites, WorldStateCare):
    """Operations on the keys of one scope."""


class WorldStateStore(Store, WorldStateOperations):
    """World state of one tenant, in one scope."""

    def prune(
        self,
        *,
        keep_newest: int | None = None,
        before: datetime | None = None,
        actor: str = "aureus",
        reason: str = "",
    ) -> WorldStatePruning:
        """Remove old versions of the keys of this scope, on record; return what was removed.

        What may go is older than the newest ``keep_newest`` versions of its key, and than ``before``, as far as they
        are given; one of them has to be. The newest version of a key stays, and so does each that a snapshot names.
        Batch by batch, each atomic, with an event that says which versions went; repeating it is harmless. A write that
        is repeated by its ``operation_id`` after its version is gone is carried out again, so keep what is younger than
        your retries. Raises ``Invalid``, and a retryable ``Conflict`` when somebody else prunes the same keys.
        """
        batches: list[PrunedVersions] = []
        after = ("", 0)
        while not batches or not batches[-1].is_done:
            batches.append(
                self.prune_batch(
                    keep_newest=keep_newest, before=before, after=after, actor=actor, reason=reason
                )
            )
            after = batches[-1].place
        return pruning_of(batches)

    def scope(self, name: str) -> WorldStateStore:
        """Return the same operations on another scope, which exists as soon as it has a key."""
        return WorldStateStore(self._runner, self._call, WorldStateOperations(checked_scope(name)))


class AsyncWorldStateStore(AsyncStore, WorldStateOperations):
    """World state of one tenant, in one scope, awaited."""

    async def prune(
        self,
        *,
        keep_newest: int | None = None,
        before: datetime | None = None,
        actor: str = "aureus",
        reason: str = "",
    ) -> WorldStatePruning:
        """Remove old versions of the keys of this scope; as ``WorldStateStore.prune``."""
        batches: list[PrunedVersions] = []
        after = ("", 0)
        while not batches or not batches[-1].is_done:
            batches.append(
                await self.prune_batch(
                    keep_newest=keep_newest, before=before, after=after, actor=actor, reason=reason
                )
            )
            after = batches[-1].place
        return pruning_of(batches)

    def scope(self, name: str) -> AsyncWorldStateStore:
        """Return the same operations on another scope, which exists as soon as it has a key."""
        return AsyncWorldStateStore(
            self._runner, self._call, WorldStateOperations(checked_scope(name))
        )

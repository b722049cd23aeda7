"""World state: versioned keys in scopes, with every value that they had."""

from __future__ import annotations

from aureus._database.operation import AsyncStore, Store
from aureus.stores.world_state.reading import PAGE_MAX, WorldStateReads
from aureus.stores.world_state.rows import checked_scope
from aureus.stores.world_state.writing import WorldStateWrites

__all__ = ["PAGE_MAX", "AsyncWorldStateStore", "WorldStateOperations", "WorldStateStore"]


class WorldStateOperations(WorldStateReads, WorldStateWrites):
    """Operations on the keys of one scope."""


class WorldStateStore(Store, WorldStateOperations):
    """World state of one tenant, in one scope."""

    def scope(self, name: str) -> WorldStateStore:
        """Return the same operations on another scope, which exists as soon as it has a key."""
        return WorldStateStore(self._runner, self._call, WorldStateOperations(checked_scope(name)))


class AsyncWorldStateStore(AsyncStore, WorldStateOperations):
    """World state of one tenant, in one scope, awaited."""

    def scope(self, name: str) -> AsyncWorldStateStore:
        """Return the same operations on another scope, which exists as soon as it has a key."""
        return AsyncWorldStateStore(
            self._runner, self._call, WorldStateOperations(checked_scope(name))
        )

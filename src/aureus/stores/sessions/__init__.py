"""Sessions: the documents of agents' sessions, with history, expiry and a query by what they contain."""

from __future__ import annotations

from aureus._database.operation import AsyncStore, Store
from aureus.model.sessions import check_collection
from aureus.stores.sessions.care import CareOperations
from aureus.stores.sessions.documents import DocumentOperations
from aureus.stores.sessions.messages import MessageOperations
from aureus.stores.sessions.searches import SearchOperations


class SessionOperations(DocumentOperations, MessageOperations, SearchOperations, CareOperations):
    """Operations on the sessions of one collection."""


class SessionStore(Store, SessionOperations):
    """Sessions of one tenant, in one collection."""

    def collection(self, name: str) -> SessionStore:
        """Return the same operations on another collection, which exists as soon as it has a session.

        Raises ``Invalid`` unless the name is an identifier of at most 63 characters.
        """
        return SessionStore(self._runner, self._call, SessionOperations(check_collection(name)))


class AsyncSessionStore(AsyncStore, SessionOperations):
    """Sessions of one tenant, in one collection, awaited."""

    def collection(self, name: str) -> AsyncSessionStore:
        """Return the same operations on another collection, which exists as soon as it has a session.

        Raises ``Invalid`` unless the name is an identifier of at most 63 characters.
        """
        return AsyncSessionStore(
            self._runner, self._call, SessionOperations(check_collection(name))
        )

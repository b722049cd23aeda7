"""What an agent does with its memories: what it forgets, changes or clears is its own, what it recalls also shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, Self, TypedDict, Unpack

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import Op
from aureus.agents.scope import AgentScope
from aureus.agents.words import words_of
from aureus.codec import Json, check
from aureus.errors import Invalid, NotFound
from aureus.model.memories import (
    Memory,
    MemoryChanges,
    MemoryCriteria,
    MemoryDetails,
    Provenance,
)
from aureus.model.recall import Recall
from aureus.stores.memories import MemoryOperations
from aureus.stores.memories.meaning import Mode

CLEAR_BATCH = 250
"""Memories of one transaction of ``clear``."""


class RememberDetails(TypedDict, total=False):
    """What may be said of what an agent remembers; the rest it knows itself."""

    type: str
    content: Json
    tags: Sequence[str]
    confidence: float
    subject: str | None
    language: str
    metadata: Mapping[str, Any]
    provenance: Provenance | None
    sources: Sequence[str]
    is_shared: bool
    session_id: str | None
    occurred_at: datetime | None
    valid_from: datetime | None
    valid_to: datetime | None
    expires_at: datetime | None


class AgentOperations(Operations):
    """Operations on the memories of one agent."""

    def __init__(self, scope: AgentScope, memories: MemoryOperations) -> None:
        """Fill in the scope wherever these operations on memories take it."""
        self.scope = scope
        self._memories = memories

    @write
    def remember(
        self,
        what: Json,
        *,
        key: str | None = None,
        memory_id: str | None = None,
        **details: Unpack[RememberDetails],
    ) -> Op[Memory]:
        """Keep something: a text, or any JSON value, whose words are then what is searched. Atomic.

        With ``key`` it takes the place of what this agent kept under that name. Repeating the call with the same
        ``memory_id`` returns the memory as it now stands.
        """
        if not isinstance(what, str):
            if "content" in details:
                raise Invalid(
                    "give the value once: as what is remembered, or as content", what="content"
                )
            check(what, "what")
            details["content"] = what
        text = what if isinstance(what, str) else words_of(what)
        filled = self._filled(details)
        if key is None:
            return (
                yield from self._memories.add(
                    text, agent_id=self.scope.agent_id, memory_id=memory_id, **filled
                )
            )
        return (
            yield from self._memories.put(
                key, text, agent_id=self.scope.agent_id, memory_id=memory_id, **filled
            )
        )

    def _filled(self, details: RememberDetails) -> MemoryDetails:
        """Return the details of a new memory with what the agent itself knows; what a call says comes first."""
        scope = self.scope
        filled: MemoryDetails = {
            "session_id": scope.session_id,
            "provenance": scope.provenance,
            **details,
            "user_id": scope.user_id,
            "namespace": scope.namespace or "",
        }
        return filled

    @read
    def get(self, memory_id: str) -> Op[Memory]:
        """Return one memory of this agent, or one that another agent shares, of the same user or of none.

        Raises ``NotFound``.
        """
        memory = yield from self._memories.get(memory_id)
        if not self.scope.sees(memory):
            raise self._not_mine(memory_id)
        return memory

    @read
    def get_by_key(self, key: str) -> Op[Memory]:
        """Return the memory that this agent holds under a key, with its user and namespace. Raises ``NotFound``."""
        scope = self.scope
        return (
            yield from self._memories.get_by_key(
                key,
                agent_id=scope.agent_id,
                user_id=scope.user_id,
                namespace=scope.namespace or "",
            )
        )

    @read
    def list_namespaces(
        self, *, prefix: str = "", after: str | None = None, limit: int = 100
    ) -> Op[list[str]]:
        """Return the namespaces in which keys of this agent and its user hold memories, by name; at most 1,000.

        ``after`` is the last one of the page before.
        """
        return (
            yield from self._memories.list_namespaces(
                self.scope.agent_id,
                user_id=self.scope.user_id,
                prefix=prefix,
                after=after,
                limit=limit,
            )
        )

    @read
    def query(
        self,
        *,
        newest_first: bool = True,
        after: tuple[datetime, str] | None = None,
        limit: int = 100,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[list[Memory]]:
        """Return a page of this agent's own memories in the order of ``occurred_at``; at most 1,000."""
        return (
            yield from self._memories.query(
                newest_first=newest_first, after=after, limit=limit, **self._own(criteria)
            )
        )

    @read
    def count(self, **criteria: Unpack[MemoryCriteria]) -> Op[int]:
        """Return how many memories this agent has."""
        return (yield from self._memories.count(**self._own(criteria)))

    @read
    def recall(
        self,
        text: str,
        *,
        mode: Mode | None = None,
        limit: int = 10,
        neighbours: int = 0,
        group_by: Literal["session"] | None = None,
        language: str = "english",
        after: tuple[float, str] | None = None,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[Recall]:
        """Return what answers a text best, of this agent's memories and of those that others share."""
        return (
            yield from self._memories.recall(
                text,
                mode=mode,
                limit=limit,
                neighbours=neighbours,
                group_by=group_by,
                language=language,
                after=after,
                **self._found(criteria),
            )
        )

    @read
    def search(
        self,
        text: str,
        *,
        match: Literal["all", "web"] = "all",
        limit: int = 10,
        neighbours: int = 0,
        language: str = "english",
        after: tuple[float, str] | None = None,
        **criteria: Unpack[MemoryCriteria],
    ) -> Op[Recall]:
        """Return what contains all words of a text, of this agent's memories and of those that others share."""
        return (
            yield from self._memories.search(
                text,
                match=match,
                limit=limit,
                neighbours=neighbours,
                language=language,
                after=after,
                **self._found(criteria),
            )
        )

    @write
    def update(
        self,
        memory_id: str,
        *,
        expected_version: int | None = None,
        operation_id: str | None = None,
        **changes: Unpack[MemoryChanges],
    ) -> Op[Memory]:
        """Change what a memory of this agent says; what is not named stays. Atomic; the version before is kept.

        Raises ``NotFound`` for a memory that is not this agent's or not live, and ``VersionConflict``.
        """
        yield from self._require_own(memory_id)
        return (
            yield from self._memories.update(
                memory_id,
                expected_version=expected_version,
                operation_id=operation_id,
                actor=self.scope.agent_id,
                **changes,
            )
        )

    @write
    def forget(
        self,
        memory_id: str,
        *,
        expected_version: int | None = None,
        operation_id: str | None = None,
    ) -> Op[Memory]:
        """Delete a memory of this agent softly. Atomic; one that was forgotten already is returned as it is.

        Raises ``NotFound`` for a memory that is not this agent's, and ``VersionConflict``.
        """
        yield from self._require_own(memory_id)
        return (
            yield from self._memories.forget(
                memory_id,
                expected_version=expected_version,
                operation_id=operation_id,
                actor=self.scope.agent_id,
            )
        )

    @write
    def clear_batch(self, *, limit: int = CLEAR_BATCH) -> Op[int]:
        """Forget up to 250 memories of this agent and its user, oldest first; return how many. Atomic."""
        scope = self.scope
        if scope.namespace is not None:
            raise Invalid(
                "an agent forgets all namespaces at once; make it without one, or forget memory by memory",
                namespace=scope.namespace,
            )
        return (
            yield from self._memories.clear_batch(
                scope.agent_id, user_id=scope.user_id, actor=scope.agent_id, limit=limit
            )
        )

    def _own(self, criteria: MemoryCriteria) -> MemoryCriteria:
        """Return criteria within this agent's scope. Raises ``Invalid`` when they name another agent or user."""
        scope = self.scope.criteria()
        for name, own in scope.items():
            if criteria.get(name, own) != own:
                raise Invalid(
                    f"{name} is {own!r} for this agent; ask the store of memories about others",
                    what=name,
                )
        narrowed: MemoryCriteria = {**criteria, **scope}
        return narrowed

    def _found(self, criteria: MemoryCriteria) -> MemoryCriteria:
        """Return criteria for a search: this agent's own memories, and what others share unless the call refuses."""
        found: MemoryCriteria = {"include_shared": True, **self._own(criteria)}
        return found

    def _require_own(self, memory_id: str) -> Op[None]:
        found = yield from self._memories.history(memory_id, limit=1)
        if not found or not self.scope.holds(found[0].memory):
            raise self._not_mine(memory_id)

    def _not_mine(self, memory_id: str) -> NotFound:
        return NotFound(
            f"agent {self.scope.agent_id!r} has no memory {memory_id!r}", memory_id=memory_id
        )


class Agent(Store, AgentOperations):
    """One agent's memories."""

    def __init__(
        self, runner: Runner, call: Call, scope: AgentScope, memories: MemoryOperations
    ) -> None:
        super().__init__(runner, call, AgentOperations(scope, memories))
        self.scope = scope
        self._memories = memories

    def in_session(self, session_id: str) -> Self:
        """Return the same agent in a session: what it remembers from now on belongs to that session."""
        scope = replace(self.scope, session_id=session_id)
        return type(self)(self._runner, self._call, scope, self._memories)

    def clear(self) -> int:
        """Forget every memory of this agent and its user, in batches; return how many they were."""
        total = 0
        while count := self.clear_batch():
            total += count
        return total


class AsyncAgent(AsyncStore, AgentOperations):
    """One agent's memories, awaited."""

    def __init__(
        self, runner: AsyncRunner, call: Call, scope: AgentScope, memories: MemoryOperations
    ) -> None:
        super().__init__(runner, call, AgentOperations(scope, memories))
        self.scope = scope
        self._memories = memories

    def in_session(self, session_id: str) -> Self:
        """Return the same agent in a session: what it remembers from now on belongs to that session."""
        scope = replace(self.scope, session_id=session_id)
        return type(self)(self._runner, self._call, scope, self._memories)

    async def clear(self) -> int:
        """Forget every memory of this agent and its user, in batches; return how many they were."""
        total = 0
        while count := await self.clear_batch():
            total += count
        return total

"""An agent's view of its memories: all it keeps is its own, and says by itself where it came from.

An agent is a name, perhaps with a user and a session. What it remembers carries them, and the run and task at hand;
what it recalls is its own and what others share; what it forgets or clears is its own. It holds no state: making one
costs nothing, and two with the same names are the same agent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, Self, TypedDict, Unpack

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import Op
from aureus.codec import Json, check
from aureus.errors import Invalid, NotFound
from aureus.model.memories import Memory, MemoryCriteria, MemoryDetails, Provenance
from aureus.model.recall import Recall
from aureus.stores.memories import MemoryOperations
from aureus.stores.memories.meaning import Mode
from aureus.stores.memories.stating import check_name
from aureus.tools.contract import CURRENT_CALL
from aureus.tools.environment import ATTEMPT_VARIABLE, RUN_VARIABLE, TASK_VARIABLE

CLEAR_BATCH = 250
"""Memories of one transaction of ``clear``."""


@dataclass(frozen=True, slots=True)
class AgentScope:
    """Whose memories an agent's calls are about; what is None is left open when reading, and empty when writing."""

    agent_id: str
    user_id: str | None = None
    session_id: str | None = None
    namespace: str | None = None
    provenance: Provenance | None = None
    """Where memories come from when a call does not say so itself."""

    def __post_init__(self) -> None:
        for name in ("agent_id", "user_id", "session_id", "namespace"):
            value = getattr(self, name)
            if value is not None:
                check_name(value, name)
        came_from: Any = self.provenance
        if came_from is not None and not isinstance(came_from, Provenance):
            raise Invalid(
                f"provenance is {came_from!r}; it must be a Provenance", what="provenance"
            )

    def holds(self, memory: Memory) -> bool:
        """Return whether a memory is this agent's own, and of its user and namespace where it has them."""
        return (
            memory.agent_id == self.agent_id
            and (self.user_id is None or memory.user_id == self.user_id)
            and (self.namespace is None or memory.namespace == self.namespace)
        )

    def sees(self, memory: Memory) -> bool:
        """Return whether a memory is its own, or one that a search shows: shared, of the same user or of none."""
        return self.holds(memory) or (
            memory.is_shared
            and (self.user_id is None or memory.user_id in {None, self.user_id})
            and (self.namespace is None or memory.namespace == self.namespace)
        )

    def criteria(self) -> MemoryCriteria:
        """Return what narrows a read to this agent; a session is where memories come from, and narrows nothing."""
        found = MemoryCriteria(agent_id=self.agent_id)
        if self.user_id is not None:
            found["user_id"] = self.user_id
        if self.namespace is not None:
            found["namespace"] = self.namespace
        return found


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
        found = yield from self._memories.history(memory_id, limit=1)
        if not found or not self.scope.holds(found[0].memory):
            raise self._not_mine(memory_id)
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


def words_of(value: Json) -> str:
    """Return the words of a JSON value: what stands in it, with the names it stands under, a line each."""
    return "\n".join(_lines(value, ""))


def _lines(value: Json, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _lines(item, f"{name} {key}".strip())
    elif isinstance(value, list):
        for item in value:
            yield from _lines(item, name)
    elif value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield f"{name}: {text}" if name else text


def provenance_at_hand(environ: Mapping[str, str]) -> Provenance | None:
    """Return the run and task that this code works for: those of the tool call, or of the process; None outside."""
    call = CURRENT_CALL.get()
    if call is not None:
        return Provenance(run_id=call.run_id, task_id=call.task_id, step_id=str(call.attempt))
    run_id, task_id = environ.get(RUN_VARIABLE), environ.get(TASK_VARIABLE)
    if run_id is None and task_id is None:
        return None
    return Provenance(run_id=run_id, task_id=task_id, step_id=environ.get(ATTEMPT_VARIABLE))

"""What the tools ``remember`` and ``recall`` do: a task speaks for an agent, by default one named like its workflow.

What it remembers names run, task and attempt, under the id that the tool has made from the task's idempotency key: an
attempt that is repeated finds what an earlier one wrote, also where the two would not say quite the same.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aureus._database.database import AsyncRunner
from aureus._database.drive import Call
from aureus.clock import Clock
from aureus.codec import Json
from aureus.errors import AlreadyExists
from aureus.model.plain import plain
from aureus.tools import ToolCall

if TYPE_CHECKING:  # most runs remember nothing
    from aureus.agents import AsyncAgent, RememberDetails
    from aureus.model.memories import Memory, MemoryCriteria
    from aureus.stores.memories import MemoryOperations

RECALL_LIMIT = 10
"""Memories of a recollection that names no limit."""


class TaskMemories:
    """Memories for the tasks of one tenant."""

    def __init__(
        self,
        runner: AsyncRunner,
        call: Call,
        clock: Clock,
        memories: Callable[[], MemoryOperations],
    ) -> None:
        self._runner = runner
        self._call = call
        self._clock = clock
        self._memories = memories

    async def remember(self, call: ToolCall, memory_id: str) -> Json:
        """Keep what the inputs of a call say under this id, or find that it is kept."""
        inputs = call.inputs
        details: RememberDetails = {}
        for name in ("type", "content", "tags", "confidence", "subject", "metadata"):
            if name in inputs:
                details[name] = inputs[name]
        if "shared" in inputs:
            details["is_shared"] = inputs["shared"]
        if "expiresInSeconds" in inputs:
            life = timedelta(seconds=inputs["expiresInSeconds"])
            details["expires_at"] = self._clock.now() + life
        agent = self._agent(call)
        try:
            memory = await agent.remember(
                inputs["text"], key=inputs.get("key"), memory_id=memory_id, **details
            )
        except AlreadyExists:
            memory = await agent.get(memory_id)
        return {"memoryId": memory.memory_id, "version": memory.version}

    async def recall(self, call: ToolCall) -> Json:
        """Return what fits the inputs of a call, best first."""
        inputs = call.inputs
        criteria: MemoryCriteria = {}
        if "types" in inputs:
            criteria["types"] = inputs["types"]
        if "tags" in inputs:
            criteria["tags"] = inputs["tags"]
        if "session" in inputs:
            criteria["session_id"] = inputs["session"]
        if "minConfidence" in inputs:
            criteria["min_confidence"] = inputs["minConfidence"]
        found = await self._agent(call).recall(
            inputs["query"], limit=inputs.get("limit", RECALL_LIMIT), **criteria
        )
        return {
            "memories": [_shown(hit.memory, hit.score) for hit in found.hits],
            "isExact": found.is_exact,
        }

    def _agent(self, call: ToolCall) -> AsyncAgent:
        from aureus.agents import AgentScope, AsyncAgent
        from aureus.model.memories import Provenance

        inputs = call.inputs
        came_from = Provenance(run_id=call.run_id, task_id=call.task_id, step_id=str(call.attempt))
        scope = AgentScope(
            inputs.get("agent", call.workflow_id),
            inputs.get("user"),
            inputs.get("session"),
            inputs.get("namespace"),
            came_from,
        )
        return AsyncAgent(self._runner, self._call, scope, self._memories())


def _shown(memory: Memory, score: float) -> dict[str, Any]:
    return {
        "memoryId": memory.memory_id,
        "text": memory.text,
        "content": memory.content,
        "type": memory.type,
        "tags": list(memory.tags),
        "confidence": memory.confidence,
        "occurredAt": plain(memory.occurred_at),
        "score": score,
    }

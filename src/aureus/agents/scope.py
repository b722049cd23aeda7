"""Whose memories an agent's calls are about, and the run and task that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aureus.errors import Invalid
from aureus.model.memories import Memory, MemoryCriteria, Provenance
from aureus.stores.memories.stating import check_name
from aureus.tools.contract import CURRENT_CALL
from aureus.tools.environment import ATTEMPT_VARIABLE, RUN_VARIABLE, TASK_VARIABLE


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
        check_name(self.agent_id, "agent_id")
        for name in ("user_id", "session_id", "namespace"):
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


def provenance_at_hand(environ: Mapping[str, str]) -> Provenance | None:
    """Return the run and task that this code works for: those of the tool call, or of the process; None outside."""
    call = CURRENT_CALL.get()
    if call is not None:
        return Provenance(run_id=call.run_id, task_id=call.task_id, step_id=str(call.attempt))
    run_id, task_id = environ.get(RUN_VARIABLE), environ.get(TASK_VARIABLE)
    if run_id is None and task_id is None:
        return None
    return Provenance(run_id=run_id, task_id=task_id, step_id=environ.get(ATTEMPT_VARIABLE))

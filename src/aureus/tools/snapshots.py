"""The tool ``snapshot``: what an agent is at this point of a workflow, to go back to.

Only its inputs are known here; taking it is handed in, as for memories (`aureus.tools.memories`). A task's snapshot has
an id made from its idempotency key, so that an attempt that is repeated finds the snapshot of the one before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from aureus.codec import Json
from aureus.errors import ToolFailed
from aureus.model.workflows import RiskTier
from aureus.tools import inputs as rule
from aureus.tools.contract import ToolCall
from aureus.tools.inputs import Input, InputRules, Path, Problem
from aureus.tools.memories import memory_id_of


class Snapshots(Protocol):
    """What the tool does with snapshots, for the run and the task of a call."""

    async def take(self, call: ToolCall, snapshot_id: str) -> Json:
        """Take the snapshot that the inputs of a call ask for under this id, or find that it is there."""
        ...


class SnapshotTool:
    """Take a snapshot of an agent, of a scope of the world state, or of both."""

    name = "snapshot"

    def __init__(self, snapshots: Snapshots | None) -> None:
        self._snapshots = snapshots
        self._rules = InputRules(
            self.name,
            Input("agent", rule.text),
            Input("user", rule.text),
            Input("namespace", rule.text),
            Input("scope", rule.text),
            Input("sessions", rule.list_of(rule.text)),
            Input("riskTier", rule.one_of(RiskTier)),
            Input("tags", rule.list_of(rule.text)),
            Input("metadata", _map),
        )

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure."""
        return self._rules.definition_problems(inputs)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        self._rules.check(inputs)

    async def run(self, call: ToolCall) -> Json:
        """Take it, and return its id, its root and what it holds."""
        self.check(call.inputs)
        if self._snapshots is None:
            raise ToolFailed(
                f"tool '{self.name}' has no database here; run the workflow with `aureus run` or from a client",
                reason="environment",
            )
        return await self._snapshots.take(call, memory_id_of(call))


def _map(value: Any, path: Path) -> Iterator[Problem]:
    if not rule.is_map(value):
        yield Problem(path, f"'{path[0]}' must be a map, not {rule.kind(value)}")

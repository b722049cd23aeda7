"""The tools ``remember`` and ``recall``: what a workflow keeps for agents, and finds again.

Only their inputs are known here. The memories themselves are handed in by whoever wires the tools (see
``aureus.execution``); without them, as when a file is only validated, the tools can be checked and not run. What a task
remembers has an id made from its idempotency key, so that an attempt that is repeated finds its own memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from aureus.codec import Json
from aureus.errors import ToolFailed
from aureus.tools import inputs as rule
from aureus.tools.contract import ToolCall
from aureus.tools.inputs import Input, InputRules, Path, Problem

RECALL_LIMIT_MAX = 1000
"""Memories of one task's result; more is a report, not a recollection."""

LIFE_SECONDS_MAX = 100 * 366 * 24 * 3600
"""A century: a longer life is none that ends."""


class Memories(Protocol):
    """What the tools do with memories, for the run and the task of a call."""

    async def remember(self, call: ToolCall, memory_id: str) -> Json:
        """Keep what the inputs of a call say under this id, or find that it is kept."""
        ...

    async def recall(self, call: ToolCall) -> Json:
        """Return what fits the inputs of a call."""
        ...


class RememberTool:
    """Keep something for later, for this workflow and for others."""

    name = "remember"

    def __init__(self, memories: Memories | None) -> None:
        self._memories = memories
        self._rules = InputRules(
            self.name,
            Input("text", rule.text, required=True),
            Input("content", _any_value),
            Input("key", rule.text),
            Input("type", rule.text),
            Input("tags", rule.list_of(rule.text)),
            Input("agent", rule.text),
            Input("user", rule.text),
            Input("session", rule.text),
            Input("namespace", rule.text),
            Input("subject", rule.text),
            Input("confidence", rule.number(0, 1)),
            Input("expiresInSeconds", rule.number(0.001, LIFE_SECONDS_MAX)),
            Input("shared", rule.boolean),
            Input("metadata", _map),
        )

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure."""
        return self._rules.definition_problems(inputs)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        self._rules.check(inputs)

    async def run(self, call: ToolCall) -> Json:
        """Keep it, and return its id and version."""
        self.check(call.inputs)
        return await _wired(self._memories, self.name).remember(call, memory_id_of(call))


class RecallTool:
    """Find what was remembered, best first."""

    name = "recall"

    def __init__(self, memories: Memories | None) -> None:
        self._memories = memories
        self._rules = InputRules(
            self.name,
            Input("query", rule.text, required=True),
            Input("limit", rule.integer(1, RECALL_LIMIT_MAX)),
            Input("types", rule.list_of(rule.text)),
            Input("tags", rule.list_of(rule.text)),
            Input("agent", rule.text),
            Input("user", rule.text),
            Input("session", rule.text),
            Input("namespace", rule.text),
            Input("minConfidence", rule.number(0, 1)),
        )

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure."""
        return self._rules.definition_problems(inputs)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        self._rules.check(inputs)

    async def run(self, call: ToolCall) -> Json:
        """Return what fits, and whether it is surely the best there is."""
        self.check(call.inputs)
        return await _wired(self._memories, self.name).recall(call)


def memory_id_of(call: ToolCall) -> str:
    """Return the id of what a task remembers: the same for each of its attempts, and for no other task."""
    parts = "".join(f"{len(part)}:{part}" for part in call.identity)
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _wired(memories: Memories | None, name: str) -> Memories:
    if memories is None:
        raise ToolFailed(
            f"tool '{name}' has no database here; run the workflow with `aureus run` or from a client",
            reason="environment",
        )
    return memories


def _any_value(value: Any, path: Path) -> Iterator[Problem]:
    """Accept any JSON value."""
    del value, path
    yield from ()


def _map(value: Any, path: Path) -> Iterator[Problem]:
    if not rule.is_map(value):
        yield Problem(path, f"'{path[0]}' must be a map, not {rule.kind(value)}")

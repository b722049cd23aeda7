"""What a tool is, and what it is told about the task that calls it.

The engine, the built-in tools and plug-ins meet here. A tool knows no store and no run: it gets inputs whose
references are resolved, does its work once, and hands back a JSON value or raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aureus.codec import Json
from aureus.tools.inputs import Problem


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One attempt of one task.

    ``idempotency_key`` is the same for every attempt of the task: what changes the world outside hands it on, so that
    the other side can recognise a repetition. ``directory`` is the folder of the workflow file; relative paths start
    there.
    """

    run_id: str
    workflow_id: str
    task_id: str
    attempt: int
    idempotency_key: str
    tenant_id: str
    inputs: Mapping[str, Any]
    directory: Path
    correlation_id: str | None = None

    @property
    def identity(self) -> tuple[str, ...]:
        """Return what all attempts of this task share and nothing else has: no two of them may work at once."""
        return (self.tenant_id, self.run_id, self.task_id, self.idempotency_key)


CURRENT_CALL: ContextVar[ToolCall | None] = ContextVar("aureus_current_call", default=None)
"""The call that is being carried out here; what a tool writes may name where it came from."""


class Tool(Protocol):
    """Something that a task can call by name."""

    @property
    def name(self) -> str:
        """Return the name that ``toolName`` gives."""
        ...

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure.

        Values may still hold ``${{ … }}`` references: of those nothing is known.
        """
        ...

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        ...

    async def run(self, call: ToolCall) -> Json:
        """Do the work and return its result.

        Raises ``Invalid`` for unusable inputs and ``ToolFailed`` when the work failed. When it is cancelled (timeout,
        cancelled run, lost lease, hand-over) it has stopped the work before the cancellation leaves it.
        """
        ...

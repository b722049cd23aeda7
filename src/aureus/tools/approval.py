"""The tool ``wait-for-approval``: the place where a run waits for a person.

Only its inputs are known here. The waiting is durable and therefore the engine's: it opens the approval, pauses the
run, and goes on when somebody has decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aureus.model.workflows import RiskTier
from aureus.tools import inputs as rule
from aureus.tools.inputs import Input, InputRules, Problem

EXPIRES_MS_MAX = 366 * 24 * 3600 * 1000
"""A year."""


@dataclass(frozen=True, slots=True)
class ApprovalInputs:
    """What an approval asks; without ``expires_ms`` it waits until somebody decides."""

    message: str
    risk_tier: RiskTier | None
    expires_ms: int | None


class WaitForApproval:
    """Wait until a person approves or denies."""

    name = "wait-for-approval"

    def __init__(self) -> None:
        self._rules = InputRules(
            self.name,
            Input("message", rule.text, required=True),
            Input("riskTier", rule.one_of(RiskTier)),
            Input("expiresInMs", rule.integer(1, EXPIRES_MS_MAX)),
        )

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        """List what is wrong with inputs as they stand in a workflow file; pure."""
        return self._rules.definition_problems(inputs)

    def check(self, inputs: Mapping[str, Any]) -> None:
        """Raise ``Invalid`` when inputs with resolved references cannot be used; pure."""
        self._rules.check(inputs)

    def read(self, inputs: Mapping[str, Any]) -> ApprovalInputs:
        """Return what the inputs of a task ask for; raises ``Invalid`` like ``check``."""
        self.check(inputs)
        tier = inputs.get("riskTier")
        return ApprovalInputs(
            message=inputs["message"],
            risk_tier=None if tier is None else RiskTier(tier),
            expires_ms=inputs.get("expiresInMs"),
        )

"""What a workflow is: its tasks, how they depend on each other, and the rules it promises to keep.

These records are the meaning of a workflow file, whatever it was written in. They hold no run state.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TaskType(StrEnum):
    """What the author says a task is for; the engine treats all three alike."""

    ACTION = "action"
    DECISION = "decision"
    PARALLEL = "parallel"


class RiskTier(StrEnum):
    """How bad it is when a task does the wrong thing."""

    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"

    @property
    def rank(self) -> int:
        """Return 0 for LOW to 3 for CRITICAL."""
        return list(RiskTier).index(self)


class Intent(StrEnum):
    """What a task does to what it touches."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    EXECUTE = "execute"
    ADMIN = "admin"


class DataZone(StrEnum):
    """How far the data of a task may travel."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Severity(StrEnum):
    """Whether a broken rule stops a workflow or is only reported."""

    ERROR = "error"
    WARNING = "warning"


class RuleType(StrEnum):
    """The safety rules that a policy may ask for."""

    NO_ACTION_AFTER_CRITICAL_WITHOUT_APPROVAL = "no_action_after_critical_without_approval"
    REQUIRE_PERMISSIONS_FOR_HIGH_RISK = "require_permissions_for_high_risk"
    REQUIRE_COMPENSATION_FOR_CRITICAL = "require_compensation_for_critical"
    NO_CYCLES = "no_cycles"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a task is tried, and how long to wait between two attempts.

    The wait before attempt n+1 is backoff_ms × multiplier^(n-1), times a random factor in [0.5, 1.5) with jitter.
    """

    attempts_max: int = 1
    backoff_ms: int = 1000
    multiplier: float = 2.0
    jitter: bool = True


@dataclass(frozen=True, slots=True)
class Permission:
    """A right that a task needs."""

    action: str
    resource: str
    intent: Intent | None = None
    data_zone: DataZone | None = None


@dataclass(frozen=True, slots=True)
class Compensation:
    """The tasks that make up for this one when it fails or times out; they never run otherwise."""

    on_failure: str | None = None
    on_timeout: str | None = None


@dataclass(frozen=True, slots=True)
class CompensationAction:
    """The tool call that undoes a finished task when the run fails later."""

    tool: str
    args: dict[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """One task of a workflow as its author wrote it; ``inputs`` may hold ``${{ … }}`` references."""

    id: str
    name: str
    type: TaskType = TaskType.ACTION
    tool: str | None = None
    inputs: dict[str, Any] = field(default_factory=dict[str, Any])
    needs: tuple[str, ...] = ()
    when: Any = None
    retry: RetryPolicy = RetryPolicy()
    timeout_ms: int | None = None
    idempotency_key: str | None = None
    risk_tier: RiskTier | None = None
    compensation: Compensation = Compensation()
    compensation_action: CompensationAction | None = None
    allowed_tools: tuple[str, ...] = ()
    required_permissions: tuple[Permission, ...] = ()
    intent: Intent | None = None
    data_zone: DataZone | None = None
    sandbox: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class InputDefinition:
    """A value that a run of the workflow is started with."""

    name: str
    type: str | None = None
    required: bool = False
    default: Any = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class SafetyRule:
    """One rule of a safety policy."""

    type: RuleType
    enabled: bool = True
    severity: Severity = Severity.ERROR
    message: str | None = None
    approved_followers: tuple[str, ...] = ()
    minimum_risk_tier: RiskTier = RiskTier.HIGH


@dataclass(frozen=True, slots=True)
class SafetyPolicy:
    """The rules that a workflow is checked against before anything starts."""

    name: str
    description: str = ""
    fail_fast: bool = False
    rules: tuple[SafetyRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    """A whole workflow. ``tasks`` keep the order of the file; ``hash`` names this version of it.

    ``compensations`` are the ids of the tasks that are named only in a ``compensation``: they never run on the
    happy path.
    """

    id: str
    name: str
    tasks: tuple[TaskDefinition, ...]
    hash: str
    inputs: tuple[InputDefinition, ...] = ()
    safety: SafetyPolicy | None = None
    goal: str | None = None
    constraints: tuple[str, ...] = ()
    success_criteria: tuple[str, ...] = ()

    def task(self, task_id: str) -> TaskDefinition:
        """Return the task with this id; raises ``KeyError``."""
        for task in self.tasks:
            if task.id == task_id:
                return task
        raise KeyError(task_id)

    @property
    def compensations(self) -> frozenset[str]:
        """Return the ids of the tasks that run only to make up for another one."""
        return frozenset(
            target
            for task in self.tasks
            for target in (task.compensation.on_failure, task.compensation.on_timeout)
            if target is not None
        )

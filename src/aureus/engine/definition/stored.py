"""Workflows as plain values: how a definition is kept in the database, and its hash.

``from_dict(to_dict(workflow))`` gives the same workflow. What has no value (None, empty text, no items) is left out, so
that a field which comes later does not change the hash of the workflows that do not use it; defaults that carry a value
are written out, so that a changed default does not change a workflow that is running.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeVar

from aureus import codec
from aureus.errors import Invalid
from aureus.model.workflows import (
    Compensation,
    CompensationAction,
    DataZone,
    InputDefinition,
    Intent,
    Permission,
    RetryPolicy,
    RiskTier,
    RuleType,
    SafetyPolicy,
    SafetyRule,
    Severity,
    TaskDefinition,
    TaskType,
    Workflow,
)

Member = TypeVar("Member", RiskTier, Intent, DataZone)

FORMAT = 1
"""The shape of the plain values; raised when they can no longer be read by the rules below."""


def to_dict(workflow: Workflow) -> dict[str, Any]:
    """Return a workflow as plain JSON values."""
    return {"format": FORMAT, "hash": workflow.hash, **_meaning(workflow)}


def hash_of(workflow: Workflow) -> str:
    """Return SHA-256, in hex, of what a workflow means: all of it but ``hash`` itself.

    Comments, the order of fields in the file and its YAML style do not count; the order of tasks does.
    """
    return hashlib.sha256(codec.canonical(_meaning(workflow), what="workflow")).hexdigest()


def from_dict(stored: Mapping[str, Any]) -> Workflow:
    """Return the workflow that ``to_dict`` wrote; raises ``Invalid`` for anything else."""
    if stored.get("format") != FORMAT:
        raise Invalid(
            f"the stored workflow has the format {stored.get('format')!r}; this version reads {FORMAT}. "
            "Use the version of Aureus that wrote it, or a newer one.",
            format=stored.get("format"),
        )
    try:
        return _workflow(stored)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Invalid(
            f"the stored workflow cannot be read ({error!r}). Start the run again from its file."
        ) from error


def _meaning(workflow: Workflow) -> dict[str, Any]:
    return _present(
        id=workflow.id,
        name=workflow.name,
        tasks=[_task_to_dict(task) for task in workflow.tasks],
        inputs=[_input_to_dict(definition) for definition in workflow.inputs] or None,
        safety=None if workflow.safety is None else _policy_to_dict(workflow.safety),
        goal=workflow.goal,
        constraints=list(workflow.constraints) or None,
        success_criteria=list(workflow.success_criteria) or None,
    )


def _task_to_dict(task: TaskDefinition) -> dict[str, Any]:
    action = task.compensation_action
    return _present(
        id=task.id,
        name=task.name,
        type=task.type.value,
        tool=task.tool,
        inputs=task.inputs or None,
        needs=list(task.needs) or None,
        when=task.when,
        retry={
            "attempts_max": task.retry.attempts_max,
            "backoff_ms": task.retry.backoff_ms,
            "multiplier": task.retry.multiplier,
            "jitter": task.retry.jitter,
        },
        timeout_ms=task.timeout_ms,
        idempotency_key=task.idempotency_key,
        risk_tier=_word(task.risk_tier),
        compensation=_present(
            on_failure=task.compensation.on_failure, on_timeout=task.compensation.on_timeout
        )
        or None,
        compensation_action=action and _present(tool=action.tool, args=action.args or None),
        allowed_tools=list(task.allowed_tools) or None,
        required_permissions=[
            _present(
                action=permission.action,
                resource=permission.resource,
                intent=_word(permission.intent),
                data_zone=_word(permission.data_zone),
            )
            for permission in task.required_permissions
        ]
        or None,
        intent=_word(task.intent),
        data_zone=_word(task.data_zone),
        sandbox=task.sandbox,
    )


def _input_to_dict(definition: InputDefinition) -> dict[str, Any]:
    return _present(
        name=definition.name,
        type=definition.type,
        required=definition.required,
        default=definition.default,
        description=definition.description or None,
    )


def _policy_to_dict(policy: SafetyPolicy) -> dict[str, Any]:
    return _present(
        name=policy.name,
        description=policy.description or None,
        fail_fast=policy.fail_fast,
        rules=[
            _present(
                type=rule.type.value,
                enabled=rule.enabled,
                severity=rule.severity.value,
                message=rule.message,
                approved_followers=list(rule.approved_followers) or None,
                minimum_risk_tier=rule.minimum_risk_tier.value,
            )
            for rule in policy.rules
        ],
    )


def _present(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _word(member: RiskTier | Intent | DataZone | None) -> str | None:
    return None if member is None else member.value


def _workflow(stored: Mapping[str, Any]) -> Workflow:
    safety = stored.get("safety")
    return Workflow(
        id=stored["id"],
        name=stored["name"],
        tasks=tuple(_task(item) for item in stored["tasks"]),
        hash=stored["hash"],
        inputs=tuple(InputDefinition(**item) for item in stored.get("inputs", ())),
        safety=None if safety is None else _policy(safety),
        goal=stored.get("goal"),
        constraints=tuple(stored.get("constraints", ())),
        success_criteria=tuple(stored.get("success_criteria", ())),
    )


def _task(stored: Mapping[str, Any]) -> TaskDefinition:
    action = stored.get("compensation_action")
    return TaskDefinition(
        id=stored["id"],
        name=stored["name"],
        type=TaskType(stored["type"]),
        tool=stored.get("tool"),
        inputs=stored.get("inputs", {}),
        needs=tuple(stored.get("needs", ())),
        when=stored.get("when"),
        retry=RetryPolicy(**stored["retry"]),
        timeout_ms=stored.get("timeout_ms"),
        idempotency_key=stored.get("idempotency_key"),
        risk_tier=_member(RiskTier, stored.get("risk_tier")),
        compensation=Compensation(**stored.get("compensation", {})),
        compensation_action=None if action is None else CompensationAction(**action),
        allowed_tools=tuple(stored.get("allowed_tools", ())),
        required_permissions=tuple(
            Permission(
                action=item["action"],
                resource=item["resource"],
                intent=_member(Intent, item.get("intent")),
                data_zone=_member(DataZone, item.get("data_zone")),
            )
            for item in stored.get("required_permissions", ())
        ),
        intent=_member(Intent, stored.get("intent")),
        data_zone=_member(DataZone, stored.get("data_zone")),
        sandbox=stored.get("sandbox"),
    )


def _policy(stored: Mapping[str, Any]) -> SafetyPolicy:
    return SafetyPolicy(
        name=stored["name"],
        description=stored.get("description", ""),
        fail_fast=stored["fail_fast"],
        rules=tuple(
            SafetyRule(
                type=RuleType(rule["type"]),
                enabled=rule["enabled"],
                severity=Severity(rule["severity"]),
                message=rule.get("message"),
                approved_followers=tuple(rule.get("approved_followers", ())),
                minimum_risk_tier=RiskTier(rule["minimum_risk_tier"]),
            )
            for rule in stored["rules"]
        ),
    )


def _member(kind: type[Member], word: str | None) -> Member | None:
    return None if word is None else kind(word)

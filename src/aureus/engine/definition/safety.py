"""The safety rules of a workflow, checked before anything starts, and the policies that come with Aureus. Pure.

Cycles are refused for every workflow, so the rule ``no_cycles`` always holds here. A ``custom`` rule is code that a
file cannot carry; reading the file warns about it. The default policy asks for permissions of CRITICAL tasks and only
reminds of them for HIGH ones: ordinary files of this format have HIGH tasks without permissions and are meant to run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from aureus.engine.definition.problems import escaped, quoted
from aureus.model.workflows import (
    RiskTier,
    RuleType,
    SafetyPolicy,
    SafetyRule,
    Severity,
    TaskDefinition,
)

_FOLLOWERS = RuleType.NO_ACTION_AFTER_CRITICAL_WITHOUT_APPROVAL
_PERMISSIONS = RuleType.REQUIRE_PERMISSIONS_FOR_HIGH_RISK
_COMPENSATION = RuleType.REQUIRE_COMPENSATION_FOR_CRITICAL

PRESETS: Mapping[str, SafetyPolicy] = {
    policy.name: policy
    for policy in (
        SafetyPolicy(
            "default",
            "Stops what is critical and unguarded, reminds of the rest.",
            rules=(
                SafetyRule(_FOLLOWERS),
                SafetyRule(_PERMISSIONS, minimum_risk_tier=RiskTier.CRITICAL),
                SafetyRule(_PERMISSIONS, severity=Severity.WARNING),
                SafetyRule(_COMPENSATION, severity=Severity.WARNING),
                SafetyRule(RuleType.NO_CYCLES),
            ),
        ),
        SafetyPolicy(
            "strict",
            "Every rule is an error.",
            rules=(
                SafetyRule(_FOLLOWERS),
                SafetyRule(_PERMISSIONS),
                SafetyRule(_COMPENSATION),
                SafetyRule(RuleType.NO_CYCLES),
            ),
        ),
        SafetyPolicy(
            "permissive",
            "Refuses only what cannot run.",
            rules=(SafetyRule(RuleType.NO_CYCLES),),
        ),
    )
}
"""The policies that a file, or ``--policy``, can name."""

DEFAULT = PRESETS["default"]
"""The policy of a workflow that names none."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a task breaks. ``after`` is the CRITICAL task that it follows, where that is the point."""

    rule: RuleType
    severity: Severity
    task: str
    message: str
    remedy: str
    after: str | None = None


def violations(tasks: Sequence[TaskDefinition], policy: SafetyPolicy) -> tuple[Violation, ...]:
    """Return what a policy has against tasks, rule by rule, in the order of both.

    Two rules of one type report the same task once, with what the first of them says. With ``fail_fast`` the rules
    behind the first one that is broken as an error are not looked at.
    """
    found: dict[tuple[RuleType, str, str | None], Violation] = {}
    for rule in policy.rules:
        check = _CHECKS.get(rule.type)
        if not rule.enabled or check is None:
            continue
        for violation in check(tasks, rule):
            found.setdefault((violation.rule, violation.task, violation.after), violation)
        if policy.fail_fast and any(v.severity is Severity.ERROR for v in found.values()):
            break
    return tuple(found.values())


def _check_followers(tasks: Sequence[TaskDefinition], rule: SafetyRule) -> Iterator[Violation]:
    critical = {task.id: task for task in tasks if task.risk_tier is RiskTier.CRITICAL}
    approved = frozenset(rule.approved_followers)
    for task in tasks:
        if task.id in approved or task.compensation_action is not None:
            continue
        for needed in task.needs:
            if needed not in critical:
                continue
            compensation = critical[needed].compensation
            if task.id not in (compensation.on_failure, compensation.on_timeout):
                yield _violation(
                    rule,
                    task,
                    f"{quoted(task.id)} follows the CRITICAL task {quoted(needed)} without approval",
                    "Add it to approvedFollowers of the rule, or give it a compensationAction.",
                    after=needed,
                )


def _check_permissions(tasks: Sequence[TaskDefinition], rule: SafetyRule) -> Iterator[Violation]:
    for task in tasks:
        tier = task.risk_tier
        if tier is None or tier.rank < rule.minimum_risk_tier.rank or task.required_permissions:
            continue
        yield _violation(
            rule,
            task,
            f"{quoted(task.id)} is {tier.value} and names no requiredPermissions",
            "Add requiredPermissions: [{action: …, resource: …}].",
        )


def _check_compensation(tasks: Sequence[TaskDefinition], rule: SafetyRule) -> Iterator[Violation]:
    for task in tasks:
        has_task = task.compensation.on_failure or task.compensation.on_timeout
        if task.risk_tier is not RiskTier.CRITICAL or has_task or task.compensation_action:
            continue
        yield _violation(
            rule,
            task,
            f"{quoted(task.id)} is CRITICAL and has no compensation",
            "Add compensation: {onFailure: …}, or a compensationAction.",
        )


def _violation(
    rule: SafetyRule, task: TaskDefinition, message: str, remedy: str, after: str | None = None
) -> Violation:
    if rule.message:
        own = escaped(rule.message.rstrip(". "), characters_max=200)
        message = f"{own} ({message})"
    return Violation(rule.type, rule.severity, task.id, message, remedy, after)


_CHECKS: dict[RuleType, Callable[[Sequence[TaskDefinition], SafetyRule], Iterator[Violation]]] = {
    _FOLLOWERS: _check_followers,
    _PERMISSIONS: _check_permissions,
    _COMPENSATION: _check_compensation,
}

"""The safety rules, the policies that come with Aureus, and how files choose among them."""

from __future__ import annotations

import pytest

from aureus.engine.definition import PRESETS, load_text
from aureus.engine.definition.safety import DEFAULT, Violation, violations
from aureus.errors import DefinitionInvalid, Invalid
from aureus.model.workflows import (
    Compensation,
    CompensationAction,
    Permission,
    RiskTier,
    RuleType,
    SafetyPolicy,
    SafetyRule,
    Severity,
    TaskDefinition,
)

RIGHTS = (Permission("write", "account"),)
FOLLOWERS = RuleType.NO_ACTION_AFTER_CRITICAL_WITHOUT_APPROVAL
PERMISSIONS = RuleType.REQUIRE_PERMISSIONS_FOR_HIGH_RISK
COMPENSATION = RuleType.REQUIRE_COMPENSATION_FOR_CRITICAL


def check(tasks: list[TaskDefinition], *rules: SafetyRule, fail_fast: bool = False) -> list[str]:
    """Return the tasks that break rules."""
    policy = SafetyPolicy("test", fail_fast=fail_fast, rules=rules)
    return [violation.task for violation in violations(tasks, policy)]


CRITICAL = TaskDefinition(
    "pay", "pay", risk_tier=RiskTier.CRITICAL, compensation=Compensation("refund", "alarm")
)


@pytest.mark.parametrize(
    ("follower", "approved", "is_refused"),
    [
        (TaskDefinition("mail", "mail", needs=("pay",)), (), True),
        (TaskDefinition("mail", "mail", needs=("pay",)), ("log",), True),
        (TaskDefinition("mail", "mail", needs=("pay",)), ("mail",), False),
        (TaskDefinition("refund", "refund", needs=("pay",)), (), False),
        (TaskDefinition("alarm", "alarm", needs=("pay",)), (), False),
        (TaskDefinition("mail", "mail", needs=("mail2",)), (), False),
        (
            TaskDefinition("x", "x", needs=("pay",), compensation_action=CompensationAction("t")),
            (),
            False,
        ),
        (
            TaskDefinition("x", "x", needs=("pay",), compensation=Compensation("refund")),
            (),
            True,
        ),
    ],
    ids=["plain", "another_approved", "approved", "on_failure", "on_timeout", "indirect", "undoable", "hooked"],
)  # fmt: skip
def test_only_approved_tasks_follow_a_critical_one(
    follower: TaskDefinition, approved: tuple[str, ...], *, is_refused: bool
) -> None:
    rule = SafetyRule(FOLLOWERS, approved_followers=approved)
    assert check([CRITICAL, follower], rule) == ([follower.id] if is_refused else [])


def test_tasks_below_critical_may_be_followed() -> None:
    high = TaskDefinition("pay", "pay", risk_tier=RiskTier.HIGH)
    assert not check([high, TaskDefinition("mail", "mail", needs=("pay",))], SafetyRule(FOLLOWERS))


@pytest.mark.parametrize("minimum", RiskTier)
@pytest.mark.parametrize("tier", [None, *RiskTier])
def test_permissions_are_asked_for_from_a_tier_on(minimum: RiskTier, tier: RiskTier | None) -> None:
    rule = SafetyRule(PERMISSIONS, minimum_risk_tier=minimum)
    is_asked = tier is not None and tier.rank >= minimum.rank
    assert check([TaskDefinition("a", "a", risk_tier=tier)], rule) == (["a"] if is_asked else [])
    with_rights = TaskDefinition("a", "a", risk_tier=tier, required_permissions=RIGHTS)
    assert not check([with_rights], rule)


@pytest.mark.parametrize(
    ("compensation", "action", "is_refused"),
    [
        (Compensation(), None, True),
        (Compensation(on_failure="x"), None, False),
        (Compensation(on_timeout="x"), None, False),
        (Compensation(), CompensationAction("t"), False),
    ],
    ids=["none", "on_failure", "on_timeout", "action"],
)
def test_critical_tasks_need_a_way_back(
    compensation: Compensation, action: CompensationAction | None, *, is_refused: bool
) -> None:
    for tier in RiskTier:
        task = TaskDefinition(
            "a", "a", risk_tier=tier, compensation=compensation, compensation_action=action
        )
        expected = ["a"] if is_refused and tier is RiskTier.CRITICAL else []
        assert check([task], SafetyRule(COMPENSATION)) == expected


def test_a_disabled_rule_is_not_checked() -> None:
    assert not check([CRITICAL], SafetyRule(PERMISSIONS, enabled=False))


def test_fail_fast_stops_behind_the_first_rule_that_is_broken_as_an_error() -> None:
    tasks = [
        TaskDefinition(name, name, risk_tier=RiskTier.CRITICAL, needs=("a",) if name == "b" else ())
        for name in ("a", "b")
    ]
    warning = SafetyRule(COMPENSATION, severity=Severity.WARNING)
    rules = (warning, SafetyRule(PERMISSIONS), SafetyRule(FOLLOWERS))
    assert check(tasks, *rules, fail_fast=True) == ["a", "b", "a", "b"]
    assert check(tasks, *rules) == ["a", "b", "a", "b", "b"]


def test_the_first_of_two_rules_of_a_type_speaks() -> None:
    (violation,) = violations([TaskDefinition("a", "a", risk_tier=RiskTier.CRITICAL,
        compensation=Compensation("x"))], DEFAULT)  # fmt: skip
    assert violation == Violation(
        PERMISSIONS,
        Severity.ERROR,
        "a",
        '"a" is CRITICAL and names no requiredPermissions',
        "Add requiredPermissions: [{action: …, resource: …}].",
    )


@pytest.mark.parametrize(
    ("preset", "high", "critical", "follower", "no_way_back"),
    [
        ("default", "warning", "error", "error", "warning"),
        ("strict", "error", "error", "error", "error"),
        ("permissive", None, None, None, None),
    ],
)
def test_what_the_presets_make_of_each_mistake(
    preset: str,
    high: str | None,
    critical: str | None,
    follower: str | None,
    no_way_back: str | None,
) -> None:
    guarded = "requiredPermissions: [{action: write, resource: x}], compensation: {onFailure: undo}"
    cases = {
        "- {id: a, riskTier: HIGH}": high,
        "- {id: a, riskTier: CRITICAL, compensation: {onFailure: undo}}": critical,
        f"- {{id: a, riskTier: CRITICAL, {guarded}}}\n- {{id: b, needs: [a]}}": follower,
        "- {id: a, riskTier: CRITICAL, requiredPermissions: [{action: w, resource: x}]}": no_way_back,
    }
    for tasks, expected in cases.items():
        text = f"safetyPolicy: {preset}\ntasks:\n{tasks}\n- {{id: undo}}\n"
        try:
            found = [problem.severity.value for problem in load_text(text, source="t").problems]
        except DefinitionInvalid as refused:
            found = [problem.severity.value for problem in refused.problems]
        assert found == ([] if expected is None else [expected]), tasks


HIGH = "tasks:\n- {id: a, riskTier: HIGH}\n"


def test_a_file_without_a_policy_is_held_to_the_default_one() -> None:
    loaded = load_text(HIGH, source="text")
    assert len(loaded.problems) == 1
    assert loaded.workflow.safety is None


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_can_be_named_in_two_ways(name: str) -> None:
    good = "tasks: [{id: a}]\n"
    bare = load_text(f"safetyPolicy: {name}\n{good}", source="text").workflow
    written = load_text(f"safetyPolicy: {{name: {name}}}\n{good}", source="text").workflow
    assert bare == written
    assert bare.safety == PRESETS[name]


def test_rules_of_its_own_make_a_policy_its_own() -> None:
    text = f"safetyPolicy: {{name: strict, rules: [{{type: no_cycles}}]}}\n{HIGH}"
    loaded = load_text(text, source="text", strict=True)
    assert loaded.workflow.safety == SafetyPolicy("strict", rules=(SafetyRule(RuleType.NO_CYCLES),))


def test_a_policy_without_rules_is_a_warning() -> None:
    loaded = load_text(f"safetyPolicy: {{name: mine}}\n{HIGH}", source="text")
    (warning,) = loaded.problems
    assert "nothing is checked" in warning.message
    assert loaded.workflow.safety == SafetyPolicy("mine")


def test_a_custom_rule_is_accepted_with_a_warning_unless_it_is_off() -> None:
    text = "safetyPolicy: {rules: [{type: custom, enabled: %s}]}\ntasks: [{id: a}]\n"
    assert len(load_text(text % "true", source="text").problems) == 1
    assert not load_text(text % "false", source="text").problems
    with pytest.raises(DefinitionInvalid, match="error: a custom rule cannot be evaluated"):
        load_text(text % "true", source="text", strict=True)


def test_the_policy_argument_is_checked_instead_of_the_files_and_changes_nothing_else() -> None:
    own = load_text(f"safetyPolicy: permissive\n{HIGH}", source="text")
    other = load_text(f"safetyPolicy: permissive\n{HIGH}", source="text", policy="default")
    assert (len(own.problems), len(other.problems)) == (0, 1)
    assert own.workflow == other.workflow


def test_an_unknown_policy_argument_is_refused() -> None:
    with pytest.raises(
        Invalid, match=r'no safety policy "stict"\. Did you mean "strict"'
    ) as caught:
        load_text(HIGH, source="text", policy="stict")
    assert not isinstance(caught.value, DefinitionInvalid)

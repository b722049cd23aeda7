"""Workflow files of the Aureus format mean what they say, with every default."""

from __future__ import annotations

from pathlib import Path

import pytest

from aureus.engine.definition import Loaded, from_dict, load_file, to_dict
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
    SafetyRule,
    Severity,
    TaskDefinition,
    TaskType,
)

FOLDER = Path(__file__).parent / "files" / "good"


def load(name: str) -> Loaded:
    """Load one of the good files."""
    return load_file(FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_good_file_loads_and_survives_being_stored(path: Path) -> None:
    loaded = load_file(path)
    assert from_dict(to_dict(loaded.workflow)) == loaded.workflow
    assert loaded.source_text == path.read_text(encoding="utf-8")


def test_a_task_gets_every_default() -> None:
    workflow = load("diamond").workflow
    assert (workflow.id, workflow.name) == ("workflow", "Unnamed workflow")
    assert workflow.tasks == (
        TaskDefinition("split", "split", type=TaskType.DECISION),
        TaskDefinition("left", "left", type=TaskType.PARALLEL, needs=("split",)),
        TaskDefinition("right", "right", type=TaskType.PARALLEL, needs=("split",)),
        TaskDefinition("join", "join", needs=("left", "right")),
    )
    assert workflow.tasks[0].retry == RetryPolicy(1, 1000, 2.0, jitter=True)


def test_a_field_that_is_empty_counts_as_absent() -> None:
    workflow = load("everything-empty").workflow
    assert (workflow.id, workflow.name, workflow.goal) == ("workflow", "Unnamed workflow", None)
    assert workflow.tasks == (TaskDefinition("only", "only"),)
    assert workflow.safety is None


def test_a_high_task_without_permissions_is_a_warning() -> None:
    """Ordinary files have such tasks; the default policy lets them run and says what is missing."""
    loaded = load("three-steps")
    (warning,) = loaded.problems
    assert (warning.severity, warning.line, warning.column) == (Severity.WARNING, 22, 15)
    assert "requiredPermissions" in warning.message
    assert loaded.workflow.compensations == {"discard-draft"}
    assert loaded.workflow.task("summarise").compensation == Compensation(
        "discard-draft", "discard-draft"
    )


def test_a_critical_task_with_its_safeguards_loads() -> None:
    loaded = load("payout")
    assert not loaded.problems
    workflow = loaded.workflow
    assert workflow.goal == "Every supplier is paid once"
    assert workflow.constraints == ("Never pay twice", "Ask before more than 10,000")
    assert workflow.success_criteria == ("The ledger balances",)
    pay = workflow.task("pay")
    assert (pay.risk_tier, pay.timeout_ms, pay.needs) == (
        RiskTier.CRITICAL,
        30_000,
        ("list-invoices",),
    )
    assert pay.required_permissions == (
        Permission("write", "bank", Intent.EXECUTE, DataZone.RESTRICTED),
    )
    assert workflow.safety is not None
    assert workflow.safety.rules[0] == SafetyRule(
        RuleType.NO_ACTION_AFTER_CRITICAL_WITHOUT_APPROVAL,
        message="Only book-keeping may follow a payment",
        approved_followers=("book",),
    )


def test_a_compensation_that_names_its_own_task_as_dependency_waits_for_nothing() -> None:
    """Such an edge is common in these files and says no more than the compensation does."""
    assert load("payout").workflow.task("reclaim").needs == ()


def test_tools_permissions_and_a_disabled_sandbox_are_kept() -> None:
    loaded = load("tools-and-permissions")
    assert not loaded.problems
    create = loaded.workflow.task("create")
    assert create.tool == "command"
    assert create.allowed_tools == ("command", "http")
    assert create.retry == RetryPolicy(5, 1, 0.0, jitter=False)
    assert create.compensation_action == CompensationAction(
        "command", {"argv": ["keytool", "drop"]}
    )
    assert create.sandbox == {
        "enabled": False,
        "type": "process",
        "simulationMode": False,
        "permissions": {"network": "none"},
    }
    assert loaded.workflow.task("announce").idempotency_key == "rotate-keys"


def test_values_follow_the_core_schema_of_yaml_1_2() -> None:
    inputs = load("tools-and-permissions").workflow.task("create").inputs
    assert inputs["environment"] == {"REGION": "eu", "RELEASE": 1.1, "VERBOSE": "NO"}


def test_the_additions_of_aureus_are_read() -> None:
    workflow = load("additions").workflow
    assert workflow.inputs == (
        InputDefinition("topic", "string", required=True, description="What to read about"),
        InputDefinition("pages", "integer", default=3),
        InputDefinition("languages", "array", default=["en", "de"]),
    )
    summarise = workflow.task("summarise")
    assert summarise.needs == ("fetch",)
    assert (
        summarise.when == "${{ length(input.languages) > 0 && tasks.fetch.status == 'completed' }}"
    )
    assert workflow.compensations == {"forget"}


def test_aliases_give_the_same_value_twice() -> None:
    one, two = load("shared-values").workflow.tasks
    assert one.retry == two.retry == RetryPolicy(5, 2000)
    assert one.inputs == two.inputs == {"region": "eu"}


def test_json_is_read_too() -> None:
    inputs = load("written-as-json").workflow.task("a").inputs
    assert inputs == {"emoji": "😀", "path": "a/b", "deep": [[1, 2.5, -300.0, None, True]]}

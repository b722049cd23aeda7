"""Workflows as plain values, and the hash that names a version."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus import codec
from aureus.engine.definition import from_dict, hash_of, load_text, to_dict
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

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
maybe_texts = st.none() | texts
many_texts = st.lists(texts, max_size=3).map(tuple)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3),
    max_leaves=6,
)
maps = st.dictionaries(texts, values, max_size=3)
retries = st.builds(
    RetryPolicy,
    st.integers(1, 1_000),
    st.integers(1, 86_400_000),
    st.floats(0, 1_000),
    jitter=st.booleans(),
)
permissions = st.builds(
    Permission,
    texts,
    texts,
    st.none() | st.sampled_from(Intent),
    st.none() | st.sampled_from(DataZone),
)
tasks = st.builds(
    TaskDefinition,
    id=texts,
    name=texts,
    type=st.sampled_from(TaskType),
    tool=maybe_texts,
    inputs=maps,
    needs=many_texts,
    when=st.none() | st.booleans() | texts,
    retry=retries,
    timeout_ms=st.none() | st.integers(1, 2**40),
    idempotency_key=maybe_texts,
    risk_tier=st.none() | st.sampled_from(RiskTier),
    compensation=st.builds(Compensation, maybe_texts, maybe_texts),
    compensation_action=st.none() | st.builds(CompensationAction, texts, maps),
    allowed_tools=many_texts,
    required_permissions=st.lists(permissions, max_size=2).map(tuple),
    intent=st.none() | st.sampled_from(Intent),
    data_zone=st.none() | st.sampled_from(DataZone),
    sandbox=st.none() | maps,
)
rules = st.builds(
    SafetyRule,
    st.sampled_from(RuleType),
    st.booleans(),
    st.sampled_from(Severity),
    maybe_texts,
    many_texts,
    st.sampled_from(RiskTier),
)
workflows = st.builds(
    Workflow,
    id=texts,
    name=texts,
    tasks=st.lists(tasks, max_size=3).map(tuple),
    hash=texts,
    inputs=st.lists(
        st.builds(InputDefinition, texts, maybe_texts, st.booleans(), values, texts), max_size=2
    ).map(tuple),
    safety=st.none()
    | st.builds(SafetyPolicy, texts, texts, st.booleans(), st.lists(rules, max_size=2).map(tuple)),
    goal=maybe_texts,
    constraints=many_texts,
    success_criteria=many_texts,
)


@settings(deadline=None)
@given(workflows)
def test_a_workflow_survives_being_stored_as_json(workflow: Workflow) -> None:
    """Through bytes: what the database gives back is equal in value and in hash."""
    stored = codec.decode(codec.encode(to_dict(workflow)))
    again = from_dict(stored)
    assert again == workflow
    assert hash_of(again) == hash_of(workflow)


@settings(deadline=None)
@given(workflows, workflows)
def test_two_workflows_have_one_hash_only_when_they_mean_the_same(a: Workflow, b: Workflow) -> None:
    same = codec.canonical(to_dict(dataclasses.replace(a, hash=""))) == codec.canonical(
        to_dict(dataclasses.replace(b, hash=""))
    )
    assert (hash_of(a) == hash_of(b)) is same


SOURCE = """
id: w
tasks:
  - id: a
    inputs: {x: 1, y: two}
    retry: {maxAttempts: 3}
  - id: b
    riskTier: LOW
dependencies:
  b: [a]
"""


AS_JSON = """
{"dependencies": {"b": ["a"]}, "tasks": [{"id": "a", "retry": {"maxAttempts": 3},
 "inputs": {"y": "two", "x": 1}}, {"riskTier": "LOW", "id": "b"}], "id": "w"}
"""


def hash_of_text(text: str) -> str:
    """Return the hash of a file."""
    return load_text(text, source="text").workflow.hash


def test_the_hash_of_a_known_file_stays_what_it_was() -> None:
    """Runs that were started by an older version are resumed by their hash: it must not drift."""
    assert (
        hash_of_text(SOURCE) == "d4c9ea6cf104c87af29127870e27d768659fbf9a6e41d8d4b18d371b26b28c32"
    )


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + SOURCE,
        SOURCE.replace("inputs: {x: 1, y: two}", "inputs:\n      'y': \"two\"\n      x: 0x1"),
        SOURCE.replace("dependencies:\n  b: [a]\n", "").replace(
            "riskTier: LOW", "needs: [a]\n    riskTier: LOW"
        ),
        SOURCE.replace("maxAttempts: 3", "jitter: true, maxAttempts: 3, backoffMs: 1000"),
        SOURCE.replace("- id: a\n", "- name: a\n    id: a\n    type: action\n"),
        AS_JSON,
    ],
    ids=["comment", "style", "needs", "written_defaults", "field_order", "json"],
)
def test_what_does_not_change_the_meaning_does_not_change_the_hash(text: str) -> None:
    assert hash_of_text(text) == hash_of_text(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: w", "id: v"),
        ("x: 1", "x: 2"),
        ("x: 1", "x: 1.0"),
        ("x: 1", "x: '1'"),
        ("maxAttempts: 3", "maxAttempts: 4"),
        ("b: [a]", "b: []"),
        ("LOW", "MEDIUM"),
        ("- id: b\n    riskTier: LOW", "- id: b\n    riskTier: LOW\n  - id: c"),
    ],
)
def test_what_changes_the_meaning_changes_the_hash(old: str, new: str) -> None:
    assert hash_of_text(SOURCE.replace(old, new)) != hash_of_text(SOURCE)


def test_the_order_of_the_tasks_is_part_of_the_meaning() -> None:
    assert hash_of_text("tasks: [{id: a}, {id: b}]") != hash_of_text("tasks: [{id: b}, {id: a}]")


def test_what_a_file_does_not_use_is_not_stored() -> None:
    """A field that a later version adds then leaves the hashes of old workflows alone."""
    stored = to_dict(load_text("tasks: [{id: a}]", source="text").workflow)
    assert stored.keys() == {"format", "hash", "id", "name", "tasks"}
    assert stored["tasks"] == [
        {
            "id": "a",
            "name": "a",
            "type": "action",
            "retry": {"attempts_max": 1, "backoff_ms": 1000, "multiplier": 2.0, "jitter": True},
        }
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"format": None}, "format None"),
        ({"tasks": None}, "cannot be read"),
        ({"tasks": [{"id": "a"}]}, "cannot be read"),
        ({"inputs": [{"nome": "x"}]}, "cannot be read"),
        ({"safety": "strict"}, "cannot be read"),
    ],
)
def test_what_was_not_stored_by_us_is_refused(change: dict[str, Any], message: str) -> None:
    stored = to_dict(load_text(SOURCE, source="text").workflow)
    with pytest.raises(Invalid, match=message):
        from_dict(stored | change)

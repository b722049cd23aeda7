"""The inputs that a run is started with."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.engine.definition import load_text, resolve_inputs
from aureus.errors import Invalid
from aureus.model.workflows import Workflow

DECLARED = """
inputs:
  topic: {type: string, required: true}
  pages: {type: integer, default: 3}
  ratio: {type: number}
  deep: {type: boolean, default: false}
  tags: {type: array, default: []}
  options: {type: object, default: {a: {b: 1}}}
  anything: {}
  bare: 7
  nothing: ~
tasks: [{id: a}]
"""


def workflow(text: str = DECLARED) -> Workflow:
    """Return a workflow with inputs."""
    return load_text(text, source="text").workflow


def test_defaults_fill_what_is_not_given() -> None:
    assert resolve_inputs(workflow(), {"topic": "tides"}) == {
        "topic": "tides", "pages": 3, "ratio": None, "deep": False, "tags": [],
        "options": {"a": {"b": 1}}, "anything": None, "bare": 7, "nothing": None,
    }  # fmt: skip


def test_what_is_given_wins_and_false_values_are_values() -> None:
    given: dict[str, Any] = {
        "topic": "", "pages": 0, "ratio": 0.0, "deep": True, "tags": [0], "options": {},
        "anything": [None], "bare": 0, "nothing": False,
    }  # fmt: skip
    assert resolve_inputs(workflow(), given) == given


def test_a_default_is_a_copy() -> None:
    shared = workflow()
    resolve_inputs(shared, {"topic": "x"})["options"]["a"]["b"] = 2
    assert resolve_inputs(shared, {"topic": "x"})["options"] == {"a": {"b": 1}}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"topic": 5}, 'input "topic" must be of the type string, not 5'),
        ({"topic": None}, "string, not null"),
        ({"pages": "3"}, 'integer, not the text "3"'),
        ({"pages": 3.0}, "integer, not 3.0"),
        ({"pages": True}, "integer, not true"),
        ({"pages": None}, "integer, not null"),
        ({"ratio": "0.5"}, "number"),
        ({"ratio": False}, "number, not false"),
        ({"deep": 0}, "boolean, not 0"),
        ({"deep": 1}, "boolean, not 1"),
        ({"tags": "a"}, "array"),
        ({"tags": {}}, "array, not a map"),
        ({"options": []}, "object, not a list"),
        ({"bare": "7"}, "integer"),
        ({"ratio": float("nan")}, "cannot be stored"),
        ({"pages": 2**63}, "cannot be stored"),
        ({"anything": object()}, "cannot be stored: it is of the type object"),
        ({"anything": "a\0b"}, "NUL"),
        ({"topics": "x"}, 'no input "topics". Did you mean "topic"?'),
        ({"zzz": "x"}, 'The workflow has "topic", "pages"'),
    ],
)
def test_a_wrong_input_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        resolve_inputs(workflow(), {"topic": "x"} | given)
    (found,) = caught.value.problems
    assert problem in found


@pytest.mark.parametrize("given", [{"ratio": None}, {"ratio": 1}, {"anything": None}])
def test_what_the_run_would_get_anyway_may_be_given(given: dict[str, Any]) -> None:
    resolve_inputs(workflow(), {"topic": "x"} | given)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(Invalid) as caught:
        resolve_inputs(workflow(), {"pages": "x", "deep": 1, "what": 2})
    assert len(caught.value.problems) == 4
    assert '"topic" (string) is required' in caught.value.message


def test_a_workflow_without_inputs_takes_none() -> None:
    assert resolve_inputs(workflow("tasks: [{id: a}]"), {}) == {}
    with pytest.raises(Invalid, match="takes no inputs"):
        resolve_inputs(workflow("tasks: [{id: a}]"), {"x": 1})


@pytest.mark.parametrize(
    ("text", "kind"),
    [("x", "string"), ("1", "integer"), ("1.5", "number"), ("true", "boolean"), ("[1]", "array"), ("~", None)],
)  # fmt: skip
def test_a_bare_default_tells_the_type(text: str, kind: str | None) -> None:
    (definition,) = workflow(f"inputs: {{a: {text}}}\ntasks: [{{id: a}}]").inputs
    assert definition.type == kind

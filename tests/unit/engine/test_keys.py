"""Identities that are computed."""

from __future__ import annotations

import pytest

from aureus.engine.keys import idempotency_key, input_hash, resume_key
from aureus.model.tasks import TaskKey

A = TaskKey("", "a")


def test_the_order_of_inputs_makes_no_difference() -> None:
    assert resume_key("w", {"a": 1, "b": 2}) == resume_key("w", {"b": 2, "a": 1})
    assert input_hash("t", {"a": 1, "b": 2}) == input_hash("t", {"b": 2, "a": 1})


@pytest.mark.parametrize(
    "other",
    [
        idempotency_key("r_2", A, "tool", {"x": 1}),
        idempotency_key("r_1", TaskKey("compensation/a", "a"), "tool", {"x": 1}),
        idempotency_key("r_1", TaskKey("", "b"), "tool", {"x": 1}),
        idempotency_key("r_1", TaskKey("", "a", 1), "tool", {"x": 1}),
        idempotency_key("r_1", A, None, {"x": 1}),
        idempotency_key("r_1", A, "tool", {"x": "1"}),
    ],
    ids=["run", "scope", "name", "occurrence", "tool", "inputs"],
)
def test_other_work_has_another_key(other: str) -> None:
    key = idempotency_key("r_1", A, "tool", {"x": 1})
    assert key == idempotency_key("r_1", A, "tool", {"x": 1})
    assert key != other


def test_workflow_and_inputs_tell_runs_apart() -> None:
    assert len({resume_key("w", {}), resume_key("v", {}), resume_key("w", {"x": None})}) == 3


def test_a_key_is_pinned() -> None:
    """A change of the formula would let every unfinished run repeat its effects under new keys."""
    assert idempotency_key("r_1", A, "tool", {"x": 1}).startswith("e66e9cf5f90a70f5")
    assert resume_key("w", {"x": 1}).startswith("bcfd59085ca36e32")

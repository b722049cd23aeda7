"""The rules of hypotheses: the status of a confidence, and what an agent has learnt."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.model.hypotheses import HypothesisStatistics, learning_rate, status_of

CONFIDENCES = st.floats(0, 1)
ORDER = ["rejected", "active", "validated"]


@pytest.mark.parametrize(
    ("confidence", "status"),
    [
        (0.0, "rejected"),
        (math.nextafter(0.2, 0), "rejected"),
        (0.2, "active"),
        (0.5, "active"),
        (0.8, "active"),
        (math.nextafter(0.8, 1), "validated"),
        (1.0, "validated"),
    ],
)
def test_the_bounds_themselves_are_active(confidence: float, status: str) -> None:
    assert status_of(confidence) == status


@given(one=CONFIDENCES, other=CONFIDENCES)
def test_more_confidence_never_means_a_lower_status(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert ORDER.index(status_of(low)) <= ORDER.index(status_of(high))


@pytest.mark.parametrize(
    ("validated", "total", "change", "rate"),
    [
        (0, 0, 0.0, 0.0),
        (0, 4, 0.0, 0.0),
        (4, 4, 0.0, 1.0),
        (4, 4, 1.0, 0.0),
        (1, 4, 0.2, 0.2),
        (3, 4, 0.0, 0.75),
    ],
)
def test_the_learning_rate_is_the_share_of_validated_less_what_still_moves(
    validated: int, total: int, change: float, rate: float
) -> None:
    assert learning_rate(validated, total, change) == pytest.approx(rate)
    found = HypothesisStatistics(total, total - validated, validated, 0, 1, change)
    assert found.learning_rate == found.to_dict()["learning_rate"] == pytest.approx(rate)


@given(counts=st.tuples(st.integers(0, 99), st.integers(0, 99)), change=CONFIDENCES)
def test_the_learning_rate_lies_between_0_and_1(counts: tuple[int, int], change: float) -> None:
    validated, total = sorted(counts)
    assert 0.0 <= learning_rate(validated, total, change) <= 1.0

"""How long a failed task waits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from aureus.engine.retries import DELAY_MS_MAX, delay
from aureus.model.workflows import RetryPolicy


@pytest.mark.parametrize(
    ("failed_count", "jitter", "seconds"),
    [(1, 0.5, 1), (2, 0.5, 2), (3, 0.5, 4), (1, 0.0, 0.5), (3, 0.0, 2), (1, 0.999, 1.499)],
)
def test_the_wait_grows_by_the_multiplier_and_is_spread(
    failed_count: int, jitter: float, seconds: float
) -> None:
    policy = RetryPolicy(attempts_max=9, backoff_ms=1000, multiplier=2.0)
    assert delay(policy, failed_count, jitter) == timedelta(seconds=seconds)


def test_without_jitter_the_wait_is_exact() -> None:
    policy = RetryPolicy(attempts_max=9, backoff_ms=100, multiplier=3.0, jitter=False)
    assert delay(policy, 3, 0.9) == timedelta(milliseconds=900)


def test_a_multiplier_of_zero_waits_once() -> None:
    policy = RetryPolicy(attempts_max=9, backoff_ms=100, multiplier=0.0, jitter=False)
    assert delay(policy, 1, 0.5) == timedelta(milliseconds=100)
    assert delay(policy, 2, 0.5) == timedelta(0)


@pytest.mark.parametrize("failed_count", [40, 999])
def test_the_wait_has_an_end_however_often_it_grew(failed_count: int) -> None:
    policy = RetryPolicy(attempts_max=1000, backoff_ms=86_400_000, multiplier=1000.0)
    assert delay(policy, failed_count, 0.9) == timedelta(milliseconds=DELAY_MS_MAX)

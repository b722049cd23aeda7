"""When a failed task is tried again. Pure."""

from __future__ import annotations

from datetime import timedelta

from aureus.model.workflows import RetryPolicy

DELAY_MS_MAX = 86_400_000
"""Milliseconds between two attempts at most: one day, however often the multiplier was applied."""

INTERRUPTIONS_MAX = 25
"""Interrupted attempts of one task that are forgiven.

They do not use up the retry budget, because a deployment or a lost machine is not the task's fault. But a task that
kills its worker each time (memory, a crash in a library) would go round for ever, so the 26th ends it.
"""


def delay(policy: RetryPolicy, failed_count: int, jitter: float) -> timedelta:
    """Return the wait after the n-th failed attempt: backoff × multiplier^(n-1), × (0.5 + jitter) where wanted.

    ``jitter`` is a random number in [0, 1).
    """
    factor = 0.5 + jitter if policy.jitter else 1.0
    try:
        delay_ms = policy.backoff_ms * policy.multiplier ** (failed_count - 1) * factor
    except OverflowError:
        delay_ms = DELAY_MS_MAX
    return timedelta(milliseconds=min(delay_ms, DELAY_MS_MAX))

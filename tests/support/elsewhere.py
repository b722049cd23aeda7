"""Another caller beside a transaction: what a thread writes beside its own one is refused, and would wait for it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

R = TypeVar("R")


def elsewhere(action: Callable[[], R]) -> R:
    """Carry something out in a thread of its own, and return its result or raise its error."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(action).result()

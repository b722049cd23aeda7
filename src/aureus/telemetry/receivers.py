"""Who may be told: the protocol, and two that come with Aureus."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Protocol

from aureus.telemetry.names import OPERATION, OUTCOME


class Telemetry(Protocol):
    """What a client tells of its work. It is called in the thread or loop of the work: be quick, and do not raise.

    ``attributes`` are few and from small sets, never ids or tenants.
    """

    def count(self, name: str, attributes: Mapping[str, str]) -> None:
        """Add one to a counter."""
        ...

    def measure(self, name: str, value: float, attributes: Mapping[str, str]) -> None:
        """Add a value to a histogram."""
        ...


class LogTelemetry:
    """Tells a logger of operations that failed, as warnings, and of slow ones."""

    def __init__(self, logger: logging.Logger, *, slow_seconds: float = 1.0) -> None:
        self._logger = logger
        self._slow_seconds = slow_seconds

    def count(self, name: str, attributes: Mapping[str, str]) -> None:
        """Log an operation that failed."""
        outcome = attributes.get(OUTCOME)
        if outcome != "ok":
            self._logger.warning("%s: %s ended with %s", name, attributes.get(OPERATION), outcome)

    def measure(self, name: str, value: float, attributes: Mapping[str, str]) -> None:
        """Log an operation that took long."""
        if value >= self._slow_seconds:
            self._logger.warning("%s: %s took %.3f s", name, attributes.get(OPERATION), value)


class MemoryTelemetry:
    """Keeps counts and sums in memory, for tests and for programs that show them themselves. Safe among threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], int] = {}
        self._values: dict[tuple[str, ...], list[float]] = {}

    def count(self, name: str, attributes: Mapping[str, str]) -> None:
        """Add one to a counter."""
        key = _key(name, attributes)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0) + 1

    def measure(self, name: str, value: float, attributes: Mapping[str, str]) -> None:
        """Add a value to the number, the sum and the largest of a histogram."""
        key = _key(name, attributes)
        with self._lock:
            found = self._values.setdefault(key, [0, 0.0, 0.0])
            found[0] += 1
            found[1] += value
            found[2] = max(found[2], value)

    def counted(self, name: str, **attributes: str) -> int:
        """Return a counter; 0 when nothing was counted."""
        with self._lock:
            return self._counts.get(_key(name, attributes), 0)

    def measured(self, name: str, **attributes: str) -> tuple[int, float, float]:
        """Return how many values a histogram has, their sum and the largest."""
        with self._lock:
            count, total, largest = self._values.get(_key(name, attributes), (0, 0.0, 0.0))
        return int(count), total, largest


def _key(name: str, attributes: Mapping[str, str]) -> tuple[str, ...]:
    return (name, *(f"{key}={attributes[key]}" for key in sorted(attributes)))

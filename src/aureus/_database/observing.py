"""Tells a program's telemetry of each call of a store; the one place that measures them."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from aureus.clock import Clock
from aureus.errors import AureusError
from aureus.telemetry import Telemetry
from aureus.telemetry.names import OPERATION, OPERATION_SECONDS, OPERATIONS, OUTCOME

_log = logging.getLogger("aureus")


@dataclass(frozen=True, slots=True)
class Observing:
    """Who is told, and the clock that measures."""

    telemetry: Telemetry
    clock: Clock

    def began(self) -> float:
        """Return when an operation began."""
        return self.clock.monotonic()

    def ended(self, operation: str, began: float, error: BaseException | None = None) -> None:
        """Tell that an operation ended. What the telemetry raises is logged: the operation has its outcome already."""
        attributes = {OPERATION: operation, OUTCOME: _outcome(error)}
        seconds = self.clock.monotonic() - began
        try:
            self.telemetry.count(OPERATIONS.name, attributes)
            self.telemetry.measure(OPERATION_SECONDS.name, seconds, attributes)
        except Exception:  # noqa: BLE001 - whatever it raises, the operation has its outcome already
            _log.exception("the telemetry failed to take %s", operation)


def _outcome(error: BaseException | None) -> str:
    if error is None:
        return "ok"
    return error.code if isinstance(error, AureusError) else type(error).__name__

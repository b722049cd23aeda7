"""The names of everything that is measured, in one table."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple


class Metric(NamedTuple):
    """One thing that is measured: its name, how values add up, their unit, and what it is."""

    name: str
    kind: Literal["counter", "histogram"]
    unit: str
    description: str


OPERATIONS: Final = Metric(
    "aureus.operations", "counter", "operations", "calls of stores, by operation and outcome"
)
OPERATION_SECONDS: Final = Metric(
    "aureus.operation.seconds", "histogram", "seconds", "how long they took, waiting included"
)

METRICS: Final = (OPERATIONS, OPERATION_SECONDS)

OPERATION: Final = "operation"
"""The attribute that names the operation: ``sessions.save``."""

OUTCOME: Final = "outcome"
"""The attribute that says how it ended: ``ok``, or the code of its error."""

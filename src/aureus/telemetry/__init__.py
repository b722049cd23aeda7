"""What Aureus tells about its own work: counters and durations, for a program's logger or metrics.

A client takes anything that is a ``Telemetry``. Without one nothing is measured. The names are in ``names.py``.
"""

from __future__ import annotations

from aureus.telemetry.names import METRICS, Metric
from aureus.telemetry.receivers import LogTelemetry, MemoryTelemetry, Telemetry

__all__ = ["METRICS", "LogTelemetry", "MemoryTelemetry", "Metric", "Telemetry"]

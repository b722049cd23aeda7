"""Events of runs as the database would hand them over, and the file they make."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aureus.model.events import Event
from aureus.runlog.folders import LOG_FILE
from aureus.runlog.format import format_event
from aureus.runlog.names import folder_name

_START = datetime(2026, 1, 13, tzinfo=UTC)


def make_event(run_id: str, version: int, **changes: Any) -> Event:
    """Make the event at one version of a run; always the same one unless fields are changed."""
    task = f"task-{version}"
    fields: dict[str, Any] = {
        "event_id": f"{abs(hash_text(run_id)):08x}{version:024x}",
        "stream": f"runs/{run_id}",
        "version": version,
        "entry_no": 7 * version,
        "type": "TASK_COMPLETED",
        "payload": {
            "workflowId": "digest",
            "runId": run_id,
            "taskId": task,
            "data": {"result": f"é\u2028\n{version}"},
        },
        "metadata": {"attempt": 1, "duration": 0.25 * version},
        "actor": "worker-1",
        "occurred_at": _START + timedelta(seconds=version, microseconds=version),
        "correlation_id": None,
        "action": None,
        "resource": None,
        "outcome": None,
        "leaf_hash": bytes(32),
    }
    return Event(**(fields | changes))


def hash_text(text: str) -> int:
    """Return a number that is the same in every process, unlike ``hash``."""
    return sum(byte * (index + 1) for index, byte in enumerate(text.encode()))


def make_events(run_id: str, first: int, last: int) -> list[Event]:
    """Make the events from one version to another, both included."""
    return [make_event(run_id, version) for version in range(first, last + 1)]


def file_of(events: Iterable[Event], tenant_id: str = "default") -> bytes:
    """Return what a log of exactly these events holds."""
    return b"".join(format_event(event, tenant_id) for event in events)


def log_path(directory: Path, run_id: str) -> Path:
    """Return where the log of a run of the default tenant lies."""
    return directory / folder_name(run_id) / LOG_FILE


def reading(events: Sequence[Event]) -> Callable[[int], list[Event]]:
    """Return a database that holds these events of one run."""
    return lambda after: [event for event in events if event.version > after]

"""A tenant on a backend with what a run needs, and short ways to say what tests say often."""

from __future__ import annotations

from typing import Any

from aureus.model.events import AuditPoint, EventType, Fact
from aureus.model.leases import ProcessIdentity
from aureus.model.runs import Run, stream_of
from aureus.model.states import RunPhase, RunStatus, TaskStatus
from aureus.model.tasks import TaskChange, TaskKey
from aureus.model.transitions import Advanced, RunOrigin, RunStart, Transition
from tests.support.backends import Backend

HOLDER = ProcessIdentity(host="here", boot_id="boot", pid=1, process_start="1")


class Stage:
    """The stores of one tenant."""

    def __init__(self, backend: Backend, tenant: str) -> None:
        self.backend = backend
        self.tenant = tenant
        self.stores = backend.tenant(tenant)
        self.lease_id = f"lease-{tenant}"
        self.stores.workflows.save_version("digest", "hash-1", name="Digest", definition={"a": 1})
        self.stores.leases.acquire(self.lease_id, HOLDER, lease_seconds=60)

    def new_id(self) -> str:
        """Return a fresh identifier."""
        return self.backend.ids.new()

    def start(self, run_id: str, **more: Any) -> Advanced:
        """Begin a run."""
        return self.stores.runs.start(self.a_start(run_id, **more))  # type: ignore[no-any-return]  # any backend

    def a_start(self, run_id: str, **more: Any) -> RunStart:
        """Return what a run begins with: one running task and two facts."""
        inputs = more.pop("inputs", {"folder": "docs"})
        values: dict[str, Any] = {
            "run_id": run_id,
            "workflow_id": "digest",
            "workflow_hash": "hash-1",
            "lease_id": self.lease_id,
            "transition_id": self.new_id(),
            "resume_key": None,
            "origin": RunOrigin(inputs, "/project"),
            "changes": [begun("read")],
            "facts": [
                fact(run_id, EventType.WORKFLOW_STARTED),
                fact(run_id, EventType.TASK_STARTED, "read"),
            ],
        }
        return RunStart(**{**values, **more})

    def advance(self, run: Run, **more: Any) -> Advanced:
        """Carry out a transition of a run as its holder."""
        return self.stores.runs.advance(self.a_transition(run, **more))  # type: ignore[no-any-return]  # any backend

    def a_transition(self, run: Run, **more: Any) -> Transition:
        """Return a transition that changes nothing but the version."""
        values: dict[str, Any] = {
            "run_id": run.run_id,
            "epoch": run.epoch,
            "lease_id": self.lease_id,
            "transition_id": self.new_id(),
            "status": RunStatus.RUNNING,
            "phase": RunPhase.FORWARD,
        }
        return Transition(**{**values, **more})

    def versions(self, run_id: str) -> list[int]:
        """Return the versions of a run's events as they are read."""
        return [event.version for event in self.stores.events.read_stream(stream_of(run_id))]

    def table(self, name: str) -> str:
        """Return a table's name in the caller's own SQL."""
        is_postgres = "PostgreSQL" in self.backend.client.description
        return f"aureus.{name}" if is_postgres else name


def begun(name: str) -> TaskChange:
    """Return the first entry of a task that runs."""
    return TaskChange(TaskKey("", name), is_new=True, status=TaskStatus.RUNNING, attempt=1)


def finished(name: str, result_json: str, number: int = 1) -> TaskChange:
    """Return the end of a task."""
    return TaskChange(
        TaskKey("", name),
        is_new=False,
        status=TaskStatus.COMPLETED,
        attempt=1,
        result_json=result_json,
        finished_no=number,
    )


def fact(run_id: str, kind: str, task_id: str | None = None) -> Fact:
    """Return a fact about a run."""
    payload = {"workflowId": "digest", "runId": run_id}
    if task_id is not None:
        payload["taskId"] = task_id
    return Fact(
        stream=stream_of(run_id),
        type=kind,
        payload=payload,
        actor="tester",
        metadata={"attempt": 1} if task_id else {},
        correlation_id=run_id,
        audit=AuditPoint("run.change", f"runs/{run_id}"),
    )

"""A transition: everything that one step of the engine changes, in one commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aureus.model.approvals import ApprovalRequest
from aureus.model.events import Event, Fact
from aureus.model.runs import Run
from aureus.model.states import RunPhase, RunStatus
from aureus.model.tasks import TaskChange


@dataclass(frozen=True, slots=True)
class RunOrigin:
    """What a run was started with, and whoever goes on with it needs to know.

    ``directory`` is where relative paths of its tools start; ``approve_from`` the risk tier from which a person is
    asked, None when only the workflow itself asks.
    """

    inputs: dict[str, Any]
    directory: str
    approve_from: str | None = None


@dataclass(frozen=True, slots=True)
class RunStart:
    """What a new run begins with. ``transition_id`` is made by the caller, so that a repeated call is harmless.

    ``resume_key`` is unique among the unfinished runs of a tenant; None allows any number of them.
    """

    run_id: str
    workflow_id: str
    workflow_hash: str
    lease_id: str
    transition_id: str
    resume_key: str | None
    origin: RunOrigin
    changes: Sequence[TaskChange] = ()
    approvals: Sequence[ApprovalRequest] = ()
    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True)
class Transition:
    """What a running execution changes: its own row, some tasks, and the facts that tell about it.

    ``epoch`` and ``lease_id`` are the fence. ``keeps_lease`` is False when the process lets go of the run.
    """

    run_id: str
    epoch: int
    lease_id: str
    transition_id: str
    status: RunStatus
    phase: RunPhase
    keeps_lease: bool = True
    error_code: str | None = None
    error_message: str | None = None
    changes: Sequence[TaskChange] = ()
    approvals: Sequence[ApprovalRequest] = ()
    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True)
class Advanced:
    """A run as a transition left it, and the events it wrote.

    ``events`` is empty when the call found that its transition had been written before.
    """

    run: Run
    events: tuple[Event, ...]

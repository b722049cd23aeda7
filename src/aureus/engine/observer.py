"""Who watches runs: the run log, the terminal, metrics. The engine knows only this shape of them."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import Protocol

from aureus.errors import WorkflowError
from aureus.model.approvals import Approval
from aureus.model.events import Event
from aureus.model.runs import Run


class Observer(Protocol):
    """Something that is told what happens to the runs of an engine, after it was committed.

    An error in an observer stops the run in good order (its tools are stopped, its lease is given back); it can be
    resumed, and nothing of it is lost.
    """

    async def on_events(self, run: Run, events: Sequence[Event]) -> None:
        """Take note of a commit.

        ``events`` are consecutive versions of the run's stream, but other processes write there too (a decision, a
        request to cancel), and a repeated commit brings none: whoever needs all reads the stream up to the last one.
        """
        ...

    async def on_resume(self, run: Run, tasks_done: int, tasks_total: int, since: datetime) -> None:
        """Take note that an unfinished run goes on; ``since`` is when it was last changed."""
        ...

    async def on_waiting(self, run: Run, approvals: Sequence[Approval]) -> None:
        """Take note that a run can only go on when people have answered."""
        ...


class Unobserved:
    """Nobody watches."""

    async def on_events(self, run: Run, events: Sequence[Event]) -> None:
        """Do nothing."""

    async def on_resume(self, run: Run, tasks_done: int, tasks_total: int, since: datetime) -> None:
        """Do nothing."""

    async def on_waiting(self, run: Run, approvals: Sequence[Approval]) -> None:
        """Do nothing."""


async def watched(run_id: str, telling: Awaitable[None]) -> None:
    """Tell an observer something; raises ``WorkflowError`` when it fails, whatever its own error is."""
    try:
        await telling
    except Exception as error:
        raise WorkflowError(
            f"run {run_id} was stopped, because what watches it failed: {error}. Nothing is lost; once that "
            "is mended, run it again to go on.",
            run_id=run_id,
        ) from error

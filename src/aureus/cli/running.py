"""What ``run``, ``resume``, ``cancel``, ``approve`` and ``deny`` share: an engine, its signals, and what they print."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from aureus.cli.events import event_line
from aureus.cli.output import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    EXIT_WAITING,
    ago,
    duration,
    mark,
    note,
    plain_text,
    show_json,
    utc_now,
)
from aureus.cli.session import announce, only_existing, settings_of
from aureus.client import AsyncAureus
from aureus.model.states import RunStatus, TaskStatus

if TYPE_CHECKING:
    from aureus.config import Settings
    from aureus.engine.parts import RunOutcome
    from aureus.engine.service import Engine
    from aureus.model.approvals import Approval
    from aureus.model.events import Event
    from aureus.model.runs import Run

Work = Callable[["Engine"], Awaitable["RunOutcome"]]

_SIGNALS = {signal.SIGINT: EXIT_INTERRUPTED, signal.SIGTERM: EXIT_TERMINATED}


class Terminal:
    """Prints what happens to a run: one line for each event, on stderr."""

    async def on_events(self, run: Run, events: Sequence[Event]) -> None:  # noqa: ARG002 - the observer's shape
        """Print the events of a commit."""
        for event in events:
            click.echo(event_line(event), err=True)

    async def on_resume(self, run: Run, tasks_done: int, tasks_total: int, since: datetime) -> None:
        """Say what goes on, and from when."""
        note(
            f"resuming run {run.run_id} from {ago(since, utc_now())}, "
            f"{tasks_done} of {tasks_total} tasks done"
        )

    async def on_waiting(self, run: Run, approvals: Sequence[Approval]) -> None:
        """Say what the run waits for."""
        for approval in approvals:
            note(plain_text(f"waits for approval of {approval.key}: {approval.message}"))
            note(f"next: aureus approve {run.run_id} {approval.key}")


def perform(flags: Mapping[str, Any], work: Work, *, as_json: bool, creates: bool = False) -> int:
    """Carry out work on a run, print how it ended, and return the exit code; the first run ``creates`` its database."""
    settings = settings_of(flags)
    if not creates:
        settings = only_existing(settings)
    announce(settings, creates=settings.database.create == "on")
    return asyncio.run(_perform(settings, work, as_json=as_json))


def resume_run(run_id: str, flags: Mapping[str, Any], *, wait: bool, as_json: bool) -> int:
    """Go on with a run by its stored definition, in the folder that it was started for."""

    async def work(engine: Engine) -> RunOutcome:
        return await engine.resume(run_id, wait=wait)

    return perform(flags, work, as_json=as_json)


def cancel_run(run_id: str, flags: Mapping[str, Any], *, as_json: bool) -> int:
    """Stop a run for good."""
    run = asyncio.run(_once(flags, lambda engine: engine.cancel(run_id)))
    if as_json:
        show_json(run.to_dict())
    elif run.status is RunStatus.CANCELLED:
        click.echo(f"run {run.run_id} is cancelled")
    else:
        click.echo(
            f"run {run.run_id} was asked to stop; its process does so within a second or two"
        )
    return EXIT_OK


def decide_task(
    run_id: str,
    task_id: str | None,
    flags: Mapping[str, Any],
    *,
    approve: bool,
    reason: str | None,
    as_json: bool,
) -> int:
    """Answer what a task asks."""
    approval = asyncio.run(
        _once(flags, lambda engine: engine.decide(run_id, task_id, approve=approve, reason=reason))
    )
    if as_json:
        show_json(approval.to_dict())
        return EXIT_OK
    click.echo(
        f"{approval.key} of run {run_id} is {approval.status.value} by {approval.decided_by}"
    )
    note(f"next: aureus runs resume {run_id}")
    return EXIT_OK


async def _once(flags: Mapping[str, Any], work: Callable[[Engine], Awaitable[Any]]) -> Any:
    settings = only_existing(settings_of(flags))
    announce(settings)
    async with AsyncAureus(settings=settings) as client, client.engine() as engine:
        return await work(engine)


async def _perform(settings: Settings, work: Work, *, as_json: bool) -> int:
    async with (
        AsyncAureus(settings=settings) as client,
        client.engine(observer=Terminal()) as engine,
        _stopping(engine) as received,
    ):
        outcome = await work(engine)
    return _report(outcome, settings, received, as_json=as_json)


@asynccontextmanager
async def _stopping(engine: Engine) -> AsyncGenerator[list[signal.Signals]]:
    """Hand over on the first Ctrl-C or SIGTERM, and give up at once on the second."""
    loop = asyncio.get_running_loop()
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        if not received:
            note(
                "stopping: tasks are ended and the run is left for a successor; again to stop at once"
            )
        received.append(number)
        engine.stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        yield received
    finally:
        for number in _SIGNALS:
            with contextlib.suppress(ValueError):
                loop.remove_signal_handler(number)


def _report(
    outcome: RunOutcome,
    settings: Settings,
    received: Sequence[signal.Signals],
    *,
    as_json: bool,
) -> int:
    run = outcome.run
    if as_json:
        show_json(
            {
                **run.to_dict(),
                "stopped": outcome.stopped,
                "was_resumed": outcome.was_resumed,
                "tasks": [task.to_dict() for task in outcome.tasks],
                "approvals": [approval.to_dict() for approval in outcome.pending_approvals],
            }
        )
    else:
        click.echo(run.run_id)
    if outcome.stopped:
        note(f"run {run.run_id} is left unfinished")
        note(f"next: aureus runs resume {run.run_id}")
        return _SIGNALS[received[0]] if received else EXIT_FAILED
    note(_summary(outcome))
    if settings.run_log.type != "none":
        from aureus.runlog import log_path

        note(f"run log: {log_path(settings.run_log.directory, settings.tenant, run.run_id)}")
    if run.status is RunStatus.PAUSED:
        return EXIT_WAITING
    note(f"next: aureus timeline {run.run_id}")
    return EXIT_OK if run.status is RunStatus.COMPLETED else EXIT_FAILED


def _summary(outcome: RunOutcome) -> str:
    run = outcome.run
    colour = {RunStatus.COMPLETED: "green", RunStatus.PAUSED: "yellow"}.get(run.status, "red")
    done = sum(task.status is TaskStatus.COMPLETED for task in outcome.tasks)
    took = ""
    if run.started_at is not None and run.completed_at is not None:
        took = f" in {duration((run.completed_at - run.started_at).total_seconds())}"
    count = f"{done} task{'' if done == 1 else 's'} completed"
    text = f"run {run.run_id} {mark(run.status.value, colour)}{took}, {count}"
    if run.error_message:
        text += f"\n{mark('error', 'red')}: {plain_text(run.error_message)}"
    return text

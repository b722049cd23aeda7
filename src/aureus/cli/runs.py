"""``aureus runs``: list, show, resume and cancel runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import (
    ago,
    day_time,
    duration,
    note,
    plain_text,
    show_json,
    show_table,
    utc_now,
)
from aureus.cli.session import (
    actor_option,
    database_options,
    json_option,
    opened,
    run_log_options,
)
from aureus.model.states import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aureus.model.approvals import Approval
    from aureus.model.runs import Run
    from aureus.model.tasks import Task


@click.group()
def runs() -> None:
    """List, show, resume and cancel runs."""


@runs.command("list")
@click.option("--status", type=click.Choice([status.value for status in RunStatus]))
@click.option("--workflow", "workflow_id", metavar="ID", help="Only runs of this workflow.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@database_options
@json_option
def list_runs(
    *, status: str | None, workflow_id: str | None, limit: int, as_json: bool, **flags: Any
) -> None:
    """List runs, newest first."""
    with opened(flags) as client:
        found = client.runs.list(
            status=None if status is None else RunStatus(status),
            workflow_id=workflow_id,
            limit=limit,
        )
    if as_json:
        show_json([run.to_dict() for run in found])
        return
    now = utc_now()
    show_table(
        ("RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK"),
        [
            (run.run_id, run.workflow_id, _status(run), ago(run.created_at, now), _took(run))
            for run in found
        ],
    )
    if not found:
        note("no runs; `aureus run FILE` starts one")


@runs.command()
@click.argument("run_id", metavar="RUN")
@database_options
@json_option
def show(*, run_id: str, as_json: bool, **flags: Any) -> None:
    """Show one run: its state, its tasks, what it waits for."""
    with opened(flags) as client:
        run = client.runs.get(run_id)
        tasks = client.tasks.list(run_id)
        approvals = client.approvals.list(run_id)
        inputs = client.runs.get_inputs(run_id)
    if as_json:
        show_json(
            {
                **run.to_dict(),
                "inputs": inputs,
                "tasks": [task.to_dict() for task in tasks],
                "approvals": [approval.to_dict() for approval in approvals],
            }
        )
        return
    _show(run, tasks, approvals)


@runs.command()
@click.argument("run_id", metavar="RUN")
@click.option("--wait", is_flag=True, help="Wait while another process holds the run.")
@database_options
@run_log_options
@actor_option
@json_option
def resume(*, run_id: str, wait: bool, as_json: bool, **flags: Any) -> None:
    """Go on with an unfinished run, as it was defined when it started."""
    from aureus.cli.running import resume_run

    raise click.exceptions.Exit(resume_run(run_id, flags, wait=wait, as_json=as_json))


@runs.command()
@click.argument("run_id", metavar="RUN")
@database_options
@run_log_options
@actor_option
@json_option
def cancel(*, run_id: str, as_json: bool, **flags: Any) -> None:
    """Stop a run for good; whoever works on it is told within a second or two."""
    from aureus.cli.running import cancel_run

    raise click.exceptions.Exit(cancel_run(run_id, flags, as_json=as_json))


def _status(run: Run) -> str:
    if run.status is RunStatus.RUNNING and run.phase.value == "compensating":
        return "compensating"
    if run.status is RunStatus.RUNNING and run.lease_id is None:
        return "unfinished"
    return run.status.value


def _took(run: Run) -> str:
    if run.started_at is None or run.completed_at is None:
        return "-"
    return duration((run.completed_at - run.started_at).total_seconds())


def _show(run: Run, tasks: Sequence[Task], approvals: Sequence[Approval]) -> None:
    click.echo(f"run       {run.run_id}")
    click.echo(f"workflow  {run.workflow_id} ({run.workflow_hash[:12]})")
    click.echo(f"status    {_status(run)}")
    click.echo(f"started   {day_time(run.started_at)}")
    click.echo(f"ended     {day_time(run.completed_at)}")
    if run.error_message:
        click.echo(plain_text(f"error     {run.error_code}: {run.error_message}"))
    click.echo()
    show_table(
        ("TASK", "STATUS", "ATTEMPTS", "TOOL", "ENDED"),
        [
            (
                str(task.key),
                task.status.value,
                str(task.attempt),
                task.tool or "-",
                day_time(task.completed_at),
            )
            for task in tasks
        ],
    )
    for approval in approvals:
        if approval.status.value == "pending":
            click.echo(plain_text(f"waits for approval of {approval.key}: {approval.message}"))
            note(f"next: aureus approve {run.run_id} {approval.key}")

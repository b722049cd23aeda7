"""``aureus timeline``: what a run did, task by task, against the time it took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from aureus.cli.output import clock_time, day_time, duration, mark, plain_text, show_json
from aureus.cli.session import database_options, json_option, opened
from aureus.model.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aureus.model.runs import Run
    from aureus.model.tasks import Task

_BAR = 32
"""Characters of the bar that stands for the whole run."""

_COLOURS = {"completed": "green", "failed": "red", "timeout": "red", "running": "cyan"}


@click.command()
@click.argument("run_id", metavar="RUN")
@database_options
@json_option
def timeline(*, run_id: str, as_json: bool, **flags: Any) -> None:
    """Show what a run did: each task with its start, its time and its end."""
    with opened(flags) as client:
        run = client.runs.get(run_id)
        tasks = client.tasks.list(run_id)
    if as_json:
        show_json({"run": run.to_dict(), "tasks": [_entry(task) for task in tasks]})
        return
    _show(run, tasks)


def _entry(task: Task) -> dict[str, Any]:
    return {
        "task": str(task.key),
        "status": task.status.value,
        "attempt": task.attempt,
        "interruptions": task.interruptions,
        "started_at": plain(task.started_at),
        "completed_at": plain(task.completed_at),
        "error": task.error_message,
    }


def _show(run: Run, tasks: Sequence[Task]) -> None:
    ends = [task.completed_at for task in tasks if task.completed_at is not None]
    began = run.started_at or run.created_at
    ended = run.completed_at or max(ends, default=run.updated_at)
    total = max((ended - began).total_seconds(), 1e-6)
    click.echo(
        f"run {run.run_id}: {run.status.value}, started {day_time(run.started_at)}, {duration(total)}"
    )
    width = max((len(str(task.key)) for task in tasks), default=0)
    for task in tasks:
        bar, took = " " * _BAR, "-"
        if task.started_at is not None:
            start = (task.started_at - began).total_seconds()
            stop = ((task.completed_at or ended) - began).total_seconds()
            bar = _bar(start / total, stop / total)
            took = duration(max(0.0, stop - start))
        status = mark(f"{task.status.value:<9}", _COLOURS.get(task.status.value, "yellow"))
        began_at = "-" * 12 if task.started_at is None else clock_time(task.started_at)
        tries = f"attempt {task.attempt}" if task.attempt > 1 else ""
        click.echo(
            f"{plain_text(str(task.key)):<{width}}  {began_at}  {bar}  {took:>8}  {status} {tries}".rstrip()
        )
        if task.error_message:
            click.echo(f"{'':<{width}}  {plain_text(task.error_message.splitlines()[0])}")


def _bar(start: float, stop: float) -> str:
    first = min(_BAR - 1, max(0, int(start * _BAR)))
    last = min(_BAR, max(first + 1, round(stop * _BAR)))
    return "·" * first + "█" * (last - first) + "·" * (_BAR - last)

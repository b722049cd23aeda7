"""``aureus approve`` and ``aureus deny``: answers to tasks that wait for a person."""

from __future__ import annotations

from typing import Any

import click

from aureus.cli.session import actor_option, database_options, json_option, run_log_options


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("task_id", metavar="[TASK]", required=False)
@click.option("--reason", metavar="TEXT", help="Why; kept with the answer.")
@database_options
@run_log_options
@actor_option
@json_option
def approve(
    *, run_id: str, task_id: str | None, reason: str | None, as_json: bool, **flags: Any
) -> None:
    """Let a task go on that waits for approval; TASK may be left out when only one waits."""
    _decide(run_id, task_id, flags, approve=True, reason=reason, as_json=as_json)


@click.command()
@click.argument("run_id", metavar="RUN")
@click.argument("task_id", metavar="[TASK]", required=False)
@click.option("--reason", metavar="TEXT", help="Why; kept with the answer.")
@database_options
@run_log_options
@actor_option
@json_option
def deny(
    *, run_id: str, task_id: str | None, reason: str | None, as_json: bool, **flags: Any
) -> None:
    """Refuse a task that waits for approval; the run fails and undoes what it did."""
    _decide(run_id, task_id, flags, approve=False, reason=reason, as_json=as_json)


def _decide(
    run_id: str,
    task_id: str | None,
    flags: dict[str, Any],
    *,
    approve: bool,
    reason: str | None,
    as_json: bool,
) -> None:
    from aureus.cli.running import decide_task

    code = decide_task(run_id, task_id, flags, approve=approve, reason=reason, as_json=as_json)
    raise click.exceptions.Exit(code)

"""``aureus run`` and ``aureus validate``: workflow files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aureus.cli.given import object_given
from aureus.cli.output import mark, note, plain_text, show_json
from aureus.cli.session import (
    actor_option,
    database_options,
    json_option,
    run_log_options,
)
from aureus.errors import Invalid
from aureus.model.workflows import RiskTier

if TYPE_CHECKING:
    from aureus.engine.definition import Loaded
    from aureus.engine.parts import RunOutcome
    from aureus.engine.service import Engine
    from aureus.model.workflows import Workflow


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-i",
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input; or @FILE with a JSON object.",
)
@click.option("--run-id", metavar="ID", help="Name the run; the same name goes on with it.")
@click.option(
    "--new", is_flag=True, help="Start another run, even if one of the same inputs is unfinished."
)
@click.option("--strict", is_flag=True, help="Treat warnings about the file as errors.")
@click.option(
    "--policy",
    metavar="NAME",
    help="Safety policy when the file names none: default, strict or permissive.",
)
@click.option(
    "--approve-from",
    type=click.Choice([tier.value for tier in RiskTier], case_sensitive=False),
    help="Ask a person before tasks of this risk tier and above.",
)
@click.option(
    "--accept-changed-definition",
    is_flag=True,
    help="Go on although the file has changed since the run began.",
)
@click.option("--wait", is_flag=True, help="Wait while another process works on the run.")
@database_options
@run_log_options
@actor_option
@json_option
def run(
    *,
    file: Path,
    inputs: tuple[str, ...],
    run_id: str | None,
    new: bool,
    strict: bool,
    policy: str | None,
    approve_from: str | None,
    accept_changed_definition: bool,
    wait: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Run a workflow file, or go on with an unfinished run of it.

    Prints the run id on stdout and everything else on stderr. Exit code 0 when the run completed, 1 when it failed, 3
    when it waits for approval.
    """
    loaded = _load(file, strict=strict, policy=policy)
    given = _read_inputs(inputs, loaded.workflow)
    folder = file.resolve().parent
    from aureus.cli.running import perform
    from aureus.engine.service import checked_start

    checked_start(loaded.workflow, given, run_id)  # before a file is made for what cannot start

    async def work(engine: Engine) -> RunOutcome:
        return await engine.run(
            loaded,
            given,
            directory=folder,
            run_id=run_id,
            new=new,
            approve_from=None if approve_from is None else RiskTier(approve_from.upper()),
            accept_changed_definition=accept_changed_definition,
            wait=wait,
        )

    raise click.exceptions.Exit(perform(flags, work, as_json=as_json, creates=True))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Treat warnings as errors.")
@click.option(
    "--policy",
    metavar="NAME",
    help="Safety policy when the file names none: default, strict or permissive.",
)
@json_option
def validate(*, file: Path, strict: bool, policy: str | None, as_json: bool) -> None:
    """Check a workflow file without running it; every problem with its line, column and remedy."""
    loaded = _load(file, strict=strict, policy=policy, shows_warnings=not as_json)
    workflow = loaded.workflow
    if as_json:
        show_json(
            {
                "workflow": workflow.id,
                "hash": workflow.hash,
                "tasks": len(workflow.tasks),
                "warnings": [problem.to_dict() for problem in loaded.problems],
            }
        )
        return
    click.echo(
        f"{file} is valid: workflow {workflow.id}, {len(workflow.tasks)} tasks, {workflow.hash[:12]}"
    )


def _load(file: Path, *, strict: bool, policy: str | None, shows_warnings: bool = True) -> Loaded:
    from aureus.engine.definition import load_file
    from aureus.engine.tool_checks import check_tools
    from aureus.tools import Tools

    tools = Tools()
    loaded = load_file(file, strict=strict, known_tools=tools.names, policy=policy)
    check_tools(loaded.workflow, tools)
    if shows_warnings:
        for problem in loaded.problems:
            note(f"{mark('warning', 'yellow')}: {plain_text(problem.render())}")
    return loaded


def _read_inputs(given: tuple[str, ...], workflow: Workflow) -> dict[str, Any]:
    """Return the inputs of the command line; those that are declared as text stay text, others are read as JSON."""
    types = {definition.name: definition.type for definition in workflow.inputs}
    found: dict[str, Any] = {}
    for item in given:
        if item.startswith("@"):
            found |= object_given(item, "-i")
            continue
        name, separator, text = item.partition("=")
        if not separator or not name:
            raise Invalid(f"-i takes NAME=VALUE or @FILE, not {item!r}", input=item)
        found[name] = text if types.get(name) == "string" else _value(text)
    return found


def _value(text: str) -> Any:
    from aureus.codec import decode

    try:
        return decode(text)
    except Invalid:
        return text

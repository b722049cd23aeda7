"""Whether the tools of a workflow exist and can use their inputs, before anything starts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from aureus.engine.attempts import ToolFinder
from aureus.errors import Invalid, NotFound
from aureus.model.workflows import Workflow


def tool_problems(workflow: Workflow, tools: ToolFinder) -> Iterator[str]:
    """Yield a sentence for everything that tools have against a workflow; references are not known yet."""
    for task in workflow.tasks:
        where = f"task {task.id!r}"
        if task.tool is not None:
            yield from _problems(where, task.tool, task.inputs, tools)
        action = task.compensation_action
        if action is not None:
            yield from _problems(
                f"the compensationAction of {where}", action.tool, action.args, tools
            )


def check_tools(workflow: Workflow, tools: ToolFinder) -> None:
    """Raise ``Invalid`` with everything that tools have against a workflow in ``problems``."""
    problems = list(tool_problems(workflow, tools))
    if problems:
        raise Invalid(
            f"workflow {workflow.id!r} cannot start:\n" + "\n".join(problems),
            workflow_id=workflow.id,
            problems=problems,
        )


def _problems(where: str, name: str, inputs: Mapping[str, Any], tools: ToolFinder) -> Iterator[str]:
    try:
        tool = tools.find(name)
    except NotFound as error:
        yield f"{where}: {error.message}"
        return
    for problem in tool.check_definition(inputs):
        yield f"{where}: {problem.message}"

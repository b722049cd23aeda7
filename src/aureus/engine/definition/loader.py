"""From a workflow file to a ``Workflow``, or to one error that names everything that is wrong with it.

The order is: text, YAML, fields, graph, expressions, tools, safety. A step runs as long as the one before it left
something to look at, so that an author sees all problems at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from aureus.engine.definition import safety, stored
from aureus.engine.definition.graph import Graph
from aureus.engine.definition.problems import Path as ProblemPath
from aureus.engine.definition.problems import Place, Problem, Problems, listed, nearest, quoted
from aureus.engine.definition.reader import TEXT_BYTES_MAX, read_yaml
from aureus.engine.definition.references import check_references
from aureus.engine.definition.schema import Draft, read_workflow
from aureus.engine.definition.source import read_file, too_large
from aureus.engine.definition.tasks import TaskDraft
from aureus.errors import Invalid
from aureus.model.workflows import SafetyPolicy, TaskDefinition, Workflow


@dataclass(frozen=True, slots=True)
class Loaded:
    """A workflow that can be run. ``problems`` are the warnings of its file, in the order of their lines."""

    workflow: Workflow
    problems: tuple[Problem, ...]
    source_text: str


def load_file(
    path: Path,
    *,
    strict: bool = False,
    known_tools: Collection[str] | None = None,
    policy: str | None = None,
) -> Loaded:
    """Read a workflow from a file; see ``load_text``.

    Raises ``NotFound``, ``Invalid`` for what is no readable regular file, ``LimitExceeded`` above 1 MB.
    """
    text = read_file(path)
    return load_text(text, source=str(path), strict=strict, known_tools=known_tools, policy=policy)


def load_text(
    text: str,
    *,
    source: str,
    strict: bool = False,
    known_tools: Collection[str] | None = None,
    policy: str | None = None,
) -> Loaded:
    """Read a workflow from YAML (or JSON) text; ``source`` is what messages call it.

    ``policy`` names a preset that is checked instead of the file's own safety policy; it is not part of the result.
    ``strict`` refuses warnings too. Without ``known_tools`` the names of tools are not checked. Raises
    ``DefinitionInvalid`` with every problem of the text in ``problems``, ``LimitExceeded`` above 1 MB, ``Invalid`` for
    an unknown policy.
    """
    chosen = None if policy is None else _preset(policy)
    problems = Problems(source, strict=strict)
    if len(text.encode(errors="replace")) > TEXT_BYTES_MAX:
        raise too_large(problems.source)
    document = read_yaml(text, problems)
    if document is None:
        raise problems.refuse()
    draft = read_workflow(document, problems)
    graph = Graph(draft, problems)
    check_references(draft, graph, document, problems)
    for task in draft.tasks:
        _check_tools(task, known_tools, problems)
    tasks = tuple(
        replace(task.definition, needs=graph.needs(position))
        for position, task in enumerate(draft.tasks)
    )
    _check_safety(tasks, chosen or draft.safety or safety.DEFAULT, draft, graph, problems)
    if problems.has_errors:
        raise problems.refuse()
    return Loaded(_workflow(draft, tasks), problems.sorted(), text)


def _workflow(draft: Draft, tasks: tuple[TaskDefinition, ...]) -> Workflow:
    workflow = Workflow(
        id=draft.id,
        name=draft.name,
        tasks=tasks,
        hash="",
        inputs=draft.inputs,
        safety=draft.safety,
        goal=draft.goal,
        constraints=draft.constraints,
        success_criteria=draft.success_criteria,
    )
    return replace(workflow, hash=stored.hash_of(workflow))


def _preset(name: str) -> SafetyPolicy:
    preset = safety.PRESETS.get(name)
    if preset is None:
        near = nearest(name, safety.PRESETS)
        remedy = f"Known are {listed(safety.PRESETS)}."
        if near is not None:
            remedy = f"Did you mean {quoted(near)}?"
        raise Invalid(f"there is no safety policy {quoted(name)}. {remedy}", policy=name)
    return preset


def _check_tools(task: TaskDraft, known: Collection[str] | None, problems: Problems) -> None:
    """Refuse tools that do not exist, and a tool that the task itself does not allow."""
    definition, fields = task.definition, task.fields
    path = fields.path
    if definition.tool is not None:
        place = fields.place("toolName")
        if definition.allowed_tools and definition.tool not in definition.allowed_tools:
            problems.error(
                place,
                path.child("toolName"),
                f"the tool {quoted(definition.tool)} is not among the allowedTools of {quoted(task.id)}",
                "Add it there, or use one of the allowed tools.",
            )
        _check_tool(definition.tool, place, path.child("toolName"), known, problems)
    if definition.compensation_action is not None:
        action = fields.fields("compensationAction", "a compensation action")
        if action is not None:
            tool = definition.compensation_action.tool
            _check_tool(tool, action.place("tool"), action.path.child("tool"), known, problems)


def _check_tool(
    tool: str, place: Place, path: ProblemPath, known: Collection[str] | None, problems: Problems
) -> None:
    if known is not None and tool not in known:
        otherwise = f"The tools are {listed(sorted(known))}." if known else "There are no tools."
        remedy = problems.suggest(tool, known, otherwise)
        problems.error(place, path, f"there is no tool {quoted(tool)}", remedy)


def _check_safety(
    tasks: tuple[TaskDefinition, ...],
    policy: SafetyPolicy,
    draft: Draft,
    graph: Graph,
    problems: Problems,
) -> None:
    """Add what the policy has against the workflow, at the edge or task that breaks it."""
    for follower in draft.followers if tasks else ():
        if graph.find(follower.value) is None:
            problems.warning(
                follower.place,
                follower.path,
                f"approvedFollowers names {quoted(follower.value)}, but there is no such task",
                problems.suggest(follower.value, list(graph.ids), "Remove the name."),
            )
    for violation in safety.violations([task for task in tasks if task.id], policy):
        position = graph.find(violation.task)
        if position is None:
            continue
        fields = draft.tasks[position].fields
        place, path = fields.place("riskTier"), fields.path
        edge = None if violation.after is None else graph.edge(violation.task, violation.after)
        if edge is not None:
            place, path = edge.place, edge.path
        problems.add(violation.severity, place, path, violation.message, violation.remedy)

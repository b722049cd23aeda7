"""Whether the expressions of a workflow can be evaluated when their turn comes.

Every path must name an input that is declared, ``run.id``, or the result or status of a task that has surely ended by
then. A reference does not create a dependency: an edge that nobody wrote would surprise, so a missing one is an error.
"""

from __future__ import annotations

from aureus.engine.definition.graph import Graph
from aureus.engine.definition.nodes import Document
from aureus.engine.definition.problems import Problems, listed, quoted
from aureus.engine.definition.schema import Draft
from aureus.engine.definition.tasks import Found
from aureus.engine.definition.terms import Reference

TASK_FIELDS = ("result", "status")
"""What an expression can ask of a task."""


def check_references(draft: Draft, graph: Graph, document: Document, problems: Problems) -> None:
    """Add a problem for every path of every expression that leads nowhere, or not in time."""
    checker = _Checker(draft, graph, document, problems)
    for position, task in enumerate(draft.tasks):
        for found in task.expressions:
            for reference in found.expression.references():
                checker.check(position, found, reference)


class _Checker:
    def __init__(self, draft: Draft, graph: Graph, document: Document, problems: Problems) -> None:
        self._draft = draft
        self._inputs = {definition.name for definition in draft.inputs}
        self._graph = graph
        self._document = document
        self._problems = problems

    def check(self, position: int, found: Found, reference: Reference) -> None:
        wrong = {"input": self._input, "run": self._run}.get(reference.root)
        problem = self._task(position, found, reference) if wrong is None else wrong(reference)
        if problem is not None:
            place = self._document.place_inside(found.node, reference.position)
            self._problems.error(place, found.path, *problem)

    def _input(self, reference: Reference) -> tuple[str, str] | None:
        if not reference.steps or reference.steps[0] in self._inputs:
            return None
        name = str(reference.steps[0])
        return (
            f"{reference} refers to an input that is not declared",
            self._problems.suggest(
                name, self._inputs, "Declare it below `inputs:` of the workflow."
            ),
        )

    def _run(self, reference: Reference) -> tuple[str, str] | None:
        if reference.steps == ("id",):
            return None
        return f"{reference} is not known", "Of a run, only run.id is."

    def _task(self, position: int, found: Found, reference: Reference) -> tuple[str, str] | None:
        if not reference.steps or not isinstance(reference.steps[0], str):
            return f"{reference} names no task", "Write tasks.ID.result or tasks['ID'].result."
        needed = self._graph.find(reference.steps[0])
        if needed is None:
            ids = list(self._graph.ids)
            otherwise = f"The tasks are {listed(ids, words_max=6)}."
            return (
                f"{reference} refers to a task that does not exist",
                self._problems.suggest(reference.steps[0], ids, otherwise),
            )
        wrong_field = self._field(reference)
        if wrong_field is not None:
            return wrong_field
        if self._graph.is_known_before(needed, position, after=found.after):
            return None
        return self._too_early(position, needed, found, reference)

    def _field(self, reference: Reference) -> tuple[str, str] | None:
        steps = reference.steps[1:]
        if not steps or steps[0] not in TASK_FIELDS:
            name = str(steps[0]) if steps else ""
            either = f"Ask for {' or '.join(f'.{field}' for field in TASK_FIELDS)}."
            return (
                f"{reference} does not say what of the task is meant"
                if not steps
                else f"{reference} asks for {quoted(name)}, which tasks do not have",
                self._problems.suggest(name, TASK_FIELDS, either) if steps else either,
            )
        if steps[0] == "status" and len(steps) > 1:
            return f"{reference} goes on behind the status, which is text", "End it with .status."
        return None

    def _too_early(
        self, position: int, needed: int, found: Found, reference: Reference
    ) -> tuple[str, str]:
        task, other = self._draft.tasks[position].id, str(reference.steps[0])
        if needed == position:
            return f"{reference} refers to the task itself", "Its outcome is not known yet."
        if self._graph.is_compensation(needed):
            return (
                f"{reference} refers to a compensation task, which does not run when all goes well",
                "Remove the reference.",
            )
        if self._graph.is_compensation(position):
            return (
                f"{reference} may not be known when the compensation {quoted(task)} runs",
                "Refer to the task that it makes up for, or to what always runs before that one.",
            )
        moment = "is undone" if found.after else "starts, which does not wait for it"
        return (
            f"{reference} may not be known when {quoted(task)} {moment}",
            f"Add {quoted(other)} to the dependencies (or needs) of {quoted(task)}.",
        )

"""What became of a workflow since a run of it was started. Pure."""

from __future__ import annotations

from aureus.errors import DefinitionChanged
from aureus.model.runs import Run
from aureus.model.workflows import Workflow

NAMES_SHOWN_MAX = 5
"""Tasks that a message names of each kind of change."""


def definition_changed(run: Run, stored: Workflow, given: Workflow) -> DefinitionChanged:
    """Return the error that says how a file differs from the definition that a run goes by, and what to do."""
    before = {task.id: task for task in stored.tasks}
    after = {task.id: task for task in given.tasks}
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    changed = [name for name, task in after.items() if name in before and before[name] != task]
    told = [
        f"{word}: {_listed(names)}"
        for word, names in (("added", added), ("removed", removed), ("changed", changed))
        if names
    ]
    what = "; ".join(told) or "not its tasks, but its inputs, safety policy or description"
    return DefinitionChanged(
        f"workflow {given.id!r} has changed since run {run.run_id} was started "
        f"({run.workflow_hash[:12]} then, {given.hash[:12]} now). {what}. Start a new run (--new), go on by the "
        "new definition (--accept-changed-definition), by the old one (`aureus runs resume "
        f"{run.run_id}`), or cancel the run.",
        run_id=run.run_id,
        workflow_id=given.id,
        stored_hash=run.workflow_hash,
        given_hash=given.hash,
        added=added,
        removed=removed,
        changed=changed,
    )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN_MAX])
    hidden = len(names) - NAMES_SHOWN_MAX
    return f"{shown} and {hidden} more" if hidden > 0 else shown

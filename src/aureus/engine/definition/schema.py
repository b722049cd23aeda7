"""The fields of a workflow file apart from its tasks: what each one takes, and its default.

Reads the whole file into a ``Draft``, with the edges and the safety policy as the author wrote them. What the parts
mean together (edges, cycles, references, safety) is checked by other modules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from aureus.engine.definition import safety
from aureus.engine.definition.fields import NAME_CHARACTERS_MAX, Fields, Text, as_name, shown
from aureus.engine.definition.grammar import OPEN
from aureus.engine.definition.inputs import InputType, check_type, type_of
from aureus.engine.definition.nodes import Document, ListNode, MapNode, Node, ScalarNode, plain
from aureus.engine.definition.problems import TOP, Path, Problems, listed, quoted
from aureus.engine.definition.tasks import TaskDraft, read_tasks
from aureus.model.workflows import (
    InputDefinition,
    RiskTier,
    RuleType,
    SafetyPolicy,
    SafetyRule,
    Severity,
)


@dataclass(slots=True)
class Draft:
    """A workflow as written."""

    id: str = "workflow"
    name: str = "Unnamed workflow"
    tasks: list[TaskDraft] = field(default_factory=list[TaskDraft])
    edges: list[tuple[Text, list[Text]]] = field(default_factory=list[tuple[Text, list[Text]]])
    inputs: tuple[InputDefinition, ...] = ()
    safety: SafetyPolicy | None = None
    followers: list[Text] = field(default_factory=list[Text])
    goal: str | None = None
    constraints: tuple[str, ...] = ()
    success_criteria: tuple[str, ...] = ()


def read_workflow(document: Document, problems: Problems) -> Draft:
    """Return the draft of a file; fields that cannot be read are reported and take their defaults."""
    draft = Draft()
    if not isinstance(document.root, MapNode):
        problems.error(
            document.root.place,
            TOP,
            f"a workflow file is a map, not {shown(document.root)}",
            "Begin with the fields of the workflow, such as `id:` and `tasks:`.",
        )
        return draft
    top = Fields(document.root, TOP, problems, "a workflow")
    draft.id = top.name("id") or draft.id
    draft.name = top.text("name", characters_max=500) or draft.name
    draft.goal = top.text("goal")
    draft.constraints = top.texts("constraints")
    draft.success_criteria = top.texts("successCriteria")
    draft.inputs = tuple(_inputs(top, problems))
    draft.tasks = read_tasks(top, document)
    draft.edges = list(_edges(top))
    _safety(top, draft, problems)
    top.close()
    return draft


def _edges(top: Fields) -> Iterator[tuple[Text, list[Text]]]:
    fields = top.fields("dependencies", "the dependencies")
    if fields is None:
        return
    for name, entry in fields.node.entries.items():
        yield Text(name, entry.key_place, fields.path.child(name)), fields.names(name)


def _inputs(top: Fields, problems: Problems) -> Iterator[InputDefinition]:
    fields = top.fields("inputs", "the inputs")
    if fields is None:
        return
    for name, entry in fields.node.entries.items():
        path = fields.path.child(name)
        key = ScalarNode(entry.key_place, name, '"', single_line=True)
        as_name(key, path, problems, characters_max=NAME_CHARACTERS_MAX)
        if isinstance(entry.value, MapNode):
            yield _declared_input(Fields(entry.value, path, problems, "an input"), name, problems)
        else:
            default = plain(entry.value, path, problems)
            yield InputDefinition(name, type=type_of(default), default=default)
        _refuse_expressions(entry.value, path, problems)


def _declared_input(fields: Fields, name: str, problems: Problems) -> InputDefinition:
    kind = fields.choice("type", InputType)
    required = fields.boolean("required") or False
    description = fields.text("description") or ""
    node = fields.value("default")
    default = None if node is None else plain(node, fields.path.child("default"), problems)
    fields.close()
    if node is not None and required:
        problems.error(
            node.place,
            fields.path.child("default"),
            "a required input has no use for a default",
            "Remove one of the two.",
        )
    reason = None if default is None or kind is None else check_type(default, kind.value)
    if node is not None and reason is not None:
        problems.error(
            node.place,
            fields.path.child("default"),
            f"the default {reason}",
            "Change the default or the type.",
        )
    return InputDefinition(name, kind.value if kind else None, required, default, description)


def _refuse_expressions(node: Node, path: Path, problems: Problems) -> None:
    if isinstance(node, MapNode):
        for key, entry in node.entries.items():
            _refuse_expressions(entry.value, path.child(key), problems)
    elif isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            _refuse_expressions(item, path.child(index), problems)
    elif OPEN in node.text:
        problems.error(
            node.place,
            path,
            "the inputs of a workflow cannot hold expressions",
            "Use expressions in the inputs of tasks; nothing is known yet when a run starts.",
        )


def _safety(top: Fields, draft: Draft, problems: Problems) -> None:
    node = top.value("safetyPolicy")
    if node is None:
        return
    if isinstance(node, ScalarNode):
        draft.safety = safety.PRESETS.get(node.text)
        if draft.safety is None:
            problems.error(
                node.place,
                TOP.child("safetyPolicy"),
                f"there is no safety policy {quoted(node.text)}",
                problems.suggest(node.text, safety.PRESETS, f"Known are {listed(safety.PRESETS)}."),
            )
        return
    fields = top.fields("safetyPolicy", "a safety policy")
    if fields is None:
        return
    name = fields.name("name") or "custom"
    description = fields.text("description")
    fail_fast = fields.boolean("failFast")
    given = fields.value("rules")
    preset = safety.PRESETS.get(name) if given is None else None
    rules = list(_rules(fields, draft, problems))
    fields.close()
    if preset is not None:
        rules = list(preset.rules)
        description = preset.description if description is None else description
    elif not isinstance(given, ListNode) or not given.items:
        problems.warning(
            node.place,
            fields.path,
            f"the safety policy {quoted(name)} has no rules, so nothing is checked",
            f"Add rules, or name one of {listed(safety.PRESETS)}.",
        )
    draft.safety = SafetyPolicy(name, description or "", fail_fast or False, tuple(rules))


def _rules(policy: Fields, draft: Draft, problems: Problems) -> Iterator[SafetyRule]:
    for node, path in policy.items("rules", "Write one rule per item: `- type: …`."):
        if not isinstance(node, MapNode):
            problems.error(
                node.place, path, f"a rule is a map, not {shown(node)}", "Write `- type: …`."
            )
            continue
        fields = Fields(node, path, problems, "a rule")
        fields.require("type", "Say which rule it is: `type: no_cycles`.")
        kind = fields.choice("type", RuleType)
        enabled = fields.boolean("enabled") is not False
        severity = fields.choice("severity", Severity) or Severity.ERROR
        message = fields.text("message")
        tier = fields.choice("minimumRiskTier", RiskTier) or RiskTier.HIGH
        followers = fields.names("approvedFollowers")
        fields.text("description")  # the generator of that system writes one; it means nothing
        fields.close()
        draft.followers += followers
        if kind is RuleType.CUSTOM and enabled:
            problems.warning(
                fields.place("type"),
                path,
                "a custom rule cannot be evaluated from a file: nothing is checked for it",
                "Check it before the run, or write enabled: false.",
            )
        if kind is not None:
            yield SafetyRule(
                kind, enabled, severity, message, tuple(text.value for text in followers), tier
            )

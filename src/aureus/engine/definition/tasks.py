"""The tasks of a workflow file: their fields, defaults and limits.

Every task is read on its own into a ``TaskDraft``, which also remembers where its edges and expressions stand. Whether
they fit together is for the graph and the references to say.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aureus.engine.definition.expressions import condition, split
from aureus.engine.definition.fields import Fields, Text, shown
from aureus.engine.definition.grammar import OPEN
from aureus.engine.definition.nodes import Document, ListNode, MapNode, Node, ScalarNode, plain
from aureus.engine.definition.problems import TOP, Path, Place, Problems, quoted
from aureus.engine.definition.terms import Expression
from aureus.errors import Invalid
from aureus.model.workflows import (
    Compensation,
    CompensationAction,
    DataZone,
    Intent,
    Permission,
    RetryPolicy,
    RiskTier,
    TaskDefinition,
    TaskType,
)

TASKS_MAX = 10_000
"""Tasks of one workflow."""

ATTEMPTS_MAX = 1_000
"""Attempts of one task."""

BACKOFF_MS_MAX = 86_400_000
"""Milliseconds before a second attempt: one day."""

MULTIPLIER_MAX = 1_000.0
"""Factor between two waits."""

TIMEOUT_MS_MAX = 30 * 86_400_000
"""Milliseconds that one attempt may take: 30 days."""

KEY_CHARACTERS_MAX = 255
"""Characters of an idempotency key."""

_MILLISECONDS = "Write milliseconds as a whole number without a unit: 5000 is five seconds."


class SandboxType(StrEnum):
    """The kinds of sandbox that a file may ask for; Aureus has none of them."""

    MOCK = "mock"
    SIMULATION = "simulation"
    CONTAINER = "container"
    VM = "vm"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Found:
    """An expression of a task, where it stands, and whether it is read only after the task has finished."""

    expression: Expression
    node: ScalarNode
    path: Path
    after: bool


@dataclass(slots=True)
class TaskDraft:
    """A task as written. ``definition.needs`` is filled in later; ``dependencies`` are the edges with places."""

    definition: TaskDefinition
    fields: Fields
    dependencies: list[Text] = field(default_factory=list[Text])
    targets: list[Text] = field(default_factory=list[Text])
    expressions: list[Found] = field(default_factory=list[Found])

    @property
    def id(self) -> str:
        """Return the id of the task."""
        return self.definition.id

    @property
    def id_place(self) -> Place:
        """Return where the id stands."""
        return self.fields.place("id")


def read_tasks(top: Fields, document: Document) -> list[TaskDraft]:
    """Return the tasks of a workflow in the order of the file; what is wrong is added to the problems."""
    return list(_Tasks(document, top.problems).read(top))


class _Tasks:
    """Reads the tasks of one file."""

    def __init__(self, document: Document, problems: Problems) -> None:
        self._document = document
        self._problems = problems

    def read(self, top: Fields) -> Iterator[TaskDraft]:
        top.require("tasks", 'List the tasks below `tasks:`, each with "- id: …".')
        items = top.items("tasks", 'Write one task per item: lines that start with "- id: …".')
        if len(items) > TASKS_MAX:
            self._problems.error(
                items[TASKS_MAX][0].place,
                TOP.child("tasks"),
                f"the workflow has {len(items):,} tasks; the limit is {TASKS_MAX:,}",
                "Split it, or let one task work through a list.",
            )
            return
        if isinstance(top.value("tasks"), ListNode) and not items:
            self._problems.error(
                top.place("tasks"), TOP.child("tasks"), "there are no tasks", "Add at least one."
            )
        for node, path in items:
            if isinstance(node, MapNode):
                yield self._task(Fields(node, path, self._problems, "a task"))
            else:
                self._problems.error(
                    node.place, path, f"a task is a map, not {shown(node)}", "Write `- id: …`."
                )

    def _task(self, fields: Fields) -> TaskDraft:
        fields.require("id", "Name the task: `id: fetch-page`.")
        task_id = fields.name("id") or ""
        timeout = fields.integer("timeoutMs", 1, TIMEOUT_MS_MAX, hint=_MILLISECONDS)
        compensation, targets = _compensation(fields)
        found: list[Found] = []
        definition = TaskDefinition(
            id=task_id,
            name=fields.text("name", characters_max=500) or task_id,
            type=fields.choice("type", TaskType) or TaskType.ACTION,
            tool=fields.name("toolName"),
            inputs=fields.json_map("inputs") or {},
            when=self._when(fields, found),
            retry=_retry(fields),
            timeout_ms=timeout,
            idempotency_key=self._literal_name(fields, "idempotencyKey"),
            risk_tier=fields.choice("riskTier", RiskTier),
            compensation=compensation,
            compensation_action=self._compensation_action(fields, found),
            allowed_tools=tuple(tool.value for tool in fields.names("allowedTools")),
            required_permissions=tuple(_permissions(fields)),
            intent=fields.choice("intent", Intent),
            data_zone=fields.choice("dataZone", DataZone),
            sandbox=self._sandbox(fields),
        )
        self._expressions(fields.value("inputs"), fields.path.child("inputs"), found)
        draft = TaskDraft(definition, fields, fields.names("needs"), targets, found)
        fields.close()
        return draft

    def _when(self, fields: Fields, found: list[Found]) -> Any:
        node = fields.value("when")
        if node is None:
            return None
        path = fields.path.child("when")
        if isinstance(node, ScalarNode):
            value = plain(node, path, self._problems)
            if isinstance(value, bool):
                return value
            pieces = self._split(node, path) if OPEN in node.text else ()
            if pieces is None:
                return None
            expressions = [piece for piece in pieces if isinstance(piece, Expression)]
            others = "".join(piece for piece in pieces if isinstance(piece, str))
            if len(expressions) == 1 and not others.strip():
                when = node.text.strip()
                found.append(Found(expressions[0], node, path, after=False))
                self._check_constant(found[-1], when)
                return when
        self._problems.error(
            node.place,
            path,
            f'"when" must be true, false or one expression, not {shown(node)}',
            "Write when: ${{ input.count > 0 }}, for example.",
        )
        return None

    def _check_constant(self, when: Found, value: str) -> None:
        """Refuse a condition that needs no scope and still fails."""
        if when.expression.references():
            return
        try:
            condition(value, {})
        except Invalid as error:
            self._problems.error(when.node.place, when.path, error.reason, error.remedy)

    def _literal_name(self, fields: Fields, name: str) -> str | None:
        text = fields.name(name, characters_max=KEY_CHARACTERS_MAX)
        if text is not None and OPEN in text:
            self._problems.error(
                fields.place(name),
                fields.path.child(name),
                f"{quoted(name)} cannot hold an expression",
                "Leave it out: the key is then derived from the task and its inputs.",
            )
        return text

    def _compensation_action(self, fields: Fields, found: list[Found]) -> CompensationAction | None:
        action = fields.fields("compensationAction", "a compensation action")
        if action is None:
            return None
        action.require("tool", "Name the tool that undoes the task.")
        tool = action.name("tool")
        args = action.json_map("args") or {}
        self._expressions(action.value("args"), action.path.child("args"), found, after=True)
        action.close()
        return None if tool is None else CompensationAction(tool, args)

    def _sandbox(self, fields: Fields) -> dict[str, Any] | None:
        sandbox = fields.fields("sandboxConfig", "a sandbox")
        if sandbox is None:
            return None
        enabled = sandbox.boolean("enabled")
        sandbox.choice("type", SandboxType)
        sandbox.boolean("simulationMode")
        sandbox.json_map("permissions")
        sandbox.close()
        if enabled is not False:
            self._problems.warning(
                sandbox.node.place,
                sandbox.path,
                "Aureus does not sandbox tasks: this is kept and has no effect",
                "Isolate the tool itself, for example in a container, or write enabled: false.",
            )
        return fields.json_map("sandboxConfig")

    def _expressions(
        self, node: Node | None, path: Path, found: list[Found], *, after: bool = False
    ) -> None:
        """Parse the expressions in a nested value and remember them; report those that do not parse."""
        if isinstance(node, MapNode):
            for key, entry in node.entries.items():
                self._refuse_in_key(key, entry.key_place, path)
                self._expressions(entry.value, path.child(key), found, after=after)
        elif isinstance(node, ListNode):
            for index, item in enumerate(node.items):
                self._expressions(item, path.child(index), found, after=after)
        elif isinstance(node, ScalarNode) and OPEN in node.text:
            found += [
                Found(piece, node, path, after)
                for piece in self._split(node, path) or ()
                if isinstance(piece, Expression)
            ]

    def _split(self, node: ScalarNode, path: Path) -> tuple[str | Expression, ...] | None:
        try:
            return split(node.text)
        except Invalid as error:
            place = self._document.place_inside(node, error.position)
            self._problems.error(place, path, f"in ${{{{ }}}}: {error.reason}", error.remedy)
            return None

    def _refuse_in_key(self, key: str, place: Place, path: Path) -> None:
        if OPEN in key:
            self._problems.error(
                place,
                path,
                f"the name {quoted(key)} cannot hold an expression",
                "Use expressions in values only.",
            )


def _retry(task: Fields) -> RetryPolicy:
    fields = task.fields("retry", "a retry")
    if fields is None:
        return RetryPolicy()
    default = RetryPolicy()
    attempts = fields.integer("maxAttempts", 1, ATTEMPTS_MAX, hint="Write 3, for example.")
    backoff = fields.integer("backoffMs", 1, BACKOFF_MS_MAX, hint=_MILLISECONDS)
    multiplier = fields.number("backoffMultiplier", 0, MULTIPLIER_MAX)
    jitter = fields.boolean("jitter")
    fields.close()
    return RetryPolicy(
        attempts_max=default.attempts_max if attempts is None else attempts,
        backoff_ms=default.backoff_ms if backoff is None else backoff,
        multiplier=default.multiplier if multiplier is None else multiplier,
        jitter=default.jitter if jitter is None else jitter,
    )


def _compensation(task: Fields) -> tuple[Compensation, list[Text]]:
    fields = task.fields("compensation", "a compensation")
    if fields is None:
        return Compensation(), []
    on_failure, on_timeout = fields.name("onFailure"), fields.name("onTimeout")
    fields.close()
    targets = [
        Text(target, fields.place(name), fields.path.child(name))
        for name, target in (("onFailure", on_failure), ("onTimeout", on_timeout))
        if target is not None
    ]
    return Compensation(on_failure, on_timeout), targets


def _permissions(task: Fields) -> Iterator[Permission]:
    for node, path in task.items("requiredPermissions", "Write one permission per item."):
        if not isinstance(node, MapNode):
            task.problems.error(
                node.place,
                path,
                f"a permission is a map, not {shown(node)}",
                "Write {action: read, resource: account}.",
            )
            continue
        fields = Fields(node, path, task.problems, "a permission")
        fields.require("action", "Say what is done: `action: write`.")
        fields.require("resource", "Say to what: `resource: account`.")
        action, resource = fields.name("action"), fields.name("resource")
        intent, zone = fields.choice("intent", Intent), fields.choice("dataZone", DataZone)
        fields.close()
        if action is not None and resource is not None:
            yield Permission(action, resource, intent, zone)

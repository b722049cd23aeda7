"""The reference is complete and says nothing that is not there: the code is asked for every name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import pytest

from aureus.agents import Agent, AgentOperations
from aureus.cli import output
from aureus.cli.main import COMMANDS, aureus
from aureus.client import AsyncAureus, AsyncOpenTransaction, Aureus, OpenTransaction, Stores
from aureus.config.table import SETTINGS
from aureus.engine import facts
from aureus.engine.definition import PRESETS, load_text
from aureus.engine.definition.fields import Fields
from aureus.engine.definition.grammar import FUNCTIONS, ROOTS
from aureus.engine.definition.inputs import InputType
from aureus.erasing import ErasureOperations
from aureus.errors import AureusError, every_error
from aureus.model import (
    audit,
    erasures,
    sessions,
    signed_heads,
    snapshots,
    subscriptions,
    world_state,
)
from aureus.model.events import EventType
from aureus.model.workflows import DataZone, Intent, RiskTier, RuleType, Severity, TaskType
from aureus.snapshots import SnapshotOperations
from aureus.stores import hypotheses, profiles
from aureus.stores.anchors import AnchorOperations
from aureus.stores.approvals import ApprovalOperations
from aureus.stores.audit import AuditOperations
from aureus.stores.events import EventOperations
from aureus.stores.hypotheses import stating as hypotheses_stating
from aureus.stores.ledger import LedgerOperations
from aureus.stores.memories import MemoryOperations
from aureus.stores.memories import facts as memory_facts
from aureus.stores.runs import RunOperations
from aureus.stores.sessions import SessionOperations
from aureus.stores.subscriptions import SubscriptionOperations
from aureus.stores.tasks import TaskOperations
from aureus.stores.workflows import WorkflowOperations
from aureus.stores.world_state import WorldStateOperations
from aureus.telemetry import METRICS
from aureus.tools import Tools
from tests.docs.pages import REFERENCE, ROOT, Page, Section
from tests.docs.schema_rules import ENGINES, migrations, tables

CLI = Page(REFERENCE / "cli.md")
ERRORS = Page(REFERENCE / "errors.md")
EVENTS = Page(REFERENCE / "events.md")
FILE = Page(REFERENCE / "workflow-file.md")
PYTHON = Page(REFERENCE / "python.md")
SCHEMA = Page(REFERENCE / "schema.md")

SHARED_OPTIONS = ("Database options", "Run log options", "Who acts", "JSON")

FIELDS = {
    "a workflow": "The file",
    "an input": "inputs",
    "a task": "Tasks",
    "a retry": "retry",
    "a compensation": "compensation",
    "a compensation action": "compensationAction",
    "a permission": "requiredPermissions",
    "a sandbox": "sandboxConfig",
    "a safety policy": "safetyPolicy",
    "a rule": "Rules",
}
"""What the reader of files calls a map, and the section of the page that lists its fields."""

STORES = {
    "workflows": WorkflowOperations,
    "runs": RunOperations,
    "tasks": TaskOperations,
    "approvals": ApprovalOperations,
    "events": EventOperations,
    "audit": AuditOperations,
    "memories": MemoryOperations,
    "profiles": profiles.ProfileOperations,
    "hypotheses": hypotheses.HypothesisOperations,
    "sessions": SessionOperations,
    "world_state": WorldStateOperations,
    "subscriptions": SubscriptionOperations,
    "ledger": LedgerOperations,
    "anchors": AnchorOperations,
    "erasure": ErasureOperations,
    "snapshots": SnapshotOperations,
}

TELLING = (
    memory_facts,
    profiles,
    hypotheses_stating,
    sessions,
    world_state,
    erasures,
    signed_heads,
    subscriptions,
    snapshots,
    audit,
)
"""The modules of stores that word facts: which events are audit entries, and as what."""


def _commands(command: click.Command, path: str = "aureus") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, f"{path} {name}")
    else:
        yield path, command


_COMMANDS = dict(_commands(aureus))


@pytest.mark.parametrize("path", _COMMANDS)
def test_every_option_of_a_command_is_documented_and_no_other(path: str) -> None:
    section = CLI.section(path)
    shared = [CLI.section(title) for title in SHARED_OPTIONS if _anchor(title) in section.text]
    documented = [word for part in (section, *shared) for word in _options(part)]
    options = [param for param in _COMMANDS[path].params if isinstance(param, click.Option)]
    there_are = [name for option in options for name in (*option.opts, *option.secondary_opts)]
    assert sorted(documented) == sorted(there_are)


@pytest.mark.parametrize("path", _COMMANDS)
def test_the_usage_of_a_command_names_its_arguments(path: str) -> None:
    command = _COMMANDS[path]
    context = click.Context(command)
    names = [
        param.make_metavar(context) for param in command.params if isinstance(param, click.Argument)
    ]
    usage = CLI.section(path).text.strip().splitlines()[0].strip("`")
    assert usage.startswith(path)
    assert usage.split()[len(path.split()) :] == names


def test_every_command_is_documented_and_no_other() -> None:
    documented = {title for title in CLI.titles() if title.startswith("aureus ")}
    assert documented == _COMMANDS.keys()
    assert {path.split()[1] for path in _COMMANDS} == COMMANDS.keys()


def test_every_exit_code_is_documented() -> None:
    codes = {value for name, value in vars(output).items() if name.startswith("EXIT_")}
    assert [int(code) for code in CLI.section("Exit codes").first_words()] == sorted(codes)


def test_every_setting_is_documented() -> None:
    titles = Page(REFERENCE / "settings.md").titles()
    assert [setting.key for setting in SETTINGS if setting.key not in titles] == []


def test_every_tool_is_documented() -> None:
    titles = Page(REFERENCE / "tools.md").titles()
    assert [name for name in Tools().names if name not in titles] == []


def test_every_error_is_documented_as_it_is() -> None:
    rows = ERRORS.section("Codes").rows()
    assert [[cell.replace("`", "") for cell in row[:4]] for row in rows] == [
        [
            error.code,
            error.__name__,
            "yes" if error.retryable else "no",
            str(output.exit_code_of(error("…"))),
        ]
        for error in _in_order_of_the_tree(AureusError)
    ]
    assert len(rows) == len(every_error())


def test_every_code_of_a_failed_run_or_task_is_documented() -> None:
    engine = ROOT / "src" / "aureus" / "engine"
    used = {code for path in engine.glob("*.py") for code in _failure_codes(path)}
    known = {error.code for error in every_error()}
    assert {"approval_expired", "run_timed_out"} <= used
    assert set(ERRORS.section("Codes of runs and tasks").first_words()) == used - known


def test_every_event_type_is_documented_with_its_action() -> None:
    rows = EVENTS.section("What is written").rows()
    documented = {row[0].strip("`"): row[1].strip("`") for row in rows}
    actions = dict(facts._ACTIONS)
    for telling in TELLING:
        actions |= telling.ACTIONS
    written = {kind.value: action for kind, action in actions.items()}
    written[EventType.AUDIT_ENTRY.value] = "as given"
    assert documented == written
    later = EVENTS.section("Names that nothing writes yet").code()
    assert later >= {kind.value for kind in EventType} - written.keys()
    assert not later & written.keys()


def test_the_page_of_events_says_what_is_a_decision() -> None:
    rows = EVENTS.section("What is written").rows()
    documented = {row[0].strip("`") for row in rows if row[2] == "always"}
    decisions = facts._ALWAYS_DECISIONS.union(*(telling.DECISIONS for telling in TELLING))
    assert documented == {kind.value for kind in decisions}


def test_every_field_of_a_workflow_file_is_documented_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, set[str]] = {}
    close = Fields.close

    def note(fields: Fields) -> None:
        asked.setdefault(fields._what, set()).update(fields._known)
        close(fields)

    monkeypatch.setattr(Fields, "close", note)
    load_text(_EVERYTHING, source="everything")
    assert asked.keys() == FIELDS.keys()
    for what, title in FIELDS.items():
        documented = [row[0].strip("`") for row in FILE.section(title).rows()]
        assert [name for name in documented if name in _own(title, documented)] == documented
        assert set(documented) == asked[what], title


def test_every_word_that_a_field_takes_is_documented() -> None:
    code = {word for title in FILE.titles() for word in FILE.section(title).code()}
    words = (TaskType, RiskTier, Intent, DataZone, Severity, RuleType, InputType)
    wanted = {member.value for kind in words for member in kind} | PRESETS.keys()
    assert wanted - code == set()


def test_roots_and_functions_of_expressions_are_documented() -> None:
    rows = [row[0] for row in FILE.section("Expressions").rows()]
    named = " ".join(rows)
    assert [root for root in ROOTS if f"`{root}." not in named] == []
    assert [name for name in FUNCTIONS if f"`{name}(" not in named] == []


@pytest.mark.parametrize("name", STORES)
def test_every_operation_of_a_store_is_documented_and_no_other(name: str) -> None:
    section = PYTHON.section(name)
    documented = [code.partition("(")[0] for row in section.rows() for code in _codes(row[0])]
    with Aureus("sqlite://") as client:
        view = type(getattr(client, name))
    assert sorted(documented) == sorted({*_public(STORES[name]), *_public(view)})


def test_every_operation_of_an_agent_is_documented_and_no_other() -> None:
    rows = PYTHON.section("Agents").rows()
    documented = [code.partition("(")[0] for row in rows for code in _codes(row[0])]
    assert sorted(documented) == sorted({*_public(Agent), *_public(AgentOperations)} - {"scope"})


def test_everything_that_is_measured_is_documented() -> None:
    rows = [[cell.strip("`") for cell in row] for row in PYTHON.section("Telemetry").rows()]
    assert rows == [list(metric) for metric in METRICS]


def test_the_stores_of_a_client_are_documented() -> None:
    properties = [name for name, of in vars(Stores).items() if isinstance(of, cached_property)]
    with Aureus("sqlite://") as client:
        names = {*properties, *(name for name in vars(client) if not name.startswith("_"))}
    assert names == {*STORES, "settings"}
    assert PYTHON.section("Clients").code() >= names


@pytest.mark.parametrize(
    ("title", "owner", "without"),
    [
        ("Clients", Aureus, Stores),
        ("Clients", AsyncAureus, object),
        ("Transactions", OpenTransaction, Stores),
        ("Transactions", AsyncOpenTransaction, object),
    ],
)
def test_every_method_of_a_client_is_documented(title: str, owner: type, without: type) -> None:
    documented = {code.partition("(")[0] for code in PYTHON.section(title).code()}
    assert {*_public(owner)} - {*_public(without)} - documented == set()


@pytest.mark.parametrize("engine", ENGINES)
def test_every_table_and_column_is_documented_and_no_other(engine: str) -> None:
    found = tables(migrations(engine))
    assert {"runs", "tasks", "events"} <= found.keys()
    documented = {
        title: sorted(["tenant_id", *SCHEMA.section(title).first_words()])
        for title in SCHEMA.section("Tables of every tenant").code() & {*SCHEMA.titles()}
    }
    of_tenants = {
        name: sorted(columns) for name, columns in found.items() if "tenant_id" in columns
    }
    only_postgres = {"ledger_pending"} if engine == "sqlite" else set()
    assert {name: documented[name] for name in documented.keys() - only_postgres} == of_tenants
    elsewhere = set(SCHEMA.section("Other tables").first_words())
    assert found.keys() - of_tenants.keys() <= elsewhere


def test_a_glossary_term_is_one_line() -> None:
    rows = Page(ROOT / "docs" / "glossary.md").section("Glossary").rows()
    terms = [row[0].strip("*") for row in rows]
    assert terms == sorted(set(terms), key=str.lower)


def _anchor(title: str) -> str:
    return f"(#{title.lower().replace(' ', '-')})"


def _options(section: Section) -> list[str]:
    return [word.split()[0] for word in section.first_words() if word.startswith("-")]


def _codes(cell: str) -> list[str]:
    return cell.split("`")[1::2]


def _public(owner: type) -> list[str]:
    return [name for name, _ in inspect.getmembers_static(owner) if not name.startswith("_")]


def _own(title: str, documented: list[str]) -> set[str]:
    """Return the fields that a section lists once."""
    assert len(documented) == len(set(documented)), title
    return set(documented)


def _in_order_of_the_tree(error: type[AureusError]) -> Iterator[type[AureusError]]:
    yield error
    for below in error.__subclasses__():
        if below in every_error() and below.__module__ == AureusError.__module__:
            yield from _in_order_of_the_tree(below)


def _failure_codes(path: Path) -> Iterator[str]:
    """Yield the codes that a module of the engine gives failures in so many words."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        first: Any = node.args[0]
        if ast.unparse(node.func) in {"Failure", "Failure.worded"} and isinstance(
            first, ast.Constant
        ):
            yield str(first.value)


_EVERYTHING = """
id: everything
safetyPolicy:
  rules:
    - type: no_cycles
inputs:
  x:
    type: string
tasks:
  - id: a
    requiredPermissions:
      - action: read
        resource: y
    compensation:
      onFailure: b
    retry:
      maxAttempts: 2
    sandboxConfig:
      enabled: false
  - id: b
    compensationAction:
      tool: sleep
"""

"""``docs/reference/tools.md`` says what the tools do."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from aureus.tools import Tools
from aureus.tools.environment import TASK_VARIABLES, WITHHELD_PREFIXES

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "tools.md"
TEXT = PAGE.read_text(encoding="utf-8")
TOOLS = Tools()


def examples() -> list[dict[str, Any]]:
    """Return every task that the page shows."""
    reader: Any = YAML(typ="safe")
    tasks: list[dict[str, Any]] = []
    for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL):
        tasks.extend(reader.load(block))
    return tasks


def documented_inputs(tool: str) -> list[str]:
    """Return the first column of the table of a tool's inputs."""
    section = TEXT.split(f"\n## {tool}\n")[1].split("\n## ")[0]
    table = section.split("| Input |")[1]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


@pytest.mark.parametrize("task", examples(), ids=lambda task: str(task["id"]))
def test_every_example_is_accepted(task: dict[str, Any]) -> None:
    assert TOOLS.find(task["toolName"]).check_definition(task["inputs"]) == []


def test_every_tool_has_an_example() -> None:
    assert {task["toolName"] for task in examples()} == set(TOOLS.names)


@pytest.mark.parametrize("tool", TOOLS.names)
def test_every_input_is_documented(tool: str) -> None:
    unknown = TOOLS.find(tool).check_definition({"no such input at all": 1})
    [known] = [found.message for found in unknown if "it knows" in found.message]
    assert known.partition("it knows ")[2].split(", ") == documented_inputs(tool)


def test_every_variable_is_documented() -> None:
    assert re.findall(r"^\| `(AUREUS_\w+)` \|", TEXT, re.MULTILINE) == list(TASK_VARIABLES)
    assert all(f"`{prefix}`" in TEXT for prefix in WITHHELD_PREFIXES)


def test_every_reason_of_a_failure_is_documented() -> None:
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (Path(__file__).parents[3] / "src" / "aureus" / "tools").glob("*.py")
    )
    given = set(re.findall(r'reason="(\w+)"', source))
    given |= set(re.findall(r'return "(\w+)", ', source)) | set(
        re.findall(r'_Refused\(\s*"(\w+)"', source)
    )
    table = TEXT.split("| `reason` |")[1]
    documented = re.findall(
        r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE))
    )
    assert given <= set(documented)
    assert len(given) >= 9

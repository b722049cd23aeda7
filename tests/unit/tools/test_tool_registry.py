"""Which tools there are, and how they are found."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import aureus.tools
from aureus.codec import Json
from aureus.errors import AlreadyExists, NotFound
from aureus.tools import Problem, Tool, ToolCall, Tools, WaitForApproval


class Greeting:
    """A tool as a plug-in would bring it: nothing but the shape."""

    def __init__(self, name: str) -> None:
        self.name = name

    def check_definition(self, inputs: Mapping[str, Any]) -> Sequence[Problem]:
        return []

    def check(self, inputs: Mapping[str, Any]) -> None:
        assert inputs is not None

    async def run(self, call: ToolCall) -> Json:
        return f"hello {call.inputs['name']}"


def test_the_built_in_tools_are_there(tools: Tools) -> None:
    assert tools.names == (
        "command",
        "python",
        "recall",
        "remember",
        "sleep",
        "snapshot",
        "wait-for-approval",
    )
    assert [tools.find(name).name for name in tools.names] == list(tools.names)


def test_only_the_approval_is_left_to_the_engine(tools: Tools) -> None:
    waiting = [name for name in tools.names if isinstance(tools.find(name), WaitForApproval)]
    assert waiting == ["wait-for-approval"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("comand", "did you mean 'command'"),
        ("Python", "did you mean 'python'"),
        ("wait_for_approval", "did you mean 'wait-for-approval'"),
        (
            "xyz",
            "the tools are command, python, recall, remember, sleep, snapshot, wait-for-approval",
        ),
        ("", "the tools are"),
    ],
)
def test_an_unknown_tool_is_named_with_the_nearest_one(tools: Tools, name: str, said: str) -> None:
    with pytest.raises(NotFound, match=said) as caught:
        tools.find(name)
    assert caught.value.tool == name


def test_further_tools_are_found_by_their_name() -> None:
    greeting: Tool = Greeting("greet")
    tools = Tools([greeting])
    assert tools.find("greet") is greeting
    assert "greet" in tools.names


@pytest.mark.parametrize("names", [["command"], ["greet", "greet"]], ids=["built-in", "own"])
def test_a_name_belongs_to_one_tool(names: list[str]) -> None:
    with pytest.raises(AlreadyExists, match=f"named '{names[0]}'"):
        Tools(map(Greeting, names))


def test_nothing_is_started_before_a_tool_needs_it(tools: Tools) -> None:
    assert tools._launcher._process is None
    tools.close()


def test_the_programs_of_the_children_import_nothing_of_aureus(tmp_path: Path) -> None:
    """Every call of a function pays for what its interpreter imports."""
    folder = Path(aureus.tools.__file__).parent
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules)\n"
        "import _python_host\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))"
    )
    printed = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, str(folder)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    imported = set(eval(printed.stdout))  # noqa: S307 - a list of names that we printed
    assert not imported & {"aureus", "asyncio", "typing", "dataclasses", "inspect", "traceback"}

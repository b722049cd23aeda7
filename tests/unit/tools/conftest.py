"""Tools of one test, and a wire to watch their processes by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aureus.tools import Tools
from tests.unit.tools.calling import RunTool, Wire, find_tool, make_call
from tests.unit.tools.shapes import RUNNER


@pytest.fixture
def tools() -> Iterator[Tools]:
    """Give tools whose launcher ends with the test."""
    given = Tools()
    yield given
    given.close()


@pytest.fixture
def run(tools: Tools, tmp_path: Path) -> RunTool:
    """Give a function that runs a tool in the folder of the test."""

    def run_tool(name: str, /, **inputs: Any) -> Any:
        return asyncio.run(_result(tools, name, tmp_path, inputs))

    return run_tool


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """Give a wire that is closed after the test."""
    given = Wire(tmp_path / "wire")
    yield given
    given.close()


@pytest.fixture
def runner(tmp_path: Path) -> None:
    """Put the program beside the workflow file that no list of processes catches."""
    (tmp_path / "runner.py").write_text(RUNNER, encoding="utf-8")


async def _result(tools: Tools, name: str, folder: Path, inputs: dict[str, Any]) -> Any:
    return await find_tool(tools, name).run(make_call(folder, inputs))

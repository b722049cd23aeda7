"""``snapshot`` checks its inputs and hands them on, under an id that is the task's own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aureus.codec import Json
from aureus.errors import Invalid, ToolFailed
from aureus.tools import ToolCall, Tools
from aureus.tools.memories import memory_id_of
from tests.unit.tools.calling import find_tool, make_call


class Album:
    """Takes note of what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def take(self, call: ToolCall, snapshot_id: str) -> Json:
        """Note a snapshot."""
        self.asked.append((snapshot_id, dict(call.inputs)))
        return {"snapshotId": snapshot_id}


def test_what_a_task_asks_for_is_taken_under_its_own_id(tmp_path: Path) -> None:
    album = Album()
    tool = find_tool(Tools(snapshots=album), "snapshot")
    inputs = {"agent": "a", "scope": "w", "sessions": ["s"], "riskTier": "HIGH", "metadata": {}}
    call = make_call(tmp_path, inputs)
    assert asyncio.run(tool.run(call)) == {"snapshotId": memory_id_of(call)}
    assert album.asked == [(memory_id_of(call), inputs)]
    assert tool.check_definition({"agent": "${{ inputs.who }}"}) == []


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"agent": 7}, "'agent' must be text"),
        ({"agents": "a"}, "did you mean 'agent'"),
        ({"sessions": "one"}, "'sessions' must be a list"),
        ({"riskTier": "huge"}, "riskTier"),
        ({"metadata": [1]}, "'metadata' must be a map"),
    ],
)
def test_inputs_that_cannot_be_used_are_refused(inputs: dict[str, Any], said: str) -> None:
    tool = find_tool(Tools(), "snapshot")
    assert said in str(tool.check_definition(inputs))
    with pytest.raises(Invalid, match=said):
        tool.check(inputs)


def test_without_a_database_it_cannot_run(tmp_path: Path) -> None:
    tool = find_tool(Tools(), "snapshot")
    with pytest.raises(ToolFailed, match="has no database here"):
        asyncio.run(tool.run(make_call(tmp_path, {})))

"""How ``sleep`` counts and stops."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aureus.errors import Invalid
from aureus.tools import Tools, sleep_ms
from tests.unit.tools.calling import RunTool, find_tool, make_call


def test_the_result_says_how_long(run: RunTool) -> None:
    assert run("sleep", ms=1) == {"sleptMs": 1}
    assert run("sleep", seconds=0.0026) == {"sleptMs": 3}
    assert run("sleep", seconds=0) == {"sleptMs": 0}


def test_the_length_can_be_read_without_sleeping() -> None:
    assert sleep_ms({"seconds": 90}) == 90_000
    assert sleep_ms({"ms": 5}) == 5


def test_a_sleep_can_be_cancelled(tools: Tools, tmp_path: Path) -> None:
    async def scenario() -> None:
        call = make_call(tmp_path, {"seconds": 1000})
        task = asyncio.ensure_future(find_tool(tools, "sleep").run(call))
        await asyncio.wait([task], timeout=0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_unusable_inputs_are_refused(run: RunTool) -> None:
    with pytest.raises(Invalid, match="exactly one"):
        run("sleep")

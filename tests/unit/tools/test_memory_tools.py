"""``remember`` and ``recall`` check their inputs and hand them on, under an id that is the task's own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aureus.codec import Json
from aureus.errors import Invalid, ToolFailed
from aureus.tools import ToolCall, Tools
from aureus.tools.memories import memory_id_of
from tests.unit.tools.calling import RunTool, find_tool, make_call


class Notebook:
    """Memories that note what they were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def remember(self, call: ToolCall, memory_id: str) -> Json:
        """Note it."""
        self.asked.append((memory_id, dict(call.inputs)))
        return {"memoryId": memory_id, "version": 1}

    async def recall(self, call: ToolCall) -> Json:
        """Note it."""
        self.asked.append(("", dict(call.inputs)))
        return {"memories": [], "isExact": True}


def test_what_a_task_remembers_has_the_same_id_in_every_attempt_and_in_no_other_task(
    tmp_path: Path,
) -> None:
    ids = {memory_id_of(make_call(tmp_path, {}, attempt=attempt)) for attempt in (1, 2, 3)}
    assert len(ids) == 1
    for changed in ("tenant_id", "run_id", "task_id", "idempotency_key"):
        ids.add(memory_id_of(make_call(tmp_path, {}, **{changed: "other"})))
    ids.add(memory_id_of(make_call(tmp_path, {}, run_id="r_1f", task_id="etch")))
    assert len(ids) == 6
    assert all(len(memory_id) == 32 for memory_id in ids)


def test_inputs_reach_the_memories(tmp_path: Path) -> None:
    notebook = Notebook()
    tools = Tools(memories=notebook)
    remembered = {"text": "likes tea", "tags": ["taste"], "confidence": 0.9, "content": None}
    asked = {"query": "what to drink?", "limit": 3}
    call = make_call(tmp_path, remembered)
    assert asyncio.run(_run(tools, "remember", call)) == {
        "memoryId": memory_id_of(call),
        "version": 1,
    }
    assert asyncio.run(_run(tools, "recall", make_call(tmp_path, asked))) == {
        "memories": [],
        "isExact": True,
    }
    assert notebook.asked == [(memory_id_of(call), remembered), ("", asked)]
    tools.close()


async def _run(tools: Tools, name: str, call: ToolCall) -> Json:
    return await find_tool(tools, name).run(call)


@pytest.mark.parametrize(
    ("tool", "inputs", "message"),
    [
        ("remember", {}, "needs the input 'text'"),
        ("remember", {"text": 7}, "'text' must be text"),
        ("remember", {"text": "a\x00b"}, "NUL"),
        ("remember", {"text": "x", "confidence": 1.5}, "between 0 and 1"),
        ("remember", {"text": "x", "tags": "one"}, "'tags' must be a list"),
        ("remember", {"text": "x", "tag": ["one"]}, "did you mean 'tags'"),
        ("remember", {"text": "x", "metadata": [1]}, "'metadata' must be a map"),
        ("remember", {"text": "x", "expiresInSeconds": 0}, "between"),
        ("recall", {}, "needs the input 'query'"),
        ("recall", {"query": "x", "limit": 0}, "between 1 and"),
        ("recall", {"query": "x", "minConfidence": "high"}, "must be a number"),
    ],
)
def test_unusable_inputs_are_refused_before_anything_is_kept(
    run: RunTool, tool: str, inputs: dict[str, Any], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        run(tool, **inputs)


def test_without_a_database_the_tools_say_so(run: RunTool) -> None:
    with pytest.raises(ToolFailed, match="no database here"):
        run("recall", query="x")

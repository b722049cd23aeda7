"""Tasks remember and recall, on the command line and from Python; a repeated attempt remembers nothing twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aureus._database.drive import Call
from aureus.client import AsyncAureus
from aureus.clock import SystemClock
from aureus.stores.memories import MemoryOperations
from aureus.task_memories import TaskMemories
from aureus.tools.memories import memory_id_of
from tests.acceptance.project import Project
from tests.support.backends import settings_for
from tests.unit.tools.calling import make_call

NOTES = """\
id: notes
inputs:
  liking: { type: string, required: true }
tasks:
  - id: keep
    toolName: remember
    inputs:
      text: "The reader likes ${{ input.liking }}"
      content: { liking: "${{ input.liking }}" }
      user: ada
      tags: [preference]
      confidence: 0.8
  - id: find
    needs: [keep]
    toolName: recall
    inputs: { query: "what does the reader like?", user: ada, limit: 3 }
"""


def test_what_a_task_keeps_a_later_task_and_a_later_run_find(project: Project) -> None:
    project.write("notes.yaml", NOTES)
    done = project.run("run", "notes.yaml", "-i", "liking=tea", "--json")
    assert done.returncode == 0, done.stderr
    again = project.run("run", "notes.yaml", "-i", "liking=short answers")
    assert again.returncode == 0, again.stderr
    with project.open() as db:
        second, first = db.runs.list()
        memories = db.memories.query(agent_id="notes", user_id="ada", newest_first=False)
        assert [memory.content for memory in memories] == [
            {"liking": "tea"},
            {"liking": "short answers"},
        ]
        for run, memory in zip((first, second), memories, strict=True):
            came_from = memory.provenance
            assert came_from is not None
            assert (came_from.run_id, came_from.task_id) == (run.run_id, "keep")
            assert (memory.tags, memory.confidence) == (("preference",), 0.8)
        results = {task.name: task.result for task in db.tasks.list(second.run_id)}
    assert results["keep"] == {"memoryId": memories[1].memory_id, "version": 1}
    assert {hit["memoryId"] for hit in results["find"]["memories"]} == {
        memory.memory_id for memory in memories
    }
    assert results["find"]["isExact"] is True


def test_an_attempt_that_is_repeated_finds_what_it_had_kept(tmp_path: Path) -> None:
    async def main() -> None:
        settings = settings_for("sqlite://", tmp_path)
        async with AsyncAureus(settings=settings, clock=SystemClock()) as db:
            runner = db._database
            tasks = TaskMemories(runner, Call("default"), SystemClock(), MemoryOperations)
            inputs = {"text": "keep this", "expiresInSeconds": 3600, "key": "note", "shared": True}
            told = []
            for attempt in (
                1,
                2,
            ):  # the second expires a little later, and still is the same memory
                call = make_call(tmp_path, inputs, attempt=attempt)
                told.append(await tasks.remember(call, memory_id_of(call)))
            assert told[0] == told[1]
            (memory,) = await db.memories.query(agent_id="digest")
            assert (memory.key, memory.is_shared) == ("note", True)
            assert memory.expires_at is not None

    asyncio.run(main())

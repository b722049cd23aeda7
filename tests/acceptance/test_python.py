"""Running workflow files from Python, for threads and for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from aureus import AsyncAureus, Aureus
from aureus.config import Settings, load
from aureus.errors import DefinitionInvalid, Invalid
from aureus.model.events import Event
from aureus.model.runs import Run
from tests.support.postgres import PostgresDatabase

WORKFLOW = """\
id: sum
name: Sum
inputs: {n: {type: integer, required: true}}
tasks:
  - {id: a, inputs: {n: "${{ input.n }}"}}
  - {id: b, needs: [a], toolName: shout, inputs: {n: "${{ tasks.a.result.n }}"}}
"""


class Shout:
    """A tool of the caller's own."""

    name = "shout"

    def check_definition(self, inputs: Any) -> Sequence[Any]:
        """Find nothing wrong."""
        assert inputs is not None
        return ()

    def check(self, inputs: Any) -> None:
        """Take everything."""

    async def run(self, call: Any) -> Any:
        """Return the number with emphasis."""
        return f"{call.inputs['n']}!"


class Watcher:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def on_events(self, run: Run, events: Sequence[Event]) -> None:
        """Keep the types."""
        assert run.run_id
        self.seen += [event.type for event in events]

    async def on_resume(self, *told: Any, **named: Any) -> None:
        """Do nothing."""

    async def on_waiting(self, *told: Any, **named: Any) -> None:
        """Do nothing."""


@pytest.fixture(params=["sqlite://", "sqlite:///x.db", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Give settings for each engine."""
    url: str = request.param
    if url == "postgres":
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = database.url()
    return load(arguments={"database.url": url}, environ={}, directory=tmp_path)


def test_a_file_is_run_by_one_call(settings: Settings, tmp_path: Path) -> None:
    plain = WORKFLOW.replace("toolName: shout, ", "")
    (tmp_path / "sum.yaml").write_text(plain)
    with Aureus(settings=settings) as db:
        outcome = db.run(tmp_path / "sum.yaml", {"n": 0}, run_id="sum-1")
        assert (outcome.run.run_id, str(outcome.run.status)) == ("sum-1", "completed")
        assert [task.result for task in outcome.tasks] == [{"n": 0}, {"n": 0}]
        assert db.runs.get("sum-1") == outcome.run
        again = db.run(tmp_path / "sum.yaml", {"n": 0}, run_id="sum-1")
        assert again.run == outcome.run
        with pytest.raises(Invalid, match="n"):
            db.run(tmp_path / "sum.yaml", {})
        (tmp_path / "sum.yaml").write_text(plain.replace("needs", "neds"))
        with pytest.raises(DefinitionInvalid):
            db.run(tmp_path / "sum.yaml", {"n": 1})


def test_an_engine_takes_tools_and_observers_of_the_callers_own(
    settings: Settings, tmp_path: Path
) -> None:
    from aureus.engine.definition import load_text

    watcher = Watcher()

    async def main() -> Any:
        loaded = load_text(WORKFLOW, source="sum")
        async with (
            AsyncAureus(settings=settings) as db,
            db.engine(observer=watcher, tools=[Shout()]) as engine,
        ):
            runs = [engine.run(loaded, {"n": n}, directory=tmp_path) for n in range(5)]
            return await asyncio.gather(*runs)

    outcomes = asyncio.run(main())
    assert [outcome.tasks[-1].result for outcome in outcomes] == [f"{n}!" for n in range(5)]
    assert watcher.seen.count("WORKFLOW_COMPLETED") == 5

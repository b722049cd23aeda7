"""How many whole workflows does one process finish per second? With a run log and without."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from aureus.client import AsyncAureus
from aureus.config import Settings
from aureus.engine.definition import hash_of
from aureus.engine.parts import RunOutcome
from aureus.engine.service import Engine as WorkflowEngine
from aureus.model.states import RunStatus
from aureus.model.workflows import TaskDefinition, Workflow
from benchmarks.measuring import Effort, Sample, in_tasks, middle, ratio, take_turns
from benchmarks.place import ENGINES, Engine, Place
from benchmarks.tables import Table, count, fine, times

TASKS = (1, 3, 10)

_COLUMNS = (
    *("runs at once", "tasks", "with log /s", "p50 ms", "p99 ms", "client µs"),
    *("without /s", "p50 ms", "p99 ms", "client µs", "log costs"),
)
_NOTE = (
    "Tasks form a chain and call no tool. The log is fsynced before a run goes on, the default. "
    "Log costs: how many times more runs there are without one."
)


class Works:
    """An engine in an event loop that stands still between two measurements."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._open = AsyncExitStack()
        self._loop = asyncio.Runner()
        self._engine = self._loop.run(self._start())

    def measure(self, workflow: Workflow, concurrent: int, seconds: float) -> Sample:
        """Run a workflow again and again for some time, several at once."""
        return self._loop.run(
            in_tasks([partial(self._run, workflow) for _ in range(concurrent)], seconds)
        )

    def close(self) -> None:
        """Close the engine, its database and the loop."""
        self._loop.run(self._open.aclose())
        self._loop.close()

    async def _start(self) -> WorkflowEngine:
        client = await self._open.enter_async_context(AsyncAureus(settings=self._settings))
        return await self._open.enter_async_context(client.engine())

    def _run(self, workflow: Workflow) -> Awaitable[RunOutcome]:
        return self._completed(workflow)

    async def _completed(self, workflow: Workflow) -> RunOutcome:
        outcome = await self._engine.run(workflow, {}, directory=self._folder, new=True)
        if outcome.run.status is not RunStatus.COMPLETED:
            raise RuntimeError(f"run {outcome.run.run_id} is {outcome.run.status}")
        return outcome


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Compare runs with and without a log, of several sizes, one and many at once."""
    workflows = {size: chain(size) for size in TASKS}
    for engine in ENGINES:
        with ExitStack() as stack:
            works = {
                log: stack.enter_context(
                    closing(
                        Works(
                            place.new_settings(engine, **{"run_log.type": log}), place.new_folder()
                        )
                    )
                )
                for log in ("filesystem", "none")
            }
            cells = {
                (concurrent, size, log): partial(
                    work.measure, workflows[size], concurrent, effort.seconds
                )
                for concurrent in _at_once(effort)
                for size in TASKS
                for log, work in works.items()
            }
            yield _table(engine, effort, take_turns(cells, effort.rounds))


def chain(size: int) -> Workflow:
    """Return a workflow whose tasks follow one another and call no tool."""
    tasks = tuple(
        TaskDefinition(
            id=f"t{number}", name=f"t{number}", needs=(f"t{number - 1}",) if number else ()
        )
        for number in range(size)
    )
    made = Workflow(id=f"chain-{size}", name=f"Chain of {size}", tasks=tasks, hash="")
    return replace(made, hash=hash_of(made))


def _at_once(effort: Effort) -> tuple[int, ...]:
    """Return how many runs go at once: one, and as many as keep the processor busy anyway."""
    return effort.callers[:2]


def _table(
    engine: Engine, effort: Effort, samples: dict[tuple[int, int, str], list[Sample]]
) -> Table:
    rows: list[Sequence[str]] = []
    for concurrent in _at_once(effort):
        for size in TASKS:
            logged = samples[concurrent, size, "filesystem"]
            bare = samples[concurrent, size, "none"]
            costs = times(ratio(bare, logged))
            rows.append([str(concurrent), str(size), *_figures(logged), *_figures(bare), costs])
    return Table(f"Whole runs on {engine}", _COLUMNS, rows, _NOTE)


def _figures(samples: Sequence[Sample]) -> Iterator[str]:
    yield count(middle(samples, lambda sample: sample.per_second))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.5)))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.99)))
    yield count(middle(samples, lambda sample: sample.cpu_us))

"""How soon does a run go on after kill -9? The promise: within a second, on the same host.

A program in the middle of a task is killed and the same command is given again at once. What counts is the moment
that the successor puts into its WORKFLOW_RESUMED event, so the start of Python is in it and the commit is not.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from aureus.client import Aureus
from aureus.model.events import Event, EventType
from aureus.model.runs import stream_of
from benchmarks.measuring import Effort, take_turns
from benchmarks.place import ENGINES, Engine, Place, start_program
from benchmarks.tables import Table, count
from tests.support.waiting import eventually

_WORKFLOW = """\
id: killed
name: Killed
inputs:
  number: {type: number}
tasks:
  - {id: first, toolName: sleep, inputs: {ms: 1}}
  - {id: second, needs: [first], toolName: sleep, inputs: {seconds: 600}}
"""


class Project:
    """A folder with a workflow that somebody runs and somebody kills."""

    def __init__(self, place: Place, engine: Engine) -> None:
        self._folder: Path = place.new_folder()
        self._url = place.new_url(engine)
        self._client = Aureus(settings=place.settings(self._url))
        self._count = 0
        (self._folder / "killed.yaml").write_text(_WORKFLOW, encoding="utf-8")

    def take_over(self) -> float:
        """Kill a program in its second task; return the milliseconds until the next one has taken its run over."""
        self._count += 1
        with self._started():
            self._await(EventType.TASK_STARTED, "second")
        killed_at = datetime.now(UTC)
        with self._started():
            resumed = self._await(EventType.WORKFLOW_RESUMED)
        return (resumed.occurred_at - killed_at).total_seconds() * 1000

    def close(self) -> None:
        """Close the client that looks at events."""
        self._client.close()

    @contextmanager
    def _started(self) -> Generator[None]:
        """Run the workflow inside the block, and kill it at its end."""
        program = start_program(
            *("-m", "aureus", "run", "killed.yaml", "-i", f"number={self._count}"),
            folder=self._folder,
            url=self._url,
        )
        try:
            yield
        finally:
            program.kill()
            program.communicate()

    def _await(self, kind: EventType, task_id: str | None = None) -> Event:
        return eventually(lambda: self._find(kind, task_id), kind)[0]

    def _find(self, kind: EventType, task_id: str | None) -> Sequence[Event]:
        """Return the newest run's events of a kind, once there are as many runs as were started."""
        newest = self._client.runs.list(limit=self._count)
        if len(newest) < self._count:
            return []
        return [
            event
            for event in self._client.events.read_stream(stream_of(newest[0].run_id))
            if event.type == kind and task_id in (None, event.payload.get("taskId"))
        ]


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Kill and go on again and again, on each engine in turn."""
    with ExitStack() as stack:
        projects = {
            engine: stack.enter_context(closing(Project(place, engine))) for engine in ENGINES
        }
        taken = take_turns(
            {engine: project.take_over for engine, project in projects.items()}, effort.repeats
        )
    rows = [[engine, *_figures(milliseconds)] for engine, milliseconds in taken.items()]
    yield Table(
        "From kill -9 to WORKFLOW_RESUMED",
        ("engine", "times", "fastest ms", "median ms", "slowest ms"),
        rows,
        "Expected: under 1,000 ms each time. Interpreter, imports and opening the database are in it.",
    )


def _figures(milliseconds: Sequence[float]) -> Iterator[str]:
    yield count(len(milliseconds))
    for figure in (min(milliseconds), median(milliseconds), max(milliseconds)):
        yield count(figure)

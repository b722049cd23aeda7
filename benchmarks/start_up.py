"""How long does a command take that does nothing? The promise: `aureus --help` within 150 ms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks.measuring import Effort, take_turns
from benchmarks.place import Place, finish, start_program
from benchmarks.tables import Table, count

_TASKLESS = """\
id: three
name: Three
tasks:
  - {id: a}
  - {id: b, needs: [a]}
  - {id: c, needs: [b]}
"""

_COMMANDS = """\
id: three-commands
name: Three commands
tasks:
  - {id: a, toolName: command, inputs: {command: ["true"]}}
  - {id: b, needs: [a], toolName: command, inputs: {command: ["true"]}}
  - {id: c, needs: [b], toolName: command, inputs: {command: ["true"]}}
"""

_EXPECTED_HELP_MS = "150"


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Start each program again and again, in turns."""
    folder = _project(place)
    run = ("-m", "aureus", "run", "three.yaml")
    cells: dict[str, Callable[[], float]] = {
        "an empty Python program": partial(_milliseconds, folder, "-c", "pass"),
        "import aureus": partial(_milliseconds, folder, "-c", "import aureus"),
        "aureus --help": partial(_milliseconds, folder, "-m", "aureus", "--help"),
        "aureus run, new database": lambda: _milliseconds(_project(place), *run),
        "aureus run, three tasks without a tool": partial(_milliseconds, folder, *run),
        "aureus run, three commands": partial(
            _milliseconds, folder, "-m", "aureus", "run", "commands.yaml"
        ),
    }
    taken = take_turns(cells, effort.repeats)
    rows = [
        [
            name,
            *(count(figure(taken[name])) for figure in (min, median, max)),
            _EXPECTED_HELP_MS if name == "aureus --help" else "",
        ]
        for name in cells
    ]
    yield Table(
        "Whole programs, SQLite",
        ("program", "fastest ms", "median ms", "slowest ms", "expected ms"),
        rows,
        f"{effort.repeats} starts of each in turns, the first one cold. Runs share a database unless it says new.",
    )


def _project(place: Place) -> Path:
    folder = place.new_folder()
    (folder / "three.yaml").write_text(_TASKLESS, encoding="utf-8")
    (folder / "commands.yaml").write_text(_COMMANDS, encoding="utf-8")
    return folder


def _milliseconds(folder: Path, *arguments: str) -> float:
    started = perf_counter()
    finish(start_program(*arguments, folder=folder))
    return (perf_counter() - started) * 1000

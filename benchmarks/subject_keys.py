"""Counts what encryption costs an append that concerns somebody, and a reader: with and without keys, in turns."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from aureus.client import Aureus
from aureus.config import Settings
from aureus.config.settings import SubjectKeySettings
from aureus.model.events import NewEvent
from aureus.subject_keys.master import MasterFile
from benchmarks.measuring import Effort, Sample, in_threads, middle, take_turns
from benchmarks.place import ENGINES, Engine, Place
from benchmarks.tables import Table, count, fine

WAYS: Final = ("in the clear", "encrypted")

PEOPLE: Final = 100
"""People whom the entries concern, one after the other; their keys are there before anything is measured."""

READ: Final = 100
"""Events of one page that is read."""

_PAYLOAD: Final = {"taskId": "read", "data": {"text": "x" * 200}}

_numbers = itertools.count(1)

Call = Callable[[], object]


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Measure both engines, from threads."""
    for engine in ENGINES:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            clients = {
                way: stack.enter_context(closing(_open(place.new_settings(engine), way, folder)))
                for way in WAYS
            }
            for client in clients.values():
                for number in range(PEOPLE):
                    _append(client, 1)(number)()
                client.events.append_all("pages", [_event(1, number) for number in range(READ)])
            cells = {
                (name, way, callers): partial(
                    _sample, place, calls(clients[way]), callers, effort.seconds
                )
                for name, calls in CALLS.items()
                for callers in effort.callers
                for way in WAYS
            }
            yield _table(engine, effort, take_turns(cells, effort.rounds))


def _open(settings: Settings, way: str, folder: Path) -> Aureus:
    if way == "in the clear":
        return Aureus(settings=settings)
    master = folder / "master.key"
    MasterFile(master).create()
    keys = SubjectKeySettings(str(folder / "keys"), str(master))
    return Aureus(settings=replace(settings, subject_keys=keys))


def _event(people: int, number: int) -> NewEvent:
    subjects = [f"u-{(number + at) % PEOPLE}" for at in range(people)]
    return NewEvent("TASK_COMPLETED", _PAYLOAD, subjects=subjects)


def _append(client: Aureus, people: int, events: int = 1) -> Callable[[int], Call]:
    def calling(_: int) -> Call:
        stream = f"runs/{next(_numbers)}"
        return lambda: client.events.append_all(
            stream, [_event(people, next(_numbers)) for _ in range(events)]
        )

    return calling


def _read(client: Aureus) -> Callable[[int], Call]:
    def calling(_: int) -> Call:
        return lambda: client.events.read_stream("pages", limit=READ)

    return calling


CALLS: Final[dict[str, Callable[[Aureus], Callable[[int], Call]]]] = {
    "append 1, about nobody": lambda client: _append(client, 0),
    "append 1, about one": lambda client: _append(client, 1),
    "append 1, about two": lambda client: _append(client, 2),
    "append 10, about one each": lambda client: _append(client, 1, 10),
    "read 100, about one each": _read,
}


def _sample(place: Place, calls: Callable[[int], Call], callers: int, seconds: float) -> Sample:
    before = place.server_cpu_seconds()
    sample = in_threads([calls(caller) for caller in range(callers)], seconds)
    return replace(sample, server_cpu_seconds=place.server_cpu_seconds() - before)


def _table(
    engine: Engine, effort: Effort, samples: dict[tuple[str, str, int], list[Sample]]
) -> Table:
    rows: list[Sequence[str]] = []
    for name in CALLS:
        for callers in effort.callers:
            cells = [samples[name, way, callers] for way in WAYS]
            rates = [middle(cell, lambda sample: sample.per_second) for cell in cells]
            work = [
                middle(cell, lambda sample: sample.cpu_us + sample.server_cpu_us) for cell in cells
            ]
            rows.append(
                [name, str(callers), *map(count, rates), fine(rates[1] / rates[0]),
                 *map(count, work), fine(work[1] / work[0])]
            )  # fmt: skip
    columns = (
        "call", "threads", "clear /s", "encrypted /s", "encrypted ÷ clear", "clear µs", "encrypted µs",
        "encrypted ÷ clear",
    )  # fmt: skip
    note = (
        f"Events of 240 bytes about {PEOPLE} people in turn, whose keys are in memory. µs is the processor time of a "
        "call in the calling process and in PostgreSQL together."
    )
    return Table(f"Subject keys on {engine}", columns, rows, note)

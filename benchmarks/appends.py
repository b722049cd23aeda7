"""Counts how many events one process appends per second, one at a time and ten together."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from aureus._database.drive import Call
from aureus._database.opening import open_async_database, open_database
from aureus.client import make_sources
from aureus.config import Settings
from aureus.model.events import Event, NewEvent
from aureus.stores.events import AsyncEventStore, EventStore
from benchmarks.measuring import Effort, Sample, in_tasks, in_threads, middle, take_turns
from benchmarks.place import ENGINES, Engine, Place
from benchmarks.tables import Table, count, fine
from benchmarks.writers import STYLES, Style

EVENTS: Final = (1, 10)
"""Events of one append."""

_CALL: Final = Call("default", 60.0)
_PAYLOAD: Final = {"taskId": "read", "data": {"text": "x" * 200}}

_COLUMNS = (
    "callers",
    *("appends of 1 /s", "p50 ms", "p99 ms", "client µs", "server µs"),
    *("appends of 10 /s", "p50 ms", "p99 ms", "client µs", "server µs"),
)
_NOTE = (
    "One call is `events.append_all` of one or ten events with 240 bytes each, to a stream of the caller's own and "
    "without expectation; client and server µs are the processor time that a call costs in the calling process and in "
    "PostgreSQL."
)


class Appender(Protocol):
    """An open database to which callers of one style append."""

    def measure(self, callers: int, events: int, seconds: float) -> Sample:
        """Append again and again for some time, each caller to a stream of its own."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...


class ThreadAppender:
    """Callers are threads."""

    def __init__(self, settings: Settings) -> None:
        self._database = open_database(settings.database, make_sources(settings, None, None))
        self._store = EventStore(self._database, _CALL)

    def measure(self, callers: int, events: int, seconds: float) -> Sample:
        """Append again and again for some time, each caller to a stream of its own."""
        batch = [NewEvent("TASK_COMPLETED", _PAYLOAD)] * events

        def append(stream: str) -> list[Event]:
            return self._store.append_all(stream, batch)

        calls: list[Callable[[], object]] = [partial(append, name) for name in _streams(callers)]
        return in_threads(calls, seconds)

    def close(self) -> None:
        """Close the database."""
        self._database.close()


class TaskAppender:
    """Callers are tasks of one event loop; it stands still between two measurements."""

    def __init__(self, settings: Settings) -> None:
        sources = make_sources(settings, None, None)
        open_database(settings.database, sources).close()
        self._loop = asyncio.Runner()
        self._database = open_async_database(settings.database, sources)
        self._store = AsyncEventStore(self._database, _CALL)

    def measure(self, callers: int, events: int, seconds: float) -> Sample:
        """Append again and again for some time, each caller to a stream of its own."""
        batch = [NewEvent("TASK_COMPLETED", _PAYLOAD)] * events

        def append(stream: str) -> Awaitable[list[Event]]:
            return self._store.append_all(stream, batch)

        return self._loop.run(
            in_tasks([partial(append, name) for name in _streams(callers)], seconds)
        )

    def close(self) -> None:
        """Close the database and the loop."""
        self._loop.run(self._database.close())
        self._loop.close()


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Append on both engines, from threads and from tasks."""
    for engine in ENGINES:
        with ExitStack() as stack:
            appenders = {
                style: stack.enter_context(closing(_open(place.new_settings(engine), style)))
                for style in STYLES
            }
            cells = {
                (style, callers, events): partial(
                    _sample, place, appender, callers, events, effort.seconds
                )
                for style, appender in appenders.items()
                for callers in effort.callers
                for events in EVENTS
            }
            yield _table(engine, effort, take_turns(cells, effort.rounds))


def _open(settings: Settings, style: Style) -> Appender:
    return ThreadAppender(settings) if style == "threads" else TaskAppender(settings)


_numbers = itertools.count(1)


def _streams(callers: int) -> list[str]:
    return [f"runs/{next(_numbers)}" for _ in range(callers)]


def _sample(place: Place, appender: Appender, callers: int, events: int, seconds: float) -> Sample:
    before = place.server_cpu_seconds()
    sample = appender.measure(callers, events, seconds)
    return replace(sample, server_cpu_seconds=place.server_cpu_seconds() - before)


def _table(
    engine: Engine, effort: Effort, samples: dict[tuple[Style, int, int], list[Sample]]
) -> Table:
    rows: list[Sequence[str]] = []
    for style in STYLES:
        for callers in effort.callers:
            caller = f"{callers} {'task' if style == 'asyncio' else 'thread'}{'s' * (callers > 1)}"
            figures = [figure for n in EVENTS for figure in _figures(samples[style, callers, n])]
            rows.append([caller, *figures])
    return Table(f"Appends on {engine}", _COLUMNS, rows, _NOTE)


def _figures(samples: Sequence[Sample]) -> Iterator[str]:
    yield count(middle(samples, lambda sample: sample.per_second))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.5)))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.99)))
    yield count(middle(samples, lambda sample: sample.cpu_us))
    yield count(middle(samples, lambda sample: sample.server_cpu_us))

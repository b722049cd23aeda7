"""How quick are sessions: save, load, delete, list and append; and what events and an index add to a save."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import count as numbers
from typing import Any, Final

import psycopg

from aureus import Aureus
from aureus.stores.sessions import SessionStore
from benchmarks.measuring import Effort, Sample, in_threads, middle, ratio, take_turns
from benchmarks.place import ENGINES, Engine, Place, as_superuser
from benchmarks.tables import Table, count, fine, times

STATE: Final[dict[str, Any]] = {
    "step": 2,
    "topic": "tides",
    "notes": ["n" * 100] * 7,
    "flags": {"done": False, "tries": 3},
    "user": {"name": "Ada", "language": "en"},
}
"""About 1 KB, with a dozen values."""

LISTED = 100
"""Sessions of the agent whose sessions are listed."""

HISTORIES = (0, 100, 10_000)
"""Messages that are there before one is appended."""

_COLUMNS = ("callers", "operation", "/s", "p50 ms", "p99 ms", "client µs")
_NOTE = "A state has about 1 KB; a save is one of an existing session under `expected_version`. Threads."


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to set a save up."""

    name: str
    keeps_events: bool
    is_indexed: bool = False
    has_gin: bool = False


VARIANTS: Final = (
    Variant("plain", keeps_events=False),
    Variant("with an event, the default", keeps_events=True),
    Variant("with facets of its state", keeps_events=False, is_indexed=True),
    Variant("with a GIN index instead", keeps_events=False, has_gin=True),
)


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Measure the operations, appends to long histories, and what is added to a save."""
    for engine in ENGINES:
        yield _operations(place, effort, engine)
        yield _appends(place, effort, engine)
        yield _variants(place, effort, engine)


def _operations(place: Place, effort: Effort, engine: Engine) -> Table:
    rows: list[Sequence[str]] = []
    with Aureus(settings=place.new_settings(engine)) as client:
        sessions = client.sessions
        for number in range(LISTED):
            sessions.save("lister", f"s{number}", STATE)
        work: dict[str, Callable[[int, float], Sample]] = {
            "save": partial(_saves, sessions),
            "load": partial(_same, lambda: sessions.load("lister", "s7")),
            f"list {LISTED}": partial(_same, lambda: sessions.list("lister", limit=LISTED)),
            "append": partial(_appended, sessions, 0),
            "delete": partial(_deletes, sessions),
        }
        cells = {
            (callers, name): partial(measured, callers, effort.seconds)
            for callers in effort.callers
            for name, measured in work.items()
        }
        for (callers, name), samples in take_turns(cells, effort.rounds).items():
            rows.append([str(callers), name, *_figures(samples)])
    return Table(f"Sessions on {engine}", _COLUMNS, rows, _NOTE)


def _appends(place: Place, effort: Effort, engine: Engine) -> Table:
    rows: list[Sequence[str]] = []
    with Aureus(settings=place.new_settings(engine)) as client:
        cells = {
            (callers, size): partial(_appended, client.sessions, size, callers, effort.seconds)
            for callers in effort.callers[:2]
            for size in HISTORIES
        }
        samples = take_turns(cells, effort.rounds)
    for (callers, size), found in samples.items():
        shorter = samples[callers, HISTORIES[0]]
        rows.append([str(callers), count(size), *_figures(found), times(ratio(found, shorter))])
    columns = ("callers", "messages before", "/s", "p50 ms", "p99 ms", "client µs", "of the rate")
    note = "Each caller appends one message at a time to a session of its own. Of the rate: compared with none before."
    return Table(f"Appending to long histories on {engine}", columns, rows, note)


def _variants(place: Place, effort: Effort, engine: Engine) -> Table:
    variants = [one for one in VARIANTS if engine == "PostgreSQL" or not one.has_gin]
    rows: list[Sequence[str]] = []
    with ExitStack() as stack:
        clients = {one: stack.enter_context(_client(place, engine, one)) for one in variants}
        cells = {
            (callers, one): partial(_saves, client.sessions, callers, effort.seconds)
            for callers in effort.callers[:2]
            for one, client in clients.items()
        }
        samples = take_turns(cells, effort.rounds)
    for (callers, one), found in samples.items():
        plain = samples[callers, variants[0]]
        rows.append([str(callers), one.name, *_figures(found), times(ratio(found, plain))])
    columns = (*_COLUMNS[:1], "a save", *_COLUMNS[2:], "of the rate")
    note = "Plain: `events.routine` off, no index. Of the rate: compared with plain, in the same round."
    return Table(f"What is added to a save on {engine}", columns, rows, note)


def _client(place: Place, engine: Engine, variant: Variant) -> Aureus:
    routine = "on" if variant.keeps_events else "off"
    url = place.new_url(engine)
    client = Aureus(settings=place.settings(url, **{"events.routine": routine}))
    while variant.is_indexed and not client.sessions.index_states().is_ready:
        pass
    if variant.has_gin:
        with psycopg.connect(as_superuser(url), autocommit=True) as connection:
            connection.execute(
                "CREATE INDEX ON aureus.session_states USING gin (CAST(state AS jsonb) jsonb_path_ops)"
            )
    return client


_agents = numbers()


def _new_agents(callers: int) -> list[str]:
    return [f"agent{next(_agents)}" for _ in range(callers)]


def _saves(sessions: SessionStore, callers: int, seconds: float) -> Sample:
    def saver(agent: str) -> Callable[[], None]:
        version = sessions.save(agent, "s1", STATE).version

        def save() -> None:
            nonlocal version
            state = {**STATE, "step": version}
            version = sessions.save(agent, "s1", state, expected_version=version).version

        return save

    return in_threads([saver(agent) for agent in _new_agents(callers)], seconds)


def _same(call: Callable[[], object], callers: int, seconds: float) -> Sample:
    return in_threads([call] * callers, seconds)


def _appended(sessions: SessionStore, size: int, callers: int, seconds: float) -> Sample:
    def appender(agent: str) -> Callable[[], object]:
        drafts = [{"role": "user", "content": "m" * 200}] * min(size, 1000)
        for _ in range(size // max(1, len(drafts))):
            sessions.append_many(agent, "s1", drafts)
        return partial(sessions.append, agent, "s1", "user", "m" * 200)

    return in_threads([appender(agent) for agent in _new_agents(callers)], seconds)


def _deletes(sessions: SessionStore, callers: int, seconds: float) -> Sample:
    """Save and delete for some time; only the deletion is in the latencies, and in the rate."""

    def work(agent: str) -> list[float]:
        latencies: list[float] = []
        end = time.perf_counter() + seconds
        while not latencies or time.perf_counter() < end:
            sessions.save(agent, f"s{len(latencies)}", STATE)
            began = time.perf_counter()
            sessions.delete(agent, f"s{len(latencies)}")
            latencies.append(time.perf_counter() - began)
        return latencies

    cpu = time.process_time()
    with ThreadPoolExecutor(callers) as pool:
        by_caller = list(pool.map(work, _new_agents(callers)))
    spent = sum(map(sum, by_caller)) / callers
    return Sample(by_caller, spent, time.process_time() - cpu)


def _figures(samples: Sequence[Sample]) -> Iterator[str]:
    yield count(middle(samples, lambda sample: sample.per_second))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.5)))
    yield fine(middle(samples, lambda sample: sample.percentile_ms(0.99)))
    yield count(middle(samples, lambda sample: sample.cpu_us))

"""Measures memories: writes per second, and what an earlier system of ours asked for at 100,000 memories."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from aureus import AsyncAureus, Aureus
from aureus.config import Settings
from aureus.model.memories import MemoryFilter, NewMemory
from benchmarks.measuring import Effort, Sample, in_threads, middle, take_turns
from benchmarks.place import ENGINES, Engine, Place, as_superuser
from benchmarks.processor import Processor
from benchmarks.tables import Table, count, fine

SENTENCE: Final = (
    "the harbour opens at seven and closes when the last boat has left; she prefers tea to coffee, "
    "short answers to long ones, and trains to planes wherever both go"
)
"""What memories are made of: its words, about 150 characters each, no two alike."""

_WORDS: Final = SENTENCE.split()

_READS: Final = 1000
_WRITERS: Final = 100
_ROUNDS: Final = 5
_NOTE = (
    "Every memory has 150 characters of text, a tag and 80 bytes of content, is of one agent and one of 100 users, and "
    "is an event and a document of the text index in the same commit. Asked for: an insert under 50 ms, 100 writers at "
    "once all succeed, 1,000 reads under 200 ms in all, 50,000 memories loaded in under two minutes. cpu: processor "
    "time of client and server, which tells more where others want the same processors."
)


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Measure writes of one and of many callers, and then a database that is full."""
    yield _writes(place, effort)
    size = 100_000 if effort.seconds >= 1 else 20_000 if effort.seconds > 0 else 400
    rows = [_full(place, engine, size) for engine in ENGINES]
    yield Table(
        f"A tenant with {size:,} memories of one agent",
        (
            *(
                "engine",
                "50,000 loaded in s",
                "insert p50 ms",
                "p99 ms",
                "cpu ms",
                "100 writers ms",
            ),
            *("1,000 gets ms", "cpu ms", "awaited ms", "cpu ms"),
            *(
                "page of 100 ms",
                "by tag ms",
                "containing ms",
                "count ms",
            ),
        ),
        rows,
        _NOTE,
    )


def text_of(number: int) -> str:
    """Return a text that no other number has."""
    words = [_WORDS[(number * 7 + place * (number % 11 + 1)) % len(_WORDS)] for place in range(26)]
    return f"{' '.join(words)} {number}"


def a_memory(number: int) -> NewMemory:
    """Return one of many memories of one agent."""
    return NewMemory(
        text=text_of(number),
        agent_id="planner",
        user_id=f"user-{number % 100}",
        memory_id=f"memory-{number}",
        tags=[f"tag-{number % 1000}"],
        content={"number": number, "kind": "measured", "parts": [number % 7, number % 11]},
    )


def _writes(place: Place, effort: Effort) -> Table:
    rows: list[list[str]] = []
    for engine in ENGINES:
        with Aureus(settings=place.new_settings(engine)) as db:
            cells: dict[tuple[str, int], Callable[[], Sample]] = {
                (name, callers): partial(in_threads, [call] * callers, effort.seconds)
                for name, call in _calls(db).items()
                for callers in effort.callers
            }
            for (name, callers), samples in take_turns(cells, effort.rounds).items():
                figures = (
                    middle(samples, lambda one: one.per_second),
                    middle(samples, lambda one: one.percentile_ms(0.5)),
                    middle(samples, lambda one: one.percentile_ms(0.99)),
                )
                rows.append(
                    [engine, name, count(callers), count(figures[0]), *map(fine, figures[1:])]
                )
    return Table(
        "Memories written",
        ("engine", "call", "callers", "/s", "p50 ms", "p99 ms"),
        rows,
        "Callers are threads; every call is one commit with its event and its document of the text index.",
    )


def _calls(db: Aureus) -> dict[str, Callable[[], object]]:
    """Return the writes that are measured, by name."""
    store, numbers = db.memories, itertools.count()
    seed = store.add("to be changed", agent_id="seed")

    def add() -> object:
        return store.add(text_of(next(numbers)), agent_id="planner", user_id="ada", tags=["t"])

    def put() -> object:
        return store.put(f"key-{next(numbers) % 500}", "a value", agent_id="planner")

    def update() -> object:
        return store.update(seed.memory_id, text=text_of(next(numbers)))

    return {"add": add, "put": put, "update one": update}


def _full(place: Place, engine: Engine, size: int) -> list[str]:
    settings = place.new_settings(engine)
    with Aureus(settings=settings) as db:
        half = size // 2
        loaded = _seconds(lambda: db.memories.add_all(a_memory(n) for n in range(half)))
        db.memories.add_all(a_memory(n) for n in range(half, size))
        numbers = itertools.count(size)
        processor = Processor(
            as_superuser(str(settings.database.url)) if engine == "PostgreSQL" else None
        )
        began = processor.seconds()
        inserts = in_threads([lambda: db.memories.add_chunk([a_memory(next(numbers))])], 1.0)
        insert_cpu = (processor.seconds() - began) / inserts.count
        with ThreadPoolExecutor(_WRITERS) as pool:
            insert = partial(db.memories.add, agent_id="planner")
            texts = [text_of(next(numbers)) for _ in range(_WRITERS)]
            writers = _seconds(lambda: list(pool.map(insert, texts)))
            while db.memories.index():
                pass  # reads are measured by themselves, not beside what inserts have left to do
            ids = [f"memory-{n * size // _READS}" for n in range(_READS)]
            reads = [
                _both(processor, lambda: list(pool.map(db.memories.get, ids)))
                for _ in range(_ROUNDS)
            ]
        awaited = asyncio.run(_reads_awaited(settings, ids))
        own = MemoryFilter(agent_id="planner", user_id="user-7", containing={"parts": [3]})
        asked: list[Callable[[], object]] = [
            lambda: db.memories.query(agent_id="planner", limit=100),
            lambda: db.memories.query(agent_id="planner", tags=["tag-77"], limit=100),
            lambda: db.memories.query(own, limit=100),
            lambda: db.memories.count(agent_id="planner"),
        ]
        figures = [min(_seconds(one) for _ in range(5)) * 1000 for one in asked]
    return [
        engine,
        fine(loaded * 50_000 / half),
        fine(inserts.percentile_ms(0.5)),
        fine(inserts.percentile_ms(0.99)),
        fine(insert_cpu * 1000),
        count(writers * 1000),
        *(count(min(taken) * 1000) for taken in zip(*reads, strict=True)),
        *(count(min(taken) * 1000) for taken in zip(*awaited, strict=True)),
        *(fine(figure) for figure in figures),
    ]


async def _reads_awaited(settings: Settings, ids: list[str]) -> list[tuple[float, float]]:
    """Return the seconds of some rounds, and those of processors."""
    async with AsyncAureus(settings=settings) as db:
        await db.memories.get(ids[0])
        url = str(settings.database.url)
        processor = Processor(as_superuser(url) if url.startswith("postgres") else None)
        spent: list[tuple[float, float]] = []
        for _ in range(_ROUNDS):
            began, started = processor.seconds(), time.perf_counter()
            await asyncio.gather(*(db.memories.get(one) for one in ids))
            spent.append((time.perf_counter() - started, processor.seconds() - began))
        return spent


def _both(processor: Processor, work: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of work on the wall, and those of processors."""
    began = processor.seconds()
    seconds = _seconds(work)
    return seconds, processor.seconds() - began


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started

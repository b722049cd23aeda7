"""Samples of calls, and rounds in which everything that is compared takes turns.

A shared machine is quicker in one minute than in the next. So no two figures are compared that were not taken in the
same round, and what is reported is the median over rounds, of a ratio as of a rate.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure. More of everything is steadier and slower."""

    rounds: int
    seconds: float
    """Length of one measurement of a rate."""
    callers: tuple[int, ...]
    repeats: int
    """Starts of a program, where starts are what is measured."""
    lock_seconds: float
    """How long a row is kept locked."""


FULL = Effort(rounds=3, seconds=1.0, callers=(1, 32, 100), repeats=10, lock_seconds=2.0)
QUICK = Effort(rounds=3, seconds=0.3, callers=(1, 32), repeats=3, lock_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """The latencies of each caller, in seconds and in order, and what they took together."""

    by_caller: Sequence[Sequence[float]]
    seconds: float
    cpu_seconds: float
    """Processor time of this process, all threads; the server's is not in it."""
    server_cpu_seconds: float = 0.0
    """Processor time of the PostgreSQL server meanwhile."""

    @property
    def count(self) -> int:
        """Return how many calls were made."""
        return sum(map(len, self.by_caller))

    @property
    def per_second(self) -> float:
        """Return the rate of all callers together."""
        return self.count / self.seconds

    @property
    def cpu_us(self) -> float:
        """Return microseconds of processor time for each call, its caller's loop included."""
        return self.cpu_seconds / self.count * 1e6

    @property
    def server_cpu_us(self) -> float:
        """Return microseconds of the server's processor time for each call."""
        return self.server_cpu_seconds / self.count * 1e6

    def percentile_ms(self, share: float) -> float:
        """Return the latency that this share of the calls did not exceed, in milliseconds."""
        ordered = sorted(latency for caller in self.by_caller for latency in caller)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def in_threads(calls: Sequence[Callable[[], object]], seconds: float) -> Sample:
    """Let each caller repeat its call for some time in a thread of its own; an error of one is raised."""
    begin = threading.Barrier(len(calls) + 1)

    def repeat(call: Callable[[], object]) -> list[float]:
        latencies: list[float] = []
        begin.wait()
        now = time.perf_counter()
        end = now + seconds
        while now < end or not latencies:
            call()
            before, now = now, time.perf_counter()
            latencies.append(now - before)
        return latencies

    with ThreadPoolExecutor(len(calls)) as pool:
        futures = [pool.submit(repeat, call) for call in calls]
        begin.wait()
        started, cpu = time.perf_counter(), time.process_time()
        by_caller = [future.result() for future in futures]
        return Sample(by_caller, time.perf_counter() - started, time.process_time() - cpu)


async def in_tasks(calls: Sequence[Callable[[], Awaitable[object]]], seconds: float) -> Sample:
    """Let each caller repeat its call for some time in a task of its own; an error of one is raised."""
    started, cpu = time.perf_counter(), time.process_time()
    end = started + seconds

    async def repeat(call: Callable[[], Awaitable[object]]) -> list[float]:
        latencies: list[float] = []
        now = time.perf_counter()
        while now < end or not latencies:
            await call()
            before, now = now, time.perf_counter()
            latencies.append(now - before)
        return latencies

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(repeat(call)) for call in calls]
    by_caller = [task.result() for task in tasks]
    return Sample(by_caller, time.perf_counter() - started, time.process_time() - cpu)


def take_turns(cells: Mapping[K, Callable[[], V]], rounds: int) -> dict[K, list[V]]:
    """Measure every cell once in every round, and return each cell's results in the order of rounds."""
    results: dict[K, list[V]] = {key: [] for key in cells}
    for _ in range(rounds):
        for key, measure in cells.items():
            results[key].append(measure())
    return results


def middle(samples: Sequence[Sample], figure: Callable[[Sample], float]) -> float:
    """Return the median of a figure over rounds."""
    return median(map(figure, samples))


def ratio(ones: Sequence[Sample], others: Sequence[Sample]) -> float:
    """Return how many times the others' rate the ones reach: the median of what each round says."""
    return median(
        one.per_second / other.per_second for one, other in zip(ones, others, strict=True)
    )

"""Does one locked row hold up everybody else? The promise: nobody by more than 150 ms.

A foreign transaction keeps the row of one run, while its caller and 31 others advance runs of their own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import psycopg

from benchmarks.measuring import Effort, Sample, middle, take_turns
from benchmarks.place import Place, as_superuser
from benchmarks.tables import Table, count, fine
from benchmarks.writers import STYLES, Writer, open_writer

CALLERS = 32

_COLUMNS = (
    *(
        "callers",
        "with a locked row /s",
        "longest delay of the others, ms",
        "worst round",
        "p99 ms",
    ),
    *("without /s", "longest delay, ms", "p99 ms", "who wants the row, ms"),
)


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Compare the longest delay of those that do not want the row, with and without a lock on it."""
    rows: list[Sequence[str]] = []
    for style in STYLES:
        url = place.new_url("PostgreSQL")
        address = as_superuser(url)
        with closing(open_writer(place.settings(url), style)) as writer:
            cells = {
                True: partial(_locked, writer, address, effort.lock_seconds),
                False: partial(_free, writer, effort.lock_seconds),
            }
            samples = take_turns(cells, effort.rounds)
        rows.append([f"{CALLERS}, {style}", *_figures(samples[True], samples[False])])
    yield Table(
        f"One row locked for {effort.lock_seconds:g} s on PostgreSQL",
        _COLUMNS,
        rows,
        "Expected: others wait 150 ms at most. The same callers without a lock show what the machine adds.",
    )


def _free(writer: Writer, seconds: float) -> Sample:
    return writer.measure(writer.new_runs(CALLERS), seconds)


def _locked(writer: Writer, address: str, seconds: float) -> Sample:
    runs = writer.new_runs(CALLERS)
    is_locked = threading.Event()

    def hold() -> None:
        with psycopg.connect(address) as connection:
            connection.execute(
                "SELECT status FROM aureus.runs WHERE run_id = %s FOR UPDATE", [runs[0].run_id]
            )
            is_locked.set()
            threading.Event().wait(seconds)

    with ThreadPoolExecutor(1) as pool:
        holding = pool.submit(hold)
        is_locked.wait(timeout=30)
        sample = writer.measure(runs, seconds)
        holding.result()
    return sample


def _figures(locked: Sequence[Sample], free: Sequence[Sample]) -> Iterator[str]:
    others = [Sample(one.by_caller[1:], one.seconds, one.cpu_seconds) for one in locked]
    yield count(middle(others, lambda sample: sample.per_second))
    yield fine(middle(others, _longest_ms))
    yield fine(max(map(_longest_ms, others)))
    yield fine(middle(others, lambda sample: sample.percentile_ms(0.99)))
    yield count(middle(free, lambda sample: sample.per_second))
    yield fine(middle(free, _longest_ms))
    yield fine(middle(free, lambda sample: sample.percentile_ms(0.99)))
    yield count(middle(locked, lambda sample: max(sample.by_caller[0]) * 1000))


def _longest_ms(sample: Sample) -> float:
    return sample.percentile_ms(1.0)

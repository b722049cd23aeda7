"""Times how fast a consumer catches up, passes what it does not want, handles exactly once, and hears of an append."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import count as numbers
from statistics import median
from time import perf_counter, process_time
from typing import Any

from aureus import Aureus, NewEvent
from benchmarks.measuring import Effort, take_turns
from benchmarks.place import ENGINES, Place
from benchmarks.tables import Table, count, fine

BATCHES, BATCH = 100, 100
"""Events that are there: 10,000 of 200 bytes in 100 streams."""

HANDLED = 200
"""Events of one measurement of handling."""

APPENDS = 40
"""Appends of one measurement of how soon they are told."""

_PAYLOAD = {"text": "x" * 200}
_names = numbers()


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Follow the same events in each way, in turns."""
    with ExitStack() as stack:
        cells: dict[tuple[str, str], Callable[[], float]] = {}
        for engine in ENGINES:
            url = place.new_url(engine)
            reading, writing = (
                stack.enter_context(Aureus(settings=place.settings(url))) for _ in range(2)
            )
            for number in range(BATCHES):
                writing.events.append_all(f"s/{number}", [NewEvent("t", _PAYLOAD)] * BATCH)
            writing.events.append_all("few", [NewEvent("few", {})] * HANDLED)
            while not writing.ledger.seal().is_done:
                pass
            cells |= {
                (engine, "told"): partial(_follow, place, reading),
                (engine, "passed"): partial(_follow, place, reading, types=["none"]),
                (engine, "handled"): partial(_handle_all, place, reading),
                (engine, "ms"): partial(_hear, reading, writing),
            }
        taken = take_turns(cells, effort.rounds)
    middle = {cell: median(found) for cell, found in taken.items()}
    yield Table(
        "Subscriptions, one consumer",
        ("engine", "told /s", "passed /s", "handled /s", "heard ms"),
        [
            [
                engine,
                *(count(middle[engine, way]) for way in ("told", "passed", "handled")),
                fine(middle[engine, "ms"]),
            ]
            for engine in ENGINES
        ],
        f"{BATCHES * BATCH:,} events of 200 bytes; rates by the processor time of client and server. Told: iterating "
        "over all. Passed: a filter that lets none through. "
        "Handled: one transaction each, with one statement of the user's. Heard: from the call of an append in one "
        "client to the event in another one that waits, median; on PostgreSQL sealing gathers for 0.1 s.",
    )


def _follow(place: Place, client: Aureus, **filters: Any) -> float:
    begun = _spent(place)
    with client.subscription(f"n{next(_names)}", live=False, **filters) as events:
        for _ in events:
            pass
    return BATCHES * BATCH / (_spent(place) - begun)


def _handle_all(place: Place, client: Aureus) -> float:
    begun = _spent(place)
    with client.subscription(f"n{next(_names)}", types=["few"], live=False) as events:
        events.handle_each(lambda tx, _: tx.execute("SELECT 1"))
    return HANDLED / (_spent(place) - begun)


def _spent(place: Place) -> float:
    """Return the processor time of this process and the server, in seconds."""
    return process_time() + place.server_cpu_seconds()


def _hear(reading: Aureus, writing: Aureus) -> float:
    """Return the median milliseconds from an append to the event in another client."""
    came = threading.Semaphore(0)
    name = f"n{next(_names)}"
    reading.subscriptions.create(name, from_position="now")
    with reading.subscription(name) as events:

        def work() -> None:
            for _ in events:
                came.release()

        thread = threading.Thread(target=work)
        thread.start()
        writing.events.append("heard", "t", {})
        came.acquire()
        found: list[float] = []
        for _ in range(APPENDS):
            begun = perf_counter()
            writing.events.append("heard", "t", {})
            came.acquire()
            found.append((perf_counter() - begun) * 1000)
    thread.join()
    return median(found)

"""Measures what the ledger costs those who append, and how much one sealer seals in a steady state."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any, Final

import psycopg

from aureus.client import Aureus
from benchmarks.measuring import Effort, Sample, in_threads, middle, ratio, take_turns
from benchmarks.place import ENGINES, Engine, Place, as_superuser
from benchmarks.tables import Table, count, fine

CALLERS: Final = (1, 16)

FED_PER_SECOND: Final = 30_000
"""Entries a second that the steady state has to keep up with."""

_FEEDS_PER_SECOND: Final = 20
_PAYLOAD: Final = {"taskId": "read", "data": {"text": "x" * 200}}


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Append with the ledger off and on, on both engines; then feed one sealer."""
    yield Table(
        "Appends with the ledger off and on",
        ("engine", "callers", "off /s", "on /s", "on : off", "off p99 ms", "on p99 ms"),
        [row for engine in ENGINES for row in _appends(place, engine, effort)],
        "One call is `events.append` of 240 bytes to a stream of the caller's own, from threads, in one process that "
        "also seals; on PostgreSQL within about 0.1 s, on SQLite in the commit. Off is `ledger.sealing = off`.",
    )  # fmt: skip
    yield _steady(place, seconds=max(0.2, 60 * effort.seconds))


def _appends(place: Place, engine: Engine, effort: Effort) -> Iterator[Sequence[str]]:
    with ExitStack() as stack:
        clients = {
            sealing: stack.enter_context(
                Aureus(settings=place.new_settings(engine, **{"ledger.sealing": sealing}))
            )
            for sealing in ("off", "on")
        }
        cells: dict[tuple[str, int], Callable[[], Sample]] = {
            (sealing, callers): partial(_appended, client, callers, effort.seconds)
            for callers in CALLERS
            for sealing, client in clients.items()
        }
        samples = take_turns(cells, max(5, effort.rounds))
    for callers in CALLERS:
        off, on = samples["off", callers], samples["on", callers]
        yield [
            engine,
            count(callers),
            count(middle(off, lambda one: one.per_second)),
            count(middle(on, lambda one: one.per_second)),
            fine(ratio(on, off)),
            fine(middle(off, lambda one: one.percentile_ms(0.99))),
            fine(middle(on, lambda one: one.percentile_ms(0.99))),
        ]


def _appended(client: Aureus, callers: int, seconds: float) -> Sample:
    def append(stream: str) -> object:
        return client.events.append(stream, "TASK_COMPLETED", _PAYLOAD)

    return in_threads([partial(append, f"runs/{number}") for number in range(callers)], seconds)


def _steady(place: Place, seconds: float) -> Table:
    """Put entries into the pending table at a steady rate while one client seals them; look how far it lags."""
    url = place.new_url("PostgreSQL")
    settings = place.settings(url, **{"ledger.sealing": "off"})
    stop = threading.Event()
    rounds: list[float] = []
    lags: list[float] = []
    with (
        Aureus(settings=settings) as client,
        psycopg.connect(as_superuser(url), autocommit=True) as feeding,
    ):
        client.ledger.seal()
        sealer = threading.Thread(target=_seal, args=(client, stop, rounds))
        began, cpu, server = time.perf_counter(), time.process_time(), place.server_cpu_seconds()
        sealer.start()
        fed = _feed(feeding, seconds, lags)
        stop.set()
        sealer.join()
        cpu, server = time.process_time() - cpu, place.server_cpu_seconds() - server
        head = client.ledger.get_head()
        took = time.perf_counter() - began
    assert head is not None
    rounds.sort()
    half = len(lags) // 2
    row = [
        count(fed / took),
        count(head.size / took),
        count(median(lags[:half] or lags)),
        count(median(lags[half:])),
        count(max(lags)),
        fine(rounds[len(rounds) // 2] * 1000),
        fine(rounds[int(len(rounds) * 0.99)] * 1000),
        fine((cpu + server) / took),
    ]
    return Table(
        f"One sealer over {seconds:.0f} s",
        ("fed /s", "sealed /s", "lag 1st half", "lag 2nd half", "lag max", "round p50 ms", "p99 ms", "cores"),
        [row],
        f"Pending entries are made in the server at {FED_PER_SECOND:,} a second where the machine keeps up; lag is the "
        "number of entries that are not sealed, seen twice a second; cores are processor time a second of the server, "
        "feeding included, and of this process.",
    )  # fmt: skip


def _seal(client: Aureus, stop: threading.Event, rounds: list[float]) -> None:
    while True:
        began = time.perf_counter()
        done = client.ledger.seal()
        if done.sealed_count:
            rounds.append(time.perf_counter() - began)
        elif stop.is_set():
            return


def _feed(connection: psycopg.Connection[Any], seconds: float, lags: list[float]) -> int:
    fed, began, size = 0, time.perf_counter(), FED_PER_SECOND // _FEEDS_PER_SECOND
    turns = int(seconds * _FEEDS_PER_SECOND)
    for turn in range(turns):
        connection.execute(
            "INSERT INTO aureus.ledger_pending SELECT 'default', n, n, sha256(n::text::bytea) "
            "FROM generate_series(%s::bigint, %s::bigint) n",
            (fed + 1, fed + size),
        )
        fed += size
        if turn % (_FEEDS_PER_SECOND // 2) == 0:
            row = connection.execute("SELECT size FROM aureus.ledger_heads").fetchone()
            lags.append(fed - (row[0] if row else 0))
        wait = began + (turn + 1) / _FEEDS_PER_SECOND - time.perf_counter()
        if wait > 0:
            threading.Event().wait(wait)
    return fed

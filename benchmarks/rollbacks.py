"""Counts what a snapshot costs and what going back costs, by how much there is to bring back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from aureus.client import Aureus
from aureus.model.memories import NewMemory
from aureus.stores.memories.writing import CHUNK_MAX
from benchmarks.measuring import FULL, Effort
from benchmarks.place import ENGINES, Engine, Place
from benchmarks.tables import Table, count, fine

AGENT: Final = "planner"

CALLERS: Final = 16
"""Threads that fill a database: their writes are gathered."""

DEADLINE_SECONDS: Final = 600.0
"""Of each call: what is measured here must not be cut off."""


@dataclass(frozen=True, slots=True)
class Holding:
    """How much an agent has."""

    keys: int
    sessions: int
    memories: int

    @property
    def total(self) -> int:
        """Return how many things these are."""
        return self.keys + self.sessions + self.memories


SMALL: Final = Holding(200, 50, 500)
MIDDLE: Final = Holding(2_500, 1_000, 4_000)
LIMITS: Final = Holding(10_000, 1_000, 20_000)
"""As much as one snapshot holds."""


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Measure both engines; every key, session and memory was changed, so that all of them are brought back."""
    holdings = (SMALL,) if effort.seconds < FULL.seconds else (SMALL, MIDDLE, LIMITS)
    for engine in ENGINES:
        rows = [
            [count(held.total), *(fine(taken) for taken in _measured(place, engine, held))]
            for held in holdings
        ]
        columns = ("things", "create s", "verify s", "restore s", "restore CPU s")
        note = (
            "Once each: keys, sessions and memories of 60 to 120 bytes each (at the limits 10,000, 1,000 and 20,000), "
            "all of which were changed or forgotten since. Restoring verifies, takes a snapshot of what is there, and "
            "writes; its processor time is that of client and server."
        )
        yield Table(f"Snapshots and rollbacks on {engine}", columns, rows, note)


def _measured(place: Place, engine: Engine, held: Holding) -> Iterator[float]:
    settings = place.new_settings(
        engine, **{"database.call_deadline_seconds": DEADLINE_SECONDS, "run_log.type": "none"}
    )
    with closing(Aureus(settings=settings)) as client:
        _fill(client, held, "at first")
        yield _seconds(partial(client.snapshots.create, AGENT, world_scope="w", snapshot_id="s"))
        yield _seconds(partial(client.snapshots.verify, "s"))
        _change(client, held, "by now")
        client.snapshots.verify("s")
        client.snapshots.request_approval("s", requested_by="bench", approval_id="a")
        client.snapshots.decide_approval("a", approve=True, decided_by="bench")
        spent = time.process_time() + _server_seconds(place, engine)
        yield _seconds(partial(client.snapshots.restore, "s", approval_id="a"))
        yield time.process_time() + _server_seconds(place, engine) - spent


def _server_seconds(place: Place, engine: Engine) -> float:
    return place.server_cpu_seconds() if engine == "PostgreSQL" else 0.0


def _seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _fill(client: Aureus, held: Holding, said: str) -> None:
    _keys_and_sessions(client, held, said)
    for at in range(0, held.memories, CHUNK_MAX):
        client.memories.add_chunk(
            [
                NewMemory(
                    text=f"memory {number} of an agent says {said}: the tide is high at noon",
                    agent_id=AGENT,
                    memory_id=f"m{number}",
                    tags=("tide", f"t{number % 10}"),
                )
                for number in range(at, min(at + CHUNK_MAX, held.memories))
            ]
        )


def _change(client: Aureus, held: Holding, said: str) -> None:
    """Give every key and session something else, and forget every memory: the quickest way to change so many."""
    _keys_and_sessions(client, held, said)
    client.memories.clear(agent_id=AGENT)


def _keys_and_sessions(client: Aureus, held: Holding, said: str) -> None:
    world = client.world_state.scope("w")

    def set_key(number: int) -> None:
        world.set(f"k{number}", {"step": number, "said": said})

    def save(number: int) -> None:
        client.sessions.save(AGENT, f"s{number}", {"step": number, "said": said, "text": "x" * 60})

    with ThreadPoolExecutor(CALLERS) as pool:
        for _ in pool.map(set_key, range(held.keys)):
            pass
        for _ in pool.map(save, range(held.sessions)):
            pass

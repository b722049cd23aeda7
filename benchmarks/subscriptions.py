"""Times how fast a consumer and a group catch up, pass what is not wanted, handle once, and hear of an append."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import count as numbers
from statistics import median
from time import perf_counter, process_time
from typing import Any

from aureus import Aureus, NewEvent
from aureus.model.events import Event
from benchmarks.measuring import Effort, take_turns
from benchmarks.place import ENGINES, Engine, Place
from benchmarks.tables import Table, count, fine

BATCHES, BATCH = 400, 100
"""Events that are there: 40,000 of 200 bytes in 400 streams."""

HANDLED = {1: 300, 100: 5000}
"""Events of one measurement of handling, by how many of them share a transaction."""

MEMBERS = 4

LEASE_SECONDS = 1
"""Of the groups that are measured, so that they share out quickly."""

_PAYLOAD = {"text": "x" * 200}
_names = numbers()


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate on the clock, and by the processor time of client and server."""

    clock: float
    processor: float


@dataclass(slots=True)
class Heard:
    """How long events took to be told, in milliseconds."""

    found: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """Return what this share of them did not exceed."""
        ordered = sorted(self.found)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(place: Place, effort: Effort) -> Iterator[Table]:
    """Follow the same events in each way, in turns."""
    with ExitStack() as stack:
        paces: dict[tuple[Engine, str], Callable[[], Pace]] = {}
        heard: dict[tuple[Engine, int], Callable[[], Heard]] = {}
        for engine in ENGINES:
            clients = _filled(place, stack, engine)
            reading, *_ = clients
            paces |= {
                (engine, "told"): partial(_follow, place, reading),
                (engine, "group"): partial(_follow_together, place, clients),
                (engine, "passed"): partial(_follow, place, reading, types=["none"]),
                (engine, "1"): partial(_handle_all, place, reading, 1),
                (engine, "100"): partial(_handle_all, place, reading, 100),
            }
            appends = max(1, round(100 * effort.seconds))
            for members in (1, MEMBERS):
                heard[engine, members] = partial(_hear, clients, members, appends)
        rates = take_turns(paces, effort.rounds)
        latencies = take_turns(heard, effort.rounds)
    yield Table(
        "Subscriptions, events a second",
        ("engine", "way", "on the clock", "by processor time"),
        [
            [
                engine,
                way,
                count(median(pace.clock for pace in found)),
                count(median(pace.processor for pace in found)),
            ]
            for (engine, way), found in rates.items()
        ],
        f"{BATCHES * BATCH:,} events of 200 bytes; processor time is that of client and server. Told: one consumer "
        f"iterates over all. Group: {MEMBERS} members do, each with a client of its own, in threads of one process. "
        "Passed: a filter lets none through. 1 and 100: handled exactly once, so many in a transaction, with one "
        "statement of the user's each.",
    )
    yield Table(
        "Subscriptions, milliseconds from an append to the event",
        ("engine", "members", "p50", "p99"),
        [
            [
                engine,
                str(members),
                fine(median(one.at(0.5) for one in found)),
                fine(median(one.at(0.99) for one in found)),
            ]
            for (engine, members), found in latencies.items()
        ],
        "From the call of an append in one client to the event in another one that waits. On PostgreSQL sealing "
        "gathers for 0.1 s; SQLite is looked at every 50 ms.",
    )


def _filled(place: Place, stack: ExitStack, engine: Engine) -> list[Aureus]:
    """Return clients of a database with sealed events: those for all to be told, then those to be handled."""
    settings = place.settings(
        place.new_url(engine), **{"subscriptions.lease_seconds": LEASE_SECONDS}
    )
    clients = [stack.enter_context(Aureus(settings=settings)) for _ in range(MEMBERS)]
    append = clients[0].events.append_all
    for number in range(BATCHES):
        append(f"s/{number}", [NewEvent("t", _PAYLOAD)] * BATCH)
    for number in range(max(HANDLED.values()) // BATCH):
        append(f"h/{number}", [NewEvent("h", _PAYLOAD)] * BATCH)
    while not clients[0].ledger.seal().is_done:
        pass
    return clients


@contextmanager
def _spending(place: Place, told: int, found: list[Pace]) -> Generator[None]:
    """Note at which rate so many events are told meanwhile."""
    begun, spent = perf_counter(), process_time() + place.server_cpu_seconds()
    yield
    used = process_time() + place.server_cpu_seconds() - spent
    found.append(Pace(told / (perf_counter() - begun), told / used))


def _follow(place: Place, client: Aureus, **filters: Any) -> Pace:
    found: list[Pace] = []
    consumer = client.subscription(f"n{next(_names)}", live=False, **filters)
    with _spending(place, BATCHES * BATCH, found), consumer as events:
        for event in events:
            if event.position == BATCHES * BATCH - 1:
                events.close()
    return found[0]


def _handle_all(place: Place, client: Aureus, batch_size: int) -> Pace:
    found: list[Pace] = []
    name, left = f"n{next(_names)}", numbers(1)
    client.subscriptions.create(name, types=["h"], from_position=BATCHES * BATCH)

    def select(tx: Any, _: Event) -> None:
        tx.execute("SELECT 1")
        if next(left) == HANDLED[batch_size]:
            events.close()

    events = client.subscription(name, live=False)
    with _spending(place, HANDLED[batch_size], found), events:
        events.handle_each(select, batch_size=batch_size)
    return found[0]


class _Members:
    """Members of a group in threads of their own, who have shared it out."""

    def __init__(self, clients: list[Aureus], tell: Callable[[Event], object]) -> None:
        self.name = f"n{next(_names)}"
        self._client = clients[0]
        self._client.subscriptions.create(self.name, from_position="now", bucket_count=64)
        self._consumers = [client.subscriptions.group(self.name).join() for client in clients]
        self._threads = [
            threading.Thread(target=_tell_all, args=(events, tell)) for events in self._consumers
        ]
        for thread in self._threads:
            thread.start()
        rest = threading.Event()
        while not self._are_even(64 // len(clients)):
            rest.wait(0.02)

    def _are_even(self, share: int) -> bool:
        holders = [bucket.member_id for bucket in self._client.subscriptions.buckets(self.name)]
        return all(holder and holders.count(holder) == share for holder in holders)

    def close(self) -> None:
        """End them."""
        for consumer, thread in zip(self._consumers, self._threads, strict=True):
            consumer.close()
            thread.join()


def _tell_all(events: Iterable[Event], tell: Callable[[Event], object]) -> None:
    for event in events:
        tell(event)


def _follow_together(place: Place, clients: list[Aureus]) -> Pace:
    """Let the members of a group begin anew; what is measured begins with the first event."""
    found: list[Pace] = []
    begun, ended, told = threading.Event(), threading.Event(), numbers(1)

    def tell(event: Event) -> None:
        begun.set()
        if (event.position or 0) < BATCHES * BATCH and next(told) == BATCHES * BATCH:
            ended.set()

    members = _Members(clients, tell)
    clients[0].subscriptions.reset(members.name)
    begun.wait()
    with _spending(place, BATCHES * BATCH, found):
        ended.wait()
    members.close()
    return found[0]


def _hear(clients: list[Aureus], member_count: int, appends: int) -> Heard:
    """Return how long events of one client take to a consumer, or to the members of a group, of others."""
    heard, came = Heard(), threading.Semaphore(0)

    def tell(event: Event) -> None:
        if event.stream.startswith(prefix):
            heard.found.append((perf_counter() - sent_at) * 1000)
            came.release()

    writing, *reading = clients
    members = _Members(reading[:1] if member_count == 1 else reading + reading[:1], tell)
    prefix, sent_at = f"{members.name}/", perf_counter()
    for number in range(appends + 1):
        sent_at = perf_counter()
        writing.events.append(f"{prefix}{number}", "heard", {})
        came.acquire()
    members.close()
    heard.found.pop(0)
    return heard

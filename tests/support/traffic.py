"""Writers who do everything that makes readers miss events: they commit late, roll back, gather, and get in the way.

What they committed is known for certain, so that a ``Delivery`` can be held against it. Used by tests and by the soak.
"""

from __future__ import annotations

import random  # noqa: TID251 - a mixture that can be repeated by its seed
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from aureus import NewEvent
from aureus.model.events import Event
from tests.contract.stage import Stage
from tests.support.consuming import Delivery, Reader
from tests.support.waiting import eventually

LATE_SECONDS_MAX = 60.0
"""A safety net for a writer that waits for others before it commits."""


class TakenBack(Exception):
    """Raised by a writer to roll its transaction back."""


class Traffic:
    """Writers to some streams; a writer that commits late waits until others have committed meanwhile."""

    def __init__(self, stage: Stage, *, streams: int = 12, seed: int = 1) -> None:
        self._stage = stage
        self._streams = [f"{'ab'[number % 2]}/{number}" for number in range(streams)]
        self._seed = seed
        self._lock = threading.Condition()
        self._being_late = threading.Lock()
        self._commits = 0
        self._writing = 0
        self.committed: list[Event] = []

    def run(self, *, writers: int = 8, rounds: int = 20) -> None:
        """Let so many writers do so many things each, side by side."""
        self._writing = writers
        with ThreadPoolExecutor(writers) as pool:
            list(pool.map(lambda number: self._write(number, rounds), range(writers)))

    def _write(self, number: int, rounds: int) -> None:
        chance = random.Random(f"{self._seed}.{number}")  # noqa: S311 - a repeatable mixture
        ways = (self._one, self._batch, self._several, self._rolled_back, self._late)
        try:
            for _ in range(rounds):
                self._note(chance.choice(ways)(chance))
        finally:
            with self._lock:
                self._writing -= 1
                self._lock.notify_all()

    def _note(self, events: list[Event]) -> None:
        with self._lock:
            self.committed += events
            self._commits += 1
            self._lock.notify_all()

    def _one(self, chance: random.Random) -> list[Event]:
        return [self._stage.stores.events.append(chance.choice(self._streams), "one", {})]

    def _batch(self, chance: random.Random) -> list[Event]:
        batch = [NewEvent("batch", {"n": n}) for n in range(chance.randrange(1, 8))]
        found: list[Event] = self._stage.stores.events.append_all(
            chance.choice(self._streams), batch
        )
        return found

    def _several(self, chance: random.Random) -> list[Event]:
        with self._stage.backend.transaction(self._stage.tenant) as tx:
            return [tx.events.append(stream, "several", {}) for stream in self._some(chance)]

    def _rolled_back(self, chance: random.Random) -> list[Event]:
        with suppress(TakenBack), self._stage.backend.transaction(self._stage.tenant) as tx:
            for stream in self._some(chance):
                tx.events.append(stream, "never", {})
            raise TakenBack
        return []

    def _late(self, chance: random.Random) -> list[Event]:
        """Append in a stream of one's own, and commit only when two others have; one at a time: pools are small."""
        if not self._being_late.acquire(blocking=False):
            return self._several(chance)
        try:
            stream = f"late/{chance.random()}"
            with self._stage.backend.transaction(self._stage.tenant) as tx:
                found = [tx.events.append(stream, "late", {"n": n}) for n in range(2)]
                self._wait_for_others()
        finally:
            self._being_late.release()
        return found

    def _wait_for_others(self) -> None:
        if "PostgreSQL" not in self._stage.backend.client.description:
            return  # SQLite has one writer at a time: others wait for this one
        with self._lock:
            awaited = self._commits + 2
            self._writing -= 1
            self._lock.notify_all()
            self._lock.wait_for(
                lambda: self._commits >= awaited or not self._writing, LATE_SECONDS_MAX
            )
            self._writing += 1

    def _some(self, chance: random.Random) -> list[str]:
        """Return a few streams in one order, so that transactions do not lock each other out."""
        return sorted(chance.sample(self._streams, 3))


class Crowd:
    """Readers in threads of their own; all that belong together put what they are told into one list."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self._readers: list[Reader] = []
        self._lock = threading.Lock()
        self.errors: list[BaseException] = []

    def follow(self, one: Reader, told: list[Event]) -> None:
        """Let a reader follow until it is closed."""

        def work() -> None:
            try:
                while (event := one.next()) is not None:
                    with self._lock:
                        told.append(event)
            except BaseException as error:  # noqa: BLE001 - told to the test
                self.errors.append(error)

        thread = threading.Thread(target=work)
        self._threads.append(thread)
        self._readers.append(one)
        thread.start()

    def close(self) -> None:
        """Close every reader and wait for its end."""
        for one in self._readers:
            one.close()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a reader did not end"
        assert not self.errors, self.errors


@contextmanager
def crowd() -> Generator[Crowd]:
    """Give a crowd that is closed at the end."""
    gathered = Crowd()
    try:
        yield gathered
    finally:
        gathered.close()


def all_are_told(told: list[Event], committed: Callable[[], int]) -> None:
    """Wait until as much is told as was committed."""
    eventually(lambda: len(told) >= committed(), f"readers that are told of {committed()} events")


def check(told: list[Event], traffic: Traffic, *, is_group: bool = False) -> None:
    """Fail unless what was told is what was committed: each event once, and in order."""
    problems = Delivery(traffic.committed, told).problems(is_group=is_group)
    assert not problems, problems

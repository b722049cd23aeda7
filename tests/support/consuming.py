"""Consumers on any backend behind one synchronous face, and a checker of what they were told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aureus._database.drive import Call
from aureus.model.events import Event
from aureus.stores.ledger import AsyncLedgerStore, LedgerStore
from aureus.stores.subscriptions.consuming import AsyncConsumerStore, ConsumerStore
from aureus.stores.subscriptions.sharing import AsyncSharingStore, SharingStore
from tests.contract.stage import Stage
from tests.support.backends import Called, _CalledStores

Handler = Callable[[Any, Event], object]


class Reader:
    """A consumer, called from outside its loop where it has one."""

    def __init__(self, stage: Stage, consumer: Any) -> None:
        self._thread = stage.backend._thread
        self.consumer = consumer

    def next(self) -> Event | None:
        """Return the next event, None at the end."""
        if self._thread is None:
            return next(self.consumer, None)
        return self._thread.run(anext(self.consumer, None))  # type: ignore[no-any-return]  # any backend

    def all(self) -> list[Event]:
        """Return the events up to the end."""
        found: list[Event] = []
        while (event := self.next()) is not None:
            found.append(event)
        return found

    def handle(self, function: Handler, **options: Any) -> None:
        """Have events handled by a function, which calls the stores of its transaction like any others."""
        if self._thread is None:
            self.consumer.handle_each(function, **options)
            return
        thread = self._thread

        async def handler(tx: Any, event: Event) -> None:
            await asyncio.to_thread(function, _CalledStores(thread, tx), event)

        thread.run(self.consumer.handle_each(handler, **options))

    def close(self) -> None:
        """Close the consumer."""
        if self._thread is None:
            self.consumer.close()
        else:
            self._thread.run(self.consumer.close())


def reader(stage: Stage, name: str, **options: Any) -> Reader:
    """Return a consumer of a subscription; unless said otherwise one that ends when it has caught up."""
    options = {"live": False, **options}
    return Reader(stage, raw(stage).subscription(name, **options))


def member(stage: Stage, name: str, member_id: str, *, live: bool = False, **group: Any) -> Reader:
    """Return a member of a group."""
    joined = raw(stage).subscriptions.group(name, **group).join(member_id, live=live)
    return Reader(stage, joined)


def told(stage: Stage, name: str, **options: Any) -> list[Event]:
    """Return what a subscription tells until it has caught up, and close it."""
    one = reader(stage, name, **options)
    found = one.all()
    one.close()
    return found


def handled(stage: Stage, name: str, function: Handler, **options: Any) -> None:
    """Have a function handle what a subscription tells until it has caught up, and close it."""
    words = ("attempts", "backoff_seconds", "batch_size")
    given = {key: options.pop(key) for key in words if key in options}
    one = reader(stage, name, **options)
    one.handle(function, **{"backoff_seconds": 0.0, **given})
    one.close()


def raw(stage: Stage) -> Any:
    """Return the tenant's stores as the client gives them."""
    return stage.backend.client.for_tenant(stage.tenant)


def consumer_store(stage: Stage) -> Any:
    """Return the operations that consumers use."""
    return _store(stage, ConsumerStore, AsyncConsumerStore)


def sharing_store(stage: Stage) -> Any:
    """Return the operations that members use."""
    return _store(stage, SharingStore, AsyncSharingStore)


def seal(stage: Stage) -> None:
    """Seal what is committed."""
    store = _store(stage, LedgerStore, AsyncLedgerStore)
    while not store.seal().is_done:
        pass


def _store(stage: Stage, threads: Any, loop: Any) -> Any:
    call, runner = Call(stage.tenant), stage.backend.client._database
    if stage.backend._thread is None:
        return threads(runner, call)
    return Called(stage.backend._thread, loop(runner, call))


@dataclass
class Delivery:
    """What consumers were told, and whether that is what was committed: each event once, and in order."""

    committed: list[Event] = field(default_factory=list)
    delivered: list[Event] = field(default_factory=list)

    def problems(self, *, is_group: bool = False) -> list[str]:
        """Return what is wrong; nothing when delivered equals committed, once, in order.

        A single consumer is told in the order of positions, the members of a group together in that of each stream.
        """
        found: list[str] = []
        told = [event.event_id for event in self.delivered]
        wanted = {event.event_id for event in self.committed}
        if missing := wanted - set(told):
            found.append(f"{len(missing)} of {len(wanted)} committed events were never told")
        if unknown := set(told) - wanted:
            found.append(f"{len(unknown)} events were told that were not committed")
        if len(set(told)) < len(told):
            found.append(f"{len(told) - len(set(told))} events were told twice")
        found += _disorder(self.delivered, is_group=is_group)
        positions = sorted(event.position for event in self.delivered if event.position is not None)
        if len(positions) < len(self.delivered):
            found.append("an event without a position was told")
        return found


def _disorder(events: Sequence[Event], *, is_group: bool) -> list[str]:
    found = [
        f"stream {stream!r} was told in the order {versions[:20]}"
        for stream, versions in _versions(events).items()
        if versions != sorted(versions)
    ]
    positions = [event.position or 0 for event in events]
    if not is_group and positions != sorted(positions):
        found.append("positions went back")
    by_position = sorted(events, key=lambda event: event.position or 0)
    found += [
        f"positions and versions of {stream!r} disagree"
        for stream, versions in _versions(by_position).items()
        if versions != sorted(versions)
    ]
    return found


def _versions(events: Iterable[Event]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        found.setdefault(event.stream, []).append(event.version)
    return found

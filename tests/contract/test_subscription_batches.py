"""Several events in one transaction: still exactly once, and one that fails takes no other one with it."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.errors import DatabaseBusy, Invalid
from aureus.model.events import Event
from aureus.model.subscriptions import Wanted
from aureus.stores.subscriptions.consuming import READ_BYTES_MAX
from tests.contract.stage import Stage
from tests.support.consuming import consumer_store, handled, member, seal


def fill(stage: Stage, *streams: str) -> None:
    """Append an event to each of these streams, and seal them."""
    for stream in streams:
        stage.stores.events.append(stream, "t", {})
    seal(stage)


class Counting:
    """A handler that keeps what it has handled, and cannot handle some streams."""

    def __init__(self, stage: Stage, *poison: str) -> None:
        self.stage = stage
        self.poison = set(poison)
        self.calls: list[str] = []
        self.transactions: list[int] = []

    def __call__(self, tx: Any, event: Event) -> None:
        self.calls.append(event.stream)
        tx.world_state.transform("seen", lambda seen: [*(seen or []), event.position])
        if event.stream in self.poison:
            raise ValueError(f"cannot handle {event.stream}")

    @property
    def seen(self) -> list[int]:
        """Return the positions of the events whose handling was committed."""
        found: list[int] = self.stage.stores.world_state.get("seen").value
        return found


def test_a_batch_is_one_transaction(stage: Stage) -> None:
    fill(stage, *"abcde")
    counting = Counting(stage)
    handled(stage, "s", counting, types=["t"], batch_size=3)
    assert counting.seen == [0, 1, 2, 3, 4]
    assert stage.stores.subscriptions.get("s").position >= 4
    assert stage.stores.world_state.get("seen").version == 5
    written = stage.stores.events.read_stream("world_state/seen")
    assert len(written) in {0, 5}


def test_one_that_fails_is_parked_alone_and_the_others_of_its_batch_are_handled_once(
    stage: Stage,
) -> None:
    fill(stage, "a", "b", "poison", "c", "poison", "d")
    counting = Counting(stage, "poison")
    handled(stage, "s", counting, types=["t"], batch_size=10, attempts=2)
    assert counting.calls == ["a", "b", "poison", "a", "b", "poison", "poison", "c", "d"]
    assert counting.seen == [0, 1, 3, 5]
    (parked,) = stage.stores.subscriptions.parked("s")
    assert (parked.stream, parked.position, parked.attempt_count) == ("poison", 2, 2)
    fill(stage, "poison", "a", "b")
    handled(stage, "s", counting, batch_size=10)
    assert counting.seen[4:] == [counting.seen[4], counting.seen[4] + 1]


def test_a_batch_of_a_group_spans_its_buckets(stage: Stage) -> None:
    streams = [f"s/{number}" for number in range(20)]
    fill(stage, *streams)
    counting = Counting(stage)
    one = member(stage, "g", "m", bucket_count=8, types=["t"])
    one.handle(counting, batch_size=50)
    one.close()
    assert counting.seen == list(range(20))
    assert stage.stores.subscriptions.get("g").position >= 19
    assert len(counting.calls) == 20


def test_a_batch_whose_bucket_was_taken_over_is_undone_and_the_rest_of_it_is_handled(
    stage: Stage,
) -> None:
    streams = [f"s/{number}" for number in range(12)]
    fill(stage, *streams)
    counting = Counting(stage)
    taken: list[int] = []
    buckets = stage.table("subscription_buckets")

    def take_one(tx: Any, event: Event) -> None:
        counting(tx, event)
        if len(counting.calls) == 5:
            taken.append(1)
            raise ValueError("once")

    one = member(stage, "g", "m", bucket_count=4, types=["t"])
    one.handle(take_one, batch_size=6, backoff_seconds=0)
    with stage.backend.transaction("acme") as tx:
        assert tx.execute(f"SELECT count(*) FROM {buckets}")[0][0] == 4
    one.close()
    assert sorted(counting.seen) == list(range(12))


def test_the_size_of_a_batch_is_checked(stage: Stage) -> None:
    for bad in (0, 501):
        with pytest.raises(Invalid, match="batch_size"):
            handled(stage, "s", print, batch_size=bad)


def test_a_handler_that_stands_in_its_own_way_is_parked_and_not_tried_for_ever(
    stage: Stage,
) -> None:
    """As one does that writes past its transaction what the transaction has locked."""
    fill(stage, "a", "b")

    def busy(tx: Any, event: Event) -> None:
        if event.stream == "a":
            raise DatabaseBusy("the row is locked")

    handled(stage, "s", busy, types=["t"], attempts=2)
    (parked,) = stage.stores.subscriptions.parked("s")
    assert (parked.stream, parked.attempt_count) == ("a", 2)


def test_a_look_brings_no_more_content_than_fits_and_says_where_it_ended(stage: Stage) -> None:
    for number in range(4):
        stage.stores.events.append("a", "t", {"n": number, "x": "x" * 1000})
    seal(stage)
    store = consumer_store(stage)
    page = store.read_sealed(-1, Wanted(), bytes_max=1500)
    assert ([event.position for event in page.events], page.reached) == ([0, 1], 1)
    assert not page.is_at_end
    page = store.read_sealed(1, Wanted(), bytes_max=1)
    assert ([event.position for event in page.events], page.reached) == ([2], 2)
    page = store.read_sealed(2, Wanted())
    assert page.is_at_end
    assert READ_BYTES_MAX == 8 * 1024 * 1024

"""Tries of an event outlive the process: what kills whoever handles it is parked in the end, and says so."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.model.events import Event
from aureus.model.subscriptions import ParkedStream, Tried
from tests.contract.stage import Stage
from tests.support.consuming import Reader, handled, member, reader, seal

POISON = "orders/1"


class Killed(BaseException):
    """The end of a process, as far as a test can go: nothing that comes behind it is carried out."""


def fill(stage: Stage, *streams: str) -> None:
    """Append an event to each of these streams, and seal them."""
    for stream in streams:
        stage.stores.events.append(stream, "t", {})
    seal(stage)


class Deadly:
    """A handler that ends its process at one stream, however often it is called."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.calls: list[str] = []
        self.poison = {POISON}

    def __call__(self, tx: Any, event: Event) -> None:
        self.calls.append(event.stream)
        tx.world_state.increment(f"seen/{event.stream}")
        if event.stream in self.poison:
            raise Killed

    def run(self, one: Reader | None = None, **options: Any) -> bool:
        """Handle what there is in a process of its own; return whether it survived."""
        working = one or reader(self.stage, "s", types=["t"])
        try:
            working.handle(self, **{"backoff_seconds": 0.0, **options})
        except Killed:
            return False
        working.close()
        return True

    def seen(self, stream: str) -> int:
        """Return how often an event of a stream was handled and committed."""
        found = self.stage.stores.world_state.find(f"seen/{stream}")
        return 0 if found is None else found.value


def parked(stage: Stage) -> list[ParkedStream]:
    """Return what is parked."""
    return list(stage.stores.subscriptions.parked("s"))


def tried(stage: Stage) -> list[Tried]:
    """Return what is being tried again and again."""
    return [one.tried for one in stage.stores.subscriptions.buckets("s") if one.tried]


@pytest.mark.parametrize("batch_size", [1, 10])
def test_an_event_that_kills_whoever_handles_it_is_parked_and_the_others_go_on(
    stage: Stage, batch_size: int
) -> None:
    fill(stage, "orders/0", POISON, "orders/2", POISON)
    deadly = Deadly(stage)
    options: dict[str, Any] = {"attempts": 3, "batch_size": batch_size}
    survived = [deadly.run(**options) for _ in range(5)]
    assert survived == [False, False, False, False, True]
    assert deadly.calls.count(POISON) == 4, "the first time nobody expected it"
    (one,) = parked(stage)
    assert (one.stream, one.position, one.attempt_count) == (POISON, 1, 3)
    assert one.error.startswith("the process that handled it ended before it was done")
    assert [deadly.seen(f"orders/{number}") for number in range(3)] == [1, 0, 1]
    assert stage.stores.subscriptions.get("s").position >= 3


def test_it_can_be_seen_while_it_is_tried(stage: Stage) -> None:
    fill(stage, POISON)
    deadly = Deadly(stage)
    assert [deadly.run() for _ in range(3)] == [False] * 3
    (one,) = tried(stage)
    assert (one.position, one.count) == (0, 2)
    assert one.first_at == stage.backend.clock.now()
    deadly.poison.clear()
    assert deadly.run()
    assert tried(stage) == []


def test_failures_and_ends_of_the_process_count_together(stage: Stage) -> None:
    fill(stage, POISON)
    calls: list[int] = []

    def fail_then_kill(tx: Any, event: Event) -> None:
        calls.append(event.version)
        if len(calls) % 2:
            raise ValueError("broken")
        raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            handled(stage, "s", fail_then_kill, attempts=4)
    handled(stage, "s", fail_then_kill, attempts=4)
    (one,) = parked(stage)
    assert (one.attempt_count, len(calls)) == (4, 4)
    assert "ValueError: broken" in one.error


def test_a_healthy_consumer_notes_nothing_and_one_that_ended_in_order_is_not_suspected(
    stage: Stage,
) -> None:
    fill(stage, *["orders/0"] * 3)
    deadly = Deadly(stage)
    for _ in range(2):
        assert deadly.run()
        (bucket,) = stage.stores.subscriptions.buckets("s")
        assert (bucket.is_suspect, bucket.tried) == (False, None)
        fill(stage, "orders/0")


def test_who_is_killed_between_events_is_followed_by_one_who_handles_them_as_ever(
    stage: Stage,
) -> None:
    fill(stage, "orders/0", "orders/2")
    deadly = Deadly(stage)
    one = reader(stage, "s", types=["t"])
    one.handle(deadly)
    one.consumer._is_finished = True  # it never closes
    fill(stage, "orders/0")
    assert deadly.run()
    assert (deadly.seen("orders/0"), parked(stage), tried(stage)) == (2, [], [])


def test_what_kills_a_member_of_a_group_is_parked_by_whoever_takes_its_bucket(
    stage: Stage,
) -> None:
    fill(stage, *[f"orders/{number}" for number in range(8)])
    deadly = Deadly(stage)
    for _ in range(3):
        assert not deadly.run(member(stage, "s", "a", bucket_count=4), attempts=2)
    assert deadly.run(member(stage, "s", "a"), attempts=2)
    assert [one.stream for one in parked(stage)] == [POISON]
    assert [deadly.seen(f"orders/{number}") for number in range(8)] == [1, 0, *[1] * 6]


def test_a_replay_that_kills_leaves_the_stream_parked_and_is_not_repeated_for_ever(
    stage: Stage,
) -> None:
    fill(stage, POISON, "orders/0", POISON)
    deadly = Deadly(stage)

    def fail(_: Any, event: Event) -> None:
        if event.stream == POISON:
            raise ValueError("broken")

    handled(stage, "s", fail, attempts=1, types=["t"])
    stage.stores.subscriptions.replay("s", POISON)
    assert [deadly.run(), deadly.run(), deadly.run()] == [False, False, True]
    (one,) = parked(stage)
    assert (one.position, one.is_replaying, one.attempt_count) == (0, False, 2)
    assert one.error.startswith("the process that handled it ended before it was done; before that")
    stage.stores.subscriptions.replay("s", POISON)
    deadly.poison.clear()
    assert deadly.run()
    assert (deadly.seen(POISON), parked(stage)) == (2, [])


def test_a_replay_that_was_cut_short_by_something_else_goes_on(stage: Stage) -> None:
    """The one that is suspected is handled after all, and the rest behind it."""
    fill(stage, POISON, POISON, POISON)
    deadly = Deadly(stage)

    def fail(_: Any, __: Event) -> None:
        raise ValueError("broken")

    handled(stage, "s", fail, attempts=1, types=["t"])
    stage.stores.subscriptions.replay("s", POISON)
    assert not deadly.run()
    deadly.poison.clear()
    assert deadly.run()
    assert (deadly.seen(POISON), parked(stage)) == (3, [])


def test_a_reset_forgets_what_was_tried(stage: Stage) -> None:
    fill(stage, POISON)
    deadly = Deadly(stage)
    assert [deadly.run() for _ in range(3)] == [False] * 3
    assert tried(stage)
    stage.stores.subscriptions.reset("s")
    assert tried(stage) == []

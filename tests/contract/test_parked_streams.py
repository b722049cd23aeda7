"""What a handler cannot handle: its stream waits, the others go on, and nothing is passed over in silence."""

from __future__ import annotations

from typing import Any

import pytest

from aureus.errors import Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model import subscriptions as rules
from aureus.model.events import Event
from aureus.model.subscriptions import ParkedStream
from tests.contract.stage import Stage
from tests.support.consuming import Reader, handled, member, reader, told

POISON = "orders/2"


def fill(stage: Stage, *streams: str) -> None:
    """Append an event to each of these streams."""
    for stream in streams:
        stage.stores.events.append(stream, "t", {})


class Projection:
    """A handler that keeps what it has handled in the world state, and cannot handle some streams."""

    def __init__(self, stage: Stage, *poison: str) -> None:
        self.stage = stage
        self.poison = set(poison)
        self.calls: list[str] = []

    def __call__(self, tx: Any, event: Event) -> None:
        self.calls.append(event.stream)
        tx.world_state.transform(
            "seen", lambda seen: [*(seen or []), [event.stream, event.version]]
        )
        if event.stream in self.poison:
            raise ValueError(f"cannot handle {event.stream}")

    @property
    def seen(self) -> list[list[Any]]:
        """Return stream and version of each event whose handling was committed."""
        found: list[list[Any]] = self.stage.stores.world_state.get("seen").value
        return found

    def run(self, **options: Any) -> None:
        """Handle what there is."""
        handled(self.stage, "s", self, category="orders", **options)


def parked(stage: Stage) -> list[ParkedStream]:
    """Return what is parked."""
    return list(stage.stores.subscriptions.parked("s"))


def test_the_stream_of_a_poison_event_waits_and_the_others_go_on(stage: Stage) -> None:
    fill(stage, "orders/1", POISON, "orders/1", POISON, "orders/3")
    projection = Projection(stage, POISON)
    projection.run(attempts=3)
    assert projection.calls.count(POISON) == 3
    assert projection.seen == [["orders/1", 1], ["orders/1", 2], ["orders/3", 1]]
    (one,) = parked(stage)
    assert (one.stream, one.position, one.attempt_count) == (POISON, 1, 3)
    assert one.error == "ValueError: cannot handle orders/2"
    assert one.first_failed_at == one.last_failed_at == stage.backend.clock.now()
    assert stage.stores.subscriptions.get("s").parked_count == 1
    fill(stage, POISON, "orders/3")
    projection.run()
    assert projection.calls.count(POISON) == 3
    assert projection.seen[-1] == ["orders/3", 2]


def test_what_fails_less_often_than_it_is_tried_is_not_parked(stage: Stage) -> None:
    fill(stage, POISON)
    projection = Projection(stage, POISON)

    def mend_at_the_third(tx: Any, event: Event) -> None:
        if len(projection.calls) == 2:
            projection.poison.clear()
        projection(tx, event)

    handled(stage, "s", mend_at_the_third, attempts=3)
    assert projection.calls == [POISON] * 3
    assert parked(stage) == []


def test_a_replay_handles_in_order_what_the_stream_has_missed(stage: Stage) -> None:
    fill(stage, "orders/1", POISON, POISON, "orders/1", POISON)
    projection = Projection(stage, POISON)
    projection.run()
    projection.poison.clear()
    assert stage.stores.subscriptions.replay("s", POISON, actor="ada").is_replaying
    assert stage.stores.subscriptions.replay("s", POISON).is_replaying
    fill(stage, POISON, "orders/1")
    projection.run()
    assert [version for stream, version in projection.seen if stream == POISON] == [1, 2, 3, 4]
    assert [version for stream, version in projection.seen if stream == "orders/1"] == [1, 2, 3]
    assert parked(stage) == []
    projection.run()
    assert len(projection.seen) == 7
    told_of = stage.stores.events.read_stream("subscriptions/s")
    assert [event.type for event in told_of] == ["subscription_replayed"]
    assert told_of[0].payload == {"name": "s", "stream": POISON}


def test_a_replay_that_fails_again_leaves_it_parked_where_it_failed(stage: Stage) -> None:
    fill(stage, POISON, POISON, "orders/1")
    projection = Projection(stage, POISON)
    projection.run(attempts=2)
    stage.backend.clock.advance(60)
    stage.stores.subscriptions.replay("s", POISON)
    projection.run(attempts=2)
    (one,) = parked(stage)
    assert (one.position, one.attempt_count, one.is_replaying) == (0, 4, False)
    assert (one.last_failed_at - one.first_failed_at).total_seconds() == 60

    def only_the_first(tx: Any, event: Event) -> None:
        projection.poison = set() if event.version == 1 else {POISON}
        projection(tx, event)

    stage.stores.subscriptions.replay("s", POISON)
    handled(stage, "s", only_the_first, attempts=1)
    (one,) = parked(stage)
    assert (one.position, one.attempt_count) == (1, 1)
    assert projection.seen == [["orders/1", 1], [POISON, 1]]


def test_skipping_is_a_decision_with_a_reason_and_the_rest_is_handled(stage: Stage) -> None:
    fill(stage, POISON, "orders/1", POISON)
    projection = Projection(stage, POISON)
    projection.run()
    skip = stage.stores.subscriptions.skip
    with pytest.raises(VersionConflict):
        skip("s", POISON, 2, reason="broken")
    with pytest.raises(Invalid):
        skip("s", POISON, 0, reason=" ")
    with pytest.raises(NotFound):
        skip("s", "orders/1", 0, reason="broken")
    assert skip("s", POISON, 0, reason="it is broken", actor="ada").position == 1
    projection.poison.clear()
    projection.run()
    assert projection.seen == [["orders/1", 1], [POISON, 2]]
    assert parked(stage) == []
    (entry,) = stage.stores.audit.list(action="subscription.skip").entries
    assert (entry.action, entry.actor, entry.details) == (
        "subscription.skip",
        "ada",
        {"name": "s", "stream": POISON, "position": 0, "reason": "it is broken"},
    )


def test_nothing_is_skipped_or_replayed_that_is_not_parked(stage: Stage) -> None:
    stage.stores.subscriptions.create("s")
    with pytest.raises(NotFound, match="parked"):
        stage.stores.subscriptions.replay("s", POISON)
    with pytest.raises(NotFound, match="parked"):
        stage.stores.subscriptions.skip("s", POISON, 0, reason="why")
    assert stage.stores.events.stream_version("subscriptions/s") == 0


def test_a_crash_in_a_replay_repeats_nothing(stage: Stage) -> None:
    """The event that was handled is not handled again, and the stream stays parked until it has caught up."""
    fill(stage, POISON, POISON, POISON)
    projection = Projection(stage, POISON)
    projection.run()
    stage.stores.subscriptions.replay("s", POISON)
    projection.poison.clear()
    one = reader(stage, "s", live=True)

    def close_after_the_first(tx: Any, event: Event) -> None:
        projection(tx, event)
        one.consumer._closing.set()

    one.handle(close_after_the_first)
    one.close()
    (left,) = parked(stage)
    assert (left.position, left.is_replaying) == (1, True)
    projection.run()
    assert projection.seen == [[POISON, 1], [POISON, 2], [POISON, 3]]
    assert parked(stage) == []


def test_iterating_passes_over_what_is_parked_and_tells_it_when_replayed(stage: Stage) -> None:
    fill(stage, POISON, "orders/1", POISON)
    Projection(stage, POISON).run(attempts=1)
    fill(stage, POISON, "orders/1")
    assert [event.stream for event in told(stage, "s", category="orders")] == ["orders/1"]
    stage.stores.subscriptions.replay("s", POISON)
    again = told(stage, "s", category="orders")
    assert [(event.stream, event.version) for event in again] == [(POISON, n) for n in (1, 2, 3)]
    assert parked(stage) == []


def test_members_of_a_group_park_and_replay_what_is_theirs(stage: Stage) -> None:
    fill(stage, *[f"orders/{number}" for number in range(8)], POISON)
    projection = Projection(stage, POISON)
    readers: list[Reader] = [member(stage, "s", name, bucket_count=8) for name in "ab"]
    for one in [*readers, *readers]:
        one.handle(projection, attempts=1)
    assert [one.stream for one in parked(stage)] == [POISON]
    projection.poison.clear()
    stage.stores.subscriptions.replay("s", POISON)
    for one in readers:
        one.handle(projection, attempts=1)
    assert [version for stream, version in projection.seen if stream == POISON] == [1, 2]
    assert parked(stage) == []
    for one in readers:
        one.close()


def test_a_handler_that_fails_for_everything_stops(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aureus.subscriptions.handling.PARKED_STREAMS_MAX", 3)
    assert rules.PARKED_STREAMS_MAX == 1000
    streams = [f"orders/{number}" for number in range(5)]
    fill(stage, *streams)
    with pytest.raises(LimitExceeded, match="Mend it"):
        Projection(stage, *streams).run(attempts=1)
    assert len(parked(stage)) == 3
    assert stage.stores.subscriptions.get("s").position == 2


def test_an_error_that_no_engine_can_hold_is_kept_as_far_as_it_can_be(stage: Stage) -> None:
    fill(stage, POISON)

    def fail(_: Any, __: Event) -> None:
        raise ValueError("\x00 \ud800 " + "x" * 3000)

    handled(stage, "s", fail, attempts=1)
    (one,) = parked(stage)
    assert one.error.startswith("ValueError: \N{REPLACEMENT CHARACTER} ? x")
    assert len(one.error) == 2000


def test_patience_is_checked(stage: Stage) -> None:
    for bad in ({"attempts": 0}, {"backoff_seconds": -1.0}):
        with pytest.raises(Invalid):
            handled(stage, "s", print, **bad)

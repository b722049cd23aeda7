"""Subscriptions: every sealed event once, in order, from where the reader had come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from aureus import NewEvent
from aureus.errors import (
    AlreadyExists,
    Conflict,
    HistoryRewound,
    Invalid,
    LeaseLost,
    LimitExceeded,
    NotFound,
    VersionConflict,
)
from aureus.model.events import Event
from aureus.model.subscriptions import Held, Wanted
from tests.contract.stage import Stage
from tests.support.consuming import consumer_store, handled, reader, seal, told
from tests.support.following import following


def fill(stage: Stage, *streams: str, type_: str = "t") -> None:
    """Append an event to each of these streams."""
    for stream in streams:
        stage.stores.events.append(stream, type_, {"to": stream})


def streams(events: list[Event]) -> list[str]:
    """Return the streams of events."""
    return [event.stream for event in events]


def test_a_subscription_tells_what_is_committed_in_the_order_of_positions(stage: Stage) -> None:
    fill(stage, "a/1", "b/1", "a/1")
    stage.stores.events.append_all("c/1", [NewEvent("t", {"n": n}) for n in range(3)])
    events = told(stage, "all")
    assert [event.position for event in events] == list(range(6))
    assert streams(events) == ["a/1", "b/1", "a/1", "c/1", "c/1", "c/1"]
    assert [event.payload.get("n") for event in events[3:]] == [0, 1, 2]
    stored = stage.stores.events.read_stream("a/1")
    assert [event.event_id for event in events if event.stream == "a/1"] == [
        event.event_id for event in stored
    ]


def test_filters_hold_together(stage: Stage) -> None:
    for kind in ("x", "y"):
        fill(stage, "a/1", "a/2", "b/1", type_=kind)
    assert streams(told(stage, "stream", stream="a/2")) == ["a/2"] * 2
    assert streams(told(stage, "category", category="a")) == ["a/1", "a/2"] * 2
    assert streams(told(stage, "types", types=["y", "z"])) == ["a/1", "a/2", "b/1"]
    assert streams(told(stage, "both", category="a", types=["x"])) == ["a/1", "a/2"]
    assert told(stage, "none", category="a", stream="b/1") == []


def test_it_goes_on_where_it_had_come_to(stage: Stage) -> None:
    fill(stage, "a", "b")
    assert streams(told(stage, "s")) == ["a", "b"]
    fill(stage, "c")
    assert streams(told(stage, "s")) == ["c"]
    found = stage.stores.subscriptions.get("s")
    assert (found.position, found.size, found.lag) == (2, 3, 0)


def test_an_event_counts_as_handled_when_the_next_one_is_asked_for(stage: Stage) -> None:
    fill(stage, "a", "b", "c")
    one = reader(stage, "s")
    assert one.next() is not None
    second = one.next()
    assert second is not None
    one.close()
    assert stage.stores.subscriptions.get("s").position == 0
    assert told(stage, "s")[0] == second


def test_a_filter_that_lets_little_through_makes_progress(stage: Stage) -> None:
    fill(stage, *["much"] * 25)
    fill(stage, "rare")
    seal(stage)
    store, wanted = consumer_store(stage), Wanted(stream="rare")
    pages = [store.read_sealed(after, wanted, scan=10) for after in (-1, 9, 19)]
    assert [page.reached for page in pages] == [9, 19, 25]
    assert [streams(list(page.events)) for page in pages] == [[], [], ["rare"]]
    assert [page.is_at_end for page in pages] == [False, False, True]
    with pytest.raises(Invalid):
        store.read_sealed(-1, wanted, scan=0)


def test_a_page_that_is_full_says_where_it_ended(stage: Stage) -> None:
    fill(stage, *"abcde")
    seal(stage)
    store = consumer_store(stage)
    page = store.read_sealed(0, Wanted(), limit=2)
    assert (streams(list(page.events)), page.reached, page.is_at_end) == (["b", "c"], 2, False)
    page = store.read_sealed(2, Wanted(), limit=2)
    assert (page.reached, page.is_at_end) == (4, True)


def test_it_begins_where_it_was_told_to(stage: Stage) -> None:
    fill(stage, "a", "b", "c")
    subscriptions = stage.stores.subscriptions
    made = subscriptions.create("now", from_position="now")
    assert (made.position, made.size) == (2, 3)
    assert subscriptions.create("behind", from_position=3).position == 2
    fill(stage, "d")
    assert streams(told(stage, "now")) == ["d"]
    assert streams(told(stage, "behind")) == ["d"]
    assert streams(told(stage, "second", from_position=1)) == ["b", "c", "d"]
    assert streams(told(stage, "later", from_position="now")) == []


def test_a_position_beyond_what_is_sealed_is_an_error_and_never_waited_for(stage: Stage) -> None:
    fill(stage, "a")
    assert told(stage, "s")
    subscriptions = stage.stores.subscriptions
    for attempt in (
        partial(subscriptions.create, "x", from_position=2),
        partial(subscriptions.reset, "s", from_position=2),
        partial(subscriptions.advance, "s", 7),
    ):
        with pytest.raises(HistoryRewound, match="another history"):
            attempt()
    assert subscriptions.find("x") is None
    assert subscriptions.get("s").position == 0
    with stage.backend.transaction("acme") as tx:
        tx.execute(f"UPDATE {stage.table('subscription_buckets')} SET position = 9")
    with pytest.raises(HistoryRewound) as caught:
        told(stage, "s")
    assert (caught.value.position, caught.value.size) == (9, 1)


def test_rows_of_a_handler_and_the_position_are_committed_together(stage: Stage) -> None:
    fill(stage, "a", "b", "c")
    calls: list[str] = []

    def count(tx: Any, event: Event) -> None:
        tx.world_state.increment("count")
        calls.append(event.stream)
        if calls == ["a", "b"]:
            raise ValueError("not yet")

    handled(stage, "s", count, types=["t"])
    assert calls == ["a", "b", "b", "c"]
    assert stage.stores.world_state.get("count").value == 3
    assert stage.stores.subscriptions.get("s").position >= 2
    assert list(stage.stores.subscriptions.parked("s")) == []
    handled(stage, "s", count)
    assert stage.stores.world_state.get("count").value == 3


def test_a_projection_of_ones_own_moves_the_position_in_its_transaction(stage: Stage) -> None:
    fill(stage, "a", "b", "c")
    seal(stage)
    subscriptions = stage.stores.subscriptions
    subscriptions.create("s")
    with stage.backend.transaction("acme") as tx:
        tx.world_state.set("seen", 1)
        assert tx.subscriptions.advance("s", 0, expected_position=-1) == 0

    def project(position: int, expected: int | None) -> None:
        with stage.backend.transaction("acme") as tx:
            tx.world_state.set("seen", 2)
            tx.subscriptions.advance("s", position, expected_position=expected)

    for position, expected in ((0, None), (2, 1)):
        with pytest.raises(VersionConflict):
            project(position, expected)
    assert stage.stores.world_state.get("seen").value == 1
    assert subscriptions.advance("s", 2) == 2
    with pytest.raises(NotFound):
        subscriptions.advance("nobody", 0)
    subscriptions.create("g", bucket_count=2)
    with pytest.raises(Conflict, match="group"):
        subscriptions.advance("g", 0)
    for bad in (-1, True, "1", 2**63):
        with pytest.raises(Invalid):
            subscriptions.advance("s", bad)


def test_whoever_begins_last_takes_over(stage: Stage) -> None:
    fill(stage, *"abc")
    first = reader(stage, "s")
    assert first.next() is not None
    second = reader(stage, "s")
    assert second.next() is not None
    with pytest.raises(LeaseLost, match="another one has taken it over"):
        first.all()
    assert streams(second.all()) == ["b", "c"]
    second.close()
    first.close()
    assert stage.stores.subscriptions.get("s").position == 2


def test_a_handler_that_was_taken_over_changes_nothing(stage: Stage) -> None:
    fill(stage, *"ab")

    def take_over(tx: Any, event: Event) -> None:
        tx.world_state.set("by", "the first")
        if event.stream == "b":
            tx.execute(f"UPDATE {stage.table('subscription_buckets')} SET epoch = epoch + 1")

    with pytest.raises(LeaseLost):
        handled(stage, "s", take_over)
    assert stage.stores.subscriptions.get("s").position == 0
    assert stage.stores.world_state.get("by").version == 1


def test_a_waiting_consumer_is_woken_by_an_append(backend_stage: Stage) -> None:
    """Nothing but the bell can wake it: it looks by itself only once in an hour."""
    stage = backend_stage
    with following(reader(stage, "s", live=True)) as follower:
        for number in range(20):
            stage.stores.events.append("a", "t", {"n": number})
            follower.wait(number + 1)
    assert [event.payload["n"] for event in follower.told] == list(range(20))
    assert stage.stores.subscriptions.get("s").position >= 18


@pytest.fixture
def backend_stage(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Give a stage whose consumers look once in an hour by themselves."""
    client = stage.backend.client
    patient = replace(client.settings.subscriptions, poll_seconds=3600.0)
    monkeypatch.setattr(client, "settings", replace(client.settings, subscriptions=patient))
    return stage


def test_closing_ends_a_waiting_consumer_at_once(backend_stage: Stage) -> None:
    fill(backend_stage, "a")
    waiting = reader(backend_stage, "s", live=True)
    assert waiting.next() is not None
    with following(waiting) as follower:
        waiting.close()
    assert follower.told == []
    assert waiting.next() is None
    assert backend_stage.stores.subscriptions.get("s").position in {-1, 0}


def test_a_handler_may_close_its_consumer(stage: Stage) -> None:
    fill(stage, *"abc")
    one = reader(stage, "s", live=True)
    seen: list[str] = []

    def stop(_: Any, event: Event) -> None:
        seen.append(event.stream)
        if event.stream == "b":
            one.consumer._closing.set()

    one.handle(stop)
    one.close()
    assert seen == ["a", "b"]
    assert stage.stores.subscriptions.get("s").position == 1


def test_no_tenant_is_told_of_another(stage: Stage, another_stage: Callable[[str], Stage]) -> None:
    other = another_stage("other")
    fill(stage, "mine")
    fill(other, "theirs")
    assert streams(told(stage, "s")) == ["mine"]
    assert streams(told(other, "s")) == ["theirs"]
    assert [one.name for one in other.stores.subscriptions.list()] == ["s"]
    other.stores.subscriptions.delete("s")
    assert stage.stores.subscriptions.get("s").position == 0


def test_making_one_again_returns_it_and_another_one_is_refused(stage: Stage) -> None:
    fill(stage, "a")
    create = stage.stores.subscriptions.create
    create("s", category="a", types=["y", "x"])
    assert streams(told(stage, "s")) == []
    again = create("s", category="a", types=["x", "y", "x"], from_position="now")
    assert (again.position, again.types) == (0, ("x", "y"))
    for other in ({}, {"category": "b"}, {"category": "a", "types": ["x", "y"], "bucket_count": 1}):
        with pytest.raises(AlreadyExists):
            create("s", **other)
    with pytest.raises(AlreadyExists):
        told(stage, "s", category="b")
    create("g", bucket_count=4)
    with pytest.raises(AlreadyExists):
        told(stage, "g")


def test_subscriptions_are_listed_in_order(stage: Stage) -> None:
    subscriptions = stage.stores.subscriptions
    for name in ("b", "a", "c"):
        subscriptions.create(name, stream=f"of/{name}")
    assert [one.name for one in subscriptions.list(limit=2)] == ["a", "b"]
    assert [one.name for one in subscriptions.list(after_name="b")] == ["c"]
    described = subscriptions.get("a").to_dict()
    assert (described["stream"], described["position"], described["lag"]) == ("of/a", -1, 0)
    with pytest.raises(NotFound, match="no subscription"):
        subscriptions.get("d")


def test_a_reset_begins_anew_and_is_a_decision(stage: Stage) -> None:
    fill(stage, "a", "b")
    told(stage, "s", types=["t"])
    one = reader(stage, "s", types=["t"])
    assert stage.stores.subscriptions.reset("s", actor="ada") == -1
    assert streams(told(stage, "s")) == ["a", "b"]
    assert stage.stores.subscriptions.reset("s", from_position=1) == 0
    assert stage.stores.subscriptions.reset("s", from_position="now") >= 2
    one.close()
    (first, *_) = stage.stores.audit.list(action="subscription.reset").entries
    assert (first.type, first.action, first.actor) == (
        "subscription_reset",
        "subscription.reset",
        "ada",
    )
    with pytest.raises(NotFound):
        stage.stores.subscriptions.reset("nobody")


def test_a_consumer_that_is_reset_is_told(stage: Stage) -> None:
    fill(stage, *"abc")
    one = reader(stage, "s")
    assert one.next() is not None
    stage.stores.subscriptions.reset("s")
    with pytest.raises(LeaseLost):
        one.all()
    one.close()
    assert stage.stores.subscriptions.get("s").position == -1


def test_deleting_leaves_nothing_and_is_harmless_when_repeated(stage: Stage) -> None:
    fill(stage, "a")
    told(stage, "s")
    assert stage.stores.subscriptions.delete("s") is True
    assert stage.stores.subscriptions.delete("s") is False
    assert stage.stores.subscriptions.find("s") is None
    for table in ("subscriptions", "subscription_buckets", "subscription_members"):
        with stage.backend.transaction("acme") as tx:
            assert tx.execute(f"SELECT 1 FROM {stage.table(table)}") == []


@pytest.mark.parametrize(
    ("error", "options"),
    [
        (Invalid, {"name": ""}),
        (Invalid, {"name": "a\x00b"}),
        (LimitExceeded, {"name": "x" * 129}),
        (Invalid, {"types": "t"}),
        (LimitExceeded, {"types": [str(n) for n in range(101)]}),
        (Invalid, {"types": [""]}),
        (Invalid, {"stream": ""}),
        (Invalid, {"from_position": -1}),
        (Invalid, {"from_position": "yesterday"}),
        (Invalid, {"from_position": True}),
        (Invalid, {"bucket_count": 0}),
        (Invalid, {"bucket_count": 1025}),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_before_anything_is_stored(
    stage: Stage, error: type[Exception], options: dict[str, Any]
) -> None:
    with pytest.raises(error):
        stage.stores.subscriptions.create(**{"name": "s", **options})
    assert list(stage.stores.subscriptions.list()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"live": 5}, "live is 5"),
        ({"live": "no"}, "True or False"),
        ({"from_position": "strat"}, "'start' or 'now'"),
        ({"from_position": 2.5}, "whole number"),
        ({"types": "order_placed"}, "list"),
        ({"name": 5}, "text"),
    ],
    ids=str,
)
def test_a_consumer_of_what_cannot_be_is_refused_when_it_is_asked_for(
    stage: Stage, options: dict[str, Any], said: str
) -> None:
    stores = getattr(stage.stores, "_stores", stage.stores)
    with pytest.raises(Invalid, match=said):
        stores.subscription(**{"name": "s", **options})
    group = {key: value for key, value in options.items() if key != "live"}
    with pytest.raises(Invalid, match=said):
        stores.subscriptions.group(**{"name": "s", **group}).join(
            **{key: value for key, value in options.items() if key == "live"}
        )


@pytest.mark.parametrize(
    "options",
    [{"attempts": "many"}, {"backoff_seconds": float("nan")}, {"batch_size": 2.5}],
    ids=str,
)
def test_a_handler_that_cannot_be_called_so_is_refused_before_the_first_event(
    stage: Stage, options: dict[str, Any]
) -> None:
    with pytest.raises(Invalid, match="must be"):
        reader(stage, "s").handle(lambda _tx, _event: None, **options)
    assert list(stage.stores.subscriptions.list()) == []


def test_a_subscription_is_not_followed_inside_a_transaction(stage: Stage) -> None:
    with stage.backend.transaction("acme") as tx, pytest.raises(Invalid, match="handle_each"):
        getattr(tx, "_stores", tx).subscription("s")


def test_a_move_under_an_old_epoch_moves_nothing(stage: Stage) -> None:
    fill(stage, *"abc")
    seal(stage)
    stage.stores.subscriptions.create("s")
    store = consumer_store(stage)
    old = store.claim("s")
    new = store.claim("s")
    assert new.epoch == old.epoch + 1
    assert store.advance("s", [Held(0, old.epoch, 2)]) == set()
    assert store.advance("s", [Held(0, new.epoch, 1)]) == {0}
    assert store.advance("s", [Held(0, new.epoch, 1)]) == {0}
    assert store.advance("s", [Held(0, new.epoch, 1)], is_strict=True) == set()
    assert store.advance("s", [Held(0, new.epoch, 0)]) == set()
    assert stage.stores.subscriptions.get("s").position == 1
    assert store.claim("nobody") is None

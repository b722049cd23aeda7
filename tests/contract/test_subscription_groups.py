"""Consumer groups: members share the events, those of a stream keep their order, and who is gone moves nothing."""

from __future__ import annotations

import pytest

from aureus import NewEvent
from aureus.errors import AlreadyExists, Invalid, NotFound
from aureus.model.events import Event
from aureus.model.subscriptions import Held, bucket_of
from tests.contract.stage import Stage
from tests.support.consuming import (
    Delivery,
    consumer_store,
    member,
    raw,
    seal,
    sharing_store,
)

STREAMS = [f"orders/{number}" for number in range(20)]


def fill(stage: Stage, count: int = 1) -> list[Event]:
    """Append so many events to each stream, in turns; return them."""
    return [
        stage.stores.events.append(stream, "t", {"n": number})
        for number in range(count)
        for stream in STREAMS
    ]


def holders(stage: Stage, name: str = "g") -> dict[str | None, int]:
    """Return how many buckets each member holds."""
    found: dict[str | None, int] = {}
    for bucket in stage.stores.subscriptions.buckets(name):
        found[bucket.member_id] = found.get(bucket.member_id, 0) + 1
    return found


def test_one_member_is_told_everything(stage: Stage) -> None:
    committed = fill(stage, 2)
    one = member(stage, "g", "a", bucket_count=8)
    assert Delivery(committed, one.all()).problems() == []
    one.close()
    assert stage.stores.subscriptions.get("g").lag == 0
    assert holders(stage) == {None: 8}
    assert list(stage.stores.subscriptions.members("g")) == []


def test_members_share_and_each_event_is_told_once_in_the_order_of_its_stream(
    stage: Stage,
) -> None:
    delivery = Delivery(committed=fill(stage))
    one, two = member(stage, "g", "a", bucket_count=8), member(stage, "g", "b")
    delivery.delivered += one.all()
    delivery.delivered += two.all()
    delivery.delivered += one.all()
    delivery.delivered += two.all()
    assert holders(stage) == {"a": 4, "b": 4}
    for _ in range(3):
        delivery.committed += fill(stage)
        of_one, of_two = one.all(), two.all()
        assert of_one
        assert of_two
        delivery.delivered += [*of_one, *of_two]
    assert delivery.problems(is_group=True) == []
    one.close()
    two.close()


def test_a_member_that_leaves_is_followed_by_the_others(stage: Stage) -> None:
    delivery = Delivery()
    one, two = member(stage, "g", "a", bucket_count=5), member(stage, "g", "b")
    for reader in (one, two, one, two):
        delivery.delivered += reader.all()
    assert holders(stage) == {"a": 3, "b": 2}
    delivery.committed += fill(stage)
    delivery.delivered += two.all()
    one.close()
    delivery.delivered += two.all()
    assert holders(stage) == {"b": 5}
    assert delivery.problems(is_group=True) == []
    two.close()


def test_what_a_member_had_in_hand_when_it_left_is_told_to_the_next(stage: Stage) -> None:
    fill(stage)
    one = member(stage, "g", "a", bucket_count=4)
    told = [one.next() for _ in range(7)]
    one.close()
    two = member(stage, "g", "b")
    again = two.all()
    two.close()
    assert [event.position for event in told if event] == list(range(7))
    assert [event.position for event in again] == list(range(6, 20))


def test_a_member_that_does_not_renew_is_taken_over_and_moves_nothing(stage: Stage) -> None:
    fill(stage)
    seal(stage)
    stage.stores.subscriptions.create("g", bucket_count=4)
    sharing, consuming = sharing_store(stage), consumer_store(stage)
    gone = sharing.share("g", "gone", lease_seconds=-1e6)
    assert len(gone) == 4
    taken = sharing.share("g", "next", lease_seconds=60)
    assert [one.epoch for one in taken] == [one.epoch + 1 for one in gone]
    late = [Held(one.bucket, one.epoch, 19) for one in gone]
    assert consuming.advance("g", late) == set()
    assert {one.position for one in stage.stores.subscriptions.buckets("g")} == {-1}
    assert sharing.share("g", "gone", lease_seconds=60) == []
    assert sharing.share("g", "next", lease_seconds=60) == taken[:2]


def test_a_member_that_was_late_goes_on_with_what_nobody_took(stage: Stage) -> None:
    stage.stores.subscriptions.create("g", bucket_count=4)
    sharing = sharing_store(stage)
    held = sharing.share("g", "a", lease_seconds=-1e6)
    assert sharing.share("g", "a", lease_seconds=60) == held


def test_a_reset_moves_the_members_too(stage: Stage) -> None:
    committed = fill(stage)
    one = member(stage, "g", "a", bucket_count=4)
    assert len(one.all()) == len(committed)
    stage.stores.subscriptions.reset("g")
    assert [event.position for event in one.all()][:20] == list(range(20))
    one.close()


def test_streams_of_any_name_find_their_bucket(stage: Stage) -> None:
    """Python and both engines agree, or an event would be told to nobody."""
    names = ["a", "ä/ö", "漢字/1", "\U0001f600", "x" * 500, "a b", "'; --", "\x7f", "\u2028", "é"]
    for name in names:
        stage.stores.events.append_all(name, [NewEvent("t", {})])
    one = member(stage, "g", "a", bucket_count=1024)
    assert [event.stream for event in one.all()] == names
    one.close()
    by_bucket = {one.bucket: one.position for one in stage.stores.subscriptions.buckets("g")}
    assert all(by_bucket[bucket_of(name, 1024)] == len(names) - 1 for name in names)


def test_a_group_has_its_buckets_for_ever_and_is_no_subscription_of_one(stage: Stage) -> None:
    stage.stores.subscriptions.create("plain")
    one = member(stage, "g", "a", bucket_count=4, category="orders")
    one.all()
    one.close()
    two = member(stage, "g", "b", bucket_count=64)
    two.all()
    two.close()
    assert stage.stores.subscriptions.get("g").bucket_count == 4
    assert stage.stores.subscriptions.get("g").is_group
    for wrong in (member(stage, "plain", "a"), member(stage, "g", "a", category="other")):
        with pytest.raises(AlreadyExists):
            wrong.all()
    with pytest.raises(Invalid):
        raw(stage).subscriptions.group("g", bucket_count=0)
    with pytest.raises(Invalid):
        raw(stage).subscriptions.group("g").join("")


def test_a_group_that_is_deleted_ends_its_members(stage: Stage) -> None:
    fill(stage)
    one = member(stage, "g", "a", bucket_count=4)
    assert one.next() is not None
    stage.stores.subscriptions.delete("g")
    with pytest.raises(NotFound):
        one.all()
    one.close()
    assert sharing_store(stage).share("g", "a", lease_seconds=60) is None
    assert sharing_store(stage).leave("g", "a") is False


def test_more_members_than_buckets_wait_their_turn(stage: Stage) -> None:
    committed = fill(stage)
    one, two = member(stage, "g", "a", bucket_count=1), member(stage, "g", "b")
    assert len(one.all()) == len(committed)
    assert two.all() == []
    one.close()
    fill(stage)
    assert len(two.all()) == len(committed)
    two.close()

"""Who was taken over changes nothing: not after a deletion, not under a name that another process uses by now."""

from __future__ import annotations

import pytest

from aureus.errors import LeaseLost
from aureus.model.subscriptions import Held
from tests.contract.stage import Stage
from tests.support.consuming import consumer_store, member, reader, seal, told


def fill(stage: Stage, *streams: str) -> None:
    """Append an event to each of these streams, and seal them."""
    for stream in streams:
        stage.stores.events.append(stream, "t", {})
    seal(stage)


def test_a_consumer_of_a_subscription_that_was_deleted_does_not_move_the_next_one_of_that_name(
    stage: Stage,
) -> None:
    """Events would be passed over that nobody was told of."""
    fill(stage, *"abcdef")
    old = reader(stage, "s")
    for _ in range(5):
        assert old.next() is not None
    stage.stores.subscriptions.delete("s")
    new = reader(stage, "s")
    assert new.next() is not None
    old.close()
    new.close()
    assert stage.stores.subscriptions.get("s").position < 1
    assert len(told(stage, "s")) >= 5


def test_a_member_whose_name_another_process_uses_by_now_moves_nothing_and_says_so(
    stage: Stage,
) -> None:
    """A supervisor starts a second process under the name of one that only hung."""
    fill(stage, *"abcdef")
    hung, second = member(stage, "g", "m", bucket_count=4), member(stage, "g", "m")
    assert hung.next() is not None
    assert second.next() is not None
    with pytest.raises(LeaseLost):
        hung.all()
    hung.close()
    assert [one.member_id for one in stage.stores.subscriptions.members("g")] == ["m"]
    assert len(second.all()) == 5
    second.close()
    assert stage.stores.subscriptions.get("g").lag == 0


def test_the_end_of_a_member_does_not_end_the_one_that_came_back_under_its_name(
    stage: Stage,
) -> None:
    fill(stage, *"abc")
    hung, second = member(stage, "g", "m", bucket_count=4), member(stage, "g", "m")
    assert hung.next() is not None
    assert second.next() is not None
    hung.close()
    assert [one.member_id for one in stage.stores.subscriptions.members("g")] == ["m"]
    assert len(second.all()) == 2
    second.close()
    assert list(stage.stores.subscriptions.members("g")) == []


def test_epochs_of_a_subscription_that_is_made_again_are_other_ones(stage: Stage) -> None:
    fill(stage, "a", "b")
    subscriptions, store = stage.stores.subscriptions, consumer_store(stage)
    subscriptions.create("s")
    before = store.claim("s")
    subscriptions.delete("s")
    subscriptions.create("s")
    store.claim("s")
    assert store.advance("s", [Held(0, before.epoch, 1)]) == set()

"""Every operation that writes subscriptions, prepared so that one call carries it out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from aureus.model.subscriptions import Held, ParkedStream, Tried
from tests.contract.stage import Stage
from tests.support.consuming import consumer_store, seal, sharing_store

Prepared = Callable[[], Any]


def _made(stage: Stage, **more: Any) -> Any:
    """Return the subscriptions of a tenant with three sealed events and the subscription s."""
    for name in ("one", "two", "one"):
        stage.stores.events.append(name, "t", {})
    seal(stage)
    stage.stores.subscriptions.create("s", **more)
    return stage.stores.subscriptions


def _parked(stage: Stage) -> tuple[Held, ParkedStream]:
    """Return a bucket that is held, and a stream that is parked."""
    subscriptions, store = _made(stage), consumer_store(stage)
    held = store.claim("s")
    store.park("s", Held(0, held.epoch, 0), "one", 3, "ValueError", stage.backend.clock.now())
    (parked,) = subscriptions.parked("s")
    return held, parked


def create_subscription(stage: Stage) -> Prepared:
    """Return the making of a group with several buckets."""
    _made(stage)
    return partial(stage.stores.subscriptions.create, "g", types=["t"], bucket_count=5)


def delete_subscription(stage: Stage) -> Prepared:
    """Return the end of a subscription with a parked stream."""
    _parked(stage)
    return partial(stage.stores.subscriptions.delete, "s")


def reset_subscription(stage: Stage) -> Prepared:
    """Return the return of a subscription to its beginning, with a parked stream."""
    _parked(stage)
    return partial(stage.stores.subscriptions.reset, "s")


def advance_subscription(stage: Stage) -> Prepared:
    """Return the move of a position by hand."""
    return partial(_made(stage).advance, "s", 1)


def replay_parked(stage: Stage) -> Prepared:
    """Return the wish to try a parked stream again."""
    _parked(stage)
    return partial(stage.stores.subscriptions.replay, "s", "one")


def skip_parked(stage: Stage) -> Prepared:
    """Return the giving up of an event."""
    _, parked = _parked(stage)
    skip = stage.stores.subscriptions.skip
    return partial(skip, "s", "one", parked.position, reason="broken")


def claim_bucket(stage: Stage) -> Prepared:
    """Return a takeover."""
    _made(stage)
    return partial(consumer_store(stage).claim, "s")


def advance_buckets(stage: Stage) -> Prepared:
    """Return the move of two buckets by their holder."""
    _made(stage, bucket_count=2)
    held = sharing_store(stage).share("s", "a", lease_seconds=60)
    moved = [Held(one.bucket, one.epoch, 1) for one in held]
    return partial(consumer_store(stage).advance, "s", moved)


def release_buckets(stage: Stage) -> Prepared:
    """Return the giving back of two buckets by their holder."""
    _made(stage, bucket_count=2)
    held = sharing_store(stage).share("s", "a", lease_seconds=60)
    moved = [Held(one.bucket, one.epoch, 1) for one in held]
    return partial(consumer_store(stage).release, "s", moved)


def note_try(stage: Stage) -> Prepared:
    """Return the noting of a try."""
    _made(stage)
    store, now = consumer_store(stage), stage.backend.clock.now()
    return partial(store.note_try, "s", store.claim("s"), Tried(0, 2, "ValueError", now))


def extend_member(stage: Stage) -> Prepared:
    """Return the renewal of a membership."""
    _made(stage, bucket_count=2)
    sharing_store(stage).share("s", "a", lease_seconds=60)
    return partial(sharing_store(stage).extend, "s", "a", lease_seconds=60)


def park_stream(stage: Stage) -> Prepared:
    """Return the parking of a stream."""
    _made(stage)
    store, now = consumer_store(stage), stage.backend.clock.now()
    held = store.claim("s")
    return partial(store.park, "s", Held(0, held.epoch, 0), "one", 3, "ValueError", now)


def keep_parked(stage: Stage) -> Prepared:
    """Return another failure of a parked stream."""
    held, parked = _parked(stage)
    again = ParkedStream(parked.stream, 0, 0, 9, "KeyError", False, *[parked.first_failed_at] * 2)
    return partial(consumer_store(stage).keep_parked, "s", held, again)


def move_parked(stage: Stage) -> Prepared:
    """Return the handling of a parked event."""
    held, _ = _parked(stage)
    return partial(consumer_store(stage).move_parked, "s", held, "one", 0, is_strict=False)


def unpark_stream(stage: Stage) -> Prepared:
    """Return the end of a replay."""
    held, _ = _parked(stage)
    return partial(consumer_store(stage).unpark, "s", Held(0, held.epoch, 2), "one")


def share_buckets(stage: Stage) -> Prepared:
    """Return a takeover of a lapsed member's buckets, beside one that has too many."""
    _made(stage, bucket_count=6)
    sharing = sharing_store(stage)
    sharing.share("s", "a", lease_seconds=60)
    sharing.share("s", "b", lease_seconds=60)
    sharing.share("s", "gone", lease_seconds=-1e6)
    return partial(sharing.share, "s", "a", lease_seconds=60)


def leave_group(stage: Stage) -> Prepared:
    """Return the end of a membership."""
    share_buckets(stage)
    return partial(sharing_store(stage).leave, "s", "a")


SUBSCRIPTION_WRITES = [
    create_subscription, delete_subscription, reset_subscription, advance_subscription, replay_parked, skip_parked,
    claim_bucket, advance_buckets, release_buckets, note_try, extend_member, park_stream, keep_parked, move_parked,
    unpark_stream, share_buckets, leave_group,
]  # fmt: skip

"""A member whose handler takes longer than its lease stays one; who comes back under its name goes on."""

from __future__ import annotations

import threading
from datetime import datetime
from typing import Any

from aureus.model.events import Event
from tests.contract.stage import Stage
from tests.support.consuming import Reader, member, seal
from tests.support.following import handling
from tests.support.waiting import eventually


def fill(stage: Stage, count: int) -> None:
    """Append an event to each of so many streams, and seal them."""
    for number in range(count):
        stage.stores.events.append(f"s/{number}", "t", {})
    seal(stage)


def ends_at(stage: Stage) -> datetime:
    """Return until when the only member of the group is one."""
    (found,) = stage.stores.subscriptions.members("g")
    return found.expires_at  # type: ignore[no-any-return]  # any backend


def renewed_twice(stage: Stage) -> None:
    """Let time pass for the consumer, and wait until its membership was renewed beside it."""
    for _ in range(2):
        before = ends_at(stage)
        stage.backend.clock.advance(6)
        eventually(lambda before=before: ends_at(stage) > before, "a renewal")  # type: ignore[misc]  # bound now


def test_a_handler_that_takes_longer_than_the_lease_keeps_its_buckets(stage: Stage) -> None:
    fill(stage, 3)
    is_busy, may_end = threading.Event(), threading.Event()
    calls: list[str] = []

    def slow(tx: Any, event: Event) -> None:
        calls.append(event.stream)
        is_busy.set()
        assert may_end.wait(60)

    one = member(stage, "g", "m", bucket_count=2, types=["t"])
    with handling(one, slow) as thread:
        try:
            assert is_busy.wait(60)
            if (
                "SQLite" not in stage.backend.client.description
            ):  # there the handler's transaction is the one writer
                renewed_twice(stage)
        finally:
            may_end.set()
        thread.join(60)
    assert len(calls) == 3
    assert stage.stores.subscriptions.get("g").position >= 2


def test_whoever_has_an_event_in_hand_for_long_stays_a_member(stage: Stage) -> None:
    fill(stage, 3)
    one: Reader = member(stage, "g", "m", bucket_count=2, live=True)
    assert one.next() is not None
    renewed_twice(stage)
    assert one.next() is not None
    one.close()
    assert list(stage.stores.subscriptions.members("g")) == []

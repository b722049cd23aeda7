"""The loop of a consumer, step by step: what it asks for, and what it makes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from aureus.clock import ManualClock
from aureus.errors import (
    DatabaseUnavailable,
    DeadlineExceeded,
    HistoryRewound,
    LeaseLost,
    VersionConflict,
)
from aureus.model.events import Event
from aureus.model.ledger import SealingRound
from aureus.model.subscriptions import Bucket, Held, ParkedStream, SealedPage, Subscription, Wanted
from aureus.subscriptions.following import Following, next_scan
from aureus.subscriptions.handling import Handling
from aureus.subscriptions.holding import UNSTORED_EVENTS_MAX, Plan
from aureus.subscriptions.steps import Ask, Deliver, Keep, Pause, Rest, Work

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(position: int, stream: str = "a") -> Event:
    """Return a sealed event."""
    return Event(
        event_id=f"e{position}",
        stream=stream,
        version=position + 1,
        entry_no=position + 1,
        type="t",
        payload={},
        metadata={},
        actor="me",
        occurred_at=NOW,
        correlation_id=None,
        action=None,
        resource=None,
        outcome=None,
        leaf_hash=b"x" * 32,
        position=position,
    )


def page(*events: Event, reached: int, size: int, has_unsealed: bool = False) -> SealedPage:
    """Return what a look found."""
    return SealedPage(tuple(events), reached, size, has_unsealed)


class Driver:
    """Answers what the loop asks for, and says what that was."""

    def __init__(
        self,
        *,
        position: int = -1,
        is_live: bool = True,
        is_group: bool = False,
        held: list[Held] | None = None,
        **plan: Any,
    ) -> None:
        self.clock = ManualClock()
        self.following = Following(
            Plan(name="s", wanted=None, is_live=is_live, poll_seconds=1.0, **plan), self.clock
        )
        self._steps = self.following.steps()
        found = Subscription("s", None, None, (), is_group, 1, NOW, position, NOW, 0, 0, 9)
        assert self.next() == "find"
        if is_group:
            assert self.answer(found) == "share"
            shared = [Held(0, 4, position)] if held is None else held
            assert isinstance(self.answer(shared), Keep)
            assert self.answer() == "list_parked"
            return
        assert self.answer(found) == "claim"
        assert self.answer(Held(0, 4, position)) == "list_parked"

    def next(self) -> Any:
        """Go on to the first thing asked for."""
        return self._said(next(self._steps))

    def answer(self, value: Any = None) -> Any:
        """Answer, and return what is asked for next."""
        return self._said(self._steps.send(value))

    def throw(self, error: Exception) -> Any:
        """Answer with an error, and return what is asked for next."""
        return self._said(self._steps.throw(error))

    @staticmethod
    def _said(effect: Any) -> Any:
        if isinstance(effect, Ask):
            operation: Any = effect.make()
            name = operation.__name__
            operation.close()
            return name
        return effect


def test_a_member_whose_share_is_due_at_every_event_still_goes_through_its_page() -> None:
    """Reading the page again each time would take longer than the next look at the share leaves."""
    driver = Driver(is_group=True, bucket_count=1, lease_seconds=3.0)
    asked = driver.answer([])
    assert asked == "read_sealed"
    asked = driver.answer(page(event(0), event(1), event(2), reached=2, size=3))
    for position in range(3):
        assert asked == Deliver(event(position))
        driver.clock.advance(1.0)
        assert driver.answer() == "advance"
        assert driver.answer({0}) == "share"
        asked = driver.answer([Held(0, 4, -1)])
    assert asked == "buckets"
    assert isinstance(driver.answer([]), Rest)


@pytest.mark.parametrize("held", [[Held(0, 4, -1)], []], ids=["idle", "without a bucket"])
def test_a_bucket_that_was_given_back_is_taken_at_the_next_look(held: list[Held]) -> None:
    """And not a third of a lease later."""
    driver = Driver(is_group=True, bucket_count=2, lease_seconds=15.0, held=held)
    driver.clock.advance(1.0)
    asked = driver.answer([])
    if held:
        assert asked == "read_sealed"
        asked = driver.answer(page(reached=-1, size=0))
    assert asked == "buckets"
    free = Bucket(1, 7, -1, is_suspect=False, tried=None, member_id=None, updated_at=NOW)
    assert driver.answer([free]) == "share"
    assert driver.answer([*held, Held(1, 8, -1)]) == "list_parked"
    assert driver.answer([]) == "read_sealed"
    assert driver.answer(page(reached=-1, size=0)) == Rest(1.0)


def test_a_member_that_holds_something_else_reads_again_behind_that() -> None:
    driver = Driver(is_group=True, bucket_count=1, lease_seconds=3.0)
    driver.answer([])
    assert driver.answer(page(event(0), event(1), reached=1, size=2)) == Deliver(event(0))
    driver.clock.advance(1.0)
    assert driver.answer() == "advance"
    assert driver.answer({0}) == "share"
    assert driver.answer([Held(0, 9, -1)]) == "list_parked"
    assert driver.answer([]) == "read_sealed"


def test_an_idle_consumer_rests_and_looks_again() -> None:
    driver = Driver()
    assert driver.answer([]) == "read_sealed"
    assert driver.answer(page(reached=-1, size=0)) == Rest(1.0)
    assert driver.answer(True) == "read_sealed"
    assert driver.answer(page(event(0), reached=0, size=1)) == Deliver(event(0))
    assert driver.answer() == "advance"
    assert driver.answer({0}) == Rest(1.0)


def test_positions_are_stored_after_a_bounded_number_of_events() -> None:
    driver = Driver()
    driver.answer([])
    events = [event(position) for position in range(UNSTORED_EVENTS_MAX + 1)]
    asked = driver.answer(page(*events, reached=len(events) - 1, size=len(events)))
    for _ in range(UNSTORED_EVENTS_MAX):
        assert isinstance(asked, Deliver)
        asked = driver.answer()
    assert asked == "advance"
    assert isinstance(driver.answer({0}), Deliver)


def test_one_who_is_woken_leaves_sealing_to_the_writers_unless_they_leave_it_for_long() -> None:
    """Others may go on ringing for ever, while what a killed writer left is never sealed."""
    driver = Driver()
    driver.answer([])
    unsealed = page(reached=-1, size=0, has_unsealed=True)
    assert driver.answer(unsealed) == "seal"
    assert driver.answer(SealingRound(0, 0, is_done=False)) == Rest(1.0)
    assert driver.answer(True) == "read_sealed"
    assert driver.answer(unsealed) == Rest(1.0)
    driver.answer(True)
    driver.clock.advance(1.0)
    assert driver.answer(unsealed) == "seal"


def test_whoever_does_not_wait_waits_for_a_sealer_at_work() -> None:
    driver = Driver(is_live=False)
    driver.answer([])
    unsealed = page(reached=-1, size=0, has_unsealed=True)
    assert driver.answer(unsealed) == "seal"
    assert isinstance(driver.answer(SealingRound(0, 0, is_done=False)), Pause)
    assert driver.answer() == "read_sealed"
    assert driver.answer(unsealed) == "seal"
    assert driver.answer(SealingRound(1, 0, is_done=True)) == "read_sealed"
    assert driver.answer(page(event(0), reached=0, size=1)) == Deliver(event(0))
    assert driver.answer() == "advance"
    with pytest.raises(StopIteration):
        driver.answer({0})


def test_a_history_that_is_shorter_than_the_position_is_an_error() -> None:
    driver = Driver(position=5)
    driver.answer([])
    with pytest.raises(HistoryRewound):
        driver.answer(page(reached=5, size=5))


def test_a_consumer_that_lost_its_bucket_says_so_when_it_stores() -> None:
    driver = Driver()
    driver.answer([])
    driver.answer(page(event(0), reached=0, size=1))
    assert driver.answer() == "advance"
    with pytest.raises(LeaseLost):
        driver.answer(set())


def test_an_idle_consumer_sees_that_it_was_taken_over() -> None:
    driver = Driver()
    driver.answer([])
    driver.clock.advance(2.0)
    assert driver.answer(page(reached=-1, size=0)) == "buckets"
    with pytest.raises(LeaseLost):
        driver.answer([])


def test_a_database_that_is_away_is_waited_for_longer_and_longer() -> None:
    driver = Driver()
    assert driver.answer([]) == "read_sealed"
    assert driver.throw(DatabaseUnavailable("away")) == Pause(0.2)
    assert driver.answer() == "read_sealed"
    assert driver.throw(DatabaseUnavailable("away")) == Pause(0.4)
    assert driver.answer() == "read_sealed"
    assert driver.throw(DeadlineExceeded("it does not answer")) == Pause(0.8)
    ending = Driver(is_live=False)
    ending.answer([])
    with pytest.raises(DatabaseUnavailable):
        ending.throw(DatabaseUnavailable("away"))


def test_a_replay_gives_way_to_a_decision_to_skip() -> None:
    driver = Driver(position=1, is_live=False)
    driver.following.handle_by(Handling(driver.clock, 1, 0.0))
    waiting = ParkedStream("a", 0, 0, 1, "broken", True, NOW, NOW)
    assert driver.answer([waiting]) == "read_sealed"
    assert driver.answer(page(reached=1, size=2)) == "list_parked"
    assert driver.answer([waiting]) == "read_sealed"
    assert isinstance(driver.answer(page(event(0), reached=1, size=2)), Work)
    assert driver.throw(VersionConflict("it was skipped")) == "read_sealed"
    assert driver.answer(page(reached=1, size=2)) == "list_parked"
    with pytest.raises(StopIteration):
        driver.answer([])


def test_what_is_handed_out_counts_when_it_is_acknowledged() -> None:
    driver = Driver(position=-1)
    driver.answer([])
    assert driver.answer(page(event(0), reached=0, size=1)) == Deliver(event(0))
    assert driver.following.progress.unstored(everything=True) == []
    driver.following.acknowledge()
    assert driver.following.progress.unstored(everything=True) == [Held(0, 4, 0)]
    assert driver.following.plan.wanted != Wanted()


@pytest.mark.parametrize(
    ("told", "passed", "scan"),
    [
        (500, 500, 500),
        (0, 2000, 2000),
        (0, 0, 2000),
        (100, 200, 1000),
        (1, 2000, 2000),
        (3, 3, 500),
    ],
)
def test_a_look_goes_through_as_much_as_brings_a_full_page(
    told: int, passed: int, scan: int
) -> None:
    assert next_scan(told, passed) == scan

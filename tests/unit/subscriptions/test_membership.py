"""A member is one for as long as somebody may reasonably have an event in hand, and not for ever."""

from __future__ import annotations

from typing import Any

from aureus.clock import ManualClock
from aureus.subscriptions.membership import Membership


def made(**more: Any) -> tuple[ManualClock, Membership]:
    """Return a membership that has just begun, and its clock."""
    clock = ManualClock()
    given = {"lease_seconds": 15.0, "handling_seconds_max": 60.0, **more}
    return clock, Membership(clock, extend=lambda: iter(()), **given)  # type: ignore[arg-type, return-value]  # never asked for


def test_it_is_renewed_three_times_a_lease_and_not_right_after_the_loop_has_done_so() -> None:
    clock, membership = made()
    clock.advance(4.9)
    assert not membership.is_due()
    clock.advance(0.1)
    assert membership.is_due()
    membership.renewed(membership.now())
    assert not membership.is_due()
    clock.advance(5)
    assert membership.is_due()


def test_a_renewal_that_failed_is_tried_again_after_a_pause() -> None:
    clock, membership = made()
    clock.advance(5)
    membership.failed(membership.now())
    assert not membership.is_due()
    clock.advance(1)
    assert membership.is_due()


def test_one_who_has_an_event_in_hand_for_too_long_is_not_renewed_until_it_is_free() -> None:
    clock, membership = made()
    membership.busy()
    clock.advance(60)
    assert membership.is_due()
    clock.advance(0.1)
    assert not membership.is_due()
    membership.free()
    assert membership.is_due()


def test_each_piece_of_work_has_its_own_time() -> None:
    clock, membership = made()
    for _ in range(3):
        membership.busy()
        clock.advance(40)
        assert membership.is_due()
        membership.free()

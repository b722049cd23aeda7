"""What a consumer has passed is stored under the epoch that it was given, only ahead, and when it is worth a write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aureus.model.subscriptions import Held
from aureus.subscriptions.progress import UNSTORED_POSITIONS_MAX, Progress


def progress(*held: Held) -> Progress:
    """Return the progress of one who has just taken these buckets."""
    made = Progress()
    made.hold(held)
    return made


def test_reading_goes_on_behind_the_bucket_that_is_furthest_behind() -> None:
    made = progress(Held(0, 1, 5), Held(1, 1, 2))
    assert (made.first, made.furthest) == (2, 5)
    made.all_passed(4)
    assert (made.first, made.furthest) == (4, 5)


def test_what_is_handled_is_worth_a_write_and_what_is_merely_passed_is_not() -> None:
    made = progress(Held(0, 1, -1), Held(1, 1, -1))
    made.passed(0, 3, is_handled=True)
    made.all_passed(4)
    assert made.unstored(everything=False) == [Held(0, 1, 4)]
    assert made.unstored(everything=True) == [Held(0, 1, 4), Held(1, 1, 4)]
    made.store([Held(0, 1, 4)])
    assert made.unstored(everything=False) == []
    made.all_passed(UNSTORED_POSITIONS_MAX - 1)
    assert made.unstored(everything=False) == [Held(1, 1, UNSTORED_POSITIONS_MAX - 1)]


def test_a_bucket_that_is_held_again_under_another_epoch_begins_where_it_is_stored() -> None:
    made = progress(Held(0, 1, 0), Held(1, 1, 0), Held(2, 1, 0))
    made.all_passed(7)
    made.hold([Held(0, 1, 0), Held(1, 2, 3)])
    assert [made.reached(bucket) for bucket in (0, 1)] == [Held(0, 1, 7), Held(1, 2, 3)]
    assert not made.holds(2)
    made.store([Held(1, 1, 9)])
    assert made.unstored(everything=True) == [Held(0, 1, 7)]
    made.lose(0)
    made.lose(0)
    assert not made.is_empty
    made.lose(1)
    assert made.is_empty


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.booleans()), max_size=40))
def test_positions_only_rise(moves: list[tuple[int, int, bool]]) -> None:
    made = progress(*(Held(bucket, 1, 10) for bucket in range(4)))
    for bucket, position, is_handled in moves:
        before = made.all_reached()
        made.passed(bucket, position, is_handled=is_handled)
        assert all(
            one.position >= other.position
            for one, other in zip(made.all_reached(), before, strict=True)
        )
        stored = made.unstored(everything=bool(position % 2))
        assert all(one.position > 10 for one in stored)
        made.store(stored)
        assert not set(stored) & set(made.unstored(everything=True))

"""The lane loses nobody, keeps the order of each key, and never sends one key twice in a flush."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aureus._database import lane as lane_module
from aureus._database.lane import FLUSH_BYTES_MAX, MEMBERS_MAX, Key, Lane, Member, key_of, size_of
from aureus.errors import DatabaseBusy


@dataclass(slots=True, eq=False, kw_only=True)
class Numbered(Member):
    """A member that knows when it came."""

    number: int
    is_alone: bool = False

    def travels_alone(self) -> bool:
        """Return what the test says."""
        return self.is_alone


@dataclass(slots=True, eq=False, kw_only=True)
class InOrder(Numbered):
    """A member of an engine that carries out everything in order of arrival."""

    @property
    def order(self) -> tuple[str, int, str]:
        """Return the same for all."""
        return ("", 0, "")


def member(
    number: int,
    key: Key | None = None,
    *,
    tenant_id: str = "t",
    size_bytes: int = 1,
    is_alone: bool = False,
    kind: type[Numbered] = Numbered,
) -> Numbered:
    """Return a member; its rank is its number, from high to low, so that sorting shows."""
    return kind(
        tenant_id=tenant_id,
        rank=-number,
        key=key,
        size_bytes=size_bytes,
        number=number,
        is_alone=is_alone,
    )


def numbers(members: list[Any]) -> list[int]:
    """Return when the members came."""
    return [one.number for one in members]


class LaneMachine(RuleBasedStateMachine):
    """Random arrivals, withdrawals, flushes, failures and lone travellers."""

    def __init__(self) -> None:
        super().__init__()
        self.lane: Lane[Numbered] = Lane()
        self.count = 0
        self.waiting: list[Numbered] = []
        self.alone: list[Numbered] = []
        self.done: list[Numbered] = []

    @rule(
        key=st.none() | st.integers(0, 4),
        size=st.sampled_from([1, FLUSH_BYTES_MAX // 3, 2 * FLUSH_BYTES_MAX]),
        is_alone=st.sampled_from([False, False, False, True]),
        tenant_id=st.sampled_from("ab"),
    )
    def enter(self, key: int | None, size: int, is_alone: bool, tenant_id: str) -> None:
        """Somebody arrives."""
        self.count += 1
        arrived = member(
            self.count,
            None if key is None else (tenant_id, key),
            tenant_id=tenant_id,
            size_bytes=size,
            is_alone=is_alone,
        )
        was_busy = self.lane.is_busy
        assert self.lane.enter(arrived) is not was_busy
        self.waiting.append(arrived)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        """Somebody leaves the queue."""
        leaving = data.draw(st.sampled_from(self.waiting))
        assert leaving in self.lane
        assert self.lane.withdraw(leaving)
        assert not self.lane.withdraw(leaving)
        self.waiting.remove(leaving)

    @precondition(lambda self: self.lane.is_busy)
    @rule(fails=st.booleans(), data=st.data())
    def flush(self, fails: bool, data: st.DataObject) -> None:
        """Take a flush; some of it fails, some of it goes on alone."""
        taken = self.lane.take()
        keys = [one.key for one in taken if one.key is not None]
        assert len(set(keys)) == len(keys), "a key twice in one flush"
        assert len(taken) <= MEMBERS_MAX
        assert len(taken) == 1 or sum(one.size_bytes for one in taken) <= FLUSH_BYTES_MAX
        assert len(taken) <= 1 or not any(one.is_alone for one in taken)
        assert [one.order for one in taken] == sorted(one.order for one in taken)
        for one in taken:
            if one.key is not None:
                earlier = [other for other in self.waiting if other.number < one.number]
                assert all(other.key != one.key for other in earlier if other not in taken)
                assert all(other.key != one.key for other in self.alone)
        if fails:
            self.lane.put_back(sorted(taken, key=lambda one: one.number))
        else:
            self.waiting = [one for one in self.waiting if one not in taken]
            goes_alone = [one for one in taken if data.draw(st.integers(0, 4)) == 0]
            for one in goes_alone:
                self.lane.park(one.key)
            self.alone += goes_alone
            self.done += [one for one in taken if one not in goes_alone]
        self.lane.successor()

    @precondition(lambda self: self.alone)
    @rule()
    def come_back(self) -> None:
        """Let a lone traveller end, and its key travel again."""
        one = self.alone.pop(0)
        was_busy = self.lane.is_busy
        successor = self.lane.release(one.key)
        assert successor is None or not was_busy
        self.done.append(one)

    @invariant()
    def nobody_is_lost(self) -> None:
        """Everybody who arrived waits or is done."""
        assert len(self.lane) == len(self.waiting)
        assert all(one in self.lane for one in self.waiting)

    @invariant()
    def an_idle_lane_keeps_nobody_waiting_who_may_travel(self) -> None:
        """Who waits in an idle lane waits for a parked key."""
        if not self.lane.is_busy:
            parked = [one.key for one in self.alone]
            assert all(one.key in parked for one in self.waiting)


TestLane = LaneMachine.TestCase
TestLane.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@given(
    keys=st.lists(st.none() | st.integers(0, 5), max_size=60),
    alone=st.sets(st.integers(0, 59)),
)
def test_members_of_one_order_leave_exactly_as_they_came(
    keys: list[int | None], alone: set[int]
) -> None:
    """An engine with one writer gives all members the same order and no key."""
    lane: Lane[Numbered] = Lane()
    for number in range(len(keys)):
        lane.enter(member(number, is_alone=number in alone, kind=InOrder))
    left: list[int] = []
    while len(lane):
        left += numbers(lane.take())
    assert left == list(range(len(keys)))


def test_a_flush_is_taken_in_lock_order_and_holds_back_what_shares_a_key() -> None:
    lane: Lane[Numbered] = Lane()
    for number, key in enumerate([("t", 1), ("t", 2), ("t", 1), None, ("t", 2), ("t", 1)]):
        lane.enter(member(number, key))
    assert numbers(lane.take()) == [3, 1, 0]
    assert numbers(lane.take()) == [4, 2]
    assert numbers(lane.take()) == [5]
    assert lane.take() == []


def test_members_that_lock_the_same_rows_share_a_flush_in_the_order_of_these_rows() -> None:
    lane: Lane[Numbered] = Lane()
    for number, row in enumerate(["b", "a", "b", "a"]):
        one = member(number)
        one.rank, one.locks = 0, ("t", row)
        lane.enter(one)
    assert numbers(lane.take()) == [1, 3, 0, 2]


def test_a_parked_key_waits_and_others_pass() -> None:
    lane: Lane[Numbered] = Lane()
    lane.park(("t", 1))
    lane.park(("t", 1))
    blocked, free = member(1, ("t", 1)), member(2, ("t", 2))
    assert lane.enter(blocked)
    assert not lane.enter(free)
    assert lane.successor() is free
    assert lane.take() == [free]
    assert lane.successor() is None
    assert not lane.is_busy
    assert lane.release(("t", 1)) is None
    assert lane.release(("t", 1)) is blocked
    assert lane.is_busy


def test_one_large_operation_travels_by_itself() -> None:
    lane: Lane[Numbered] = Lane()
    for number, size in enumerate([10, FLUSH_BYTES_MAX + 1, 10]):
        lane.enter(member(number, size_bytes=size))
    assert [numbers(lane.take()) for _ in range(3)] == [[0], [1], [2]]


def test_a_flush_has_a_largest_number_of_members() -> None:
    lane: Lane[Numbered] = Lane()
    for number in range(MEMBERS_MAX + 5):
        lane.enter(member(number, kind=InOrder))
    assert numbers(lane.take()) == list(range(MEMBERS_MAX))
    assert numbers(lane.take()) == list(range(MEMBERS_MAX, MEMBERS_MAX + 5))


def test_what_was_put_back_goes_first_and_in_its_order() -> None:
    lane: Lane[Numbered] = Lane()
    members = [member(number, kind=InOrder) for number in range(4)]
    lane.enter(members[3])
    lane.put_back(members[:3])
    assert numbers(lane.take()) == [0, 1, 2, 3]


def test_a_queue_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane_module, "WAITING_MAX", 2)
    lane: Lane[Numbered] = Lane()
    lane.enter(member(1))
    lane.enter(member(2))
    with pytest.raises(DatabaseBusy) as caught:
        lane.enter(member(3))
    assert caught.value.waiting == 2
    assert caught.value.retryable


def test_a_key_is_made_of_tenant_noun_and_the_named_parameters() -> None:
    parameters = {"run_id": "r_1", "count": 3, "other": "x"}
    assert key_of("t", "runs", ("run_id", "count"), parameters) == ("t", "runs", "r_1", "3")
    assert key_of("t", "runs", (), parameters) is None


def test_a_size_grows_with_what_is_sent() -> None:
    small, large = size_of({"a": 1}), size_of({"a": "x" * 1000, "b": [b"y" * 500, None]})
    assert small < 100
    assert 1500 < large < 1700

"""A tail tells every committed event once, in whatever order transactions commit."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.model.tails import SEEN_MAX, Horizon, Tail

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.booleans()),
        st.tuples(st.just("append"), st.integers(0, 5)),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("look"), st.integers(1, 4)),
    ),
    max_size=80,
)


@dataclass
class World:
    """Transactions as PostgreSQL shows them: identifiers rise, and numbers are taken before the commit."""

    next_transaction: int = 100
    next_number: int = 1
    running: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    visible: set[int] = field(default_factory=set[int])

    def begin(self) -> None:
        self.running[self.next_transaction] = []
        self.next_transaction += 1

    def append(self, which: int) -> None:
        if self.running:
            numbers = list(self.running.values())[which % len(self.running)]
            numbers.append(self.next_number)
            self.next_number += 1

    def end(self, which: int) -> None:
        if self.running:
            transaction = list(self.running)[which % len(self.running)]
            self.visible.update(self.running.pop(transaction))

    def look(self, tail: Tail, limit: int) -> tuple[Tail, list[int]]:
        horizon = Horizon(min(self.running, default=self.next_transaction), self.next_transaction)
        fresh = sorted(n for n in self.visible if n > tail.settled_no and n not in tail.seen)
        has_more = len(fresh) >= limit
        found = fresh[:limit]
        return tail.advanced(found, (), horizon, has_more=has_more), found


@settings(max_examples=300)
@given(STEPS)
def test_nothing_is_skipped_and_nothing_told_twice(steps: list[tuple[str, int]]) -> None:
    world, tail = World(), Tail()
    told: list[int] = []
    for step, value in steps:
        if step == "look":
            tail, found = world.look(tail, value)
            told += found
        elif step == "begin":
            world.begin()
        elif step == "append":
            world.append(value)
        else:
            world.end(value)
        assert not any(n > tail.settled_no for n in told if n not in tail.seen)
    while world.running:
        world.end(0)
    for _ in range(200):
        tail, found = world.look(tail, 4)
        told += found
    assert sorted(told) == sorted(world.visible)
    assert not tail.may_have_skipped
    assert tail.seen == frozenset()


def test_what_is_remembered_is_bounded_and_a_transaction_given_up_is_admitted() -> None:
    tail = Tail()
    stuck = Horizon(5, 6)
    for first in range(1, SEEN_MAX + 2, 500):
        tail = tail.advanced(range(first, first + 500), (), stuck)
    assert tail.may_have_skipped
    assert len(tail.seen) < SEEN_MAX
    assert min(tail.seen) == tail.settled_no + 1
    assert tail.advanced([], (), Horizon(9, 9)).may_have_skipped

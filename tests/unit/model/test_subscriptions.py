"""Buckets are shared out fairly, a stream has one bucket, and rests grow up to a bound."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from aureus.model.subscriptions import (
    RETRY_SECONDS_MAX,
    bucket_of,
    retry_seconds,
    share_out,
    stream_hash,
)

NAMES = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=8, unique=True)


def test_the_number_of_a_stream_never_changes() -> None:
    """A group that is there would tell events to others than before, and out of order."""
    assert [stream_hash(name) for name in ("a", "orders/17", "ä")] == [
        3398926610,
        220291777,
        870766399,
    ]


@given(st.text(max_size=20), st.integers(1, 1024))
def test_every_stream_has_a_bucket(stream: str, count: int) -> None:
    assert 0 <= bucket_of(stream, count) < count


@given(NAMES, st.integers(1, 64), st.data())
def test_members_who_take_turns_end_with_fair_shares(
    members: list[str], bucket_count: int, data: st.DataObject
) -> None:
    """From whatever distribution, with gone members among the holders; two turns of each are enough."""
    anybody = st.sampled_from([*members, "gone and long", None])
    holders: dict[int, str | None] = {bucket: data.draw(anybody) for bucket in range(bucket_count)}
    for member in [*members, *members]:
        before = dict(holders)
        sharing = share_out(member, members, holders)
        assert all(holders[bucket] not in members for bucket in sharing.take)
        assert all(holders[bucket] == member for bucket in sharing.give)
        holders |= dict.fromkeys(sharing.take, member) | dict.fromkeys(sharing.give)
        assert holders.keys() == before.keys()
    shares = Counter(holders.values())
    assert sum(shares[member] for member in members) == bucket_count
    assert (
        max(shares[member] for member in members) - min(shares[member] for member in members) <= 1
    )
    for member in members:
        assert share_out(member, members, holders).take == ()
        assert share_out(member, members, holders).give == ()


def test_rests_double_up_to_a_bound() -> None:
    assert [retry_seconds(0.5, count) for count in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert retry_seconds(0.5, 10_000) == RETRY_SECONDS_MAX
    assert retry_seconds(0.0, 5) == 0.0

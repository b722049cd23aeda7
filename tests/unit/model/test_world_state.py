"""Where a prefix ends, and how snapshots differ."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from aureus.model.world_state import (
    ChangeKind,
    WorldStateEntry,
    WorldStateSnapshot,
    end_of_prefix,
    stream_of,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)

TEXTS = st.text(max_size=3) | st.lists(
    st.sampled_from(["a", "\ud7ff", "\ue000", "\U0010ffff"]), max_size=3
).map("".join)


@given(TEXTS, TEXTS, TEXTS)
def test_exactly_what_begins_with_a_prefix_lies_before_its_end(
    prefix: str, rest: str, other: str
) -> None:
    end = end_of_prefix(prefix).encode()
    assert prefix.encode() <= (prefix + rest).encode() < end
    if prefix and not other.startswith(prefix):
        assert not prefix.encode() <= other.encode() < end


@given(st.dictionaries(st.text(), st.integers(1, 3)), st.dictionaries(st.text(), st.integers(1, 3)))
def test_a_difference_leads_from_one_snapshot_to_the_other(
    one: dict[str, int], other: dict[str, int]
) -> None:
    versions = dict(one)
    for change in snapshot(one).diff(snapshot(other)):
        assert (change.before is None) == (change.kind is ChangeKind.ADDED)
        assert (change.after is None) == (change.kind is ChangeKind.REMOVED)
        if change.after is None:
            del versions[change.key]
        else:
            assert versions.get(change.key) != change.after.version
            versions[change.key] = change.after.version
    assert versions == other


def snapshot(versions: dict[str, int]) -> WorldStateSnapshot:
    """Return a snapshot of keys at versions."""
    entries = {key: WorldStateEntry(key, number, number, NOW) for key, number in versions.items()}
    return WorldStateSnapshot("default", NOW, entries)


def test_a_snapshot_is_plain_json() -> None:
    found = snapshot({"k": 2}).to_dict()
    assert found["taken_at"] == "2026-01-01T00:00:00.000000Z"
    assert found["entries"]["k"]["version"] == 2


def test_no_two_keys_share_a_stream() -> None:
    assert stream_of("default", "a/b") == "world_state/default/a%2Fb"
    assert stream_of("a/b", "c") != stream_of("a", "b/c")

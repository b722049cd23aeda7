"""Snapshots: leaves and roots that say exactly what is held, risks, and what differs."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.model.merkle import empty_root, node_hash
from aureus.model.rollbacks import Change, differences, needs_approval, rollback_stream_of
from aureus.model.snapshots import (
    Holdings,
    PartKind,
    SnapshotPart,
    header_leaf,
    leaf_of,
    risk_of,
    root_over,
    stream_of,
)
from aureus.model.workflows import RiskTier

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PARTS = st.builds(
    SnapshotPart,
    st.sampled_from(PartKind),
    TEXTS,
    TEXTS,
    st.integers(0, 2**62),
    st.binary(min_size=32, max_size=32),
)


def test_a_leaf_is_what_the_format_says() -> None:
    described = (
        b"\x00\x01"
        b"\x00\x00\x00\x06memory"
        b"\x00\x00\x00\x00"
        b"\x00\x00\x00\x02m1"
        b"\x00\x00\x00\x00\x00\x00\x00\x03"
    )
    content = sha256(b"x").digest()
    expected = sha256(described + content).digest()
    assert leaf_of("memory", "", "m1", 3, content) == expected
    assert SnapshotPart(PartKind.MEMORY, "", "m1", 3, content).leaf() == expected
    header = leaf_of("snapshot", "", "s", 0, sha256(b"{}").digest())
    assert header_leaf("s", b"{}") == header


def test_a_lone_leaf_is_carried_up_and_never_doubled() -> None:
    one, two, three = (bytes([n]) * 32 for n in range(3))
    assert root_over([]) == empty_root()
    assert root_over([one]) == one
    assert root_over([one, two, three]) == node_hash(node_hash(one, two), three)
    assert root_over([one, two, three]) != root_over([one, two, three, three])


@given(st.lists(PARTS, max_size=12), st.data())
def test_no_two_sets_of_parts_have_the_same_root(
    parts: list[SnapshotPart], data: st.DataObject
) -> None:
    root = root_over(part.leaf() for part in parts)
    if not parts:
        return
    at = data.draw(st.integers(0, len(parts) - 1))
    part = parts[at]
    other = data.draw(
        st.sampled_from(
            [
                replace(part, version=part.version + 1),
                replace(part, name=part.name + "x"),
                replace(part, place=part.place + "x"),
                replace(part, hash=sha256(part.hash).digest()),
            ]
        )
    )
    changed = [*parts[:at], other, *parts[at + 1 :]]
    assert root_over(one.leaf() for one in changed) != root
    assert root_over(one.leaf() for one in [*parts[:at], *parts[at + 1 :]]) != root


def test_where_a_name_ends_is_part_of_a_leaf() -> None:
    nothing = bytes(32)
    assert leaf_of("session", "ab", "c", 1, nothing) != leaf_of("session", "a", "bc", 1, nothing)


@pytest.mark.parametrize(
    ("explicit", "is_verified", "memory_count", "expected"),
    [
        (None, False, 0, RiskTier.HIGH),
        (None, True, 10, RiskTier.LOW),
        (None, True, 11, RiskTier.MEDIUM),
        (RiskTier.LOW, False, 99, RiskTier.LOW),
        (RiskTier.CRITICAL, True, 0, RiskTier.CRITICAL),
    ],
)
def test_the_risk_follows_the_rule(
    explicit: RiskTier | None, is_verified: bool, memory_count: int, expected: RiskTier
) -> None:
    risk = risk_of(explicit, is_verified=is_verified, memory_count=memory_count)
    assert risk is expected
    assert needs_approval(risk) == (expected in {RiskTier.HIGH, RiskTier.CRITICAL})


@given(st.lists(PARTS, max_size=8), st.lists(PARTS, max_size=8))
def test_differences_are_those_of_two_maps(
    before: list[SnapshotPart], after: list[SnapshotPart]
) -> None:
    old, new = Holdings.of(before).by_key, Holdings.of(after).by_key
    changes = differences(old, new)
    keys = [(change.kind.value, change.place, change.name) for change in changes]
    assert keys == sorted(set(keys))
    for key in old.keys() | new.keys():
        found = [change for change, named in zip(changes, keys, strict=True) if named == key]
        if key in old and key in new and old[key].is_same(new[key]):
            assert found == []
            continue
        (change,) = found
        kind = Change.ADDED if key not in old else Change.CHANGED
        assert change.change is (kind if key in new else Change.REMOVED)
    assert differences(old, old) == []


def test_a_slash_in_a_name_makes_no_other_stream() -> None:
    assert stream_of("a/b") == "snapshots/a%2Fb"
    assert rollback_stream_of("a/b") == "rollbacks/a%2Fb"

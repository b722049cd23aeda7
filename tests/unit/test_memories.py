"""The rules of memories that need no database: streams, filters, retention."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aureus.errors import Invalid
from aureus.model.memories import (
    Memory,
    MemoryFilter,
    MemoryPolicy,
    MemoryTier,
    NewMemory,
    Provenance,
    stream_of,
)
from aureus.model.retention import (
    OUTWARDS,
    RetentionAction,
    RetentionPolicy,
    TierRule,
    decide_retention,
)
from aureus.stores.memories.criteria import BEGINNING, END, page_of, parameters_of
from aureus.stores.memories.facts import fingerprint_of
from aureus.stores.memories.rows import COLUMN_COUNT
from aureus.stores.memories.stating import changed_fields, first_version, next_version

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8)


def a_memory(text: str = "tea", policy: MemoryPolicy | None = None) -> Memory:
    """Return a memory of agent a."""
    given_memory = NewMemory(text=text, agent_id="a")
    return first_version(given_memory, policy or MemoryPolicy(), NOW, memory_id="m1")


@given(one=st.tuples(NAMES, st.none() | NAMES), other=st.tuples(NAMES, st.none() | NAMES))
def test_two_pairs_of_agent_and_user_never_share_a_stream(
    one: tuple[str, str | None], other: tuple[str, str | None]
) -> None:
    assert (stream_of(*one) == stream_of(*other)) == (one == other)
    assert stream_of(*one).count("/") == (1 if one[1] is None else 2)


def test_a_fingerprint_covers_what_is_said_and_not_what_the_database_adds() -> None:
    memory = a_memory()
    assert fingerprint_of(memory) == fingerprint_of(
        replace(memory, memory_no=9, operation_id="x", tier=MemoryTier.COLD)
    )
    for change in (
        {"text": "Tea"},
        {"tags": ("a",)},
        {"version": 2},
        {"deleted_at": NOW},
        {"confidence": 0.6},
    ):
        assert fingerprint_of(replace(memory, **change)) != fingerprint_of(memory), change


def test_a_clock_that_went_back_does_not_turn_versions_round() -> None:
    earlier = NOW - timedelta(hours=1)
    assert next_version(a_memory(), "op", earlier).updated_at == NOW


def test_a_policy_adds_types_and_demands_provenance() -> None:
    strict = MemoryPolicy(frozenset({"lesson"}), requires_provenance=True)
    with pytest.raises(Invalid, match="task_id and step_id"):
        a_memory(policy=strict)
    lesson = NewMemory(
        text="x", agent_id="a", type="lesson", provenance=Provenance(task_id="t", step_id="s")
    )
    found = first_version(lesson, strict, NOW, memory_id="m")
    assert found.provenance == Provenance(task_id="t", step_id="s", occurred_at=NOW)
    with pytest.raises(Invalid, match="no memory type 'lesson'"):
        first_version(lesson, MemoryPolicy(), NOW, memory_id="m")


def test_an_update_names_what_it_cannot_change() -> None:
    with pytest.raises(Invalid, match="agent_id, txet"):
        changed_fields({"txet": "x", "agent_id": "b"}, NOW)  # type: ignore[typeddict-unknown-key]  # the mistake


def test_a_filter_that_says_nothing_lets_everything_through() -> None:
    found = parameters_of(MemoryFilter())
    assert {value for value in found.values() if value is not None} == {False, BEGINNING, END}


def test_criteria_narrow_a_filter_that_was_given() -> None:
    base = MemoryFilter(agent_id="a", tags=["x"])
    assert MemoryFilter.of(base, {}) == base
    assert MemoryFilter.of(base, {"tags": ["y"]}) == MemoryFilter(agent_id="a", tags=["y"])
    assert MemoryFilter.of(None, {"agent_id": "a"}) == MemoryFilter(agent_id="a")


@pytest.mark.parametrize(
    "wrong",
    [{"tags": "abc"}, {"types": [""]}, {"agent_id": "\x00"}, {"user_id": 1}, {"min_confidence": 2},
     {"occurred_from": datetime(2026, 1, 1)}, {"containing": float("nan")}],  # noqa: DTZ001 - what is refused
    ids=repr,
)  # fmt: skip
def test_a_filter_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        parameters_of(MemoryFilter(**wrong))  # type: ignore[arg-type]  # the mistake


def test_a_place_enters_the_index_at_that_moment() -> None:
    newest = page_of(MemoryFilter(), (NOW, "m1"), newest_first=True)
    assert (newest["occurred_to"], newest["after_id"]) == (NOW + timedelta(microseconds=1), "m1")
    oldest = page_of(MemoryFilter(occurred_from=END), (NOW, "m1"), newest_first=False)
    assert oldest["occurred_from"] == END


@pytest.mark.parametrize(
    ("tier", "hours", "accesses", "action", "target", "ratio"),
    [
        ("hot", 23.9, 0, "keep", "hot", None),
        ("hot", 24, 9, "transition", "warm", None),
        ("hot", 24, 10, "keep", "hot", None),
        ("warm", 24 * 7 - 1, 0, "keep", "warm", None),
        ("warm", 24 * 7, 4, "summarize", "cold", 0.5),
        ("warm", 24 * 7, 5, "keep", "warm", None),
        ("cold", 24 * 30, 1, "archive", "archived", 0.2),
        ("cold", 24 * 30, 2, "keep", "cold", None),
        ("archived", 24 * 9999, 0, "keep", "archived", None),
    ],
)
def test_the_rules_of_retention(
    tier: str, hours: float, accesses: int, action: str, target: str, ratio: float | None
) -> None:
    memory = replace(a_memory(), tier=MemoryTier(tier))
    found = decide_retention(memory, accesses, NOW + timedelta(hours=hours), RetentionPolicy())
    assert (found.action.value, found.tier.value, found.summary_ratio) == (action, target, ratio)


def test_archived_memories_go_only_where_a_policy_says_so() -> None:
    memory = replace(a_memory(), tier=MemoryTier.ARCHIVED)
    policy = RetentionPolicy({MemoryTier.ARCHIVED: TierRule(timedelta(days=365))})
    day = timedelta(days=1)
    assert decide_retention(memory, 0, NOW + 364 * day, policy).action is RetentionAction.KEEP
    assert decide_retention(memory, 99, NOW + 365 * day, policy).action is RetentionAction.DELETE


@given(
    tier=st.sampled_from(OUTWARDS),
    hours=st.floats(0, 10_000),
    accesses=st.integers(0, 20),
)
def test_retention_never_brings_a_memory_closer_and_moves_one_step_at_a_time(
    tier: MemoryTier, hours: float, accesses: int
) -> None:
    memory = replace(a_memory(), tier=tier)
    found = decide_retention(memory, accesses, NOW + timedelta(hours=hours), RetentionPolicy())
    steps = OUTWARDS.index(found.tier) - OUTWARDS.index(tier)
    assert steps == (0 if found.action in {RetentionAction.KEEP, RetentionAction.DELETE} else 1)


def test_the_columns_of_a_row_are_counted_right() -> None:
    from importlib.resources import files

    from aureus._database.catalog import parts

    text = (files("aureus._sql") / "shared" / "memories.sql").read_text(encoding="utf-8")
    assert len(parts(text)["columns"].split(",")) == COLUMN_COUNT
    plain = parts(text)["columns_of_m"].replace("m.", "").split()
    assert plain == parts(text)["columns"].split()

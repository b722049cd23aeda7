"""Profiles: merged key by key without a loss, read at every version, emptied for good."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aureus.errors import Invalid, LimitExceeded, NotFound, VersionConflict
from aureus.model.profiles import PROFILE_BYTES_MAX, merged
from tests.contract.stage import Stage

TRICKY: dict[str, Any] = {
    'a "quoted" key': {"inner": None, "list": [None, 0, "", False, 1.5]},
    "[0]": 0.1 + 0.2,
    "$.x\\": 1e16,
    "": "",
    "zero": 0,
    "false": False,
    "ünï\u2028": "'; --",
    "large": 2**63 - 1,
    "small": 5e-324,
}
"""Keys that a JSON path could trip over, and values that a detour through numbers would change."""

WORDS = st.text("ab\"\\[]$.0 \n\u0001ü😀'/", max_size=4)
SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | WORDS
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    SCALARS | NUMBERS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=2),
    max_leaves=4,
)
CHANGES = st.dictionaries(
    st.sampled_from(["goals", "preferences", "pets"]),
    st.dictionaries(WORDS, VALUES, min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)


def test_parts_are_merged_key_by_key_and_come_back_to_the_letter(stage: Stage) -> None:
    profiles = stage.stores.profiles
    begun_at = stage.backend.clock.now()
    first = profiles.update("ada", preferences=TRICKY, goals={"run": {"km": 42.0, "by": "May"}})
    assert (first.version, first.updated_by, first.created_at) == (1, "ada", begun_at)
    stage.backend.clock.advance(60)
    second = profiles.update(
        "ada",
        goals={"run": {"km": 10}, "sleep": "8 h"},
        demographics={"age": 0},
        sections={"pets": {"cat": None, "dog": ["Bo"]}},
        agent_id="coach",
    )
    assert second.goals == {"run": {"km": 10}, "sleep": "8 h"}
    assert second.demographics == {"age": 0}
    assert second.sections["pets"] == {"dog": ["Bo"]}
    assert json.dumps(second.preferences) == json.dumps(dict(sorted(TRICKY.items())))
    assert (second.version, second.updated_by, second.created_at) == (2, "coach", begun_at)
    assert second.updated_at == stage.backend.clock.now()
    third = profiles.update("ada", goals={"run": None}, sections={"pets": {"dog": None}})
    assert third.goals == {"sleep": "8 h"}
    assert "pets" not in third.sections
    assert profiles.get("ada") == profiles.find("ada") == third
    assert third.to_dict()["sections"]["goals"] == {"sleep": "8 h"}
    assert [profile.version for profile in profiles.history("ada")] == [3, 2, 1]
    assert profiles.history("ada", before=3, limit=1) == [second]
    assert profiles.get("ada", version=1) == first


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(CHANGES, min_size=1, max_size=4))
def test_the_database_merges_as_the_rule_says(
    stage: Stage, steps: list[dict[str, dict[str, Any]]]
) -> None:
    user_id = stage.new_id()
    expected: dict[str, dict[str, Any]] = {}
    for changes in steps:
        expected = merged(expected, changes)
        found = stage.stores.profiles.update(user_id, sections=changes)
        assert json.dumps(found.sections) == json.dumps(expected)


def test_concurrent_merges_lose_nothing_and_every_answer_holds_what_was_there(stage: Stage) -> None:
    """The n-th version has n keys: an answer from before a lock was waited for would have fewer."""

    def work(worker: int) -> list[Any]:
        return [
            stage.stores.profiles.update("ada", preferences={f"{worker}.{number}": number})
            for number in range(5)
        ]

    with ThreadPoolExecutor(12) as pool:
        answers = [answer for part in pool.map(work, range(12)) for answer in part]
    assert sorted(answer.version for answer in answers) == list(range(1, 61))
    versions = stage.stores.profiles.history("ada", limit=100)
    assert {v.version: v for v in versions} == {answer.version: answer for answer in answers}
    for newer, older in pairwise(versions):
        assert newer.preferences.items() > older.preferences.items()
    assert len(stage.stores.events.read_stream("profiles/ada")) == 60


def test_an_expected_version_is_compared_and_zero_means_new(stage: Stage) -> None:
    profiles = stage.stores.profiles
    with pytest.raises(VersionConflict) as caught:
        profiles.update("ada", goals={"a": 1}, expected_version=3)
    assert (caught.value.expected_version, caught.value.actual_version) == (3, 0)
    assert profiles.update("ada", goals={"a": 1}, expected_version=0).version == 1
    for stale in (0, 2):
        with pytest.raises(VersionConflict, match="at version 1") as caught:
            profiles.update("ada", goals={"a": 2}, expected_version=stale)
        assert caught.value.actual_version == 1
    with pytest.raises(VersionConflict):
        profiles.delete("ada", expected_version=7)
    assert profiles.update("ada", goals={"a": 3}, expected_version=1).goals == {"a": 3}
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: attempt(stage, number), range(8)))
    assert sum(won) == 1
    assert len(stage.stores.events.read_stream("profiles/ada")) == 3


def attempt(stage: Stage, number: int) -> bool:
    """Update under an expectation that only the first of many finds true; return whether it did."""
    try:
        stage.stores.profiles.update("ada", goals={"b": number}, expected_version=2)
    except VersionConflict:
        return False
    return True


def test_a_repeated_write_changes_nothing_and_gets_the_same_answer(stage: Stage) -> None:
    """Also when others have written since, and when the profile was deleted since."""
    profiles = stage.stores.profiles
    first = profiles.update("ada", goals={"a": 1}, operation_id="one")
    profiles.update("ada", goals={"a": 2})
    assert profiles.update("ada", goals={"a": 1}, operation_id="one") == first
    assert profiles.get("ada").goals == {"a": 2}
    assert profiles.delete("ada", operation_id="gone")
    assert profiles.update("ada", goals={"a": 1}, operation_id="one").sections == {}
    assert profiles.find("ada") is None
    again = profiles.update("ada", goals={"a": 3})
    assert profiles.delete("ada", operation_id="gone")
    assert profiles.get("ada") == again
    types = [event.type for event in stage.stores.events.read_stream("profiles/ada")]
    assert types == ["goal_updated", "goal_updated", "profile_deleted", "goal_updated"]


def test_a_deleted_profile_is_gone_with_its_versions_and_no_late_write_brings_it_back(
    stage: Stage,
) -> None:
    profiles = stage.stores.profiles
    assert not profiles.delete("ada")
    profiles.update("ada", goals={"secret": "marathon"})
    profiles.update("ada", goals={"secret": "MARATHON"})
    assert profiles.delete("ada", expected_version=2, agent_id="clerk")
    assert not profiles.delete("ada")
    assert profiles.find("ada") is None
    assert profiles.find("ada", version=2) is None
    assert list(profiles.history("ada")) == list(profiles.list()) == []
    with pytest.raises(NotFound, match="begins one"):
        profiles.get("ada")
    with stage.backend.transaction(stage.tenant) as tx:
        rows = [
            tx.execute(f"SELECT * FROM {stage.table(table)}")
            for table in ("profiles", "profile_versions", "event_payloads")
        ]
    assert "marathon" not in repr(rows).lower()
    with pytest.raises(VersionConflict):
        profiles.update("ada", goals={"late": 1}, expected_version=2)
    stage.backend.clock.advance(5)
    again = profiles.update("ada", goals={"new": 1}, expected_version=0)
    assert (again.version, again.goals, again.created_at) == (4, {"new": 1}, again.updated_at)
    assert list(profiles.history("ada")) == [again]
    with pytest.raises(NotFound, match="version 2"):
        profiles.get("ada", version=2)
    (entry,) = stage.stores.audit.list().entries
    assert (entry.action, entry.resource, entry.actor) == (
        "profile.delete",
        "profiles/ada",
        "clerk",
    )
    assert entry.details == {"userId": "ada", "version": 3}


def test_a_deletion_among_merges_leaves_no_older_content(stage: Stage) -> None:
    """A version that was committed while the deletion waited for the row is emptied too."""

    def work(number: int) -> None:
        if number == 20:
            stage.stores.profiles.delete("ada")
        else:
            stage.stores.profiles.update("ada", goals={f"k{number}": number})

    stage.stores.profiles.update("ada", goals={"a": 1})
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(work, range(40)))
    with stage.backend.transaction(stage.tenant) as tx:
        rows = tx.execute(
            f"SELECT v.sections FROM {stage.table('profile_versions')} v "
            f"JOIN {stage.table('profiles')} p ON p.user_id = v.user_id "
            "WHERE v.version < p.first_version"
        )
    assert rows
    assert {str(row[0]) for row in rows} == {"{}"}


def test_events_name_the_keys_and_keep_the_values_to_themselves(stage: Stage) -> None:
    stage.stores.profiles.update(
        "ada",
        goals={"run": "42 km", "swim": None},
        preferences={"tone": "short"},
        demographics={"age": "thirty-six"},
        sections={"pets": {"dog": "Bo"}},
        agent_id="coach",
        operation_id="one",
    )
    events = {event.type: event for event in stage.stores.events.read_stream("profiles/ada")}
    assert events.keys() == {"goal_updated", "preference_changed", "profile_updated"}
    goal = events["goal_updated"]
    assert goal.payload["set"] == {"goals": ["run"]}
    assert goal.payload["removed"] == {"goals": ["swim"]}
    assert (goal.actor, goal.metadata) == ("coach", {"operationId": "one"})
    assert events["profile_updated"].payload["set"] == {"demographics": ["age"], "pets": ["dog"]}
    for value in ("42 km", "short", "thirty", "Bo"):
        assert not any(value in repr(event.payload) for event in events.values())


REFUSED: list[dict[str, Any]] = [
    {},
    {"goals": {}},
    {"goals": {"a": float("nan")}},
    {"goals": {"a": "\x00"}},
    {"goals": {"\ud800": 1}},
    {"goals": {"k" * 256: 1}},
    {"goals": {"a": 1}, "sections": {"goals": {"b": 1}}},
    {"sections": {"": {"a": 1}}},
    {"sections": 5},
    {"sections": {"s": 5}},
    {"goals": ["a"]},
    {"sections": {"s" * 101: {"a": 1}}},
    {"goals": {"a": 1}, "operation_id": "\x00"},
    {"goals": {"a": "x" * PROFILE_BYTES_MAX}},
]


def test_what_cannot_be_kept_is_refused_before_anything_is(stage: Stage) -> None:
    for given_parts in REFUSED:
        with pytest.raises(Invalid):
            stage.stores.profiles.update("ada", **given_parts)
    for user_id in ("", "u" * 256, "\x00"):
        with pytest.raises(Invalid):
            stage.stores.profiles.update(user_id, goals={"a": 1})
        with pytest.raises(Invalid):
            stage.stores.profiles.delete(user_id)
    assert list(stage.stores.profiles.list()) == []


def test_a_profile_does_not_grow_without_end_but_may_always_shrink(stage: Stage) -> None:
    profiles = stage.stores.profiles
    half = "x" * (PROFILE_BYTES_MAX // 2)
    profiles.update("ada", goals={"a": half})
    with pytest.raises(LimitExceeded, match="remove keys first") as caught:
        profiles.update("ada", goals={"b": half})
    assert caught.value.limit_bytes == PROFILE_BYTES_MAX
    profiles.update("ada", goals={"a": None})
    assert profiles.update("ada", goals={"b": half}).version == 3
    profiles.update("full", goals={"a": "x" * (PROFILE_BYTES_MAX - len('{"goals":{"a":""}}'))})
    for version in (2, 3):  # an engine may need a few bytes more for what it writes itself
        assert profiles.update("full", goals={"b": None}).version == version


def test_profiles_are_listed_in_the_order_of_users_page_by_page(
    stage: Stage, another_stage: Callable[[str], Stage]
) -> None:
    profiles = stage.stores.profiles
    for user_id in ("cy", "B", "ada", "ü", "bob"):
        profiles.update(user_id, goals={"of": user_id})
    profiles.delete("bob")
    globex = another_stage("globex").stores.profiles
    globex.update("ada", goals={"of": "another"})
    assert [profile.user_id for profile in profiles.list()] == ["B", "ada", "cy", "ü"]
    assert [profile.user_id for profile in profiles.list(after="ada", limit=1)] == ["cy"]
    assert [profile.goals for profile in globex.list()] == [{"of": "another"}]
    assert globex.find("cy") is None


def test_a_profile_commits_with_the_callers_own_rows_or_not_at_all(stage: Stage) -> None:
    with suppress(_UndoneError), stage.backend.transaction(stage.tenant) as tx:
        tx.profiles.update("ada", goals={"a": 1})
        assert tx.profiles.update("ada", goals={"b": 2}).goals == {"a": 1, "b": 2}
        with pytest.raises(VersionConflict):
            tx.profiles.update("ada", goals={"c": 3}, expected_version=9)
        assert tx.profiles.delete("ada")
        raise _UndoneError
    assert stage.stores.profiles.find("ada") is None
    assert list(stage.stores.events.read_stream("profiles/ada")) == []


class _UndoneError(Exception):
    """Ends a transaction that a test does not want to keep."""

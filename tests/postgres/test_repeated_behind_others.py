"""A call that is repeated while its first attempt is still committing, with another writer between the two.

The repetition has waited for both, and must find what the first attempt wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.postgres.conftest import MakeStage
from tests.support.waiting import eventually

Work = Callable[[Any], Any]
"""What is done with the stores of a tenant."""


def between(make_stage: MakeStage, work: Work, other: Work, *before: Work) -> tuple[Any, Any, Any]:
    """Do a work, another one that waits for it, and the first one again; return what came of the three."""
    stages = [make_stage() for _ in range(4)]
    for one in before:
        one(stages[0].stores)

    def waiting_are(count: int) -> bool:
        """Return whether so many wait that long that they do so by themselves, and not in a flush with others."""
        with stages[3].backend.transaction(stages[3].tenant) as tx:
            found = tx.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '0.2 s'"
            )
        return bool(found == [(count,)])

    with ThreadPoolExecutor(2) as pool:
        with stages[0].backend.transaction(stages[0].tenant) as tx:
            first = work(tx)
            waits = pool.submit(other, stages[1].stores)
            eventually(lambda: waiting_are(1), "another writer waits")
            again = pool.submit(work, stages[2].stores)
            eventually(lambda: waiting_are(2), "the repeated call waits behind it")
        return first, waits.result(), again.result()


def test_an_update_of_a_memory_is_carried_out_once(make_stage: MakeStage) -> None:
    def update(operation_id: str) -> Work:
        return lambda stores: stores.memories.update(
            "m", text=operation_id, operation_id=operation_id
        )

    first, other, again = between(
        make_stage,
        update("mine"),
        update("other"),
        lambda stores: stores.memories.add("before", agent_id="a", memory_id="m"),
    )
    assert (first.version, other.version) == (2, 3)
    assert again == first


def test_the_deletion_of_a_profile_leaves_what_was_begun_since(make_stage: MakeStage) -> None:
    first, other, again = between(
        make_stage,
        lambda stores: stores.profiles.delete("u", operation_id="mine"),
        lambda stores: stores.profiles.update("u", goals={"new": 1}),
        lambda stores: stores.profiles.update("u", goals={"old": 1}),
    )
    assert (first, again) == (True, True)
    assert other.goals == {"new": 1}
    assert make_stage().stores.profiles.get("u") == other


def test_evidence_is_added_once(make_stage: MakeStage) -> None:
    def test(evidence_id: str) -> Work:
        return lambda stores: stores.hypotheses.add_evidence(
            "h", "seen", side="for", evidence_id=evidence_id
        )

    first, other, again = between(
        make_stage,
        test("mine"),
        test("other"),
        lambda stores: stores.hypotheses.propose("it rains", agent_id="a", hypothesis_id="h"),
    )
    assert (first.version, other.version) == (2, 3)
    assert again == other


def test_a_key_is_incremented_once(make_stage: MakeStage) -> None:
    def increment(operation_id: str) -> Work:
        return lambda stores: stores.world_state.increment("n", operation_id=operation_id)

    first, other, again = between(make_stage, increment("mine"), increment("other"))
    assert (first.value, other.value) == (1, 2)
    assert again == first


def test_a_key_is_transformed_once(make_stage: MakeStage) -> None:
    def transform(name: str) -> Work:
        return lambda stores: stores.world_state.transform(
            "list", lambda value: [*(value or []), name], operation_id=name
        )

    first, other, again = between(make_stage, transform("mine"), transform("other"))
    assert (first.value, other.value) == (["mine"], ["mine", "other"])
    assert again == first


def test_a_message_is_appended_once(make_stage: MakeStage) -> None:
    def append(operation_id: str) -> Work:
        return lambda stores: stores.sessions.append("a", "s", "user", 1, operation_id=operation_id)

    first, other, again = between(make_stage, append("mine"), append("other"))
    assert (first.version, other.version) == (1, 2)
    assert again == first


def test_a_profile_is_merged_once(make_stage: MakeStage) -> None:
    def merge(name: str) -> Work:
        return lambda stores: stores.profiles.update("u", goals={"last": name}, operation_id=name)

    first, other, again = between(make_stage, merge("mine"), merge("other"))
    assert (first.version, other.version) == (1, 2)
    assert again == first


def test_an_event_is_appended_once(make_stage: MakeStage) -> None:
    def append(event_id: str) -> Work:
        return lambda stores: stores.events.append("s", "T", {}, event_id=event_id)

    first, other, again = between(make_stage, append("mine"), append("other"))
    assert (first.version, other.version) == (1, 2)
    assert (again.version, again.entry_no) == (first.version, first.entry_no)

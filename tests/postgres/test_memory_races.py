"""Two writers of one memory's id or key: what one of them sees too late leaves nothing half done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from aureus.errors import AlreadyExists
from tests.postgres.conftest import MakeStage
from tests.support.waiting import eventually


def test_a_put_whose_id_is_taken_in_the_same_moment_leaves_what_the_key_held(
    make_stage: MakeStage,
) -> None:
    """The memory before was superseded by one that was never written, and the key held nothing."""
    stages = [make_stage(), make_stage()]
    memories = stages[1].stores.memories
    before = memories.put("k", "before", agent_id="a")

    def count_waiting() -> bool:
        with stages[1].backend.transaction(stages[1].tenant) as tx:
            waiting = tx.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(waiting == [(1,)])

    with ThreadPoolExecutor(1) as pool:
        with stages[0].backend.transaction(stages[0].tenant) as tx:
            tx.memories.add("another", agent_id="b", memory_id="taken")
            put = pool.submit(memories.put, "k", "after", agent_id="a", memory_id="taken")
            eventually(count_waiting, "the put waits for the other writer")
        with pytest.raises(AlreadyExists):
            put.result()
    assert memories.get(before.memory_id) == before
    assert [one.text for one in memories.query(agent_id="a")] == ["before"]


def test_an_update_that_is_repeated_behind_others_finds_what_it_wrote(
    make_stage: MakeStage,
) -> None:
    """It had waited behind another writer, saw the versions of the time before, and was carried out twice."""
    stages = [make_stage() for _ in range(4)]
    memory = stages[0].stores.memories.add("before", agent_id="a")

    def count_waiting(count: int) -> bool:
        with stages[3].backend.transaction(stages[3].tenant) as tx:
            waiting = tx.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND wait_event_type = 'Lock'"
            )
        return bool(waiting == [(count,)])

    def update(number: int, operation_id: str) -> int:
        memories = stages[number].stores.memories
        changed = memories.update(memory.memory_id, text=operation_id, operation_id=operation_id)
        return int(changed.version)

    with ThreadPoolExecutor(2) as pool:
        with stages[0].backend.transaction(stages[0].tenant) as tx:
            tx.memories.update(memory.memory_id, text="mine", operation_id="mine")
            other = pool.submit(update, 1, "other")
            eventually(lambda: count_waiting(1), "another writer waits")
            repeated = pool.submit(update, 2, "mine")
            eventually(lambda: count_waiting(2), "the repeated call waits behind it")
        assert other.result() == 3
        assert repeated.result() == 2
    assert stages[0].stores.memories.get(memory.memory_id).text == "other"

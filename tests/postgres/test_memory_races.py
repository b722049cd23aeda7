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

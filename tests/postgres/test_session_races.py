"""Two processes' worth of clients write to one session: rows wait for each other in the database, not in a lane."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from aureus.errors import Conflict, NotFound
from tests.postgres.conftest import MakeStage


def test_nothing_of_an_ended_life_outlives_a_race_of_two_clients(make_stage: MakeStage) -> None:
    stages = [make_stage(), make_stage()]
    both = [stage.stores.sessions for stage in stages]
    while not both[0].index_states().is_ready:
        pass
    works: list[Callable[[Any, int], Any]] = [
        lambda sessions, number: sessions.append("planner", "s1", "user", number),
        lambda sessions, number: sessions.save("planner", "s1", {"n": number}),
        lambda sessions, _: sessions.reset("planner", "s1"),
        lambda sessions, _: sessions.delete("planner", "s1"),
        lambda sessions, number: sessions.append("planner", "s1", "agent", number),
    ]

    def work(number: int) -> None:
        with suppress(NotFound, Conflict):
            works[number // 2 % 5](both[number % 2], number)

    for _ in range(3):
        both[0].save("planner", "s1", {})
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(80)))
        session = both[1].save("planner", "s1", {"last": "x"})
        with stages[0].backend.transaction(stages[0].tenant) as tx:
            positions = tx.execute("SELECT position FROM aureus.session_messages ORDER BY 1")
            facets = tx.execute("SELECT facet FROM aureus.session_facets")
        assert [row[0] for row in positions] == list(range(1, session.message_count + 1))
        assert ('"x@.last',) in facets
        both[1].delete("planner", "s1")
        with stages[0].backend.transaction(stages[0].tenant) as tx:
            for table in ("session_messages", "session_states", "session_facets"):
                assert tx.execute(f"SELECT count(*) FROM aureus.{table}") == [(0,)], table


def test_concurrent_increments_of_two_clients_lose_none(make_stage: MakeStage) -> None:
    both = [make_stage().stores.world_state for _ in range(2)]

    def work(number: int) -> None:
        both[number % 2].increment("n")
        both[number % 2].transform("list", lambda value: [*(value or []), number])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(40)))
    assert (both[0].get("n").value, both[1].get("n").version) == (40, 40)
    assert sorted(both[0].get("list").value) == list(range(40))

"""The same calls on both engines side by side: every answer and every error is the same, and reads agree among them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tests.support.backends import Backend, settings_for
from tests.support.calls import (
    CRITERIA,
    MEMORIES,
    MOMENTS_THEN,
    PEOPLE,
    SESSIONS,
    WORLD_STATE,
    StoreCall,
    given_some,
    outcome,
)
from tests.support.migrated import migrated_file
from tests.support.postgres import PostgresDatabase

EXAMPLES = 20
STEPS = 40
"""A few seconds for each noun; to look further, take larger numbers and leave ``derandomize`` out."""

BEGINNING = datetime(2026, 1, 1, 0, 0, 0, 123_457, UTC)
"""An odd microsecond, so that a time that was rounded is another one."""


@pytest.fixture
def engines(postgres_database: PostgresDatabase, tmp_path: Path) -> Iterator[Sequence[Backend]]:
    """Give a database of each engine."""
    with ExitStack() as opened:
        backends: list[Backend] = []
        for name in ("sqlite", "postgres"):
            folder = tmp_path / name
            folder.mkdir()
            url = migrated_file(folder) if name == "sqlite" else postgres_database.url()
            backends.append(Backend(settings_for(url, folder), is_async=False))
            opened.callback(backends[-1].close)
        yield backends


@pytest.mark.parametrize(
    "calls",
    [MEMORIES, SESSIONS, WORLD_STATE, PEOPLE],
    ids=["memories", "sessions", "world", "people"],
)
def test_engines_answer_alike(
    engines: Sequence[Backend], calls: Sequence[st.SearchStrategy[StoreCall]]
) -> None:
    tenants = iter(range(1_000_000))

    class SideBySide(RuleBasedStateMachine):
        """Both engines, with a tenant of its own for each example."""

        def __init__(self) -> None:
            super().__init__()
            self.tenant = f"t{next(tenants)}"
            self.stores: list[Any] = []
            self.is_alike = True
            for backend in engines:
                backend.clock._now, backend.clock._monotonic = BEGINNING, 0.0
                stores = backend.tenant(self.tenant)
                stores.memories.add("cats are nice", agent_id="a", memory_id="m0", is_shared=True)
                stores.memories.put("k", "milk", agent_id="a", user_id="u", memory_id="m1")
                self.stores.append(stores)

        @rule(seconds=st.sampled_from([1e-6, 1, 5, 40 * 86_400, -1]))
        def time_passes(self, seconds: float) -> None:
            for backend in engines:
                backend.clock.advance(seconds)

        @rule(call=st.one_of(*calls), is_repeated=st.booleans())
        def called(self, call: StoreCall, is_repeated: bool) -> None:
            for _ in range(1 + is_repeated):
                now = engines[0].clock.now()
                ours, theirs = (outcome(stores, call, now) for stores in self.stores)
                self.is_alike = ours == theirs
                assert self.is_alike, (call, ours, theirs)

        @rule(criteria=given_some(CRITERIA), then=st.none() | MOMENTS_THEN)
        def reads_agree(self, criteria: dict[str, Any], then: Any) -> None:
            if calls is not MEMORIES:
                return
            asked = criteria if then is None else criteria | {"as_of": then}
            stores, now = self.stores[0], engines[0].clock.now()
            found = outcome(stores, StoreCall("memories", "query", asked | {"limit": 1000}), now)
            counted = outcome(stores, StoreCall("memories", "count", asked), now)
            if isinstance(found, list):
                assert counted == ("int", len(found)), asked

        def teardown(self) -> None:
            if not self.is_alike:
                return
            ours, theirs = (
                [
                    outcome(stores, StoreCall("events", "read_stream", {"stream": one.stream}), now)
                    for one in stores.events.list_streams(limit=1000)
                ]
                for stores, now in ((stores, engines[0].clock.now()) for stores in self.stores)
            )
            assert ours == theirs

    run_state_machine_as_test(
        SideBySide,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            phases=[
                Phase.generate
            ],  # a shorter example takes minutes to find; where one is wanted, add Phase.shrink
            derandomize=True,
            database=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )

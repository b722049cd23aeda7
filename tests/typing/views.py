"""What type checkers see in the views of an operation: called on a store, awaited on an asynchronous one, composed.

It is checked and never run. ``test_views.py`` also checks a copy in which every expectation is wrong.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any, assert_type

from aureus._database.statement import Effect
from aureus.model.runs import Run
from aureus.stores.runs import AsyncRunStore, RunOperations, RunStore


def called(runs: RunStore) -> None:
    """Call it: the answer is there."""
    assert_type(runs.get("r1"), Run)
    runs.get(run="r1")  # type: ignore[call-arg]  # it is called run_id


async def awaited(runs: AsyncRunStore) -> None:
    """Await it: the answer comes."""
    coming = assert_type(runs.get("r1"), Coroutine[Any, Any, Run])
    assert_type(await coming, Run)
    await runs.get(run="r1")  # type: ignore[call-arg]  # it is called run_id


def composed(runs: RunOperations) -> Generator[Effect, Any, None]:
    """Compose it: a generator, whose answer ``yield from`` gives."""
    assert_type(runs.get("r1"), Generator[Effect, Any, Run])
    run = yield from runs.get("r1")
    assert_type(run, Run)
    runs.get(run="r1")  # type: ignore[call-arg]  # it is called run_id

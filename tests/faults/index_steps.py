"""Every step of the upkeep of the text index, prepared so that one call carries it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aureus.retrieval.segments import MERGE_COUNT
from tests.contract.stage import Stage

Prepared = Callable[[], Any]


def _with_segments(stage: Stage, count: int) -> None:
    for number in range(count):
        stage.stores.memories.add(f"tea {number}", agent_id="a", memory_id=f"m{number}")
        stage.stores.memories.index_step()


def take_pending(stage: Stage) -> Prepared:
    """Return a batch with a new memory, a changed one and one that is gone."""
    _with_segments(stage, 3)
    stage.stores.memories.update("m0", text="coffee")
    stage.stores.memories.forget("m1")
    stage.stores.memories.add("milk", agent_id="a", memory_id="n")
    return stage.stores.memories.index_step  # type: ignore[no-any-return]  # any backend


def begin_merge(stage: Stage) -> Prepared:
    """Return the beginning of a merge."""
    _with_segments(stage, MERGE_COUNT)
    return stage.stores.memories.index_step  # type: ignore[no-any-return]  # any backend


def end_merge(stage: Stage) -> Prepared:
    """Return the step that lets a merged segment take the place of its sources, one of which has a dead document."""
    _with_segments(stage, MERGE_COUNT)
    stage.stores.memories.forget("m3")
    stage.stores.memories.index_step()
    stage.stores.memories.index_step()
    return stage.stores.memories.index_step  # type: ignore[no-any-return]  # any backend


def prune_segment(stage: Stage) -> Prepared:
    """Return the removal of a segment that was merged."""
    end_merge(stage)()
    return stage.stores.memories.index_step  # type: ignore[no-any-return]  # any backend


def retire_segment(stage: Stage) -> Prepared:
    """Return the retirement of a segment without living documents."""
    _with_segments(stage, 1)
    stage.stores.memories.forget("m0")
    stage.stores.memories.index_step()
    return stage.stores.memories.index_step  # type: ignore[no-any-return]  # any backend


INDEX_STEPS = [take_pending, begin_merge, end_merge, prune_segment, retire_segment]

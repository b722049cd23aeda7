"""The batches of an erasure, and appends that concern somebody, prepared so that one call carries them out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aureus.model.erasures import ErasureRequest, Place
from aureus.model.sessions import SessionName
from aureus.model.states import RunStatus
from tests.contract.stage import Stage, finished
from tests.support.person import NAME, write_life

Prepared = Callable[[], Any]


def erase_batch(stage: Stage) -> Prepared:
    """Return a batch that removes rows of every kind."""
    write_life(stage.stores)
    stage.stores.memories.index()
    stage.stores.world_state.set("hers", 1)
    stage.stores.snapshots.create("planner", world_scope="default", snapshot_id="of others")
    run = stage.start("r1").run
    stage.advance(
        run, status=RunStatus.FAILED, keeps_lease=False, changes=[finished("read", '"x"')]
    )
    erasure = stage.stores.erasure
    request = ErasureRequest(
        NAME,
        (SessionName("planner", "s1"),),
        ("journal/ada",),
        ("r1",),
        (("default", "hers"),),
    )
    targets = erasure.find(request, Place())
    return lambda: erasure.erase_batch(
        request, targets, erasure_id="e1", reason="request 17", record_id="record"
    )


def record_key(stage: Stage) -> Prepared:
    """Return the record of a key's destruction."""
    erasure = stage.stores.erasure
    return lambda: erasure.record_key(
        ErasureRequest(NAME), "k-1", erasure_id="e1", reason="request 17", record_id="record"
    )


def append_about_two(stage: Stage) -> Prepared:
    """Return an append that concerns two people."""
    return lambda: stage.stores.events.append(
        "talks/1", "said", {"text": "x"}, event_id="e1", subjects=["ada", "bob"]
    )


ERASING = [erase_batch, record_key, append_about_two]

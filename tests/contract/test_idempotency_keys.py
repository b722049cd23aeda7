"""Idempotency keys: one effect for a key, whichever run asks for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from aureus.errors import AlreadyExists, Conflict
from aureus.model.states import RunStatus
from aureus.model.tasks import TaskKey
from aureus.stores.idempotency_keys import Replay
from tests.contract.stage import Stage, begun, finished

READ = TaskKey("", "read")


def reserve(stage: Stage, run_id: str, input_hash: str = "same") -> Replay | None:
    """Reserve the key k for the task of a run."""
    found: Replay | None = stage.stores.idempotency_keys.reserve(
        "k", run_id=run_id, key=READ, input_hash=input_hash
    )
    return found


def test_the_first_task_works_and_later_ones_get_its_result(stage: Stage) -> None:
    first = stage.start("r1").run
    assert reserve(stage, "r1") is None
    stage.advance(first, changes=[finished("read", '{"n":0}')])
    stage.start("r2")
    assert reserve(stage, "r2") == Replay("r1", READ, {"n": 0})


def test_a_task_may_reserve_its_key_again_for_its_next_attempt(stage: Stage) -> None:
    stage.start("r1")
    assert reserve(stage, "r1") is None
    assert reserve(stage, "r1") is None


def test_a_key_under_way_elsewhere_is_a_conflict_to_retry(stage: Stage) -> None:
    stage.start("r1")
    stage.start("r2")
    reserve(stage, "r1")
    with pytest.raises(Conflict) as caught:
        reserve(stage, "r2")
    assert caught.value.retryable
    assert caught.value.fields["run_id"] == "r1"


def test_a_key_of_a_run_that_ended_without_the_work_is_free_again(stage: Stage) -> None:
    first = stage.start("r1").run
    stage.start("r2")
    reserve(stage, "r1")
    stage.advance(first, status=RunStatus.FAILED)
    assert reserve(stage, "r2") is None


def test_one_key_for_other_inputs_is_refused(stage: Stage) -> None:
    first = stage.start("r1").run
    reserve(stage, "r1")
    stage.advance(first, changes=[finished("read", "1")])
    stage.start("r2")
    with pytest.raises(AlreadyExists, match="other inputs"):
        reserve(stage, "r2", input_hash="different")


def test_of_many_tasks_that_reserve_at_once_exactly_one_works(stage: Stage) -> None:
    for number in range(8):
        stage.start(f"r{number}")

    def attempt(number: int) -> bool:
        try:
            return reserve(stage, f"r{number}") is None
        except Conflict:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_another_tenants_key_is_another_key(stage: Stage, another_stage: object) -> None:
    other = another_stage("other")  # type: ignore[operator]  # the fixture is a function
    stage.start("r1")
    other.start("r1")
    assert reserve(stage, "r1") is None
    assert reserve(other, "r1") is None


def test_work_of_a_run_that_was_erased_is_neither_replayed_nor_done_again(stage: Stage) -> None:
    """A later run was given nothing as its result; and hashes of the inputs stayed, by which they may be guessed."""
    first = stage.start("r1", changes=[replace(begun("read"), idempotency_key="k")]).run
    assert reserve(stage, "r1") is None
    stage.advance(
        first, status=RunStatus.CANCELLED, keeps_lease=False, changes=[finished("read", '{"n":0}')]
    )
    report = stage.stores.erasure.erase("ada", reason="request 17", runs=["r1"])
    assert report.removed["idempotency_keys"] == 1
    assert stage.stores.tasks.get("r1", READ).idempotency_key is None
    with stage.backend.transaction("acme") as tx:
        table = stage.table("idempotency_keys")
        assert tx.execute(f"SELECT input_hash FROM {table}") == [("",)]
    stage.start("r2")
    with pytest.raises(AlreadyExists, match="was erased"):
        reserve(stage, "r2")
    assert stage.stores.erasure.erase("ada", reason="request 17", runs=["r1"]).is_empty

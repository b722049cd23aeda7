"""A row that somebody else holds: whoever needs it waits, nobody else does."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from aureus.errors import IllegalTransition
from aureus.model.states import TaskStatus
from aureus.model.tasks import TaskChange, TaskKey
from tests.contract.stage import begun, fact
from tests.postgres.conftest import MakeStage
from tests.support.postgres import PostgresDatabase


@pytest.mark.parametrize("is_async", [False, True])
def test_a_locked_row_delays_only_the_operation_that_needs_it(
    make_stage: MakeStage, postgres_database: PostgresDatabase, is_async: bool
) -> None:
    """While the row is locked, everybody else finishes; the lock is given up only after that."""
    stage = make_stage(is_async=is_async)
    runs = [stage.start(f"r{number}").run for number in range(9)]
    with psycopg.connect(postgres_database.url()) as holder, ThreadPoolExecutor(12) as pool:
        holder.execute("SELECT * FROM aureus.runs WHERE run_id = 'r0' FOR UPDATE")
        blocked = pool.submit(stage.advance, runs[0], changes=[begun("blocked")])
        behind = pool.submit(stage.stores.runs.request_cancel, "r0")

        def work(number: int) -> None:
            run = runs[number]
            for step in range(20):
                run = stage.advance(
                    run, changes=[begun(f"t{step}")], facts=[fact(run.run_id, "x")]
                ).run

        list(pool.map(work, range(1, 9)))
        assert not blocked.done()
        assert not behind.done()
        holder.rollback()
        assert blocked.result(30).run.version == 2
        assert behind.result(30) is not None


def test_one_bad_member_of_a_gathered_flush_is_the_only_one_to_see_an_error(
    make_stage: MakeStage,
) -> None:
    stage = make_stage()
    runs = [stage.start(f"r{number}").run for number in range(24)]
    gate = threading.Barrier(24)

    def work(number: int) -> bool:
        gate.wait()
        status = TaskStatus.COMPLETED if number == 7 else TaskStatus.RUNNING
        change = TaskChange(TaskKey("", "t"), is_new=True, status=status, attempt=1)
        try:
            stage.advance(runs[number], changes=[change], facts=[fact(f"r{number}", "x")])
        except IllegalTransition:
            return False
        return True

    with ThreadPoolExecutor(24) as pool:
        done = list(pool.map(work, range(24)))
    assert [number for number, fine in enumerate(done) if not fine] == [7]
    assert stage.versions("r7") == [1, 2]
    assert all(stage.versions(f"r{number}") == [1, 2, 3] for number in range(24) if number != 7)


def test_writers_on_the_same_rows_in_several_processes_never_deadlock_for_good(
    make_stage: MakeStage,
) -> None:
    stages = [make_stage() for _ in range(3)]
    for number in range(10):
        stages[0].start(f"r{number}")

    def work(index: int) -> int:
        done = 0
        for number in range(60):
            run_id = f"r{(number * 7 + index) % 10}"
            run = stages[index % 3].stores.runs.get(run_id)
            stages[index % 3].advance(run, facts=[fact("shared", "x"), fact(run_id, "y")])
            done += 1
        return done

    with ThreadPoolExecutor(9) as pool:
        assert sum(pool.map(work, range(9))) == 540
    assert stages[0].stores.events.stream_version("runs/shared") == 540

"""The journal in memory: its counts and its timers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from aureus.engine.journal import Journal
from aureus.model.states import TaskStatus
from aureus.model.tasks import Task, TaskKey
from aureus.model.workflows import RetryPolicy
from tests.unit.engine.simulation import START, Simulation, broken, new_run, task, workflow


def retrying(count: int) -> tuple[Journal, list[Task]]:
    """Return a journal with tasks that wait for their retry, the first one shortest."""
    tasks = [task(f"t{n}", retry=RetryPolicy(attempts_max=2, backoff_ms=1000 * (n + 1), jitter=False))
             for n in range(count)]  # fmt: skip
    run = Simulation(workflow(*tasks))
    run.tick(*((f"t{n}", broken()) for n in range(count)))
    return run.journal, list(run.rows.values())


def test_due_retries_come_in_the_order_of_their_waits_up_to_a_limit() -> None:
    journal, _ = retrying(3)
    assert journal.due_retries(START, 9) == []
    later = START + timedelta(seconds=2)
    assert [key.name for key in journal.due_retries(later, 9)] == ["t0", "t1"]
    assert [key.name for key in journal.due_retries(later, 1)] == ["t0"]
    assert journal.due_retries(later, 0) == []
    assert journal.next_timer() == (START + timedelta(seconds=1), TaskKey("", "t0"))


def test_a_retry_that_began_leaves_the_timers() -> None:
    journal, rows = retrying(2)
    journal.put(replace(rows[0], status=TaskStatus.RUNNING, wake_at=None))
    assert journal.next_timer() == (START + timedelta(seconds=2), TaskKey("", "t1"))
    assert list(journal.running) == [TaskKey("", "t0")]


def test_a_retry_that_waits_again_is_due_at_its_new_time_only() -> None:
    journal, rows = retrying(1)
    new_time = START + timedelta(seconds=9)
    journal.put(replace(rows[0], status=TaskStatus.RUNNING, wake_at=None))
    journal.put(replace(rows[0], wake_at=new_time))
    assert journal.due_retries(START + timedelta(seconds=5), 9) == []
    assert journal.due_retries(new_time, 9) == [TaskKey("", "t0")]


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(list(TaskStatus))), max_size=30))
def test_the_counts_are_those_of_the_entries(changes: list[tuple[int, TaskStatus]]) -> None:
    _, rows = retrying(1)
    journal = Journal(new_run(workflow(task("a"))), {})
    for name, status in changes:
        known = journal.tasks.get(TaskKey("", str(name)))
        if known is None or not known.status.is_final:
            journal.put(replace(rows[0], name=str(name), status=status))
    for status, index in (
        (TaskStatus.RUNNING, journal.running),
        (TaskStatus.WAITING, journal.waiting),
        (TaskStatus.RETRYING, journal.retrying),
    ):
        assert set(index) == {key for key, row in journal.tasks.items() if row.status is status}
    assert set(journal.ended) == {key for key, row in journal.tasks.items() if row.status.is_final}
    assert len(journal.ended) == len(set(journal.ended))

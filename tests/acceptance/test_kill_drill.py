"""A hundred kills: every run completes, no finished task runs again, every fact is recorded once."""

from __future__ import annotations

import random  # noqa: TID251 - seeded, so that a drill can be repeated
import signal
from collections import Counter, defaultdict

import pytest

from aureus.model.runs import stream_of
from aureus.model.states import RunStatus, TaskStatus
from tests.acceptance.project import Project, recording

KILLS = 50

SEEDS = (20_261_121, 20_261_122)
"""Two drills of fifty kills each, so that two test processes can share the hundred."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_hundred_random_kills_lose_nothing_and_repeat_nothing(
    project: Project, seed: int
) -> None:
    tasks = [
        ("a", ""),
        ("b", "a"),
        ("c", "a"),
        ("d", "b, c"),
        ("e", "d"),
        ("f", "d"),
        ("g", "e, f"),
    ]
    body = "".join(recording(task, needs, seconds=0.06) for task, needs in tasks)
    project.write("drill.yaml", f"id: drill\nname: Drill\ntasks:\n{body}")
    dice = random.Random(seed)  # noqa: S311 - a drill that can be repeated
    kills = 0
    while kills < KILLS:
        process = project.start("run", "drill.yaml")
        wait = dice.uniform(0.1, 0.9)  # from the first imports to the end of a run
        try:
            process.wait(timeout=wait)
        except Exception:  # noqa: BLE001 - any time-out means: kill it now
            process.send_signal(signal.SIGKILL)
            kills += 1
        out, err = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), (out, err)
    last = project.run("run", "drill.yaml")
    assert last.returncode == 0, last.stderr
    check(project, [task for task, _ in tasks])


def check(project: Project, tasks: list[str]) -> None:
    """Hold what is stored against what was done."""
    effects = project.effects()
    attempts: dict[tuple[str, str], list[int]] = defaultdict(list)
    for effect in effects:
        attempts[effect["run"], effect["task"]].append(effect["attempt"])
    with project.open() as db:
        runs = db.runs.list(limit=1000)
        assert runs
        for run in runs:
            assert run.status is RunStatus.COMPLETED, run
            journal = {task.name: task for task in db.tasks.list(run.run_id)}
            assert set(journal) == set(tasks)
            for name, task in journal.items():
                assert task.status is TaskStatus.COMPLETED
                done = attempts[run.run_id, name]
                # Each attempt leaves one line at most, the one that completed exactly one, and none comes after it.
                assert Counter(done).most_common(1)[0][1] == 1, (run.run_id, name, done)
                assert max(done) == task.attempt == done[-1], (run.run_id, name, done)
            events = db.events.read_stream(stream_of(run.run_id), limit=10_000)
            assert [event.version for event in events] == list(range(1, len(events) + 1))
            kinds = Counter((event.type, event.payload.get("taskId")) for event in events)
            for name in tasks:
                assert kinds["TASK_COMPLETED", name] == 1
            assert kinds["WORKFLOW_STARTED", None] == kinds["WORKFLOW_COMPLETED", None] == 1
            lines = project.log_lines(run.run_id)
            assert [line["eventId"] for line in lines] == [event.event_id for event in events]
    assert {effect["run"] for effect in effects} == {run.run_id for run in runs}
    keys = {(effect["run"], effect["task"]): effect["key"] for effect in effects}
    assert all(effect["key"] == keys[effect["run"], effect["task"]] for effect in effects)

"""Processes that meet, stop and hand over."""

from __future__ import annotations

import signal

import pytest

from aureus.model.states import RunStatus
from tests.acceptance.project import Project, recording
from tests.support.waiting import eventually


def test_two_processes_started_together_do_each_task_once(project: Project) -> None:
    body = "".join(
        recording(task, needs, 0.1) for task, needs in [("a", ""), ("b", "a"), ("c", "b")]
    )
    project.write("both.yaml", f"id: both\nname: Both\ntasks:\n{body}")
    for _ in range(3):
        pair = [project.start("run", "both.yaml"), project.start("run", "both.yaml")]
        results = [process.communicate(timeout=60) for process in pair]
        codes = sorted(process.returncode for process in pair)
        # The other one is told who holds the run, or comes late enough to begin the next run.
        assert codes in ([0, 6], [0, 0]), results
    with project.open() as db:
        runs = db.runs.list()
    assert {run.status for run in runs} == {RunStatus.COMPLETED}
    done = sorted((effect["run"], effect["task"]) for effect in project.effects())
    assert done == sorted((run.run_id, task) for run in runs for task in "abc")


def test_the_second_process_may_wait_for_the_first(project: Project) -> None:
    project.write("slow.yaml", f"id: slow\nname: Slow\ntasks:\n{recording('a', seconds=5.0)}")
    first = project.start("run", "slow.yaml")
    project.await_effect("a")
    second = project.run("run", "slow.yaml", "--wait")
    assert first.wait(60) == 0
    assert second.returncode == 0, second.stderr
    # On a machine too slow to meet the first one, the second begins a run of its own.
    with project.open() as db:
        assert len(project.effects()) == len(db.runs.list())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_process_hands_over_at_once(
    project: Project, number: signal.Signals, code: int
) -> None:
    body = recording("a") + recording("b", "a", 30.0) + recording("c", "b")
    project.write("long.yaml", f"id: long\nname: Long\ntasks:\n{body}")
    process = project.start("run", "long.yaml")
    project.await_effect("b")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code, err
    assert "next: aureus runs resume" in err
    (shown,) = project.json("runs", "list")
    assert (shown["status"], shown["lease_id"]) == ("running", None)
    assert shown["run_id"] == out.strip()
    project.write(
        "long.yaml", f"id: long\nname: Long\ntasks:\n{body}".replace("sleep(30.0)", "sleep(0)")
    )
    refused = project.run("run", "long.yaml")
    assert refused.returncode == 1
    assert "--accept-changed-definition" in refused.stderr
    done = project.run("run", "long.yaml", "--accept-changed-definition")
    assert done.returncode == 0, done.stderr
    assert done.stdout == out
    assert [effect["task"] for effect in project.effects()] == ["a", "b", "b", "c"]
    assert project.json("runs", "show", out.strip())["workflow_hash"] != shown["workflow_hash"]


def test_a_run_that_waits_for_a_person_goes_on_after_the_answer(project: Project) -> None:
    body = recording("a") + (
        "  - {id: ask, needs: [a], toolName: wait-for-approval, inputs: {message: 'ship it?'}}\n"
    )
    project.write("ask.yaml", f"id: ask\nname: Ask\ntasks:\n{body}{recording('b', 'ask')}")
    paused = project.run("run", "ask.yaml")
    assert paused.returncode == 3, paused.stderr
    run_id = paused.stdout.strip()
    assert f"next: aureus approve {run_id} ask" in paused.stderr
    assert project.run("run", "ask.yaml").returncode == 3
    approved = project.run("approve", run_id, "ask", "--reason", "looks good", "--actor", "ada")
    assert approved.returncode == 0, approved.stderr
    assert project.run("approve", run_id, "ask").returncode == 6
    done = project.run("run", "ask.yaml")
    assert done.returncode == 0, done.stderr
    assert [effect["task"] for effect in project.effects()] == ["a", "b"]
    (approval,) = project.json("runs", "show", run_id)["approvals"]
    assert (approval["decided_by"], approval["reason"]) == ("ada", "looks good")


def test_a_denied_task_fails_the_run_and_undoes_what_was_done(project: Project) -> None:
    undo = recording("x").replace("  - {id: x, needs: [], toolName: command, inputs: ", "")
    action = f"{{tool: command, args: {undo.rstrip()[:-1]}}}"
    first = recording("a").rstrip()[:-1] + f", compensationAction: {action}}}\n"
    ask = "  - {id: ask, needs: [a], toolName: wait-for-approval, inputs: {message: 'go on?'}}\n"
    project.write("undo.yaml", f"id: undo\nname: Undo\ntasks:\n{first}{ask}")
    paused = project.run("run", "undo.yaml")
    assert paused.returncode == 3, paused.stderr
    run_id = paused.stdout.strip()
    assert project.run("deny", run_id, "--reason", "no").returncode == 0
    failed = project.run("run", "undo.yaml")
    assert failed.returncode == 1, failed.stderr
    shown = project.json("runs", "show", run_id)
    assert (shown["status"], shown["error_code"]) == ("failed", "approval_denied")
    assert len(project.effects()) == 2
    kinds = [line["type"] for line in project.log_lines(run_id)]
    assert "COMPENSATION_COMPLETED" in kinds


def test_a_running_run_is_cancelled_from_another_process(project: Project) -> None:
    project.write("long.yaml", f"id: long\nname: Long\ntasks:\n{recording('a', seconds=60)}")
    process = project.start("run", "long.yaml")
    project.await_effect("a")
    (run,) = project.json("runs", "list")
    assert project.run("runs", "cancel", run["run_id"]).returncode == 0
    process.communicate(timeout=60)
    assert process.returncode == 1
    (run,) = project.json("runs", "list")
    assert run["status"] == "cancelled"
    assert project.run("runs", "resume", run["run_id"]).returncode == 6


def test_a_killed_process_leaves_no_work_behind(project: Project) -> None:
    project.write("long.yaml", f"id: long\nname: Long\ntasks:\n{recording('a', seconds=60)}")
    process = project.start("run", "long.yaml")
    project.await_effect("a")
    children = descendants(process.pid)
    assert children
    process.kill()
    process.communicate()
    eventually(lambda: not any(alive(pid) for pid in children), "the end of the tasks' processes")


def descendants(pid: int) -> set[int]:
    """Return the processes below one, as they are now."""
    import psutil

    return {child.pid for child in psutil.Process(pid).children(recursive=True)}


def alive(pid: int) -> bool:
    """Return whether a process is there and not merely waiting to be reaped."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

"""Whatever the graph, the outcomes and the crashes: what every run holds to."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.engine.outcomes import Outcome
from aureus.engine.planner import Rules
from aureus.engine.retries import INTERRUPTIONS_MAX
from aureus.model.states import RunPhase, TaskStatus
from aureus.model.tasks import TaskKey
from aureus.model.workflows import Compensation, CompensationAction, RetryPolicy, Workflow
from tests.unit.engine.simulation import Simulation, broken, done, late, task, workflow

STEPS_MAX = 2_000


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Make an acyclic workflow: conditions, retries, compensation tasks and undoing actions."""
    count = draw(st.integers(1, 8))
    names = [f"t{number}" for number in range(count)]
    tasks = []
    extra = []
    for number, name in enumerate(names):
        earlier = st.sampled_from(names[:number]) if number else st.nothing()
        needs: list[str] = draw(st.lists(earlier, unique=True, max_size=number))
        more: dict[str, Any] = {
            "retry": RetryPolicy(attempts_max=draw(st.integers(1, 3)), backoff_ms=1000),
            "when": draw(st.sampled_from([None, None, None, True, False])),
        }
        looks_at_need: bool = draw(st.booleans())
        if needs and looks_at_need:
            more["when"] = f"${{{{ tasks.{needs[0]}.status == 'completed' }}}}"
        if draw(st.booleans()):
            more["compensation_action"] = CompensationAction("sleep", {"ms": number})
        if draw(st.booleans()):
            fix = f"fix-{name}"
            more["compensation"] = Compensation(on_failure=fix)
            extra.append(task(fix, retry=RetryPolicy(attempts_max=draw(st.integers(1, 2)))))
        tasks.append(task(name, *needs, **more))
    return workflow(*draw(st.permutations([*tasks, *extra])))


def play(data: st.DataObject, run: Simulation, *, may_fail: bool) -> None:
    """End attempts in any order and way, crash at any moment, and let time pass, until the run has ended."""
    outcomes: list[Outcome] = [done(1)] * 4
    outcomes += [broken(), late(), broken(is_retryable=False)] if may_fail else []
    crashes_left = INTERRUPTIONS_MAX
    for _ in range(STEPS_MAX):
        if run.run.status.is_final:
            return
        if crashes_left and data.draw(st.integers(0, 9)) == 0:
            crashes_left -= 1
            run.crash()
            continue
        if not run.working:
            run.pass_time(86_400)
            continue
        ending = data.draw(st.lists(st.sampled_from(sorted(run.working)), min_size=1, unique=True))
        run.tick(*((key, data.draw(st.sampled_from(outcomes))) for key in ending), jitter=0.0)
    raise AssertionError(f"the run does not end: {run.statuses()}")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_run_ends_with_every_task_settled_once(data: st.DataObject) -> None:
    """The simulation itself checks each commit: legal moves, finish numbers, bound, and a fresh planner's opinion."""
    bound = data.draw(st.integers(1, 4))
    run = Simulation(data.draw(workflows()), Rules(parallel_max=bound))
    play(data, run, may_fail=True)
    assert all(row.status.is_final for row in run.rows.values())
    assert run.max_running <= bound
    ends = [text for text in run.told() if text.startswith(("TASK_COMPLETED", "TASK_SKIPPED"))]
    assert len(ends) == len(set(ends)), "no task completes or is skipped twice"
    failed = [
        row
        for key, row in run.rows.items()
        if not key.scope and row.status in {TaskStatus.FAILED, TaskStatus.TIMEOUT}
    ]
    assert (run.state == "failed") == bool(failed)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_without_failures_every_task_runs_or_is_skipped_and_nothing_is_compensated(
    data: st.DataObject,
) -> None:
    definition = data.draw(workflows())
    run = Simulation(definition, Rules(parallel_max=data.draw(st.integers(1, 4))))
    play(data, run, may_fail=False)
    assert run.state == "completed"
    wanted = {task.id for task in definition.tasks} - definition.compensations
    assert set(run.statuses()) == wanted
    assert set(run.statuses().values()) <= {"completed", "skipped"}
    for definition_task in definition.tasks:
        if definition_task.id not in wanted or run.status(definition_task.id) == "skipped":
            continue
        own = run.rows[TaskKey("", definition_task.id)].finished_no or 0
        assert all(
            (run.rows[TaskKey("", need)].finished_no or 0) < own for need in definition_task.needs
        )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_compensation_goes_back_from_the_last_completed_task_to_the_first(
    data: st.DataObject,
) -> None:
    definition = data.draw(workflows())
    run = Simulation(definition, Rules(parallel_max=data.draw(st.integers(1, 4))))
    play(data, run, may_fail=True)
    steps = sorted(
        (row for key, row in run.rows.items() if key.scope), key=lambda row: row.finished_no or 0
    )
    if run.run.phase is RunPhase.FORWARD:
        assert not steps
        return
    ended = sorted(
        (row for key, row in run.rows.items() if not key.scope),
        key=lambda row: row.finished_no or 0,
    )
    tasks = {task.id: task for task in definition.tasks}
    made_up = [
        f"compensation/{row.name}"
        for row in ended
        if tasks[row.name].compensation.on_failure is not None
        and (row.status in {TaskStatus.FAILED, TaskStatus.TIMEOUT}
             or (row.status is TaskStatus.CANCELLED and row.attempt))
    ]  # fmt: skip
    undone = [
        f"compensation/{row.name}"
        for row in reversed(ended)
        if row.status is TaskStatus.COMPLETED and tasks[row.name].compensation_action is not None
    ]
    assert [row.scope for row in steps] == made_up + undone

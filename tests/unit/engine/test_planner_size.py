"""Large workflows: the bound holds, and a step costs what it changes and not what the workflow holds."""

from __future__ import annotations

from dataclasses import replace

from aureus.engine.journal import Journal
from aureus.engine.outcomes import Ended
from aureus.engine.planner import Rules, WorkflowPlanner
from aureus.engine.transition import Step
from aureus.model.states import RunStatus
from aureus.model.tasks import TaskKey
from aureus.model.workflows import Workflow
from tests.unit.engine.simulation import START, done, new_run, task, workflow


class Counted(dict[TaskKey, object]):
    """The entries of a journal, which count how often they are looked at."""

    looks = 0

    def __getitem__(self, key: TaskKey) -> object:
        self.looks += 1
        return super().__getitem__(key)

    def get(self, key: TaskKey, default: object = None) -> object:
        self.looks += 1
        return super().get(key, default)

    def __contains__(self, key: object) -> bool:
        self.looks += 1
        return super().__contains__(key)


def play(definition: Workflow, bound: int) -> tuple[int, int, int]:
    """Run a workflow whose tasks all succeed; return the looks at entries, the steps, and the most that ran at once."""
    run = new_run(definition)
    journal = Journal(run, {})
    entries = Counted()
    journal.tasks = entries  # type: ignore[assignment]  # counts what the planner reads
    planner = WorkflowPlanner(definition, journal, Rules(parallel_max=bound))
    ended: list[Ended] = []
    steps = most = 0
    while not journal.run.status.is_final:
        step = Step(journal, now=START, actor="t", code_version="v")
        for end in ended:
            step.apply(planner.settle(end, START, 0.5))
        while commands := planner.plan(START):
            step.apply(commands)
        final = journal.run.status
        status = RunStatus.RUNNING if final is RunStatus.PENDING else final
        step.committed(replace(journal.run, status=status))
        steps += 1
        most = max(most, len(journal.running))
        ended = [Ended(key, done()) for key in list(journal.running)[:1]]
    return entries.looks, steps, most


def test_of_a_thousand_independent_tasks_never_more_than_ten_run() -> None:
    definition = workflow(*(task(f"t{number}") for number in range(1000)))
    _, steps, most = play(definition, bound=10)
    assert most == 10
    assert steps == 1001


def test_the_cost_of_a_step_does_not_grow_with_the_workflow() -> None:
    def looks_per_step(count: int) -> float:
        chain = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, count))]
        wide = [task(f"w{n}") for n in range(count)]
        looks, steps, _ = play(workflow(*chain, *wide), bound=5)
        return looks / steps

    assert looks_per_step(2000) <= looks_per_step(200) * 1.1


def test_a_task_that_needs_ten_thousand_others_is_counted_down() -> None:
    many = [task(f"t{number}") for number in range(10_000)]
    definition = workflow(*many, task("last", *(each.id for each in many)))
    looks, steps, _ = play(definition, bound=100)
    assert steps == 10_002
    assert looks < 20 * 10_002

"""Edges, compensations and who is settled before whom."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aureus.engine.definition import load_text
from aureus.errors import DefinitionInvalid
from aureus.model.workflows import Workflow


def load(text: str) -> Workflow:
    """Load a workflow that must be good."""
    return load_text(text, source="text", policy="permissive").workflow


def write(needs: list[set[int]], inputs: dict[int, int] | None = None) -> str:
    """Write a workflow of tasks t0, t1, …; ``inputs`` says whose result a task reads."""
    lines = ["tasks:"]
    for task, needed in enumerate(needs):
        lines.append(f"- id: t{task}")
        lines.append(f"  needs: [{', '.join(f't{need}' for need in needed)}]")
        if inputs and task in inputs:
            lines.append(f"  inputs: {{x: '${{{{ tasks.t{inputs[task]}.result }}}}'}}")
    return "\n".join(lines)


def test_both_ways_to_write_an_edge_mean_the_same() -> None:
    beside = "tasks: [{id: a}, {id: b, needs: [a]}, {id: c, needs: [b, a]}]"
    below = "tasks: [{id: a}, {id: b}, {id: c}]\ndependencies: {c: [a, b], b: [a]}"
    mixed = "tasks: [{id: a}, {id: b, needs: [a]}, {id: c, needs: [b]}]\ndependencies: {c: [a, b]}"
    assert load(beside) == load(below) == load(mixed)
    assert load(beside).task("c").needs == ("a", "b")


def test_a_chain_of_ten_thousand_tasks_is_an_ordinary_workflow() -> None:
    """The chain runs against the order of the file, and the last task reads from the first."""
    count = 10_000
    needs: list[set[int]] = [{task + 1} for task in range(count - 1)] + [set()]
    workflow = load(write(needs, {0: count - 1}))
    assert workflow.tasks[0].needs == ("t1",)


def test_a_circle_of_ten_thousand_tasks_is_refused() -> None:
    count = 10_000
    with pytest.raises(DefinitionInvalid, match=r"9,993 more … -> t0\. Remove one"):
        load(write([{(task + 1) % count} for task in range(count)]))


def test_a_task_can_wait_for_a_thousand_and_a_thousand_for_it() -> None:
    wide: set[int] = set(range(1_000))
    workflow = load(write([*(set[int]() for _ in wide), wide, *({1_000} for _ in wide)]))
    assert len(workflow.tasks[1_000].needs) == 1_000


graphs = st.integers(2, 9).flatmap(
    lambda size: st.lists(
        st.frozensets(st.integers(0, size - 1), max_size=3), min_size=size, max_size=size
    )
)


def reachable(needs: list[set[int]], task: int) -> set[int]:
    """Return every task that must end before this one starts, the slow way."""
    found: set[int] = set()
    waiting = [*needs[task]]
    while waiting:
        need = waiting.pop()
        if need not in found:
            found.add(need)
            waiting += needs[need]
    return found


@settings(deadline=None)
@given(graphs, st.integers(0), st.integers(1))
def test_a_graph_loads_unless_it_has_a_circle(
    drawn: list[frozenset[int]], chosen: int, apart: int
) -> None:
    needs = [set(needed) for needed in drawn]
    has_circle = any(task in reachable(needs, task) for task in range(len(needs)))
    if has_circle:
        with pytest.raises(DefinitionInvalid, match=r"circle|itself"):
            load(write(needs))
        return
    workflow = load(write(needs))
    for task, needed in enumerate(needs):
        assert workflow.tasks[task].needs == tuple(f"t{need}" for need in sorted(needed))
    reader = chosen % len(needs)
    read = (reader + 1 + apart % (len(needs) - 1)) % len(needs)
    if read in reachable(needs, reader):
        load(write(needs, {reader: read}))
    else:
        with pytest.raises(DefinitionInvalid, match="may not be known") as caught:
            load(write(needs, {reader: read}))
        assert f'Add "t{read}" to the dependencies' in caught.value.problems[0].remedy


def compensated(**texts: Any) -> str:
    """Write a workflow whose two tasks, one behind the other, share a compensation."""
    return (
        "tasks:\n"
        "- {id: first}\n"
        f"- {{id: a, needs: [first], compensation: {{onFailure: undo}}, {texts.get('a', '')}}}\n"
        f"- {{id: b, needs: [a], compensation: {{onTimeout: undo}}, {texts.get('b', '')}}}\n"
        f"- {{id: undo, {texts.get('undo', '')}}}\n"
    )


def test_a_compensation_may_know_what_is_settled_for_all_it_makes_up_for() -> None:
    for known in ("first", "a"):
        load(compensated(undo=f"inputs: {{x: '${{{{ tasks.{known}.result }}}}'}}"))
        load(compensated(undo=f"needs: [{known}]"))
    for unknown in ("b", "undo"):
        with pytest.raises(DefinitionInvalid):
            load(compensated(undo=f"inputs: {{x: '${{{{ tasks.{unknown}.result }}}}'}}"))
    with pytest.raises(DefinitionInvalid, match="cannot wait"):
        load(compensated(undo="needs: [b]"))


def test_what_undoes_a_task_may_know_its_result() -> None:
    own = "compensationAction: {tool: t, args: {id: '${{ tasks.a.result.id }}'}}"
    load(compensated(a=own))
    load(compensated(b=own))
    with pytest.raises(DefinitionInvalid, match="is undone"):
        load(compensated(a=own.replace("tasks.a", "tasks.b")))


def test_a_circle_hides_what_follows_from_it() -> None:
    text = (
        "tasks:\n"
        "- {id: a, needs: [b], compensation: {onFailure: undo}}\n"
        "- {id: b, needs: [a], inputs: {x: '${{ tasks.c.result }}'}}\n"
        "- {id: c, needs: [b], inputs: {x: '${{ tasks.a.result }}'}}\n"
        "- {id: undo, needs: [b], inputs: {x: '${{ tasks.b.result }}'}}\n"
    )
    with pytest.raises(DefinitionInvalid) as caught:
        load(text)
    (problem,) = caught.value.problems
    assert "a -> b -> a" in problem.message

"""How the tasks of a workflow hang together: ids, edges, compensations, cycles, and who runs before whom.

Everything is done with loops over numbers, not with recursion: a chain of 10,000 tasks is an ordinary workflow. Tasks
that are named in a ``compensation`` never run on the happy path, so nothing can wait for them. A dependency of such a
task on what it makes up for says what the compensation says already, and is accepted without becoming an edge.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from aureus.engine.definition.fields import Text
from aureus.engine.definition.problems import Problems, quoted
from aureus.engine.definition.schema import Draft

CYCLES_SHOWN_MAX = 10
"""Cycles that are reported for one file."""

_STEPS_SHOWN_MAX = 8
"""Tasks of one cycle that a message names."""


class Graph:
    """The edges of a draft by the position of its tasks; problems are added while it is built."""

    def __init__(self, draft: Draft, problems: Problems) -> None:
        self._tasks = draft.tasks
        self._problems = problems
        self._index: dict[str, int] = {}
        self._written: dict[tuple[int, int], Text] = {}
        self._owners: dict[int, list[int]] = {}
        self._needs: list[list[int]] = [[] for _ in draft.tasks]
        self._cyclic: set[int] = set()
        self._index_ids()
        self._read_edges(draft)
        self._read_compensations()
        self._separate_compensations()
        self._find_cycles()
        self._check_compensation_edges()

    def needs(self, position: int) -> tuple[str, ...]:
        """Return the ids that a task waits for, in the order of the tasks in the file."""
        return tuple(self._tasks[need].id for need in sorted(self._needs[position]))

    def edge(self, dependent: str, needed: str) -> Text | None:
        """Return where an edge was written, or None when it was not."""
        return self._written.get((self._index[dependent], self._index[needed]))

    def find(self, task_id: str) -> int | None:
        """Return the position of a task, or None when there is none."""
        return self._index.get(task_id)

    @property
    def ids(self) -> Iterable[str]:
        """Return the ids of all tasks."""
        return self._index.keys()

    def is_compensation(self, position: int) -> bool:
        """Return whether a task only runs to make up for another one."""
        return position in self._owners

    def is_known_before(self, needed: int, position: int, *, after: bool) -> bool:
        """Return whether the outcome of one task is settled when another one starts.

        For a compensation task that is so for what it makes up for, and for all that ran before. ``after`` asks
        about the moment after the task itself has finished.
        """
        involved = {position, needed, *self._owners.get(position, ())}
        if not involved.isdisjoint(self._cyclic):
            return True  # the cycle is reported; what hangs on it says nothing more
        return bool(self._settled(position, after=after) >> needed & 1)

    def _index_ids(self) -> None:
        for position, task in enumerate(self._tasks):
            if not task.id:
                continue
            first = self._index.setdefault(task.id, position)
            if first != position:
                self._problems.error(
                    task.id_place,
                    task.fields.path.child("id"),
                    f"the id {quoted(task.id)} is taken by the task in line "
                    f"{self._tasks[first].id_place.line}",
                    "Give every task an id of its own.",
                )

    def _read_edges(self, draft: Draft) -> None:
        if not self._tasks:
            return  # there are none, or too many: that is reported, and every edge would be too
        for dependent, needed in draft.edges:
            position = self._resolve(dependent, "dependencies of")
            if position is not None:
                self._add_edges(position, needed)
        for position, task in enumerate(self._tasks):
            self._add_edges(position, task.dependencies)

    def _add_edges(self, position: int, needed: list[Text]) -> None:
        seen: set[str] = set()
        for text in needed:
            if text.value in seen:
                self._problems.warning(
                    text.place,
                    text.path,
                    f"{quoted(text.value)} is named twice in this list",
                    "Remove one of the two.",
                )
            seen.add(text.value)
            need = self._resolve(text, "a dependency on")
            if need == position:
                self._problems.error(
                    text.place,
                    text.path,
                    f"{quoted(text.value)} depends on itself",
                    "Remove the dependency.",
                )
            elif need is not None:
                self._written.setdefault((position, need), text)

    def _read_compensations(self) -> None:
        for position, task in enumerate(self._tasks):
            for text in task.targets:
                target = self._resolve(text, "a compensation by")
                if target == position:
                    self._problems.error(
                        text.place,
                        text.path,
                        f"{quoted(text.value)} cannot make up for itself",
                        "Name another task.",
                    )
                elif target is not None and position not in self._owners.get(target, ()):
                    self._owners.setdefault(target, []).append(position)
        for position in self._owners:
            for text in self._tasks[position].targets:
                self._problems.error(
                    text.place,
                    text.path,
                    f"{quoted(self._tasks[position].id)} is itself a compensation task, "
                    "and nothing makes up for one",
                    "Remove this compensation: a compensation that fails is recorded, the rest goes on.",
                )
        if self._tasks and len(self._owners) == len(self._tasks):
            first = self._tasks[0]
            self._problems.error(
                first.id_place,
                first.fields.path,
                "every task is a compensation of another one, so none would ever run",
                "Leave at least one task that is not named in a compensation.",
            )

    def _resolve(self, text: Text, role: str) -> int | None:
        position = self._index.get(text.value)
        if position is None:
            self._problems.error(
                text.place,
                text.path,
                f"{role} {quoted(text.value)}, but there is no such task",
                self._problems.suggest(text.value, self._index, "Add the task or remove the name."),
            )
        return position

    def _separate_compensations(self) -> None:
        """Keep the edges of the happy path; an edge to a compensation task is refused."""
        for (dependent, needed), text in self._written.items():
            if needed in self._owners:
                self._problems.error(
                    text.place,
                    text.path,
                    f"{quoted(text.value)} is a compensation task and does not run when all goes well, "
                    f"so {quoted(self._tasks[dependent].id)} could not start",
                    "Remove the dependency, or the name from the compensation.",
                )
            elif dependent not in self._owners:
                self._needs[dependent].append(needed)

    def _find_cycles(self) -> None:
        """Remove what can run until only cycles, and what hangs on them, is left; name the cycles."""
        self._cyclic = self._unordered(set())
        left, removed = self._cyclic, set[int]()
        for shown in range(1, CYCLES_SHOWN_MAX + 1):
            if not left:
                return
            cycle = self._walk(left)
            removed.update(cycle)
            left = self._unordered(removed)
            self._report(cycle, are_more=bool(left) and shown == CYCLES_SHOWN_MAX)

    def _unordered(self, removed: set[int]) -> set[int]:
        """Return the tasks that can never start, when the removed ones are taken out of the graph."""
        return {*range(len(self._tasks))} - removed - {*self._order(removed)}

    def _order(self, removed: set[int]) -> list[int]:
        """Return the tasks in an order in which they can run; what is in or behind a cycle is missing."""
        waiting = [len([need for need in needs if need not in removed]) for needs in self._needs]
        dependents: list[list[int]] = [[] for _ in self._tasks]
        for dependent, needs in enumerate(self._needs):
            for need in needs:
                dependents[need].append(dependent)
        order = [
            position
            for position, count in enumerate(waiting)
            if count == 0 and position not in removed
        ]
        for position in order:
            for dependent in dependents[position]:
                waiting[dependent] -= 1
                if waiting[dependent] == 0 and dependent not in removed:
                    order.append(dependent)
        return order

    def _walk(self, left: set[int]) -> list[int]:
        """Return one cycle among tasks that all wait for another one of them."""
        path: dict[int, None] = {}
        position = min(left)
        while position not in path:
            path[position] = None
            position = min(need for need in self._needs[position] if need in left)
        walked = list(path)
        cycle = walked[walked.index(position) :]
        start = cycle.index(min(cycle))
        return cycle[start:] + cycle[:start]

    def _report(self, cycle: list[int], *, are_more: bool) -> None:
        text = self._written[cycle[0], cycle[1 % len(cycle)]]
        names = [self._tasks[position].id for position in (*cycle, cycle[0])]
        hidden = len(names) - _STEPS_SHOWN_MAX
        if hidden > 1:
            names[_STEPS_SHOWN_MAX - 1 : -1] = [f"… {hidden:,} more …"]
        self._problems.error(
            text.place,
            text.path,
            f"these tasks wait for each other in a circle: {' -> '.join(quoted(n)[1:-1] for n in names)}",
            "Remove one of these dependencies"
            + ("; more circles are not shown." if are_more else "."),
        )

    def _check_compensation_edges(self) -> None:
        for (dependent, needed), text in self._written.items():
            if dependent not in self._owners or needed in self._owners:
                continue
            if not self.is_known_before(needed, dependent, after=False):
                owners = " or ".join(
                    quoted(self._tasks[owner].id) for owner in self._owners[dependent][:3]
                )
                self._problems.error(
                    text.place,
                    text.path,
                    f"{quoted(self._tasks[dependent].id)} is a compensation task and runs as soon as "
                    f"{owners} fails: it cannot wait for {quoted(text.value)}",
                    "Remove the dependency, or the name from the compensation.",
                )

    @cached_property
    def _upstream(self) -> list[int]:
        """For each task, a number whose bits are the tasks that always run before it."""
        upstream = [0] * len(self._tasks)
        for position in self._order(set()):
            bits = 0
            for need in self._needs[position]:
                bits |= upstream[need] | 1 << need
            upstream[position] = bits
        return upstream

    def _settled(self, position: int, *, after: bool) -> int:
        owners = self._owners.get(position)
        own = 1 << position if after else 0
        if owners is None:
            return self._upstream[position] | own
        settled = -1
        for owner in owners:
            settled &= self._upstream[owner] | 1 << owner
        return settled | own

"""Tasks: the journal of a run. Read here; written only by the transitions of its run."""

from __future__ import annotations

from collections.abc import Sequence

from aureus._database.operation import AsyncStore, Operations, Store, read
from aureus._database.statement import Op, Queries, Row, fetch_all, fetch_one
from aureus.codec import decode
from aureus.errors import NotFound
from aureus.model.tasks import Task, TaskKey, task_from_row

sql = Queries("tasks")


class TaskOperations(Operations):
    """Operations on the journals of runs."""

    @read
    def list(self, run_id: str) -> Op[Sequence[Task]]:
        """Return the whole journal of a run with results, in the order in which tasks were scheduled."""
        return (yield from fetch_all(sql.list_tasks, _task, run_id=run_id))

    @read
    def get(self, run_id: str, key: TaskKey) -> Op[Task]:
        """Return one entry of a run's journal. Raises ``NotFound``."""
        task = yield from fetch_one(
            sql.get_task,
            _task,
            run_id=run_id,
            scope=key.scope,
            name=key.name,
            occurrence=key.occurrence,
        )
        if task is None:
            raise NotFound(
                f"run {run_id} has no task {key} in its journal", run_id=run_id, task=str(key)
            )
        return task


class TaskStore(TaskOperations, Store):
    """Journals of one tenant."""


class AsyncTaskStore(TaskOperations, AsyncStore):
    """Journals of one tenant, awaited."""


def _task(row: Row) -> Task:
    stored = row[20]
    result = None if stored is None else decode(stored)
    return task_from_row(row, result, has_result=stored is not None)

"""Runs: executions of workflows, changed only by whoever holds the lease of their current epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    current_time,
    events_of,
    fetch_all,
    fetch_one,
    last,
    record_all,
)
from aureus.clock import to_micros
from aureus.codec import decode, encode_text
from aureus.errors import AlreadyExists, IllegalTransition, LeaseLost, NotFound
from aureus.model.approvals import ApprovalRequest
from aureus.model.events import Fact
from aureus.model.runs import Run
from aureus.model.states import RunStatus
from aureus.model.tasks import TaskChange
from aureus.model.transitions import Advanced, RunOrigin, RunStart, Transition

sql = Queries("runs")

RESULT_BYTES_INLINE_MAX = 4096
"""Bytes of a result that stay in the journal's row; larger ones lie in a table of their own."""

PAGE_MAX = 1000
"""Runs of one page."""

_NEWEST = (datetime.max.replace(tzinfo=UTC), "")
"""A place behind which all runs are."""


class RunOperations(Operations):
    """Operations on runs."""

    @write
    def start(self, start: RunStart) -> Op[Advanced]:
        """Begin a run with its first tasks. Atomic.

        Raises ``AlreadyExists`` when the run id is taken, or an unfinished run holds the same resume key; the same
        is raised by a repeated call after a lost reply, so the caller compares ``transition_id``.
        """
        now = yield from current_time()
        recorded = yield from record_all(start.facts)
        run = yield from last(
            sql.start_run,
            Run.from_row,
            run_id=start.run_id,
            workflow_id=start.workflow_id,
            workflow_hash=start.workflow_hash,
            lease_id=start.lease_id,
            transition_id=start.transition_id,
            resume_key=start.resume_key,
            inputs=encode_text(start.origin.inputs, what="inputs of the run"),
            directory=start.origin.directory,
            approve_from=start.origin.approve_from,
            tasks=_tasks_json(start.changes),
            approvals=_approvals_json(start.approvals),
            now=now,
        )
        if run is None:
            raise AlreadyExists(
                f"run {start.run_id} exists, or an unfinished run of workflow {start.workflow_id!r} "
                "with the same inputs does",
                run_id=start.run_id,
                resume_key=start.resume_key,
            )
        return Advanced(run, events_of(recorded))

    @write
    def advance(self, transition: Transition) -> Op[Advanced]:
        """Carry out one transition: run, tasks, approvals and events. Atomic; a repeated call changes nothing.

        Raises ``LeaseLost`` when another process has taken the run over, and ``IllegalTransition`` when a state does
        not lead to the one asked for.
        """
        now = yield from current_time()
        recorded = yield from record_all(transition.facts)
        run = yield from last(
            sql.advance_run,
            Run.from_row,
            run_id=transition.run_id,
            epoch=transition.epoch,
            lease_id=transition.lease_id,
            transition_id=transition.transition_id,
            status=transition.status.value,
            phase=transition.phase.value,
            keeps_lease=transition.keeps_lease,
            error_code=transition.error_code,
            error_message=transition.error_message,
            tasks=_tasks_json(transition.changes),
            approvals=_approvals_json(transition.approvals),
            now=now,
        )
        if run is None:
            raise LeaseLost(
                f"run {transition.run_id} was taken over by another process; this one stops",
                run_id=transition.run_id,
                epoch=transition.epoch,
            )
        return Advanced(run, events_of(recorded))

    @write
    def claim(
        self,
        run_id: str,
        *,
        lease_id: str,
        transition_id: str,
        dead_lease_id: str | None = None,
        workflow_hash: str | None = None,
        facts: Sequence[Fact] = (),
    ) -> Op[Advanced | None]:
        """Take an unfinished run over; return None when its holder lives, or the run has ended. Atomic.

        ``dead_lease_id`` names a lease whose process is known to be dead, so that its end need not be awaited.
        The run's epoch rises: whatever the former holder still sends is refused. ``workflow_hash`` names the
        version that the run goes by from now on, None leaves it; that version has been saved.
        """
        now = yield from current_time()
        recorded = yield from record_all(facts)
        run = yield from last(
            sql.claim_run,
            Run.from_row,
            run_id=run_id,
            lease_id=lease_id,
            transition_id=transition_id,
            dead_lease_id=dead_lease_id,
            workflow_hash=workflow_hash,
            now=now,
        )
        return None if run is None else Advanced(run, events_of(recorded))

    @write
    def request_cancel(self, run_id: str, *, facts: Sequence[Fact] = ()) -> Op[Advanced | None]:
        """Ask the holder of a run to stop; return None when it was asked before or has ended. Atomic."""
        now = yield from current_time()
        recorded = yield from record_all(facts)
        run = yield from last(sql.request_cancel, Run.from_row, run_id=run_id, now=now)
        return None if run is None else Advanced(run, events_of(recorded))

    @read
    def get(self, run_id: str) -> Op[Run]:
        """Return one run. Raises ``NotFound``."""
        run = yield from fetch_one(sql.get_run, Run.from_row, run_id=run_id)
        if run is None:
            raise NotFound(
                f"there is no run {run_id!r}; `aureus runs list` shows what there is",
                run_id=run_id,
            )
        return run

    @read
    def find(self, run_id: str) -> Op[Run | None]:
        """Return one run, or None."""
        return (yield from fetch_one(sql.get_run, Run.from_row, run_id=run_id))

    @read
    def find_unfinished(self, resume_key: str) -> Op[Run | None]:
        """Return the unfinished run that holds a resume key, or None."""
        return (yield from fetch_one(sql.get_unfinished_run, Run.from_row, resume_key=resume_key))

    @read
    def get_origin(self, run_id: str) -> Op[RunOrigin]:
        """Return what a run was started with. Raises ``NotFound``."""
        origin = yield from fetch_one(
            sql.get_run_origin,
            lambda row: RunOrigin(decode(row[0]), row[1], row[2]),
            run_id=run_id,
        )
        if origin is None:
            raise NotFound(f"there is no run {run_id!r}", run_id=run_id)
        return origin

    @read
    def get_inputs(self, run_id: str) -> Op[dict[str, Any]]:
        """Return the inputs of a run. Raises ``NotFound``."""
        return (yield from self.get_origin(run_id)).inputs

    @read
    def list(
        self,
        *,
        status: RunStatus | None = None,
        workflow_id: str | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> Op[Sequence[Run]]:
        """Return a page of runs, newest first; ``before`` is (created_at, run_id) of the page's predecessor.

        Rows that appear while paging are neither doubled nor skipped. At most 1,000 a page. Each page is read along
        an index: that of all runs, of the status, or of the workflow. Of a workflow and a status it is the workflow's,
        which is read on until the page is full.
        """
        before_at, before_id = before or _NEWEST
        page: dict[str, Any] = {
            "before_at": before_at,
            "before_id": before_id,
            "limit": max(1, min(limit, PAGE_MAX)),
        }
        wanted = None if status is None else status.value
        if workflow_id is not None:
            query = sql.list_runs_of_workflow
            page |= {"workflow_id": workflow_id, "status": wanted}
        elif wanted is not None:
            query, page = sql.list_runs_in_status, {**page, "status": wanted}
        else:
            query = sql.list_runs
        return (yield from fetch_all(query, Run.from_row, **page))


class RunStore(RunOperations, Store):
    """Runs of one tenant."""


class AsyncRunStore(RunOperations, AsyncStore):
    """Runs of one tenant, awaited."""


def _tasks_json(changes: Sequence[TaskChange]) -> str:
    return encode_text([_task_json(change) for change in changes], what="tasks of a transition")


def _task_json(change: TaskChange) -> dict[str, Any]:
    result = change.result_json
    return {
        "is_new": change.is_new,
        "scope": change.key.scope,
        "name": change.key.name,
        "occurrence": change.key.occurrence,
        "kind": change.kind.value,
        "status": change.status.value,
        "attempt": change.attempt,
        "interruptions": change.interruptions,
        "tool": change.tool,
        "input_hash": change.input_hash,
        "code_version": change.code_version,
        "idempotency_key": change.idempotency_key,
        "replayed": change.replayed,
        "result_json": result,
        "is_large": result is not None and len(result.encode()) > RESULT_BYTES_INLINE_MAX,
        "error_code": change.error_code,
        "error_message": change.error_message,
        "finished_no": change.finished_no,
        "wake_at": None if change.wake_at is None else to_micros(change.wake_at),
    }


def _approvals_json(requests: Sequence[ApprovalRequest]) -> str:
    return encode_text(
        [
            {
                "scope": request.key.scope,
                "name": request.key.name,
                "occurrence": request.key.occurrence,
                "message": request.message,
                "risk_tier": request.risk_tier,
                "requested_by": request.requested_by,
                "expires_at": None if request.expires_at is None else to_micros(request.expires_at),
            }
            for request in requests
        ],
        what="approvals of a transition",
    )


def has_remains(run_id: str) -> Op[bool]:
    """Return whether a run holds anything that an erasure takes away; False when there is no such run.

    Raises ``IllegalTransition`` when the run has not ended: it would need what is taken away.
    """
    found = yield from fetch_one(
        sql.get_run_remains, lambda row: (str(row[0]), bool(row[1])), run_id=run_id
    )
    if found is None:
        return False
    status, remains = found
    if not RunStatus(status).is_final:
        raise IllegalTransition(
            f"run {run_id} is {status}; let it end, or cancel it, before it is erased",
            run_id=run_id,
        )
    return remains


def erase_run(run_id: str) -> Op[Counter[str]]:
    """Take everything from a run that it was told and has found out, for an erasure that records it; rows by table.

    Its journal stays: which tasks there were, when and how they ended, and who approved.
    """
    run = yield from fetch_one(sql.empty_run, bool, run_id=run_id)
    if run is None:
        return Counter()
    inputs = yield from fetch_all(sql.empty_run_inputs, bool, run_id=run_id)
    keys = yield from fetch_all(sql.empty_run_keys, bool, run_id=run_id)
    tasks = yield from fetch_all(sql.empty_tasks, bool, run_id=run_id)
    results = yield from fetch_all(sql.drop_task_results, bool, run_id=run_id)
    approvals = yield from fetch_all(sql.empty_run_approvals, bool, run_id=run_id)
    return Counter(
        runs=1,
        run_inputs=len(inputs),
        idempotency_keys=len(keys),
        tasks=len(tasks),
        task_results=len(results),
        approvals=len(approvals),
    )

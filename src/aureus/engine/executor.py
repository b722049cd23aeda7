"""Drives one run that this process holds: ask the planner, commit, start the work, wait, and again.

Invariants: a task begins only after its start is committed; everything that is ready at the same moment travels in one
commit; when ``execute`` has ended, however it ended, none of the run's tools works any more. The journal in memory is
the truth while the lease is held, so nothing is read between two commits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from aureus.clock import Clock
from aureus.engine.attempts import Attempt, Surroundings
from aureus.engine.commands import Command, LetGo, Work
from aureus.engine.journal import Journal
from aureus.engine.observer import Observer, watched
from aureus.engine.outcomes import Completed, Ended, Interrupted, Outcome
from aureus.engine.timers import until
from aureus.engine.transition import Step
from aureus.errors import AureusError, WorkflowError
from aureus.ids import Ids
from aureus.model.states import RunStatus
from aureus.model.tasks import TaskKey
from aureus.stores.approvals import AsyncApprovalStore
from aureus.stores.runs import AsyncRunStore

RESULT_BYTES_OF_STEP_MAX = 7 * 1024 * 1024
"""Bytes of results in one commit. As JSON inside JSON they at most double, and stay below the codec's 16 MB."""

GIVE_UP_SECONDS = 0.5
"""Seconds that tools still get when the process was told a second time to stop."""


class Planner(Protocol):
    """What decides about a run: the planner of workflow files, or the driver of a Python function."""

    @property
    def code_version(self) -> str:
        """Return what journal entries record as the version of the code that made them."""
        ...

    def settle(self, ended: Ended, now: datetime, jitter: float) -> Sequence[Command]:
        """Return what the end of an attempt means."""
        ...

    def plan(self, now: datetime) -> Sequence[Command]:
        """Return what happens next; asked until there is nothing more."""
        ...

    def next_wake(self, now: datetime) -> datetime | None:
        """Return when to ask again although nothing has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What an executor reaches the world through."""

    runs: AsyncRunStore
    approvals: AsyncApprovalStore
    observer: Observer
    clock: Clock
    ids: Ids
    actor: str


class Executor:
    """Works on one run. Its other methods are called from the same event loop while ``execute`` runs."""

    def __init__(
        self, journal: Journal, planner: Planner, around: Surroundings, ports: Ports
    ) -> None:
        self.journal = journal
        self._planner = planner
        self._around = around
        self._ports = ports
        self._attempts: dict[TaskKey, asyncio.Task[Outcome]] = {}
        self._ended: deque[Ended] = deque()
        self._wake = asyncio.Event()
        self._error: BaseException | None = None
        self._observer_error: WorkflowError | None = None
        self._is_stopping = False
        self._gives_up = False
        self._has_new_answers = False

    @property
    def was_stopped(self) -> bool:
        """Return whether the run was let go of because the process was asked to stop."""
        return self._is_stopping and not self.journal.run.status.is_final

    def stop(self) -> None:
        """Stop the tools, record their attempts as interrupted, and give the run back; again: at once."""
        self._gives_up = self._is_stopping
        self._is_stopping = True
        self._cancel_attempts()

    def request_cancel(self) -> None:
        """Stop the tools and cancel the run."""
        if not self.journal.is_cancel_requested:
            self.journal.is_cancel_requested = True
            self._cancel_attempts()

    def take_answers(self) -> None:
        """Look at what people have answered."""
        self._has_new_answers = bool(self.journal.waiting)
        self._wake.set()

    def fail(self, error: BaseException) -> None:
        """Stop the tools at once and let ``execute`` raise; nothing more is written."""
        if self._error is None:
            self._error = error
            self._cancel_attempts()

    async def observe(self, telling: Awaitable[None]) -> None:
        """Tell the observer something; when it fails, the run is left in good order and ``execute`` raises."""
        try:
            await watched(self.journal.run.run_id, telling)
        except WorkflowError as error:
            self._observer_error = self._observer_error or error
            if not self._is_stopping:
                self.stop()

    async def execute(self, begun: Sequence[Work] = ()) -> None:
        """Work on the run until it has ended, waits for people, was given back, or is lost.

        ``begun`` is the work whose start is committed already. What the journal holds as running besides that was
        interrupted. Raises ``LeaseLost``, errors of the database, and ``WorkflowError`` when an observer failed.
        """
        for work in begun:
            self._spawn(work)
        self._ended += [
            Ended(key, Interrupted()) for key in self.journal.running if key not in self._attempts
        ]
        try:
            await self._work()
        except asyncio.CancelledError:
            self.stop()
            with contextlib.suppress(AureusError):
                await self._work()
            raise
        finally:
            await self._stop_attempts()
        if self.journal.run.status is RunStatus.PAUSED:
            pending = self.journal.pending_approvals()
            await self.observe(self._ports.observer.on_waiting(self.journal.run, pending))
        if self._observer_error is not None:
            raise self._observer_error

    async def _work(self) -> None:
        while not self._is_over():
            self._wake.clear()
            if self._error is not None:
                raise self._error
            if self._has_new_answers:
                await self._read_answers()
            step = self._next_step()
            if step.is_empty:
                await until(self._wake, self._seconds_left())
            else:
                await self._commit(step)

    def _is_over(self) -> bool:
        run = self.journal.run
        return run.status.is_final or run.lease_id is None or self._gives_up

    def _next_step(self) -> Step:
        now = self._ports.clock.now()
        step = Step(
            self.journal,
            now=now,
            actor=self._ports.actor,
            code_version=self._planner.code_version,
        )
        size_bytes = 0
        while self._ended:
            outcome = self._ended[0].outcome
            size_bytes += len(outcome.result_json) if isinstance(outcome, Completed) else 0
            if size_bytes > RESULT_BYTES_OF_STEP_MAX and not step.is_empty:
                break
            step.apply(self._planner.settle(self._ended.popleft(), now, self._ports.ids.jitter()))
        if self._is_stopping and not self.journal.is_cancel_requested:
            if not self._attempts and not self._ended:
                step.apply([LetGo()])
            return step
        while commands := self._planner.plan(now):
            step.apply(commands)
        return step

    async def _commit(self, step: Step) -> None:
        transition = step.transition(self._ports.ids.new())
        committing = asyncio.ensure_future(self._ports.runs.advance(transition))
        try:
            advanced = await asyncio.shield(committing)
        except asyncio.CancelledError:
            step.committed((await committing).run)
            self._ended += [Ended(work.label.key, Interrupted()) for work in step.started]
            raise
        step.committed(advanced.run)
        for work in step.started:
            self._spawn(work)
        if transition.facts:
            await self.observe(self._ports.observer.on_events(advanced.run, advanced.events))

    def _spawn(self, work: Work) -> None:
        if self._error is not None or self._is_stopping:
            self._ended.append(Ended(work.label.key, Interrupted()))
            self._wake.set()
            return
        key = work.label.key
        number = self.journal.tasks[key].attempt
        attempt = asyncio.create_task(
            Attempt(work, number, self._around).run(), name=f"{self.journal.run.run_id} {key}"
        )
        self._attempts[key] = attempt
        began = self._ports.clock.monotonic()
        attempt.add_done_callback(partial(self._note_end, key, began))

    def _note_end(self, key: TaskKey, began: float, attempt: asyncio.Task[Outcome]) -> None:
        self._attempts.pop(key, None)
        self._wake.set()
        if attempt.cancelled():
            self._ended.append(Ended(key, Interrupted()))
        elif (error := attempt.exception()) is not None:
            self.fail(error)
        else:
            duration_ms = round((self._ports.clock.monotonic() - began) * 1000)
            self._ended.append(Ended(key, attempt.result(), duration_ms))

    async def _read_answers(self) -> None:
        self._has_new_answers = False
        for approval in await self._ports.approvals.list(self.journal.run.run_id):
            self.journal.hear(approval)

    def _seconds_left(self) -> float | None:
        now = self._ports.clock.now()
        wake_at = self._planner.next_wake(now)
        return None if wake_at is None else (wake_at - now).total_seconds()

    def _cancel_attempts(self) -> None:
        for attempt in list(self._attempts.values()):
            attempt.cancel()
        self._wake.set()

    async def _stop_attempts(self) -> None:
        """Stop what still runs, when the run is lost or given up."""
        self._cancel_attempts()
        attempts = list(self._attempts.values())
        if attempts:
            await asyncio.wait(attempts, timeout=GIVE_UP_SECONDS if self._gives_up else None)

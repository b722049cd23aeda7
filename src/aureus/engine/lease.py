"""The right of this process to work: taken when the first run needs it, renewed while it lasts, given back at the end.

The event loop keeps a deadline of its own, counted from when the last renewal was sent. When it passes, everything that
works under the lease is told to stop, whatever the database or the thread that renews are doing at that moment.

A lease under which work broke off is not used for anything new and given back as soon as nobody works under it any
more: a run that this process no longer works on must not stay its own only because the process lives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from aureus.clock import Clock
from aureus.engine.heartbeat import Heartbeat, Listener
from aureus.errors import DatabaseError, LeaseLost, WorkflowError
from aureus.ids import Ids
from aureus.model.leases import ProcessIdentity
from aureus.model.renewal import Rhythm
from aureus.stores.leases import AsyncLeaseStore, LeaseStore, Notice

PRIVATE_LEASE_SECONDS = 10 * 365 * 86_400.0
"""The lease on a database that lives in this process: nobody else can want it."""


class Worker(Protocol):
    """Something that works on a run under a lease."""

    def request_cancel(self) -> None:
        """Stop: somebody cancelled the run."""
        ...

    def take_answers(self) -> None:
        """Look at what people have answered."""
        ...

    def fail(self, error: BaseException) -> None:
        """Stop at once: the lease is lost."""
        ...


class Term:
    """One lease, and who works under it."""

    def __init__(self, lease_id: str, rhythm: Rhythm, clock: Clock) -> None:
        self.lease_id = lease_id
        self.user_count = 0
        self.is_spent = False
        self.heartbeat: Heartbeat | None = None
        self.workers: dict[str, Worker] = {}
        self._rhythm = rhythm
        self._clock = clock
        self._deadline = 0.0
        self._guard: asyncio.TimerHandle | None = None

    def work(self, run_id: str, worker: Worker) -> None:
        """Take note of who works on a run."""
        self.workers[run_id] = worker
        self._watch()

    def rest(self, run_id: str) -> None:
        """Forget who works on a run."""
        self.workers.pop(run_id, None)
        self._watch()

    def begin(self, renewals: LeaseStore, holder: ProcessIdentity, acquired_at: float) -> None:
        """Renew the lease from now on, and guard its end."""
        self.heartbeat = Heartbeat(
            renewals,
            self.lease_id,
            holder,
            self._rhythm,
            acquired_at=acquired_at,
            clock=self._clock,
            loop=asyncio.get_running_loop(),
            listener=Listener(self._renewed, self._notice, self._lose),
        )
        self._renewed(self._rhythm.deadline(acquired_at))
        self.heartbeat.start()

    def stop(self) -> None:
        """Renew and guard no more; repeating it does nothing."""
        self.is_spent = True
        if self._guard is not None:
            self._guard.cancel()
        if self.heartbeat is not None:
            self.heartbeat.stop()

    def _watch(self) -> None:
        if self.heartbeat is not None:
            self.heartbeat.is_watching = bool(self.workers)

    def _renewed(self, deadline: float) -> None:
        self._deadline = deadline
        self._check()

    def _check(self) -> None:
        """Lose the lease when its time is over, else look again when it will be."""
        if self._guard is not None:
            self._guard.cancel()
        seconds = self._deadline - self._clock.monotonic()
        if seconds <= 0:
            self._lose()
        else:
            self._guard = asyncio.get_running_loop().call_later(seconds, self._check)

    def _notice(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            worker = self.workers.get(notice.run_id)
            if worker is not None and notice.kind == "cancel":
                worker.request_cancel()
            elif worker is not None:
                worker.take_answers()

    def _lose(self) -> None:
        self.stop()
        for run_id, worker in self.workers.items():
            worker.fail(
                LeaseLost(
                    f"the lease on run {run_id} could not be renewed within {self._rhythm.lease_seconds:g} s "
                    "(the database did not answer, or this process was held up); its work was stopped, "
                    "another process may go on",
                    run_id=run_id,
                    lease_id=self.lease_id,
                )
            )


class Tenure:
    """The leases of one process for one tenant: the one that new work uses, and those that old work still needs."""

    def __init__(
        self,
        leases: AsyncLeaseStore,
        renewals: LeaseStore | None,
        holder: ProcessIdentity,
        *,
        lease_seconds: float,
        clock: Clock,
        ids: Ids,
    ) -> None:
        """Prepare a lease. ``renewals`` is None for a database that no other process can reach."""
        self.identity = holder
        self._leases = leases
        self._renewals = renewals
        self._rhythm = Rhythm(PRIVATE_LEASE_SECONDS if renewals is None else lease_seconds)
        self._clock = clock
        self._ids = ids
        self._lock = asyncio.Lock()
        self._terms: list[Term] = []

    @asynccontextmanager
    async def using(self) -> AsyncGenerator[Term]:
        """Work under a lease; take one when there is none.

        When the block ends with an error that leaves a run behind, the lease is not used again.
        """
        async with self._lock:
            term = next((term for term in self._terms if not term.is_spent), None)
            if term is None:
                term = await self._take()
            term.user_count += 1
        try:
            yield term
        except (LeaseLost, WorkflowError):
            raise
        except BaseException:
            term.is_spent = True
            raise
        finally:
            term.user_count -= 1
            if term.is_spent:
                await self._drop(term)

    def owns(self, lease_id: str) -> bool:
        """Return whether a lease is this process's own."""
        return any(term.lease_id == lease_id for term in self._terms)

    def worker(self, run_id: str) -> Worker | None:
        """Return who works on a run in this process, if anybody does."""
        found = (term.workers.get(run_id) for term in self._terms)
        return next((worker for worker in found if worker is not None), None)

    async def give_back(self) -> None:
        """Give back every lease that nobody uses; repeating it does nothing."""
        for term in list(self._terms):
            await self._drop(term)

    async def _take(self) -> Term:
        term = Term(self._ids.new(), self._rhythm, self._clock)
        sent_at = self._clock.monotonic()
        await self._leases.acquire(
            term.lease_id, self.identity, lease_seconds=self._rhythm.lease_seconds
        )
        self._terms.append(term)
        if self._renewals is not None:
            term.begin(self._renewals, self.identity, sent_at)
        return term

    async def _drop(self, term: Term) -> None:
        """Give one lease back unless it is used; where the database is away, it ends by itself."""
        async with self._lock:
            if term.user_count or term not in self._terms:
                return
            self._terms.remove(term)
            term.stop()
            if term.heartbeat is not None:
                await term.heartbeat.close()
            with contextlib.suppress(DatabaseError):
                await self._leases.release(term.lease_id)

"""The right of this process to work: taken when the first run needs it, renewed while it lasts, given back at the end.

The event loop keeps a deadline of its own, counted from when the last renewal was sent. When it passes, everything that
works under the lease is told to stop, whatever the database or the thread that renews are doing at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from aureus.clock import Clock
from aureus.engine.heartbeat import Heartbeat, Listener, Rhythm
from aureus.errors import LeaseLost
from aureus.ids import Ids
from aureus.model.leases import ProcessIdentity
from aureus.stores.leases import AsyncLeaseStore, LeaseStore, Notice

PRIVATE_LEASE_SECONDS = 10 * 365 * 86_400.0
"""The lease on a database that lives in this process: nobody else can want it."""


class Holder(Protocol):
    """Something that works under the lease."""

    def request_cancel(self) -> None:
        """Stop: somebody cancelled the run."""
        ...

    def take_answers(self) -> None:
        """Look at what people have answered."""
        ...

    def fail(self, error: BaseException) -> None:
        """Stop at once: the lease is lost."""
        ...


class Tenure:
    """The lease of one process for one tenant, and who works under it."""

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
        self._lease_id: str | None = None
        self._deadline = 0.0
        self._guard: asyncio.TimerHandle | None = None
        self._heartbeat: Heartbeat | None = None
        self._retired: list[Heartbeat] = []
        self._working: dict[str, Holder] = {}

    @property
    def lease_id(self) -> str | None:
        """Return the lease that is held, if one is."""
        return self._lease_id

    async def hold(self) -> str:
        """Return the lease of this process; take one when there is none."""
        async with self._lock:
            if self._lease_id is None:
                await self._take()
            lease_id = self._lease_id
        if lease_id is None:
            raise LeaseLost("the lease was lost while it was taken; repeat the call")
        return lease_id

    def work(self, run_id: str, holder: Holder) -> None:
        """Take note of who works on a run."""
        self._working[run_id] = holder
        self._watch()

    def rest(self, run_id: str) -> None:
        """Forget who works on a run."""
        self._working.pop(run_id, None)
        self._watch()

    def worker(self, run_id: str) -> Holder | None:
        """Return who works on a run in this process, if anybody does."""
        return self._working.get(run_id)

    async def give_back(self) -> None:
        """Stop renewing and give the lease back, unless somebody works under it; repeating it does nothing."""
        async with self._lock:
            if self._working:
                return
            lease_id, self._lease_id = self._lease_id, None
            self._retire()
            while self._retired:
                await self._retired.pop().close()
            if lease_id is not None:
                await self._leases.release(lease_id)

    async def _take(self) -> None:
        lease_id, sent_at = self._ids.new(), self._clock.monotonic()
        await self._leases.acquire(
            lease_id, self.identity, lease_seconds=self._rhythm.lease_seconds
        )
        self._lease_id = lease_id
        if self._renewals is None:
            return
        self._heartbeat = Heartbeat(
            self._renewals,
            lease_id,
            self.identity,
            self._rhythm,
            acquired_at=sent_at,
            clock=self._clock,
            loop=asyncio.get_running_loop(),
            listener=Listener(
                partial(self._renewed, lease_id), self._notice, partial(self._lose, lease_id)
            ),
        )
        self._renewed(lease_id, self._rhythm.deadline(sent_at))
        self._watch()
        self._heartbeat.start()

    def _retire(self) -> None:
        """Stop guarding and renewing; the thread is waited for when the lease is given back."""
        if self._guard is not None:
            self._guard.cancel()
            self._guard = None
        if self._heartbeat is not None:
            self._heartbeat.stop()
            self._retired.append(self._heartbeat)
            self._heartbeat = None

    def _watch(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.is_watching = bool(self._working)

    def _renewed(self, lease_id: str, deadline: float) -> None:
        if lease_id == self._lease_id:
            self._deadline = deadline
            self._arm(lease_id)

    def _arm(self, lease_id: str) -> None:
        if self._guard is not None:
            self._guard.cancel()
        seconds = max(0.0, self._deadline - self._clock.monotonic())
        self._guard = asyncio.get_running_loop().call_later(seconds, self._check, lease_id)

    def _check(self, lease_id: str) -> None:
        if self._clock.monotonic() >= self._deadline:
            self._lose(lease_id)
        else:
            self._arm(lease_id)

    def _notice(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            worker = self._working.get(notice.run_id)
            if worker is not None and notice.kind == "cancel":
                worker.request_cancel()
            elif worker is not None:
                worker.take_answers()

    def _lose(self, lease_id: str) -> None:
        """Tell everybody who works to stop; the next run takes a new lease."""
        if lease_id != self._lease_id:
            return
        self._lease_id = None
        self._retire()
        for run_id, worker in self._working.items():
            worker.fail(
                LeaseLost(
                    f"the lease on run {run_id} could not be renewed within {self._rhythm.lease_seconds:g} s "
                    "(the database did not answer, or this process was held up); its work was stopped, "
                    "another process may go on",
                    run_id=run_id,
                    lease_id=lease_id,
                )
            )

"""Taking over an unfinished run: at once when nobody holds it or its holder is dead, else after the end of its lease.

Whether the holder is dead is known for certain only on the same host; elsewhere the database's clock decides, in the
statement that takes the run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aureus.engine.identity import is_dead
from aureus.engine.lease import Tenure
from aureus.engine.timers import until
from aureus.errors import Conflict
from aureus.ids import Ids
from aureus.model.events import Fact
from aureus.model.leases import Lease
from aureus.model.plain import plain
from aureus.model.runs import Run
from aureus.model.transitions import Advanced
from aureus.stores.leases import AsyncLeaseStore
from aureus.stores.runs import AsyncRunStore

LOOK_SECONDS = 1.0
"""Seconds between two statements of a process that waits for another one."""

LOCAL_LOOK_SECONDS = 0.25
"""Seconds between two looks at whether a holder on this host still lives; they cost no statement."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Takes runs over for one process."""

    runs: AsyncRunStore
    leases: AsyncLeaseStore
    tenure: Tenure
    ids: Ids

    async def claim(
        self,
        run: Run,
        lease_id: str,
        facts: Sequence[Fact] = (),
        *,
        workflow_hash: str | None = None,
    ) -> Advanced | None:
        """Take a run over; None when somebody alive holds it, or it has ended meanwhile.

        The caller has made sure that nobody in this process works on it. ``workflow_hash`` names a saved version
        that the run goes by from now on.
        """
        return await self.runs.claim(
            run.run_id,
            lease_id=lease_id,
            transition_id=self.ids.new(),
            dead_lease_id=await self._dead_lease(run),
            workflow_hash=workflow_hash,
            facts=facts,
        )

    async def held(self, run: Run) -> Conflict:
        """Return the error that says who holds a run."""
        holder = None if run.lease_id is None else await self.leases.find(run.lease_id)
        if holder is None:
            return Conflict(
                f"run {run.run_id} changed hands at this moment; repeat the call", run_id=run.run_id
            )
        who = f"process {holder.pid} on host {holder.host}"
        if self.tenure.owns(holder.lease_id):
            who = "this process"
        return Conflict(
            f"run {run.run_id} is being worked on by {who} since {plain(run.started_at)} and goes on "
            "there. Wait for it, or stop that process: the run is then taken over.",
            run_id=run.run_id,
            host=holder.host,
            pid=holder.pid,
            since=plain(holder.acquired_at),
        )

    async def wait_for_turn(self, run: Run, stopping: asyncio.Event) -> Run:
        """Wait until a run has ended or can be taken over, or this process is stopped; return it as it is then.

        Costs one statement a second. The lease of this process is given back meanwhile when nothing needs it.
        """
        await self.tenure.give_back()
        while not run.status.is_final and not stopping.is_set():
            holder = None if run.lease_id is None else await self.leases.find(run.lease_id)
            if holder is None or holder.is_expired or self._is_dead(holder):
                return run
            await self._pause(holder, stopping)
            known, run = run.lease_id, await self.runs.get(run.run_id)
            if run.lease_id == known and not run.status.is_final:
                await self._pause(holder, stopping)
        return run

    async def _pause(self, holder: Lease, stopping: asyncio.Event) -> None:
        for _ in range(round(LOOK_SECONDS / LOCAL_LOOK_SECONDS)):
            if self._is_dead(holder) or await until(stopping, LOCAL_LOOK_SECONDS):
                return

    async def _dead_lease(self, run: Run) -> str | None:
        """Return the lease that a run names if it need not be respected."""
        if run.lease_id is None:
            return None
        if self.tenure.owns(run.lease_id):
            return run.lease_id
        holder = await self.leases.find(run.lease_id)
        return run.lease_id if holder is not None and self._is_dead(holder) else None

    def _is_dead(self, holder: Lease) -> bool:
        return is_dead(holder.holder, self.tenure.identity)

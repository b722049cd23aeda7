"""Leases: which process may work, by the database's own clock."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from aureus._database.operation import AsyncStore, Operations, Store, read, write
from aureus._database.statement import (
    Op,
    Queries,
    current_time,
    fetch_all,
    fetch_one,
    last,
    last_all,
)
from aureus.errors import DatabaseError
from aureus.model.leases import Lease, ProcessIdentity

sql = Queries("leases")

LEASE_KEPT = timedelta(days=1)
"""How long an ended lease is remembered, so that `runs show` can tell who held it."""


class Notice(NamedTuple):
    """What somebody else wants of a run that this process holds: ``cancel`` or ``approval``."""

    kind: str
    run_id: str


class LeaseOperations(Operations):
    """Operations on leases."""

    @write
    def acquire(self, lease_id: str, holder: ProcessIdentity, *, lease_seconds: float) -> Op[Lease]:
        """Make or renew the lease of a process; it ends ``lease_seconds`` from now unless renewed. Atomic."""
        lease = yield from last(
            sql.acquire_lease,
            Lease.from_row,
            lease_id=lease_id,
            host=holder.host,
            boot_id=holder.boot_id,
            pid=holder.pid,
            process_start=holder.process_start,
            lease_seconds=lease_seconds,
        )
        if lease is None:
            raise DatabaseError("the lease was not written; repeat the call", lease_id=lease_id)
        return lease

    @write
    def release(self, lease_id: str) -> Op[bool]:
        """Give a lease back; return whether there was one. Atomic. Repeating it is harmless."""
        return (yield from last(sql.release_lease, bool, lease_id=lease_id)) is not None

    @write
    def prune(self) -> Op[int]:
        """Forget leases that ended a day ago and that no unfinished run names; return how many."""
        now = yield from current_time()
        rows = yield from last_all(sql.prune_leases, bool, before_at=now - LEASE_KEPT)
        return len(rows)

    @read
    def find(self, lease_id: str) -> Op[Lease | None]:
        """Return a lease, or None."""
        return (yield from fetch_one(sql.get_lease, Lease.from_row, lease_id=lease_id))

    @read
    def list_notices(self, lease_id: str) -> Op[list[Notice]]:
        """Return what others want of the runs that a lease holds."""
        return (
            yield from fetch_all(
                sql.list_notices, lambda row: Notice(row[0], row[1]), lease_id=lease_id
            )
        )


class LeaseStore(LeaseOperations, Store):
    """Leases of one tenant."""


class AsyncLeaseStore(LeaseOperations, AsyncStore):
    """Leases of one tenant, awaited."""

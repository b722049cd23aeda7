"""Which mode the audit trail of a tenant has, as this process knows it.

A tenant may have a mode of its own, in the database. Recording must not wait for it, so it is remembered here and read
again before a write when it is older than ``FOLLOW_SECONDS``: so long another process may go on under the mode before.
A transaction keeps the mode that it began with. There is no thread, and without writes nothing is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aureus._database.statement import Op, Queries, fetch_one
from aureus.clock import Clock
from aureus.model.audit_modes import AuditMode

sql = Queries("audit")

FOLLOW_SECONDS = 5.0
"""How long a mode is taken for what it was; a read of one row for each tenant that is written to."""

TENANTS_MAX = 10_000
"""Tenants that are remembered; a mode that was forgotten is read again."""


@dataclass(frozen=True, slots=True)
class _Known:
    mode: AuditMode
    read_at: float
    """Seconds of the monotonic clock, before the read was sent."""


class AuditModes:
    """The modes of the tenants that one open database writes for; safe to share among threads."""

    def __init__(self, clock: Clock, default: AuditMode) -> None:
        self.default = default
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._unsettled: dict[str, float] = {}

    def mode_of(self, tenant_id: str) -> AuditMode:
        """Return the mode that a tenant had when it was last read; the default before that."""
        known = self._known.get(tenant_id)
        return self.default if known is None else known.mode

    def due(self, tenant_id: str) -> Callable[[], Op[None]] | None:
        """Return the read that is due before the next write of a tenant, None when its mode is fresh."""
        now = self._clock.monotonic()
        known = self._known.get(tenant_id)
        is_fresh = known is not None and now - known.read_at < FOLLOW_SECONDS
        if is_fresh and now >= self._unsettled.get(tenant_id, now):
            return None
        return lambda: self._read(tenant_id)

    def changed(self, tenant_id: str) -> None:
        """Note that this process has changed a tenant's mode, committed or not: for a while every write looks again."""
        self._unsettled[tenant_id] = self._clock.monotonic() + FOLLOW_SECONDS

    def _read(self, tenant_id: str) -> Op[None]:
        read_at = self._clock.monotonic()
        own = yield from fetch_one(sql.get_audit_mode, lambda row: row[0])
        if len(self._known) >= TENANTS_MAX:
            self._known = {}
        if self._unsettled.get(tenant_id, read_at) < read_at:
            self._unsettled.pop(tenant_id, None)
        mode = self.default if own is None else AuditMode(own)
        self._known[tenant_id] = _Known(mode, read_at)

"""The mode of a tenant's audit trail: what it records, who said so, and the entry that says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from aureus._database.operation import Operations, read, write
from aureus._database.statement import (
    Op,
    Queries,
    Refused,
    Row,
    current_time,
    fetch_one,
    last,
    new_id,
    record,
)
from aureus.errors import Invalid
from aureus.model.audit import ACTIONS, TenantAuditMode, payload_of
from aureus.model.audit_modes import AuditMode
from aureus.model.events import NAME_CHARACTERS_MAX, AuditPoint, EventType, Fact
from aureus.stores.audit.rows import MODES_STREAM, check_name

sql = Queries("audit")


class ModeOperations(Operations):
    """Operations on the mode of a tenant's trail."""

    def __init__(self, default_mode: AuditMode = AuditMode.DECISIONS) -> None:
        """Take the mode that the settings give to tenants without one of their own."""
        self._default_mode = default_mode

    @write
    def set_mode(
        self, mode: AuditMode | str | None, *, actor: str, operation_id: str | None = None
    ) -> Op[TenantAuditMode]:
        """Set what the tenant's trail records from now on; None goes back to what the setting ``audit.mode`` says.

        Atomic. The change is an audit entry in every mode, also to and from ``off``. This client follows at once, other
        open ones within 5 seconds, and a transaction keeps the mode that it began with. Raises ``Invalid`` for an
        unknown mode, and a retryable ``Conflict`` when somebody else changed it in the same moment.
        """
        chosen = None if mode is None else _mode(mode)
        check_name(actor, "actor", NAME_CHARACTERS_MAX)
        operation = (yield from new_id()) if operation_id is None else operation_id
        check_name(operation, "operation_id", NAME_CHARACTERS_MAX)
        now = yield from current_time()
        standing = yield from fetch_one(sql.get_audit_mode, _own_mode)
        if standing is not None and standing.operation_id == operation:
            return self._in_force(standing)
        was = None if standing is None else standing.mode
        named = None if chosen is None else chosen.value
        yield from record(
            Fact(
                stream=MODES_STREAM,
                type=EventType.AUDIT_MODE_SET,
                payload=payload_of({"mode": None if was is None else was.value}, {"mode": named}),
                actor=actor,
                audit=AuditPoint(ACTIONS[EventType.AUDIT_MODE_SET], "audit/mode", is_explicit=True),
            )
        )
        version = yield from last(
            sql.set_audit_mode,
            lambda row: int(row[0]),
            mode=named,
            operation_id=operation,
            actor=actor,
            now=now,
            expected_version=0 if standing is None else standing.version,
        )
        if version is None:
            raise Refused(_nothing)
        return self._in_force(_OwnMode(chosen, actor, now, version, operation))

    @read
    def get_mode(self) -> Op[TenantAuditMode]:
        """Return what the tenant's trail records, and who said so."""
        return self._in_force((yield from fetch_one(sql.get_audit_mode, _own_mode)))

    def _in_force(self, own: _OwnMode | None) -> TenantAuditMode:
        if own is None or own.mode is None:
            changed = (None, None) if own is None else (own.changed_by, own.changed_at)
            return TenantAuditMode(self._default_mode, True, *changed)
        return TenantAuditMode(own.mode, False, own.changed_by, own.changed_at)


@dataclass(frozen=True, slots=True)
class _OwnMode:
    """The row of a tenant's mode; ``mode`` is None where the settings say it."""

    mode: AuditMode | None
    changed_by: str
    changed_at: datetime
    version: int
    operation_id: str


def _nothing() -> Op[None]:
    """Explain nothing: the mode was changed by somebody else, and the caller may try again."""
    yield from ()


def _mode(mode: AuditMode | str) -> AuditMode:
    try:
        return AuditMode(mode)
    except ValueError as error:
        raise Invalid(
            f"mode is {mode!r}; it is one of {', '.join(AuditMode)}, or None for that of the settings",
            what="mode",
        ) from error


def _own_mode(row: Row) -> _OwnMode:
    mode, changed_by, changed_at, version, operation_id = row
    return _OwnMode(
        None if mode is None else AuditMode(mode),
        changed_by,
        changed_at,
        int(version),
        operation_id,
    )

"""``db.audit``: the audit trail with what the ledger adds to it, verification and exports; threads and event loops."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import IO, Unpack

from aureus._database.database import AsyncRunner, Runner
from aureus._database.drive import Call
from aureus.errors import Invalid
from aureus.ledger import exporting, verifying_parts
from aureus.ledger.driving import AsyncDriver, Driver
from aureus.ledger.exports import ExportProof
from aureus.ledger.keys import PublicKey
from aureus.ledger.notes import Note
from aureus.ledger.retention import AsyncRetentionStore, RetentionStore
from aureus.ledger.service import AsyncLedger, Ledger
from aureus.ledger.steps import UNNAMED, Scope, readable
from aureus.model.audit import AuditFilters, AuditPruning, EntryVerification, PrunedBatch
from aureus.model.verification import Verification
from aureus.stores.audit import AsyncAuditStore, AuditOperations, AuditStore


class AuditTrail(AuditStore):
    """The audit trail of one tenant."""

    def __init__(
        self,
        runner: Runner,
        call: Call,
        operations: AuditOperations | None = None,
        scope: Scope = UNNAMED,
    ) -> None:
        super().__init__(runner, call, operations)
        self._scope = scope
        self._ledger = Ledger(runner, call, scope)
        self._driver = Driver(runner, call)
        self._retention = RetentionStore(runner, call)

    def verify_entry(self, event_id: str) -> EntryVerification:
        """Verify one entry: what is stored against its hash, and where it is sealed, its hash against the tree.

        An entry that is not sealed yet is verified as far as its own hash reaches. Raises ``NotFound``.
        """
        return self._driver.carry_out(
            readable(verifying_parts.verifying_entry(self._scope, event_id))
        )

    def verify_range(self, first: int, end: int | None = None) -> Verification:
        """Verify the sealed entries of all kinds from a position on, before another, against the ledger's head.

        Takes time for the entries of the range and no others. Raises ``Invalid`` for positions that are not there.
        """
        return self._driver.carry_out(verifying_parts.verifying_range(self._scope, first, end))

    def verify_all(
        self,
        *,
        keys: Sequence[PublicKey] = (),
        notes: Iterable[Note] = (),
        since_last: bool = False,
    ) -> Verification:
        """Verify all that is sealed, audit entries and events alike; as ``db.ledger.verify``."""
        return self._ledger.verify(keys=keys, notes=notes, since_last=since_last)

    def prune(self, before: datetime, *, actor: str, reason: str = "") -> AuditPruning:
        """Remove what the oldest sealed entries held, if they are older than a time; batch by batch, each on record.

        What goes is payload, salt, metadata and references of audit entries up to the first one that is not older, and
        up to the newest signed head where one was signed. Rows and hashes stay: every proof still holds, and
        verification says by which entry each of them was redacted. A call that was interrupted is simply repeated.
        Inside a transaction all of it is in that one. Raises ``Invalid``, and a retryable ``Conflict``.
        """
        batches: list[PrunedBatch] = []
        while not (batches and batches[-1].is_done):
            batches.append(self.prune_batch(before, actor=actor, reason=reason))
        return pruned(before, batches)

    def prune_batch(
        self, before: datetime, *, actor: str, reason: str = "", record_id: str | None = None
    ) -> PrunedBatch:
        """Remove what at most 500 of the oldest entries held; as ``prune``, in one transaction.

        A repeated call with the same ``record_id`` removes nothing more.
        """
        return self._retention.prune_batch(before, actor=actor, reason=reason, record_id=record_id)

    def export(
        self, file: IO[bytes], *, whole: bool = False, **filters: Unpack[AuditFilters]
    ) -> ExportProof:
        """Write the entries that the filters let through as JSON lines, and return the proof that belongs to them.

        Each line is proved to be what was sealed; that there are no others is proved by ``whole`` alone, which writes
        every event of the tenant and takes no filters. Seals first; keep ``str(proof)`` beside the lines, and
        ``verify_export`` needs nothing else but a public key. Raises ``Invalid`` and ``NotFound``.
        """
        check_choice(filters, whole=whole)
        return self._driver.carry_out(
            exporting.exporting(self._scope, file.write, filters, whole=whole)
        )


def check_choice(filters: AuditFilters, *, whole: bool) -> None:
    """Raise ``Invalid`` for an export of everything that is to leave something out."""
    if whole and any(value is not None for value in filters.values()):
        raise Invalid(
            "an export of everything takes no filters: they would leave gaps", what="whole"
        )


def pruned(before: datetime, batches: Sequence[PrunedBatch]) -> AuditPruning:
    """Return what all batches have done."""
    records = tuple(one.record_id for one in batches if one.record_id is not None)
    count = sum(one.pruned_count for one in batches)
    return AuditPruning(before, batches[-1].pruned_to, count, records)


class AsyncAuditTrail(AsyncAuditStore):
    """The audit trail of one tenant, awaited; as `AuditTrail`."""

    def __init__(
        self,
        runner: AsyncRunner,
        call: Call,
        operations: AuditOperations | None = None,
        scope: Scope = UNNAMED,
    ) -> None:
        super().__init__(runner, call, operations)
        self._scope = scope
        self._ledger = AsyncLedger(runner, call, scope)
        self._driver = AsyncDriver(runner, call)
        self._retention = AsyncRetentionStore(runner, call)

    async def verify_entry(self, event_id: str) -> EntryVerification:
        """Verify one entry; as ``AuditTrail.verify_entry``."""
        return await self._driver.carry_out(
            readable(verifying_parts.verifying_entry(self._scope, event_id))
        )

    async def verify_range(self, first: int, end: int | None = None) -> Verification:
        """Verify a range of positions; as ``AuditTrail.verify_range``."""
        return await self._driver.carry_out(
            verifying_parts.verifying_range(self._scope, first, end)
        )

    async def verify_all(
        self,
        *,
        keys: Sequence[PublicKey] = (),
        notes: Iterable[Note] = (),
        since_last: bool = False,
    ) -> Verification:
        """Verify all that is sealed; as ``AuditTrail.verify_all``."""
        return await self._ledger.verify(keys=keys, notes=notes, since_last=since_last)

    async def prune(self, before: datetime, *, actor: str, reason: str = "") -> AuditPruning:
        """Remove what the oldest sealed entries held; as ``AuditTrail.prune``."""
        batches: list[PrunedBatch] = []
        while not (batches and batches[-1].is_done):
            batches.append(await self.prune_batch(before, actor=actor, reason=reason))
        return pruned(before, batches)

    async def prune_batch(
        self, before: datetime, *, actor: str, reason: str = "", record_id: str | None = None
    ) -> PrunedBatch:
        """Remove what at most 500 of the oldest entries held; as ``AuditTrail.prune_batch``."""
        return await self._retention.prune_batch(
            before, actor=actor, reason=reason, record_id=record_id
        )

    async def export(
        self, file: IO[bytes], *, whole: bool = False, **filters: Unpack[AuditFilters]
    ) -> ExportProof:
        """Write entries with their proof; as ``AuditTrail.export``. The file is written in a thread."""
        check_choice(filters, whole=whole)
        return await self._driver.carry_out(
            exporting.exporting(self._scope, file.write, filters, whole=whole)
        )

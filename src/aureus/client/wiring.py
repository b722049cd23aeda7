"""What an open database hands to the stores of each tenant, made when a store first asks for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from aureus.config import Settings

if TYPE_CHECKING:
    from aureus.erasing import Beyond
    from aureus.ledger.seen_heads import SeenHeads
    from aureus.ledger.steps import Scope
    from aureus.retrieval.embedding import Embedder
    from aureus.stores.audit import AuditOperations
    from aureus.stores.memories import MemoryOperations
    from aureus.subject_keys.keyring import Keyring
    from aureus.upkeep import Note


@dataclass(frozen=True)
class Wiring:
    """What the stores of every tenant are made with."""

    settings: Settings
    note: Note | None = None
    """Who is told of what is remembered; nobody when None."""
    embedder: Embedder | None = None
    keyring: Keyring | None = None
    """The keys of people, where what entries say is encrypted."""
    is_inside: bool = False
    """Whether it is for a transaction, whose end nobody knows yet: nothing beyond it is touched."""

    def inside(self, note: Note) -> Wiring:
        """Return it for a transaction, with whom to tell of what is remembered there."""
        return replace(self, note=note, is_inside=True)

    @cached_property
    def memories(self) -> MemoryOperations:
        """The operations on memories, with the policy and the embedder of this client."""
        from aureus.stores.memories import MemoryOperations

        return MemoryOperations(self.settings.memory.policy, self.embedder)

    @cached_property
    def audit(self) -> AuditOperations:
        """The operations on the audit trail, with what it records unless a tenant says otherwise."""
        from aureus.model.audit_modes import AuditMode
        from aureus.stores.audit import AuditOperations

        return AuditOperations(AuditMode(self.settings.audit.mode))

    @cached_property
    def ledger(self) -> Scope:
        """How the ledger is called, and where its last heads are kept."""
        return ledger_scope(self.settings)

    @cached_property
    def beyond(self) -> Beyond | None:
        """What an erasure does outside of transactions: in run logs, and to the database's files; None inside one."""
        return None if self.is_inside else make_beyond(self.settings, self.keyring)


def ledger_scope(settings: Settings) -> Scope:
    """Return how the ledger is called, and where its last heads are kept outside the database."""
    from aureus.ledger.seen_heads import SeenHeads, default_folder
    from aureus.ledger.steps import Scope

    folder = settings.ledger.heads

    def seen() -> SeenHeads:
        return SeenHeads(Path(folder) if folder else default_folder(os.environ))

    return Scope(settings.ledger.name, seen)


def make_beyond(settings: Settings, keyring: Keyring | None = None) -> Beyond:
    """Return what an erasure does outside of transactions: in the run logs, and to the database's files."""
    from aureus._database.scrubbing import scrub
    from aureus.erasing import Beyond
    from aureus.runlog.redaction import redact

    def redact_run_log(tenant_id: str, run_id: str, versions: Sequence[int]) -> int:
        if settings.run_log.type == "none":
            return 0
        return redact(settings.run_log.directory, tenant_id, run_id, versions)

    return Beyond(redact_run_log, partial(scrub, settings.database), keyring)

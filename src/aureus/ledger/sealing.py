"""Who seals: what an open database has appended is sealed by itself, in the commit or soon after it.

SQLite has one writer at a time, which seals in its own commit. On PostgreSQL the tenants that were written to are
noted, and sealed beside the callers (`aureus.upkeep`), in rounds that many appends share.
"""

from __future__ import annotations

from collections.abc import Callable

from aureus._database.statement import Op
from aureus.model.ledger import SealingRound
from aureus.stores.ledger import LedgerOperations

SEALING_PAUSE_SECONDS = 0.1
"""From one round of sealing to the next: what is appended meanwhile shares it."""

CLOSING_SECONDS_MAX = 5.0
"""How long closing a database goes on sealing; what is left then is sealed by whoever looks at the ledger next."""


class Sealing:
    """What the database layer asks for when something was appended; see `aureus._database.drive.Sealer`."""

    def __init__(self, note: Callable[[str], None] | None = None) -> None:
        """Tell ``note`` of every tenant that has something to be sealed."""
        self._note = note

    def seal(self) -> Op[SealingRound]:
        """Seal one round in the open transaction of the one writer there is."""
        return LedgerOperations().seal()

    def note(self, tenant_id: str) -> None:
        """Take note that a commit has left something to be sealed."""
        if self._note is not None:
            self._note(tenant_id)

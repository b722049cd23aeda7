"""What it takes to copy a tenant from one database into another, whatever engine each of them is.

Both engines have the same tables with the same columns, so rows travel as they are, in one form: SQLite's. Times are
microseconds since 1970, truth is 0 or 1, JSON and arrays are text, and every byte of a payload is what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from aureus._database.statement import Row

TABLES = (
    "workflows", "workflow_versions", "runs", "run_inputs", "tasks", "task_results", "approvals", "idempotency_keys",
    "leases", "streams", "events", "event_payloads", "event_subjects", "audit_references", "audit_modes",
    "audit_retention", "memories", "memory_versions", "memory_tags", "memory_accesses", "memory_embeddings",
    "text_indexes", "text_index_pending", "text_index_documents", "text_index_segments", "text_index_postings",
    "profiles", "profile_versions", "hypotheses", "hypothesis_evidence", "session_collections", "sessions",
    "session_states", "session_messages", "session_facets", "world_state", "world_state_versions", "ledger_heads",
    "ledger_batches", "ledger_nodes", "signed_heads", "subscriptions", "subscription_members", "subscription_buckets",
    "subscription_parked", "erasures", "erased_entries", "destroyed_keys", "snapshots", "snapshot_parts",
    "rollbacks", "rollback_approvals",
)  # fmt: skip
"""The tables of a tenant, each behind those that its foreign keys name."""

SHARED_TABLES = ("anchor_heads", "anchors", "anchor_nodes")
"""The tables that belong to no tenant: the anchor log."""

NOT_COPIED = ("schema_migrations", "flushes", "ledger_pending", "memory_vectors")
"""What is the target's own: its migrations, what PostgreSQL keeps for replies that were lost, entries that wait to be
sealed (there are none when a copy begins), and an index that a trigger fills in."""

NUMBERS = {"entry_no": "events", "memory_no": "memories"}
"""The numbers that go on rising behind the greatest copied one, and the tables that hold them."""

PAGE_ROWS = 1000
"""Rows that are in memory at once."""


class Reader(Protocol):
    """One moment of a database, as one tenant sees it; or the tables that belong to nobody."""

    def columns(self, table: str) -> tuple[str, ...]:
        """Return the columns of a table that are not computed from others."""
        ...

    def pages(self, table: str, columns: Sequence[str]) -> Iterator[list[Row]]:
        """Yield the rows of a table, `PAGE_ROWS` at a time."""
        ...

    def has_rows(self) -> bool:
        """Return whether there is anything of the tenant."""
        ...

    def unsealed_count(self) -> int:
        """Return how many entries have no position yet."""
        ...


class Writer(Protocol):
    """A transaction that brings a tenant into a database."""

    def put(self, table: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows as a reader gives them."""
        ...

    def clear_anchor_head(self) -> None:
        """Make room for another head of the anchor log, which nothing was appended to."""
        ...


class Side(Protocol):
    """A database that is copied from or into."""

    @property
    def place(self) -> str:
        """Return which database this is, for messages: nothing secret."""
        ...

    def tenants(self) -> list[str]:
        """Return the tenants that can be seen together, in the order of their names: those whose ledger has begun.

        A SQLite file shows the others too, which wrote nothing that the ledger tells of.
        """
        ...

    def reading(self, tenant_id: str | None, /) -> AbstractContextManager[Reader]:
        """Look at one moment. Raises ``DatabaseUnavailable``."""
        ...

    def writing(self, tenant_id: str | None, /) -> AbstractContextManager[Writer]:
        """Write in one transaction, which is committed when the block ends well. Raises ``Forbidden``."""
        ...

    def settle(self) -> None:
        """Let the engine look at what came, so that it plans well."""
        ...

    def close(self) -> None:
        """Close what was opened."""
        ...


@dataclass(frozen=True, slots=True)
class Footprint:
    """How many rows there are, and a sum over their hashes: the same for the same rows in any order."""

    row_count: int = 0
    digest: int = 0

    def plus(self, rows: Iterable[Row]) -> Footprint:
        """Return the footprint with further rows."""
        count, digest = self.row_count, self.digest
        for row in rows:
            count += 1
            digest += int.from_bytes(sha256(repr(row).encode()).digest())
        return Footprint(count, digest % 2**256)


def footprint(reader: Reader, table: str) -> Footprint:
    """Return the footprint of a table."""
    found = Footprint()
    for page in reader.pages(table, sorted(reader.columns(table))):
        found = found.plus(page)
    return found

"""Sealed ledgers in memory, made of the recorder's own bytes: what a store would hand to a verifier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from aureus.clock import ManualClock
from aureus.ids import CountingIds
from aureus.ledger.audit_modes import AuditModes
from aureus.ledger.proofs import VerifiedHead
from aureus.ledger.recorder import Recorder
from aureus.ledger.verifier import Verifier
from aureus.model.audit_modes import AuditMode
from aureus.model.events import AuditPoint, Fact
from aureus.model.heads import Head
from aureus.model.merkle import Tree
from aureus.model.verification import SealedEntry, StoredEvent, Verification

ORIGIN = "aureus/0a"


@dataclass
class MemoryLedger:
    """A ledger whose every part can be changed."""

    entries: list[SealedEntry]
    tree: Tree
    nodes: dict[tuple[int, int], bytes]
    head: Head
    heads: list[VerifiedHead] = field(default_factory=list[VerifiedHead])

    def verify(self, *, page: int = 100, start: Tree | None = None) -> Verification:
        """Return what a verification in pages finds."""
        verifier = Verifier(self.head, self.tree.to_bytes(), heads=self.heads, start=start)
        first = 0 if start is None else start.size
        entries = [entry for entry in self.entries if entry.position >= first]
        for at in range(0, len(entries), page):
            verifier.read(entries[at : at + page], self.nodes)
        return verifier.finish()

    def positioned(self, entries: Iterable[SealedEntry]) -> None:
        """Take these as the entries, at the positions from 0 on; nodes and head stay as they are."""
        self.entries = [replace(entry, position=position) for position, entry in enumerate(entries)]

    def sealed_anew(self) -> None:
        """Compute nodes and head from the entries, as somebody would who rewrites all hashes."""
        self.tree, self.nodes, self.head = seal([entry.sealed_hash for entry in self.entries])


def seal(leaves: Sequence[bytes]) -> tuple[Tree, dict[tuple[int, int], bytes], Head]:
    """Return the tree over leaves, what is kept of it, and its head."""
    tree = Tree()
    nodes = {(node.level, node.index): node.hash for node in tree.extend(leaves)}
    return tree, nodes, Head(ORIGIN, tree.size, tree.root())


def head_at(ledger: MemoryLedger, size: int) -> Head:
    """Return the head that the ledger had at a size."""
    return seal([entry.sealed_hash for entry in ledger.entries[:size]])[2]


class LedgerMaker:
    """Appends facts to a ledger in memory."""

    def __init__(self) -> None:
        self._recorder = Recorder(CountingIds(), AuditModes(ManualClock(), AuditMode.ALL))
        self._versions: dict[str, int] = {}
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self.entries: list[SealedEntry] = []

    def append(self, payload: dict[str, Any], *, stream: str = "s/1", **more: Any) -> SealedEntry:
        """Append and seal one fact."""
        fact = Fact(stream, more.pop("type", "noted"), payload, more.pop("actor", "tester"), **more)
        self._now += timedelta(microseconds=1)
        (entry,) = self._recorder.prepare([fact], self._now, "acme")._entries
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        sealed = SealedEntry(
            position=len(self.entries),
            entry_no=10 + len(self.entries),
            sealed_hash=entry.leaf_hash,
            event=StoredEvent(
                fields=entry.fields,
                version=version,
                commitment=entry.commitment,
                leaf_hash=entry.leaf_hash,
                salt=entry.salt,
                payload=entry.payload,
                metadata=entry.metadata,
            ),
        )
        self.entries.append(sealed)
        return sealed

    def ledger(self, size: int | None = None) -> MemoryLedger:
        """Return the first entries as a ledger of their own."""
        entries = self.entries[:size]
        return MemoryLedger(list(entries), *seal([entry.sealed_hash for entry in entries]))


def many_entries(count: int) -> LedgerMaker:
    """Return entries of several streams, some of them audit entries, some with metadata."""
    maker = LedgerMaker()
    for number in range(count):
        maker.append(
            {"number": number, "text": "ä" * (number % 7)},
            stream=f"s/{number * number % 11}",
            type=f"type-{number % 3}",
            metadata={"trace": number} if number % 4 == 0 else {},
            correlation_id=f"run-{number % 5}" if number % 5 else None,
            audit=AuditPoint("act", f"thing/{number}") if number % 6 == 0 else None,
        )
    return maker


def changed(entry: SealedEntry, **columns: Any) -> SealedEntry:
    """Return an entry whose event has other values; those of the leaf's fields are found by name."""
    assert entry.event is not None
    of_fields = {
        name: value for name, value in columns.items() if hasattr(entry.event.fields, name)
    }
    of_event = {name: value for name, value in columns.items() if name not in of_fields}
    fields = replace(entry.event.fields, **of_fields)
    return replace(entry, event=replace(entry.event, fields=fields, **of_event))

"""How many entries a second does one core verify? No database: the work itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from time import process_time

from aureus.ledger.exports import ExportProof, range_lines, verify_export
from aureus.model.merkle import Tree
from benchmarks.measuring import Effort, take_turns
from benchmarks.place import Place
from benchmarks.tables import Table, count
from tests.support.ledgers import LedgerMaker, MemoryLedger

ENTRIES = 20_000
"""Entries of the ledger that is verified: 200 streams, payloads of 240 bytes."""

_EXPECTED = "20,000"


def measure(_place: Place, effort: Effort) -> Iterator[Table]:
    """Verify the same entries in each way, in turns."""
    ledger = _ledger()
    leaves = [entry.sealed_hash for entry in ledger.entries]
    lines = list(range_lines(ledger.entries, ledger.nodes))
    proof = ExportProof(ledger.head, ledger.tree.to_bytes())
    cells: dict[str, Callable[[], float]] = {
        "entries, leaves and tree": partial(_rate, lambda: ledger.verify(page=1000)),
        "lines of an export": partial(_rate, lambda: verify_export(lines, proof)),
        "growing a tree by 1,000": partial(_rate, lambda: _grow(leaves, 1000)),
        "growing a tree by 1": partial(_rate, lambda: _grow(leaves, 1)),
    }
    taken = take_turns(cells, effort.rounds)
    yield Table(
        "Verifying, one core",
        ("what", "entries /s", "expected"),
        [
            [name, count(median(taken[name])), _EXPECTED if number < 2 else ""]
            for number, name in enumerate(cells)
        ],
        f"{ENTRIES:,} entries of 240 bytes, by processor time, without what reading them from a database takes.",
    )


def _ledger() -> MemoryLedger:
    maker = LedgerMaker()
    for number in range(ENTRIES):
        maker.append(
            {"taskId": "read", "data": {"text": "x" * 200}},
            stream=f"runs/{number % 200}",
            correlation_id=f"r_{number % 200}",
        )
    return maker.ledger()


def _grow(leaves: list[bytes], width: int) -> None:
    tree = Tree()
    for at in range(0, len(leaves), width):
        tree.extend(leaves[at : at + width])


def _rate(call: Callable[[], object]) -> float:
    begun = process_time()
    call()
    return ENTRIES / (process_time() - begun)

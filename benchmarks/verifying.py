"""Counts how many entries a second one core verifies, by themselves and out of a database, and times proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from statistics import median
from time import perf_counter, process_time

from aureus import Aureus, NewEvent
from aureus.ledger.exports import ExportProof, range_lines, verify_export
from aureus.ledger.keys import SigningKey
from aureus.model.merkle import Tree
from benchmarks.measuring import Effort, take_turns
from benchmarks.place import ENGINES, Place
from benchmarks.tables import Table, count, fine
from tests.support.ledgers import LedgerMaker, MemoryLedger

ENTRIES = 20_000
"""Entries of the ledger that is verified: 200 streams, payloads of 240 bytes."""

_EXPECTED = "20,000"

_PAYLOAD = {"taskId": "read", "data": {"text": "x" * 200}}


def measure(place: Place, effort: Effort) -> Iterator[Table]:
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
    yield _from_databases(place, effort)


def _from_databases(place: Place, effort: Effort) -> Table:
    """Verify what is stored, and prove, sign and verify single events, on both engines in turns."""
    key = SigningKey("aureus", bytes(32))
    with ExitStack() as stack:
        cells: dict[tuple[str, str], Callable[[], float]] = {}
        for engine in ENGINES:
            settings = place.new_settings(engine)
            client = stack.enter_context(Aureus(settings=settings))
            names = _fill(client)
            ledger = client.ledger
            ledger.sign(key)
            cells |= {
                (engine, "rate"): partial(
                    _rate, partial(ledger.verify, keys=[key.public]), place.server_cpu_seconds
                ),
                (engine, "prove"): partial(_wall_ms, partial(ledger.prove, names[ENTRIES // 3])),
                (engine, "sign"): partial(_wall_ms, partial(ledger.sign, key)),
            }
        taken = take_turns(cells, effort.rounds)
    middle = {cell: median(found) for cell, found in taken.items()}
    return Table(
        "Verifying and proving from a database, one caller",
        ("engine", "entries /s", "expected", "prove ms", "sign ms"),
        [
            [
                engine, count(middle[engine, "rate"]), _EXPECTED, fine(middle[engine, "prove"]),
                fine(middle[engine, "sign"]),
            ]
            for engine in ENGINES
        ],
        f"{ENTRIES:,} entries of 240 bytes. Rates are by the processor time of client and server together, with "
        "reading; milliseconds are by the clock, signing with its commit.",
    )  # fmt: skip


def _fill(client: Aureus) -> list[str]:
    """Append events to 200 streams and seal them; return their identifiers."""
    names: list[str] = []
    for number in range(ENTRIES // 100):
        batch = [NewEvent("TASK_COMPLETED", _PAYLOAD)] * 100
        names += [event.event_id for event in client.events.append_all(f"runs/{number}", batch)]
    while not client.ledger.seal().is_done:
        pass
    return names


def _wall_ms(call: Callable[[], object]) -> float:
    begun = perf_counter()
    call()
    return (perf_counter() - begun) * 1000


def _ledger() -> MemoryLedger:
    maker = LedgerMaker()
    for number in range(ENTRIES):
        maker.append(
            _PAYLOAD,
            stream=f"runs/{number % 200}",
            correlation_id=f"r_{number % 200}",
        )
    return maker.ledger()


def _grow(leaves: list[bytes], width: int) -> None:
    tree = Tree()
    for at in range(0, len(leaves), width):
        tree.extend(leaves[at : at + width])


def _rate(call: Callable[[], object], server_seconds: Callable[[], float] = float) -> float:
    """Return entries by processor second of this process and, where it is asked, of the server."""
    begun = process_time() + server_seconds()
    call()
    return ENTRIES / (process_time() + server_seconds() - begun)

"""What a run costs on PostgreSQL, counted where it cannot be hidden: on the wire and in the server's own books."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path
from typing import Any

from aureus.client import AsyncAureus
from aureus.clock import SystemClock
from aureus.config import load
from tests.support.fault_proxy import Delay, Exchange, FaultProxy
from tests.support.postgres import PostgresDatabase

FLUSHES_MAX = 5
"""Network flushes of a run of three tasks, connecting, schema check and lease apart."""

WORKFLOW = """\
id: three
name: Three
tasks:
  - {id: a, inputs: {n: 1}}
  - {id: b, needs: [a], inputs: {n: 2}}
  - {id: c, needs: [b], inputs: {n: "${{ tasks.b.result.n }}"}}
"""

_APART = re.compile(
    r'"aureus"\.(leases|schema_migrations|audit_modes|ledger_heads|ledger_batches)'
    r'|FROM "aureus"\.ledger_pending|pg_catalog|pg_namespace|pg_roles|^\s*$'
)


class Wire:
    """Watches the exchanges that pass a proxy."""

    def __init__(self, proxy: FaultProxy) -> None:
        self.flushes: list[tuple[str, ...]] = []
        self.commits = 0
        proxy.on(self._note, Delay(0.0))

    def _note(self, exchange: Exchange) -> bool:
        if exchange.startup:
            return False
        statements = [text for text in exchange.statements if "set_config" not in text[:20]]
        if statements and not any(_APART.search(text) for text in statements):
            self.flushes.append(tuple(statements))
            self.commits += exchange.commits
        return False


def test_a_run_of_three_tasks_takes_at_most_five_flushes_and_commits(
    postgres_database: PostgresDatabase, fault_proxy: FaultProxy, tmp_path: Path
) -> None:
    (tmp_path / "three.yaml").write_text(WORKFLOW)
    wire = Wire(fault_proxy)
    outcome = asyncio.run(run_once(postgres_database.url(port=fault_proxy.port), tmp_path))
    assert outcome.run.status == "completed"
    assert outcome.tasks[-1].result == {"n": 2}
    shown = "\n".join(" | ".join(text[:70] for text in flush) for flush in wire.flushes)
    assert 4 <= len(wire.flushes) <= FLUSHES_MAX, shown
    assert wire.commits <= FLUSHES_MAX, shown


async def run_once(url: str, folder: Path) -> Any:
    """Run the workflow in a client of its own."""
    settings = load(arguments={"database.url": url}, environ={}, directory=folder)
    async with AsyncAureus(settings=settings) as db:
        return await db.run(folder / "three.yaml")


def test_a_waiting_process_sends_at_most_one_statement_a_second(
    postgres_database: PostgresDatabase, fault_proxy: FaultProxy, tmp_path: Path
) -> None:
    """Count on the wire while one task sleeps and nothing else happens."""
    (tmp_path / "idle.yaml").write_text(
        "id: idle\nname: Idle\ntasks:\n  - {id: a, toolName: sleep, inputs: {seconds: 6}}\n"
    )
    sent: list[tuple[str, ...]] = []
    begun, ended = threading.Event(), threading.Event()
    clock, moments = SystemClock(), list[float]()

    def note(exchange: Exchange) -> bool:
        text = " ".join(exchange.statements)
        if 'UPDATE "aureus".tasks' in text:
            moments.append(clock.monotonic())
            ended.set()
        elif 'INSERT INTO "aureus".runs' in text:
            moments.append(clock.monotonic())
            begun.set()
        elif begun.is_set() and not ended.is_set():
            sent.append(exchange.statements)
        return False

    fault_proxy.on(note, Delay(0.0))
    url = postgres_database.url(port=fault_proxy.port)
    arguments = {"database.url": url, "ledger.sealing": "off"}
    settings = load(arguments=arguments, environ={}, directory=tmp_path)

    async def work() -> None:
        async with AsyncAureus(settings=settings) as db:
            await db.run(tmp_path / "idle.yaml")

    asyncio.run(work())
    assert ended.is_set()
    # Six of them on a machine with time; on a busy one the sleep lasts longer.
    assert 2 <= len(sent) <= moments[1] - moments[0] + 1, sent

"""Every list of audit entries walks along the index of what it asks for, however many other events there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from aureus._database.catalog import Catalog
from aureus._database.statement import Query
from tests.catalog.test_catalog import migrated_sqlite
from tests.plans.test_plans import BUFFERS_MAX, execute, nodes, scans, touched
from tests.support.postgres import PostgresDatabase

SCAN = Query("audit", "scan_audit_entries")

FIRST = datetime(2026, 1, 1, tzinfo=UTC)

ENTRIES = 20_000

SEED = f"""
INSERT INTO aureus.events (tenant_id, entry_no, append_no, event_id, stream, version, type, actor, occurred_at,
    correlation_id, action, resource, outcome, commitment, leaf_hash)
SELECT 'big', n, n, 'e' || n, 'audit/me', n, 't', CASE WHEN n % 1000 = 2 THEN 'rare' ELSE 'common' END,
    timestamptz '{FIRST}' + n * interval '1 s', CASE WHEN n % 2 = 0 THEN 'c' || n % 500 END,
    CASE WHEN n % 2 = 0 THEN CASE WHEN n % 500 = 2 THEN 'rare' ELSE 'common' END END,
    CASE WHEN n % 4 = 0 THEN 'r' || n % 800 END, 'success', sha256('x'), sha256('x')
FROM generate_series(1, {ENTRIES}) n;
INSERT INTO aureus.event_payloads SELECT 'big', entry_no, sha256('x'), '{{}}', NULL FROM aureus.events;
INSERT INTO aureus.audit_references
SELECT 'big', kind, left(kind, 1) || entry_no % 400, occurred_at, entry_no
FROM aureus.events, unnest(array['run', 'task', 'source_event']) kind WHERE action IS NOT NULL
"""

LISTS: list[tuple[str, dict[str, Any], str]] = [
    ("all", {}, "events_audit"),
    ("actor", {"actor": "rare"}, "events_audit_actor"),
    ("actor", {"actor": "common"}, "events_audit_actor"),
    ("action", {"action": "rare"}, "events_audit_action"),
    ("action", {"action": "common"}, "events_audit_action"),
    ("resource", {"resource": "r400"}, "events_audit_resource"),
    ("correlation", {"correlation_id": "c0"}, "events_audit_correlation"),
    ("reference", {"kind": "run", "value": "r40"}, "audit_references_pkey"),
    ("reference", {"kind": "source_event", "value": "s40"}, "audit_references_pkey"),
]
"""What a list is found by, and the index that it takes."""

INDEXES = {index for _, _, index in LISTS}


def asked(path: str, direction: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a page from the middle of the time."""
    return {
        "path": f"{direction} of {path}",
        "is_ascending": direction == "oldest",
        "from_at": FIRST + timedelta(seconds=ENTRIES / 4),
        "from_no": 0,
        "to_at": FIRST + timedelta(seconds=ENTRIES * 3 / 4),
        "to_no": 0,
        "scan": 20,
        "limit": 20,
        "refs": "[]",
        **given,
    }


@pytest.fixture
def connection(postgres_database: PostgresDatabase) -> Iterator[psycopg.Connection[Any]]:
    """Give a connection that keeps one plan for all parameters, made before there were any entries."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("SET plan_cache_mode = force_generic_plan")
        text = Catalog("postgres").compiled(SCAN).texts[0]
        connection.execute(f"PREPARE scan_audit_entries AS {text}".encode())
        yield connection


def look(connection: psycopg.Connection[Any], path: str, direction: str, **given: Any) -> Any:
    """Carry a list out as a tenant and return its plan."""
    connection.execute("SET ROLE aureus_app")
    connection.execute("SELECT set_config('aureus.tenant', 'big', false)")
    plan = execute(connection, "scan_audit_entries", asked(path, direction, given), "audit")
    connection.execute("RESET ROLE")
    return plan


@pytest.mark.parametrize("is_known", [False, True], ids=["young", "analysed"])
def test_a_list_takes_the_index_of_its_branch_on_postgres(
    connection: psycopg.Connection[Any], is_known: bool
) -> None:
    """In the plan of a table that nothing is known of, and in one that knows how common each value is."""
    if not is_known:
        look(connection, "all", "oldest")  # the plan is made here and kept
        connection.execute("ALTER TABLE aureus.events SET (autovacuum_enabled = off)")
    for statement in SEED.split(";"):
        connection.execute(statement.encode())
    if is_known:
        connection.execute("VACUUM ANALYZE")
    for path, given, index in LISTS:
        for direction in ("oldest", "newest"):
            plan = look(connection, path, direction, **given)
            used = {name for name, loops in scans(plan) if loops}
            assert used & INDEXES == {index}, (path, given, used)
            assert "Sort" not in nodes(plan, "Append"), (path, given)
            assert touched(plan) <= BUFFERS_MAX, (path, direction, given, touched(plan))


def test_entries_are_found_by_their_identifiers_before_the_planner_has_seen_any(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute("SET ROLE aureus_app")
    connection.execute("SELECT set_config('aureus.tenant', 'new', false)")
    for name in ("get_audit_entry", "add_audit_references"):
        compiled = Catalog("postgres").compiled(Query("audit", name))
        connection.execute(f"PREPARE {name} AS {compiled.texts[0]}".encode())
        nothing = ", ".join(["NULL"] * len(compiled.parameters[0]))
        row = connection.execute(
            f"EXPLAIN (FORMAT JSON) EXECUTE {name} ({nothing})".encode()
        ).fetchone()
        assert row is not None
        used = [found for found, _ in scans(row[0][0]["Plan"]) if found.startswith("events_")]
        assert used == ["events_tenant_id_event_id_key"], (name, used)


def test_a_list_takes_the_index_of_its_branch_on_sqlite() -> None:
    """SQLite makes one plan for all branches; each of them names its index, and none gathers and sorts."""
    connection = migrated_sqlite()
    (text,) = Catalog("sqlite").compiled(SCAN).texts
    numbers = {found[1:] for found in re.findall(r"\?\d+", text)}
    plan = [
        str(row[3])
        for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(numbers))
    ]
    branches = [step for step in plan if re.match(r"SEARCH [er] ", step) and "occurred_at" in step]
    found = {
        "events_audit": "(tenant_id=? AND occurred_at>? AND occurred_at<?)",
        "events_audit_actor": "(tenant_id=? AND actor=? AND occurred_at>? AND occurred_at<?)",
        "events_audit_action": "(tenant_id=? AND action=? AND occurred_at>? AND occurred_at<?)",
        "events_audit_resource": "(tenant_id=? AND resource=? AND occurred_at>? AND occurred_at<?)",
        "events_audit_correlation": "(tenant_id=? AND correlation_id=? AND occurred_at>? AND occurred_at<?)",
    }
    for index, searched in found.items():
        assert branches.count(f"SEARCH e USING INDEX {index} {searched}") == 2, plan
    references = [step for step in branches if step.startswith("SEARCH r USING PRIMARY KEY")]
    assert len(references) == 2, plan
    assert all("(tenant_id=? AND kind=? AND value=? AND (occ" in step for step in references)
    for place, step in enumerate(plan):
        if step.startswith(("SEARCH e USING INDEX", "SEARCH r USING PRIMARY")):
            assert "TEMP B-TREE" not in plan[place + 1], plan


BATCH = 4
"""Entries of a batch here."""


def test_the_positions_of_a_page_are_looked_up_one_by_one_on_postgres(
    connection: psycopg.Connection[Any],
) -> None:
    """However many batches there are: by the index that ends at each entry, and no batch that does not hold one."""
    compiled = Catalog("postgres").compiled(Query("audit", "list_positions"))
    connection.execute(f"PREPARE list_positions AS {compiled.texts[0]}".encode())
    numbers = f"SELECT array_agg(s.n) FROM generate_series(b.n + 1, b.n + {BATCH}) AS s (n)"
    connection.execute(
        f"""
        INSERT INTO aureus.ledger_batches
            (tenant_id, first_position, size, first_entry_no, last_entry_no, entry_nos, leaf_hashes, sealed_at)
        SELECT 'big', b.n, {BATCH}, b.n + 1, b.n + {BATCH}, ({numbers}), decode(repeat('00', 32 * {BATCH}), 'hex'),
            now()
        FROM generate_series(0, {ENTRIES - BATCH}, {BATCH}) AS b (n)
        """.encode()
    )
    connection.execute("ANALYZE aureus.ledger_batches")
    connection.execute("SET ROLE aureus_app")
    connection.execute("SELECT set_config('aureus.tenant', 'big', false)")
    given = {"entry_nos": [number * 191 for number in range(1, 101)]}
    plan = execute(connection, "list_positions", given, "audit")

    assert scans(plan) == [("ledger_batches_entries", 100)]
    assert touched(plan) <= 5 * 100


def test_the_positions_of_a_page_are_looked_up_one_by_one_on_sqlite() -> None:
    connection = migrated_sqlite()
    (text,) = Catalog("sqlite").compiled(Query("audit", "list_positions")).texts
    numbers = {found[1:] for found in re.findall(r"\?\d+", text)}
    plan = [
        str(row[3])
        for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(numbers))
    ]
    searched = "SEARCH b USING INDEX ledger_batches_entries (tenant_id=? AND last_entry_no>?)"
    assert searched in plan, plan
    assert not [step for step in plan if "TEMP B-TREE" in step], plan

"""Plans of SQLite: no statement reads a whole table, whatever the statistics say."""

from __future__ import annotations

import re

import pytest

from aureus._database.catalog import Catalog, texts
from aureus._database.statement import Query
from tests.catalog.test_catalog import aliases, migrated_sqlite

SCANS_MEANT = [(Query("anchors", "list_unanchored"), "SCAN h")]
"""Anchoring looks at the head of every tenant: that is what it is for."""

WALKS_MEANT = {
    "approvals.list_pending_approvals": "lists all that is pending",
    "audit.get_audit_mode": "one row for each tenant",
    "audit.get_pruned_to": "one row for each tenant",
    "erasures.list_streams_ending": "looks at the end of every name, for an erasure",
    "events.get_time_range": "the two ends of an index",
    "events.list_category_totals": "counts all",
    "events.list_type_totals": "counts all",
    "events.list_newest_entries": "the end of an index",
    "events.find_last_until": "backwards over what is newer",
    "leases.prune_leases": "some dozens of leases",
    "ledger.get_last_entry_before": "the end of an index",
    "ledger_checks.get_mode_and_change": "one row for each tenant",
    "ledger.get_size_at": "the end of an index",
    "ledger.list_late_batches": "looks at every batch for what committed late",
    "ledger_checks.list_wrong_batches": "for a verification",
    "ledger_checks.list_wrong_nodes": "for a verification",
    "proofs.list_signed": "the end of an index",
    "ledger_checks.get_totals": "counts all, for a verification",
    "ledger_checks.list_lost_streams": "for a verification",
    "ledger_checks.list_wrong_references": "for a verification",
    "ledger_checks.list_wrong_streams": "for a verification",
    "memory_embeddings.list_embedding_models": "counts all",
}
"""Statements that go through an index by the tenant alone, or to one of its ends, each with its reason."""

HEADS = {"h", "ledger_heads"}
"""The table that has one row for each tenant, by the names it is called."""


def test_no_statement_scans_a_table_on_sqlite() -> None:
    connection = migrated_sqlite()
    catalog = Catalog("sqlite")
    scans: list[tuple[Query, str]] = []
    for query, written in texts("sqlite").items():
        tables = {alias for _, alias in aliases(written.body)}
        for text in catalog.compiled(query).texts:
            numbers = {number[1:] for number in re.findall(r"\?\d+", text)}
            plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(numbers))
            scans += [(query, str(row[3])) for row in plan if is_scan(str(row[3]), tables)]
    assert [found for found in scans if found not in SCANS_MEANT] == []


@pytest.mark.parametrize("whose", ["", "agent_"])
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_what_was_recorded_then_is_walked_in_its_order_on_sqlite(whose: str, order: str) -> None:
    """Only the pages that the three ways have found are sorted, on their way into one."""
    query = Query("memories", f"list_{order}_{whose}states")
    (text,) = Catalog("sqlite").compiled(query).texts
    numbers = {number[1:] for number in re.findall(r"\?\d+", text)}
    plan = migrated_sqlite().execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(numbers))
    steps = {row[0]: (str(row[3]), row[1]) for row in plan}
    end = "_agent" if whose else ""
    named = [f"memories{end or '_newest'}", f"memories_superseded{end}"]
    ways = [step for step, _ in steps.values() if step.startswith("SEARCH m USING INDEX")]
    assert [way.split()[4] for way in ways] == [*named, f"memory_versions{end or '_newest'}"]
    sorted_in = [steps[parent][0] for step, parent in steps.values() if "TEMP B-TREE" in step]
    assert not [place for place in sorted_in if place.startswith("CO-ROUTINE")]


def test_appends_look_at_no_more_than_their_own_events_on_sqlite() -> None:
    connection = migrated_sqlite()
    catalog = Catalog("sqlite")
    looks: list[str] = []
    for name in ("append_events", "append_expecting", "find_taken_id"):
        for text in catalog.compiled(Query("events", name)).texts:
            numbers = {found[1:] for found in re.findall(r"\?\d+", text)}
            plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(numbers))
            looks += [str(row[3]) for row in plan if "SEARCH e " in row[3] or "SEARCH k " in row[3]]
    assert len(looks) >= 6
    assert [step for step in looks if "(tenant_id=? AND event_id=?)" not in step] == []


def test_no_statement_goes_through_a_tenant_without_meaning_to_on_sqlite() -> None:
    """By the tenant alone, and neither to a place nor from one."""
    connection = migrated_sqlite()
    catalog = Catalog("sqlite")
    found: set[str] = set()
    for query in texts("sqlite"):
        for text in catalog.compiled(query).texts:
            numbers = {number[1:] for number in re.findall(r"\?\d+", text)}
            plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(numbers))
            steps = [str(row[3]) for row in plan]
            if any("(tenant_id=?)" in one and one.split()[1] not in HEADS for one in steps):
                found.add(f"{query.noun}.{query.name}")
    assert found == set(WALKS_MEANT)


def is_scan(step: str, tables: set[str]) -> bool:
    """Return whether a step reads one of these tables as a whole; what a statement has gathered itself is none."""
    if not step.startswith("SCAN") or "USING" in step or "sqlite_sequence" in step:
        return False
    return step.split()[1] in tables


def test_a_scan_is_known_by_the_table_it_reads() -> None:
    assert is_scan("SCAN s", {"sessions", "s"})
    assert not is_scan("SCAN node", {"sessions", "s"})
    assert not is_scan("SEARCH s USING INDEX sessions_newest (tenant_id=?)", {"s"})

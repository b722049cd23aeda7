"""Whoever may do everything in the database changes the audit trail, and its verification says which entry it was."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aureus import Aureus, Provenance
from aureus.errors import Invalid, NotFound
from aureus.ledger.exports import verify_export
from aureus.model.verification import FindingKind
from tests.faults.test_tampering import COUNT, KEY, Scene
from tests.support.backends import settings_for
from tests.support.migrated import migrated_file
from tests.support.postgres import PostgresDatabase

ENTRIES = 5

VICTIM = "audit-2"
"""The entry that is tampered with."""

AT = COUNT + 2
"""Its position."""


@pytest.fixture(params=["sqlite", "postgres"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param == "sqlite":
        url = migrated_file(tmp_path)
    else:
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = database.url()
    settings = settings_for(url, tmp_path, **{"ledger.sealing": "off"})
    with Aureus(settings=settings) as client:
        scene = Scene(client, url)
        for number in range(ENTRIES):
            client.audit.append(
                "ada", "x", before={"n": number}, after={"n": -number}, metadata={"m": 1},
                provenance=Provenance(f"r{number}", "t"), resource="r", operation_id=f"audit-{number}",
            )  # fmt: skip
        yield scene
        scene.close()


def seal(scene: Scene) -> None:
    while not scene.client.ledger.seal().is_done:
        pass


CHANGES: dict[str, tuple[str, FindingKind]] = {
    "actor": ("UPDATE ~events SET actor = 'eve' WHERE event_id = ?", FindingKind.COLUMN),
    "action": ("UPDATE ~events SET action = 'y' WHERE event_id = ?", FindingKind.COLUMN),
    "resource": ("UPDATE ~events SET resource = NULL WHERE event_id = ?", FindingKind.COLUMN),
    "outcome": ("UPDATE ~events SET outcome = 'failure' WHERE event_id = ?", FindingKind.COLUMN),
    "payload": (
        (
            "UPDATE ~event_payloads SET payload = (SELECT payload FROM ~event_payloads ORDER BY entry_no LIMIT 1) "
            "WHERE entry_no = "
            "(SELECT entry_no FROM ~events WHERE event_id = ?)"
        ),
        FindingKind.PAYLOAD,
    ),
    "metadata": (
        (
            "UPDATE ~event_payloads SET metadata = NULL WHERE entry_no = "
            "(SELECT entry_no FROM ~events WHERE event_id = ?)"
        ),
        FindingKind.PAYLOAD,
    ),
    "reference": (
        (
            "UPDATE ~audit_references SET value = 'r9' WHERE kind = 'run' AND entry_no = "
            "(SELECT entry_no FROM ~events WHERE event_id = ?)"
        ),
        FindingKind.COLUMN,
    ),
    "lost reference": (
        (
            "DELETE FROM ~audit_references WHERE kind = 'task' AND entry_no = "
            "(SELECT entry_no FROM ~events WHERE event_id = ?)"
        ),
        FindingKind.COLUMN,
    ),
    "made up reference": (
        (
            "INSERT INTO ~audit_references SELECT tenant_id, 'step', 's', occurred_at, entry_no FROM ~events "
            "WHERE event_id = ?"
        ),
        FindingKind.COLUMN,
    ),
    "time of a reference": (
        (
            "UPDATE ~audit_references SET occurred_at = (SELECT min(occurred_at) FROM ~events) WHERE kind = 'run' "
            "AND entry_no = (SELECT entry_no FROM ~events WHERE event_id = ?)"
        ),
        FindingKind.COLUMN,
    ),
}


@pytest.mark.parametrize("is_sealed", [True, False], ids=["sealed", "not sealed"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_entry_is_named_and_no_other(scene: Scene, change: str, is_sealed: bool) -> None:
    if is_sealed:
        seal(scene)
    statement, kind = CHANGES[change]
    scene.ask(statement, VICTIM)
    audit = scene.client.audit
    for number in range(ENTRIES):
        found = audit.verify_entry(f"audit-{number}")
        position = COUNT + number if is_sealed else None
        assert (found.position, found.is_redacted) == (position, False)
        kinds = {finding.kind for finding in found.findings}
        assert kinds == ({kind} if found.event_id == VICTIM else set()), found
    if not is_sealed:
        return
    assert [(one.kind, one.position) for one in audit.verify_all().findings] == [(kind, AT)]
    for first, end, is_intact in (
        (0, AT, True),
        (AT, AT + 1, False),
        (AT + 1, None, True),
        (17, None, False),
    ):
        report = audit.verify_range(first, end)
        assert report.is_intact is is_intact, (first, end, report.summary)
        assert report.entry_count == (COUNT + ENTRIES if end is None else end) - first
    lines = io.BytesIO()
    proof = audit.export(lines, actor="ada")
    report = verify_export(io.BytesIO(lines.getvalue()), proof)
    exported = (
        "ada" in lines.getvalue().decode() and "reference" not in change and change != "actor"
    )
    assert report.is_intact is not exported


def test_a_hash_that_was_changed_in_the_ledger_is_named(scene: Scene) -> None:
    seal(scene)
    ((first, hashes),) = scene.ask(
        "SELECT first_position, leaf_hashes FROM ~ledger_batches ORDER BY first_position DESC LIMIT 1"
    )
    at = 32 * (AT - first)
    forged = bytes(hashes)[:at] + bytes(32) + bytes(hashes)[at + 32 :]
    scene.ask("UPDATE ~ledger_batches SET leaf_hashes = ? WHERE first_position = ?", forged, first)
    found = scene.client.audit.verify_entry(VICTIM)
    assert {finding.kind for finding in found.findings} >= {FindingKind.RECOMPUTED}
    assert not scene.client.audit.verify_range(AT, AT + 1).is_intact


def test_a_range_ends_where_the_ledger_does(scene: Scene) -> None:
    seal(scene)
    verify = scene.client.audit.verify_range
    assert verify(0).entry_count == verify(0, COUNT + ENTRIES).entry_count == COUNT + ENTRIES
    assert verify(COUNT, COUNT).entry_count == 0
    for first, end in ((-1, None), (0, COUNT + ENTRIES + 1), (5, 4)):
        with pytest.raises(Invalid, match="positions from 0"):
            verify(first, end)
    with pytest.raises(NotFound):
        scene.client.audit.verify_entry("nothing")


def test_an_export_is_verified_with_nothing_but_its_files_and_a_key(scene: Scene) -> None:
    seal(scene)
    scene.client.ledger.sign(KEY)
    scene.client.audit.append("bob", "y", operation_id="late")
    exports: list[tuple[Callable[[Any], Any], int]] = [
        (scene.client.audit.export, ENTRIES + 1),
        (lambda file: scene.client.audit.export(file, run_id="r1"), 1),
        (lambda file: scene.client.audit.export(file, whole=True), COUNT + ENTRIES + 1),
    ]
    for export, count in exports:
        lines = io.BytesIO()
        proof = export(lines)
        report = verify_export(io.BytesIO(lines.getvalue()), proof, [KEY.public])
        assert (report.is_intact, report.is_anchored, report.entry_count) == (True, True, count)
        assert report.head.size == COUNT + ENTRIES + 1

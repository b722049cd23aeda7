"""Whoever may do everything in the database changes something behind our back, and verification names it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from aureus import Aureus, NewEvent
from aureus.errors import HistoryRewound, IntegrityFailure
from aureus.ledger.keys import SigningKey
from aureus.model.leaf import LeafFields, commitment, leaf_hash
from aureus.model.merkle import HASH_BYTES, Tree
from aureus.model.verification import FindingKind, Verification
from tests.support.backends import settings_for
from tests.support.migrated import migrated_file
from tests.support.postgres import PostgresDatabase

KEY = SigningKey("aureus", bytes(range(32)))
COUNT = 600
AT = 300
"""The position that is tampered with, in the second of three blocks."""


class Scene:
    """A sealed ledger, and somebody who owns its database."""

    count = COUNT

    def __init__(self, client: Aureus, url: str) -> None:
        self.client = client
        self._postgres = None if url.startswith("sqlite") else psycopg.connect(url, autocommit=True)
        self._sqlite = (
            apsw.Connection(url.removeprefix("sqlite:///")) if self._postgres is None else None
        )
        if self._postgres is not None:
            self._postgres.execute("SET session_replication_role = replica")
        for first in range(0, self.count, 100):
            client.events.append_all(
                f"s/{first % 300}",
                [NewEvent("noted", {"n": first + n}, {"m": n}) for n in range(100)],
            )
            while not client.ledger.seal().is_done:
                pass
        triggers = (
            []
            if self._sqlite is None
            else self.ask("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        )
        for (name,) in triggers:
            self.ask(f"DROP TRIGGER {name}")

    def ask(self, text: str, *values: Any) -> list[Any]:
        """Run a statement with question marks, where ~ stands before the name of each table."""
        if self._postgres is None:
            assert self._sqlite is not None
            return list(self._sqlite.execute(text.replace("~", ""), values))
        statement = text.replace("~", "aureus.").replace("?", "%s")
        cursor = self._postgres.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []

    def entry_no(self, position: int) -> int:
        """Return which entry lies at a position; entries were appended one after the other."""
        rows = self.ask("SELECT entry_no FROM ~events ORDER BY entry_no")
        return int(rows[position][0])

    def found(self, **options: Any) -> list[tuple[FindingKind, int | None]]:
        """Return kinds and positions of what a verification finds."""
        report: Verification = self.client.ledger.verify(**options)
        return [(finding.kind, finding.position) for finding in report.findings]

    def close(self) -> None:
        """Close the intruder's connection."""
        for connection in (self._postgres, self._sqlite):
            if connection is not None:
                connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    if request.param == "sqlite":
        url = owner = migrated_file(tmp_path)
    else:
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = owner = database.url()
    with Aureus(settings=settings_for(url, tmp_path)) as client:
        scene = Scene(client, owner)
        yield scene
        scene.close()


def test_a_ledger_that_nobody_touched_is_intact(scene: Scene) -> None:
    scene.client.ledger.sign(KEY)
    report = scene.client.ledger.verify(keys=[KEY.public])
    assert report.is_intact, report.summary
    assert report.anchors[-1].size == COUNT


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("events", "type", "other"),
        ("events", "actor", ""),
        ("events", "correlation_id", "r_1"),
        ("events", "action", "approve"),
        ("events", "outcome", "success"),
        ("events", "event_id", "e-1"),
        ("events", "version", 99_999),
        ("events", "commitment", bytes(32)),
        ("events", "leaf_hash", bytes(32)),
    ],
)  # fmt: skip
def test_a_changed_column_is_named(scene: Scene, table: str, column: str, value: Any) -> None:
    scene.ask(f"UPDATE ~{table} SET {column} = ? WHERE entry_no = ?", value, scene.entry_no(AT))
    assert scene.found() == [(FindingKind.COLUMN, AT)]


@pytest.mark.parametrize("column", ["payload", "metadata", "salt"])
def test_a_changed_payload_is_named(scene: Scene, column: str) -> None:
    value = b"\xff" * 32
    scene.ask(
        f"UPDATE ~event_payloads SET {column} = ? WHERE entry_no = ?", value, scene.entry_no(AT)
    )
    assert scene.found() == [(FindingKind.PAYLOAD, AT)]


def test_a_changed_time_is_named(scene: Scene) -> None:
    for value in ("infinity", "2020-01-01") if scene._sqlite is None else (2**62, 0):
        scene.ask(
            "UPDATE ~events SET occurred_at = ? WHERE entry_no = ?", value, scene.entry_no(AT)
        )
        assert scene.found() == [(FindingKind.COLUMN, AT)]


def test_a_deleted_payload_is_named(scene: Scene) -> None:
    scene.ask("DELETE FROM ~event_payloads WHERE entry_no = ?", scene.entry_no(AT))
    assert scene.found() == [(FindingKind.PAYLOAD, AT)]


def test_a_deleted_event_is_named(scene: Scene) -> None:
    entry_no = scene.entry_no(AT)
    scene.ask("DELETE FROM ~event_payloads WHERE entry_no = ?", entry_no)
    scene.ask("DELETE FROM ~events WHERE entry_no = ?", entry_no)
    assert scene.found() == [(FindingKind.MISSING, AT)]


@pytest.mark.parametrize("first", [100, 300, 500])
def test_a_deleted_batch_is_named(scene: Scene, first: int) -> None:
    batches = scene.ask(
        "SELECT first_position FROM ~ledger_batches WHERE first_position >= ? ORDER BY 1", first
    )
    scene.ask("DELETE FROM ~ledger_batches WHERE first_position = ?", batches[0][0])
    kind = FindingKind.MISSING if len(batches) > 1 else FindingKind.TRUNCATED
    assert scene.found()[0] == (kind, batches[0][0])


def test_an_inserted_event_is_named(scene: Scene) -> None:
    columns = "tenant_id, append_no, stream, type, actor, occurred_at, commitment, leaf_hash"
    first = scene.entry_no(0)
    scene.ask(
        f"INSERT INTO ~events ({columns}, entry_no, event_id, version) "
        f"SELECT {columns}, ?, 'forged', 7777 FROM ~events WHERE entry_no = ?",
        first - 1,
        first,
    )
    report = scene.client.ledger.verify()
    (finding,) = report.findings
    assert finding.kind == FindingKind.INSERTED
    assert "forged" in finding.message


def test_an_event_that_was_put_in_the_place_of_another_is_named_though_the_numbers_add_up(
    scene: Scene,
) -> None:
    columns = "tenant_id, append_no, stream, type, actor, occurred_at, commitment, leaf_hash"
    first, gone = scene.entry_no(0), scene.entry_no(AT)
    scene.ask("DELETE FROM ~event_payloads WHERE entry_no = ?", gone)
    scene.ask("DELETE FROM ~events WHERE entry_no = ?", gone)
    scene.ask(
        f"INSERT INTO ~events ({columns}, entry_no, event_id, version) "
        f"SELECT {columns}, ?, 'forged', 7777 FROM ~events WHERE entry_no = ?",
        first - 1,
        first,
    )
    report = scene.client.ledger.verify()
    assert (FindingKind.MISSING, AT) in [(one.kind, one.position) for one in report.findings]
    assert "forged" in [
        one.message.split()[1] for one in report.findings if one.kind == FindingKind.INSERTED
    ]


def test_a_batch_behind_the_head_is_named(scene: Scene) -> None:
    columns = "tenant_id, size, first_entry_no, last_entry_no, entry_nos, leaf_hashes, sealed_at"
    scene.ask(
        f"INSERT INTO ~ledger_batches (first_position, {columns}) "
        f"SELECT ?, {columns} FROM ~ledger_batches WHERE first_position = 0",
        COUNT,
    )
    assert scene.found()[0] == (FindingKind.INSERTED, COUNT)


def test_entries_in_another_order_are_named(scene: Scene) -> None:
    first, numbers, hashes = batch_at(scene, AT)
    numbers[0], numbers[9] = numbers[9], numbers[0]
    hashes[0], hashes[9] = hashes[9], hashes[0]
    set_batch(scene, first, numbers, hashes)
    assert scene.found() == [(FindingKind.REORDERED, first)]


def test_a_changed_hash_in_the_ledger_is_named(scene: Scene) -> None:
    first, numbers, hashes = batch_at(scene, AT)
    hashes[5] = bytes(32)
    set_batch(scene, first, numbers, hashes)
    assert scene.found() == [(FindingKind.COLUMN, first + 5)]


def test_a_changed_kept_root_is_named(scene: Scene) -> None:
    scene.ask("UPDATE ~ledger_nodes SET hash = ? WHERE level = 8 AND node_no = 1", bytes(32))
    assert scene.found() == [(FindingKind.COLUMN, 256)]


def test_a_changed_head_is_named_and_neither_signed_nor_extended(scene: Scene) -> None:
    scene.client.ledger.head()
    scene.ask("UPDATE ~ledger_heads SET root = ?", bytes(32))
    assert FindingKind.RECOMPUTED in {kind for kind, _ in scene.found()}
    with pytest.raises(IntegrityFailure):
        scene.client.ledger.sign(KEY)
    with pytest.raises(IntegrityFailure):
        scene.client.ledger.head()
    scene.client.events.append("s/0", "noted", {})
    with pytest.raises(IntegrityFailure, match="contradicts itself"):
        seal_all(scene)
    assert scene.ask("SELECT size FROM ~ledger_heads") == [(COUNT,)]


def test_numbers_beyond_all_reason_end_too(scene: Scene) -> None:
    last = scene.ask("SELECT max(first_position) FROM ~ledger_batches")[0][0]
    scene.ask("UPDATE ~ledger_batches SET first_position = ? WHERE first_position = ?", 2**60, last)
    scene.ask("UPDATE ~ledger_heads SET size = ?", 2**61)
    kinds = [kind for kind, _ in scene.found()]
    assert FindingKind.MISSING in kinds
    assert FindingKind.TRUNCATED in kinds


def test_kept_roots_that_are_gone_are_named(scene: Scene) -> None:
    scene.client.ledger.head()
    scene.client.events.append("s/0", "noted", {})
    while not scene.client.ledger.seal().is_done:
        pass
    scene.ask("DELETE FROM ~ledger_nodes")
    assert scene.found() == [(FindingKind.COLUMN, 0), (FindingKind.COLUMN, 256)]
    with pytest.raises(IntegrityFailure, match="its history was"):
        scene.client.ledger.head()


def test_a_rewrite_of_everything_is_named_by_what_was_signed(scene: Scene) -> None:
    scene.client.ledger.sign(KEY)
    rewrite(scene, AT)
    assert scene.found(keys=[KEY.public]) == [(FindingKind.RECOMPUTED, 0)] * 2
    with pytest.raises(IntegrityFailure, match="that was signed"):
        scene.client.ledger.sign(KEY)
    scene.ask("DELETE FROM ~signed_heads")
    assert scene.found(keys=[KEY.public]) == [(FindingKind.RECOMPUTED, 0)] * 2
    with pytest.raises(IntegrityFailure, match="seen outside"):
        scene.client.ledger.sign(KEY)


def test_an_older_state_is_named_by_what_was_seen(scene: Scene) -> None:
    scene.client.ledger.head()
    rewind(scene, 250)
    assert scene.found() == [(FindingKind.REWOUND, 250)]
    with pytest.raises(HistoryRewound):
        scene.client.ledger.sign(KEY)
    with pytest.raises(HistoryRewound):
        scene.client.ledger.head()
    assert scene.client.ledger.accept_restore(actor="ada").incarnation == 2
    while not scene.client.ledger.seal().is_done:
        pass
    assert scene.found() == []


def test_a_damaged_note_is_named(scene: Scene) -> None:
    scene.client.ledger.sign(KEY)
    scene.ask("UPDATE ~signed_heads SET note = replace(note, '6', '7')")
    kinds = {kind for kind, _ in scene.found(keys=[KEY.public])}
    assert FindingKind.WRONG_KEY in kinds
    scene.ask("UPDATE ~signed_heads SET note = 'x'")
    assert FindingKind.WRONG_KEY in {kind for kind, _ in scene.found(keys=[KEY.public])}


def seal_all(scene: Scene) -> None:
    """Seal what waits, also when somebody else is about to."""
    while not scene.client.ledger.seal().is_done:
        pass


def batch_at(scene: Scene, position: int) -> tuple[int, list[int], list[bytes]]:
    """Return first position, entry numbers and hashes of the batch that holds a position."""
    (batch,) = scene.client.ledger.list_batches(from_position=position, limit=1)
    joined = batch.leaf_hashes
    hashes = [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
    return batch.first_position, list(batch.entry_nos), hashes


def set_batch(scene: Scene, first: int, numbers: list[int], hashes: list[bytes]) -> None:
    stored: Any = numbers if scene._sqlite is None else str(numbers)
    scene.ask(
        "UPDATE ~ledger_batches SET entry_nos = ?, leaf_hashes = ? WHERE first_position = ?",
        stored,
        b"".join(hashes),
        first,
    )


def leaves(scene: Scene) -> list[bytes]:
    joined = b"".join(
        bytes(row[0])
        for row in scene.ask("SELECT leaf_hashes FROM ~ledger_batches ORDER BY first_position")
    )
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


def set_tree(scene: Scene) -> None:
    """Compute nodes and head from the batches anew."""
    tree = Tree()
    scene.ask("DELETE FROM ~ledger_nodes")
    for node in tree.extend(leaves(scene)):
        scene.ask(
            "INSERT INTO ~ledger_nodes (tenant_id, level, node_no, hash) VALUES ('default', ?, ?, ?)",
            node.level,
            node.index,
            node.hash,
        )
    scene.ask(
        "UPDATE ~ledger_heads SET size = ?, root = ?, peaks = ?",
        tree.size,
        tree.root(),
        tree.to_bytes(),
    )


def rewrite(scene: Scene, position: int) -> None:
    """Give an entry another payload, and compute every hash anew."""
    entry_no = scene.entry_no(position)
    event = next(
        one for one in scene.client.events.list(limit=COUNT).events if one.entry_no == entry_no
    )
    ((salt, metadata),) = scene.ask(
        "SELECT salt, metadata FROM ~event_payloads WHERE entry_no = ?", entry_no
    )
    committed = commitment(bytes(salt), b'{"n":0}', bytes(metadata))
    micros = int(event.occurred_at.timestamp()) * 1_000_000 + event.occurred_at.microsecond
    leaf = leaf_hash(
        LeafFields(event.event_id, event.stream, event.type, event.actor, micros), committed
    )
    scene.ask("UPDATE ~event_payloads SET payload = ? WHERE entry_no = ?", b'{"n":0}', entry_no)
    scene.ask(
        "UPDATE ~events SET commitment = ?, leaf_hash = ? WHERE entry_no = ?",
        committed,
        leaf,
        entry_no,
    )
    first, numbers, hashes = batch_at(scene, position)
    hashes[position - first] = leaf
    set_batch(scene, first, numbers, hashes)
    set_tree(scene)


def rewind(scene: Scene, size: int) -> None:
    """Take away everything from a position on, as if the database were a backup of that moment."""
    first, numbers, hashes = batch_at(scene, size)
    kept = size - first
    scene.ask("DELETE FROM ~ledger_batches WHERE first_position > ?", first)
    if not kept:
        scene.ask("DELETE FROM ~ledger_batches WHERE first_position = ?", first)
    if kept:
        stored: Any = numbers[:kept] if scene._sqlite is None else str(numbers[:kept])
        scene.ask(
            "UPDATE ~ledger_batches SET size = ?, entry_nos = ?, leaf_hashes = ?, last_entry_no = ? "
            "WHERE first_position = ?",
            kept, stored, b"".join(hashes[:kept]), numbers[kept - 1], first,
        )  # fmt: skip
    last = scene.entry_no(size - 1)
    for table in ("event_payloads", "events"):
        scene.ask(f"DELETE FROM ~{table} WHERE entry_no > ?", last)
    scene.ask(
        "UPDATE ~streams SET version = (SELECT count(*) FROM ~events WHERE events.stream = streams.stream)"
    )
    scene.ask("DELETE FROM ~streams WHERE version = 0")
    scene.ask("UPDATE ~ledger_heads SET last_entry_no = ?", last)
    set_tree(scene)

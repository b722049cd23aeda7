"""Every column of the ledger's tables, as the catalogue lists them, is edited: that is named, or the docs say not.

A column that is new is edited like the others, and fails here until it is proved or put down as not proved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from aureus import Aureus, Provenance
from aureus.errors import AureusError, IntegrityFailure
from tests.faults.test_tampering import KEY, Scene
from tests.support.backends import settings_for
from tests.support.postgres import PostgresDatabase

EXPLANATION = Path(__file__).parents[2] / "docs" / "explanation" / "ledger.md"

GROUPS = {
    "anchors": ("anchor",),
    "entries": ("event", "streams", "eras", "audit_"),
    "tree": ("ledger_", "signed_heads"),
}
"""What tables of the ledger, of events and of the trail begin with, in parts that are soon through."""

PREFIXES = (*(prefix for group in GROUPS.values() for prefix in group), "subscription")

NOT_PROVED = {
    # Bookkeeping of erasures: what excuses a payload that is gone is the record that is sealed.
    *(f"erased_entries.{name}" for name in ("tenant_id", "entry_no", "record_id")),
    *(f"erasures.{name}" for name in ("tenant_id", "record_id", "erasure_id", "erased_at")),
    # Whom an entry concerns is what erasures go by, and no part of what is proved.
    *(f"event_subjects.{name}" for name in ("tenant_id", "subject", "entry_no")),
    # Which entries were appended together means nothing once they are sealed.
    "events.append_no",
    # Times of the machine that sealed, signed, anchored or last wrote.
    *("ledger_batches.sealed_at", "ledger_heads.sealed_at", "signed_heads.signed_at"),
    *("anchors.anchored_at", "anchor_heads.anchored_at", "audit_modes.changed_at"),
    *("streams.created_at", "streams.updated_at", "audit_retention.pruned_at"),
    # Whoever calls the log otherwise makes another log of it, for which none of the old signatures is.
    "anchor_heads.log_key",
    # A signed head of another tenant is none of this one's any more, as if its row were gone.
    "signed_heads.tenant_id",
    # What makes a repeated call return what it did before.
    "audit_modes.operation_id",
    # How far pruning came: where it goes on looking.
    *("audit_retention.tenant_id", "audit_retention.pruned_to"),
}
"""Columns of which an edit is not named."""

NOT_PROVED_TABLES = ("subscription",)
"""What tables begin with that hold the state of readers, and nothing that was recorded."""

NOT_PROVED_ROWS = {
    "erased_entries",
    "erasures",
    "event_subjects",
    "audit_retention",
    "signed_heads",
}
"""Tables of which a row that is deleted is not named: those above, and heads, whose copies lie elsewhere."""


ENDS = {"report", "integrity_failure", "history_rewound", "not_found"}
"""How a verification of what somebody has put anything into may end."""

KEY_DIGITS = 32
"""Digits of the key of a ledger or of the anchor log."""


class Catalogue(Scene):
    """A ledger with something in each of its tables."""

    count = 300

    def __init__(self, client: Aureus, url: str) -> None:
        super().__init__(client, url)
        client.audit.set_mode("all", actor="ada", operation_id="mode")
        for number in range(6):
            client.audit.append(
                "ada", "x", before={"n": number}, provenance=Provenance(f"r{number}", "t"),
                resource="r", correlation_id="c", subjects=["bob"], operation_id=f"audit-{number}",
            )  # fmt: skip
        self.seal()
        client.ledger.sign(KEY)
        client.anchors.anchor(KEY)
        client.audit.prune(client.audit.get("audit-2").occurred_at, actor="ada")
        self.seal()
        client.events.append("late", "noted", {"not": "sealed"})
        if self._sqlite is not None:
            self._sqlite.execute("PRAGMA ignore_check_constraints = ON")
        else:
            self._free_columns()

    def seal(self) -> None:
        while not self.client.ledger.seal().is_done:
            pass

    def _free_columns(self) -> None:
        """Take away what holds even an owner, as an owner may."""
        self.ask("ALTER TABLE ~events ALTER COLUMN category DROP EXPRESSION")
        for table, name in self.ask(
            "SELECT CAST(CAST(conrelid AS regclass) AS text), conname FROM pg_constraint "
            "WHERE contype = 'c' AND connamespace = CAST('aureus' AS regnamespace)"
        ):
            if table.removeprefix("aureus.").startswith(PREFIXES):
                self.ask(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')

    def columns(self) -> list[tuple[str, str, str]]:
        """Return table, name and type of every column of the ledger's tables."""
        if self._sqlite is None:
            found = self.ask(
                "SELECT table_name, column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = 'aureus' ORDER BY table_name, ordinal_position"
            )
        else:  # what is computed when it is read cannot be edited
            found = self.ask(
                "SELECT t.name, c.name, c.type FROM sqlite_schema AS t JOIN pragma_table_xinfo(t.name) AS c "
                "WHERE t.type = 'table' AND c.hidden <> 2 ORDER BY t.name, c.cid"
            )
        columns = [(table, name, kind) for table, name, kind in found if table.startswith(PREFIXES)]
        # What is waiting comes first: see settle.
        return sorted(columns, key=lambda column: column[0] != "ledger_pending")

    def settle(self, table: str) -> None:
        """Let nothing wait any more, once that was looked at.

        A verification that misses the record of an erasure seals what is waiting, in more tables than are put back.
        """
        if table != "ledger_pending":
            self.seal()

    def save(self, table: str) -> None:
        """Keep the rows of a table."""
        self.ask(f"CREATE TABLE ~saved AS SELECT * FROM ~{table}")

    def restore(self, table: str, names: str) -> None:
        """Put the rows of a table back."""
        self.ask(f"DELETE FROM ~{table}")
        self.ask(f"INSERT INTO ~{table} ({names}) SELECT {names} FROM ~saved")
        self.ask("DROP TABLE ~saved")

    def is_named(self, table: str) -> bool:
        """Return whether a verification finds anything."""
        try:
            if table.startswith("anchor"):
                return not self.client.anchors.verify(keys=[KEY.public]).is_intact
            return not self.client.ledger.verify(keys=[KEY.public]).is_intact
        except IntegrityFailure:
            return True


@pytest.fixture(params=["sqlite", "postgres"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalogue]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/aureus.db"
    else:
        database: PostgresDatabase = request.getfixturevalue("postgres_database")
        url = database.url()
    settings = settings_for(url, tmp_path, **{"ledger.sealing": "off"})
    with Aureus(settings=settings) as client:
        scene = Catalogue(client, url)
        yield scene
        scene.close()


def names_of(columns: list[tuple[str, str, str]]) -> dict[str, str]:
    """Return the columns of each table as a list in SQL."""
    tables: dict[str, list[str]] = {}
    for table, name, _ in columns:
        tables.setdefault(table, []).append(name)
    return {table: ", ".join(names) for table, names in tables.items()}


@pytest.mark.parametrize("group", GROUPS)
def test_an_edit_of_any_column_is_named_or_said_not_to_be(scene: Catalogue, group: str) -> None:
    columns = [one for one in scene.columns() if one[0].startswith(GROUPS[group])]
    names = names_of(columns)
    unnamed: set[str] = set()
    for table, column, _ in columns:
        if table == "anchor_nodes":
            continue
        scene.settle(table)
        rows = scene.ask(
            f"SELECT {column} FROM ~{table} WHERE {column} IS NOT NULL ORDER BY {column}"
        )
        if not rows:
            unnamed.add(f"{table}.{column}: nothing there to edit")
            continue
        old = rows[len(rows) // 2][0]
        new = edited(old)
        if isinstance(old, list):
            old, new = f"{{{str(old)[1:-1]}}}", f"{{{str(new)[1:-1]}}}"
        scene.save(table)
        changed = scene.ask(
            f"UPDATE ~{table} SET {column} = ? WHERE {column} = ? RETURNING 1", new, old
        )
        assert changed, (table, column)
        if not scene.is_named(table):
            unnamed.add(f"{table}.{column}")
        scene.restore(table, names[table])
    assert not scene.is_named(columns[0][0]), "everything is as it was"
    assert unnamed == NOT_PROVED & {f"{table}.{column}" for table, column, _ in columns}


def test_a_row_that_is_gone_is_named_or_said_not_to_be(scene: Catalogue) -> None:
    unnamed: set[str] = set()
    for table, names in names_of(scene.columns()).items():
        if table.startswith(NOT_PROVED_TABLES) or table == "anchor_nodes":
            continue
        scene.settle(table)
        column = names.split(", ")[0 if table.startswith("anchor") else 1]
        ((value,),) = scene.ask(f"SELECT min({column}) FROM ~{table}")
        scene.save(table)
        scene.ask(f"DELETE FROM ~{table} WHERE {column} = ?", value)
        if not scene.is_named(table):
            unnamed.add(table)
        scene.restore(table, names)
    assert not scene.is_named("events"), "everything is as it was"
    assert unnamed == NOT_PROVED_ROWS


@pytest.mark.parametrize("group", GROUPS)
def test_whatever_is_put_into_a_column_a_verification_ends_in_a_way_of_ours(
    scene: Catalogue, group: str
) -> None:
    columns = [one for one in scene.columns() if one[0].startswith(GROUPS[group])]
    names = names_of(columns)
    for table, column, kind in columns:
        for value in nonsense(kind, is_postgres=scene._sqlite is None):
            scene.save(table)
            with suppress(apsw.Error, psycopg.Error):  # what the database itself refuses
                scene.ask(f"UPDATE ~{table} SET {column} = {value}")
            for verify in verifications(scene.client, table):
                ended = how_it_ended(verify)
                assert ended in ENDS, (table, column, value)
            scene.restore(table, names[table])


def verifications(client: Aureus, table: str) -> list[Callable[[], Any]]:
    """Return the calls that read a table."""
    if table.startswith("anchor"):
        return [client.anchors.verify]
    return [
        lambda: client.ledger.verify(keys=[KEY.public]),
        lambda: client.audit.verify_entry("audit-3"),
    ]


def how_it_ended(verify: Callable[[], Any]) -> str:
    """Return how a verification ended: with a report, with an error of ours, or otherwise."""
    try:
        verify()
    except AureusError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 - whatever it is, the test says which
        return repr(error)
    return "report"


def test_the_docs_name_every_column_that_is_not_proved() -> None:
    text = EXPLANATION.read_text(encoding="utf-8")
    for name in NOT_PROVED:
        assert f"`{name}`" in text or f"`{name.partition('.')[0]}`" in text, name


def edited(old: Any) -> Any:
    """Return another value of the same kind."""
    if isinstance(old, int):
        return old + 1_000_000
    if isinstance(old, datetime):
        return old + timedelta(seconds=1)
    if isinstance(old, (bytes, memoryview)):
        value = bytes(old)
        return bytes([value[0] ^ 1]) + value[1:]
    if isinstance(old, list):
        return [*old[1:], old[0]] if len(old) > 1 else [old[0] + 1_000_000]
    if old in {"all", "decisions"}:
        return "off"
    if old in {"run", "task"}:
        return "step"
    if len(old) == KEY_DIGITS and set(old) <= set("0123456789abcdef"):
        return f"{old[1:]}{old[:1]}"
    return old.replace("[", "[1", 1) if old.startswith("[") else old + "x"


def nonsense(kind: str, *, is_postgres: bool) -> list[str]:
    """Return values in SQL that no column of this kind should hold."""
    if is_postgres:
        return {
            "timestamp with time zone": ["'infinity'", "'-infinity'", "'4000-01-01 BC'"],
            "bytea": ["''", "decode('ff', 'hex')"],
            "bigint": ["-1", "9223372036854775807"],
            "integer": ["-1", "2147483647"],
            "ARRAY": ["'{}'", "'{NULL}'", "'[5:6]={1,2}'", "'{{1,2},{3,4}}'"],
        }.get(kind, ["''", "'[]'"])
    return {
        "INTEGER": ["-1", "9223372036854775807", "-9223372036854775808"],
        "BLOB": ["x''", "x'ff'"],
    }.get(kind, ["''", "'{'", "'[null]'", "CAST(x'ff' AS TEXT)"])

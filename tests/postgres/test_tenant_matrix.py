"""The matrix of tenants: every table of the catalogue against everything that SQL can do to a row of somebody else.

The tables, their columns and the rights of the application's role are read from the server, so that a new table is in
the matrix from its first day. Rows are put in by the superuser, with checks and triggers out of the way: here it only
matters whose they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from tests.catalog.test_catalog import TABLES_WITHOUT_TENANT
from tests.support.postgres import PostgresDatabase

Connection = psycopg.Connection[Any]

VALUES = {"S": "x", "N": 1, "D": "2026-01-01", "B": False, "A": "{}"}
"""A value for each category of types (pg_type.typcategory)."""

VALUES_BY_TYPE = {"bytea": b"x", "json": "{}", "jsonb": "{}", "vector": "[0]"}

COLUMNS = """
    SELECT a.attname, t.typcategory, t.typname
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY a.attnum
"""


@pytest.fixture
def populated(postgres_database: PostgresDatabase) -> Iterator[tuple[Connection, list[str]]]:
    """Give a connection as the application's role, and the tables, each with a row of either tenant."""
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for (statement,) in connection.execute(
            "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) FROM pg_constraint "
            "WHERE connamespace = 'aureus'::regnamespace AND contype = 'c' AND conrelid <> 0"
        ).fetchall():
            connection.execute(statement.encode())
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'aureus'::regnamespace AND relkind IN ('r', 'p')"
            ).fetchall()
            if name not in TABLES_WITHOUT_TENANT
        ]
        for table in tables:
            connection.execute(f'ALTER TABLE aureus."{table}" DISABLE TRIGGER USER'.encode())
            for tenant in ("acme", "other"):
                insert(connection, table, tenant)
        connection.execute("SET session_replication_role = origin")
        connection.execute("SET ROLE aureus_app")
        yield connection, sorted(tables)


def insert(connection: Connection, table: str, tenant: str) -> None:
    """Put a row of a tenant into a table, with whatever values its columns take."""
    columns = connection.execute(COLUMNS, [f'aureus."{table}"']).fetchall()
    row = {
        name: tenant if name == "tenant_id" else VALUES_BY_TYPE.get(kind, VALUES.get(category, "0"))
        for name, category, kind in columns
    }
    connection.execute(
        sql.SQL("INSERT INTO aureus.{} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() for _ in row),
        ),
        list(row.values()),
    )


def bind(connection: Connection, tenant: str) -> None:
    """Bind a tenant for what follows on this connection."""
    connection.execute("SELECT set_config('aureus.tenant', %s, false)", [tenant])


def may(connection: Connection, table: str, privilege: str) -> bool:
    """Return whether the current role has a right to a table."""
    row = connection.execute(
        "SELECT has_table_privilege(%s, %s)", [f'aureus."{table}"', privilege]
    ).fetchone()
    return bool(row and row[0])


def attempt(connection: Connection, text: str, table: str) -> int | str:
    """Carry out a statement on a table and undo it; return how many rows it touched, or the SQLSTATE."""
    try:
        with connection.transaction(force_rollback=True):
            return connection.execute(text.format(table=f'aureus."{table}"').encode()).rowcount
    except psycopg.Error as error:
        return error.sqlstate or str(error)


def test_no_statement_reaches_a_row_of_another_tenant(
    populated: tuple[Connection, list[str]],
) -> None:
    connection, tables = populated
    assert len(tables) > 11
    bind(connection, "acme")
    seen: dict[str, set[Any]] = {}
    for table in tables:
        if may(connection, table, "SELECT"):
            rows = connection.execute(
                sql.SQL("SELECT tenant_id FROM {}").format(sql.Identifier("aureus", table))
            ).fetchall()
            seen[table] = {row[0] for row in rows}
            assert len(rows) == 1, table
        refused = "42501"
        can_update, can_delete = (
            may(connection, table, "UPDATE"),
            may(connection, table, "DELETE"),
        )
        others = "WHERE tenant_id = 'other'"
        update = f"UPDATE {{table}} SET tenant_id = tenant_id {others}"
        moved = "UPDATE {table} SET tenant_id = 'other'"
        deleted = f"DELETE FROM {{table}} {others}"
        assert attempt(connection, update, table) == (0 if can_update else refused), table
        assert attempt(connection, moved, table) == refused, table
        assert attempt(connection, deleted, table) == (0 if can_delete else refused), table
        assert attempt(connection, "TRUNCATE {table}", table) == refused, table
    assert {tenant for found in seen.values() for tenant in found} == {"acme"}
    assert len(seen) > 11


def test_a_row_cannot_be_written_for_another_tenant(
    populated: tuple[Connection, list[str]],
) -> None:
    connection, tables = populated
    bind(connection, "acme")
    for table in tables:
        with pytest.raises(errors.InsufficientPrivilege), connection.transaction():
            insert(connection, table, "other")


SILENT = {("ledger_heads", "SELECT")}
"""What shows nothing, where others fail: its second policy, for anchoring, is asked first (migration anchors)."""


def test_without_a_tenant_every_statement_is_an_error(
    populated: tuple[Connection, list[str]],
) -> None:
    connection, tables = populated
    for table in tables:
        for privilege, text in (
            ("SELECT", "SELECT 1 FROM {table} WHERE tenant_id = 'nobody'"),
            ("UPDATE", "UPDATE {table} SET tenant_id = tenant_id"),
            ("DELETE", "DELETE FROM {table}"),
        ):
            expected: object = "AU002" if may(connection, table, privilege) else "42501"
            if (table, privilege) in SILENT:
                expected = 0
            assert attempt(connection, text, table) == expected, (table, privilege)

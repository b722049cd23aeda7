"""The catalogue: every name used exists, every statement is used, both engines agree, and the tenant is everywhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import apsw
import psycopg
import pytest

from aureus._database.catalog import Catalog, Engine, texts
from aureus._database.copying import NOT_COPIED, SHARED_TABLES, TABLES
from aureus._database.migrate import bookkeeping, read_migrations
from aureus._database.sqlite.functions import add_functions
from aureus._database.statement import Query
from tests.support.postgres import PostgresDatabase

SOURCE = Path(__file__).parents[2] / "src" / "aureus"

ENGINES: list[Engine] = ["sqlite", "postgres"]

ONLY_POSTGRES = {"flushes"}
"""Nouns that SQLite has no need of: a commit there is never in doubt."""

WITHOUT_TENANT = {"flushes", "health", "anchors"}
"""The named exceptions: statements on tables that hold nothing of a tenant."""

TABLES_WITHOUT_TENANT = {"flushes", "schema_migrations", "anchor_heads", "anchors", "anchor_nodes"}


def used_names() -> set[Query]:
    """Return every ``sql.name`` in the package, with the noun of the module's ``Queries``."""
    found: set[Query] = set()
    for path in SOURCE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        nouns: dict[str, str] = {}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Call)
                and isinstance(node.value.func, ast.Name)
                and node.value.func.id == "Queries"
                and isinstance(node.targets[0], ast.Name)
                and isinstance(node.value.args[0], ast.Constant)
            ):
                nouns[node.targets[0].id] = str(node.value.args[0].value)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                noun = nouns.get(node.value.id)
                if noun is not None and noun != "migrations":
                    found.add(Query(noun, node.attr))
    return found


def test_every_name_that_is_used_is_there_and_every_statement_is_used() -> None:
    known = set(texts("sqlite")) | set(texts("postgres"))
    assert used_names() == known


def test_both_engines_have_the_same_statements_parameters_keys_and_cardinalities() -> None:
    def shape(engine: Engine) -> dict[Query, tuple[object, ...]]:
        catalog = Catalog(engine)
        found: dict[Query, tuple[object, ...]] = {}
        for query, text in texts(engine).items():
            if query.noun in ONLY_POSTGRES:
                continue
            compiled = catalog.compiled(query)
            names = {name for part in compiled.parameters for name in part} - {"mark"}
            found[query] = (text.cardinality, text.key, text.records, frozenset(names))
        return found

    sqlite, postgres = shape("sqlite"), shape("postgres")
    assert sqlite.keys() == postgres.keys()
    for query, described in sqlite.items():
        assert described == postgres[query], query


@pytest.mark.parametrize("engine", ENGINES)
def test_every_statement_says_what_it_is_for(engine: Engine) -> None:
    assert [query for query, text in texts(engine).items() if not text.description] == []


@pytest.mark.parametrize("engine", ENGINES)
def test_every_text_binds_the_tenant(engine: Engine) -> None:
    catalog = Catalog(engine)
    missing = [
        (query.name, text)
        for query in texts(engine)
        if query.noun not in WITHOUT_TENANT
        for text, names in zip(
            catalog.compiled(query).texts, catalog.compiled(query).parameters, strict=True
        )
        if "tenant_id" not in names
    ]
    assert missing == []


@pytest.mark.parametrize("engine", ENGINES)
def test_every_table_that_a_text_reads_or_changes_is_narrowed_to_a_tenant(engine: Engine) -> None:
    """Each table is either compared by tenant_id under its alias, or its rows are written with one."""
    for query, text in texts(engine).items():
        if query.noun in WITHOUT_TENANT:
            continue
        for table, alias in aliases(text.body):
            compared = re.search(rf"\b{alias}\.tenant_id\s*=|=\s*{alias}\.tenant_id\b", text.body)
            bare = re.search(r"(?<![\w.])tenant_id\s*=\s*:tenant_id", text.body)
            written = re.search(rf"INSERT INTO aureus\.{table}\b[^(]*\(tenant_id\b", text.body)
            assert compared or bare or written, (query, table)


def aliases(body: str) -> list[tuple[str, str]]:
    """Return each table of a text with the name it is called by there; functions are none."""
    pattern = r"(?<!')\baureus\.(\w+)\b(?!\()(?:\s+AS\s+(\w+))?"
    return [(found[1], found[2] or found[1]) for found in re.finditer(pattern, body)]


def test_a_forgotten_tenant_turns_the_check_red() -> None:
    body = "SELECT r.run_id FROM aureus.runs AS r WHERE r.run_id = :run_id"
    ((table, alias),) = aliases(body)
    assert (table, alias) == ("runs", "r")
    assert not re.search(rf"\b{alias}\.tenant_id\s*=", body)


def migrated_sqlite() -> apsw.Connection:
    """Return a connection to a database with the schema and its bookkeeping."""
    connection = apsw.Connection(":memory:")
    add_functions(connection)
    notes = Catalog("sqlite", statements=bookkeeping("sqlite"))
    connection.execute(notes.compiled(Query("migrations", "create_table")).texts[0])
    for migration in read_migrations("sqlite"):
        connection.execute(Catalog("sqlite").script(migration.content))
    return connection


def test_every_statement_prepares_on_sqlite() -> None:
    connection = migrated_sqlite()
    catalog = Catalog("sqlite")
    for query in texts("sqlite"):
        for text in catalog.compiled(query).texts:
            connection.execute(f"EXPLAIN {text}", dict.fromkeys(numbers(text))).fetchall()


def numbers(text: str) -> set[str]:
    """Return the numbers of the parameters of a SQLite text."""
    return {found[1:] for found in re.findall(r"\?\d+", text)}


def test_every_statement_prepares_on_postgres(postgres_database: PostgresDatabase) -> None:
    catalog = Catalog("postgres")
    with psycopg.connect(postgres_database.url(), autocommit=True) as connection:
        for index, query in enumerate(texts("postgres")):
            (text,) = catalog.compiled(query).texts
            result = connection.pgconn.prepare(f"s{index}".encode(), text.encode())
            assert result.error_message == b"", (query, result.error_message.decode())


def test_every_key_of_every_table_starts_with_the_tenant_on_postgres(
    postgres_database: PostgresDatabase,
) -> None:
    with psycopg.connect(postgres_database.url()) as connection:
        rows = connection.execute(
            """
            SELECT c.relname, i.indexrelid::regclass::text, a.attname
            FROM pg_index i
            JOIN pg_class c ON c.oid = i.indrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'aureus'
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
            """
        ).fetchall()
    assert len(rows) > 15
    wrong = [row for row in rows if row[2] != "tenant_id" and row[0] not in TABLES_WITHOUT_TENANT]
    assert wrong == []


def test_every_foreign_key_carries_the_tenant_on_postgres(
    postgres_database: PostgresDatabase,
) -> None:
    with psycopg.connect(postgres_database.url()) as connection:
        rows = connection.execute(
            """
            SELECT k.conname, a.attname, f.attname
            FROM pg_constraint k
            JOIN pg_namespace n ON n.oid = k.connamespace AND n.nspname = 'aureus'
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
            JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
            WHERE k.contype = 'f'
            """
        ).fetchall()
    assert rows
    assert [row for row in rows if row[1:] != ("tenant_id", "tenant_id")] == []


def test_every_key_of_every_table_starts_with_the_tenant_on_sqlite() -> None:
    connection = apsw.Connection(":memory:")
    for migration in read_migrations("sqlite"):
        connection.execute(Catalog("sqlite").script(migration.content))
    tables = [
        name
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if not str(name).startswith("sqlite_") and name not in TABLES_WITHOUT_TENANT
    ]
    assert len(tables) > 10
    for table in tables:
        for index in connection.execute(
            "SELECT name FROM pragma_index_list(?)", (table,)
        ).fetchall():
            columns = connection.execute("SELECT name FROM pragma_index_info(?)", index).fetchall()
            assert columns[0] == ("tenant_id",), (table, index)


def test_a_copy_of_a_database_knows_every_table(postgres_database: PostgresDatabase) -> None:
    known = {*TABLES, *SHARED_TABLES, *NOT_COPIED}
    with psycopg.connect(postgres_database.url()) as connection:
        on_postgres = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'aureus'"
        ).fetchall()
    on_sqlite = migrated_sqlite().execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    assert {name for (name,) in on_postgres} | {"memory_vectors"} == known
    assert {name for (name,) in on_sqlite} == known - {
        "flushes",
        "ledger_pending",
        "memory_vectors",
    }


def test_row_level_security_is_forced_on_every_table_of_tenants(
    postgres_database: PostgresDatabase,
) -> None:
    with psycopg.connect(postgres_database.url()) as connection:
        rows = connection.execute(
            """
            SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
                   (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'aureus'
            WHERE c.relkind IN ('r', 'p')
            """
        ).fetchall()
    open_tables = {row[0] for row in rows if row[1:3] != (True, True) or row[3] == 0}
    assert open_tables == TABLES_WITHOUT_TENANT
    # Anchoring sees the heads of all tenants, for as long as it says so: see the migration anchors.
    assert {row[0] for row in rows if row[3] > 1} == {"ledger_heads"}


def test_the_application_role_owns_nothing_and_can_do_little(
    postgres_database: PostgresDatabase,
) -> None:
    with psycopg.connect(postgres_database.url()) as connection:
        role = connection.execute(
            "SELECT rolsuper, rolbypassrls, rolcanlogin, rolcreaterole FROM pg_roles WHERE rolname = 'aureus_app'"
        ).fetchone()
        owned = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = 'aureus_app'::regrole"
        ).fetchone()
        rights = connection.execute(
            "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants WHERE grantee = 'aureus_app'"
        ).fetchall()
        immutable = connection.execute(
            "SELECT DISTINCT privilege_type FROM information_schema.role_table_grants "
            "WHERE grantee = 'aureus_app' AND table_name IN ('events', 'ledger_batches', 'erased_entries')"
        ).fetchall()
    assert role == (False, False, False, False)
    assert owned == (0,)
    assert {row[0] for row in rights} <= {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert {row[0] for row in immutable} == {"SELECT", "INSERT"}
